# SPDX-License-Identifier: Apache-2.0
"""The drivers against the loopback controllers, over the real protocols."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time

import numpy as np
import pytest

from grasp_control.loopback.process import own_address
from grasp_control.rg2_digital import Rg2Digital
from grasp_control.rg2_modbus import Rg2Modbus
from grasp_control.ur_arm import UrArm
from grasp_core import registry
from grasp_core.config import ConfigError
from grasp_core.guard import JointLimit
from grasp_core.ports import Arm, Gripper, JointTrajectory, MotionStatus, StateError
from grasp_description.grippers import load_gripper

NAMES = tuple(f"joint_{k}" for k in range(6))
LIMITS = dict.fromkeys(NAMES, JointLimit(-6.28, 6.28, np.pi))
WAIT_S = 20.0


def ready(arm):
    """Wait until the arm takes commands."""
    reading, end = arm.reading, time.monotonic() + WAIT_S
    while reading is None or reading.problem:
        assert time.monotonic() < end, reading
        reading = arm.wait_for_reading(reading, WAIT_S)
    return arm


@pytest.fixture(scope="module")
def own_arm(session_cb3):
    # A machine that runs many tests at once is slower than a robot's computer: late is not frozen here.
    patience = {"stale_s": 0.4, "reconnect_s": 1.0}
    arm = UrArm("arm", LIMITS, {"robot_ip": session_cb3.host, "speed_scale": 0.5, **patience})
    yield arm
    arm.close()


@pytest.fixture
def arm(own_arm, cb3):
    yield ready(own_arm)
    # A test that failed half-way leaves its stop to nobody else.
    own_arm.release()
    if own_arm.reading is None or own_arm.reading.problem:
        cb3.fault("release_emergency_stop")
        own_arm.recover()


def move(arm, distance, duration, cancel=None):
    start = arm.state().positions
    points = np.stack([start, start + np.eye(6)[0] * distance])
    return arm.execute(JointTrajectory(NAMES, np.array([0.0, duration]), points, np.zeros((2, 6))), cancel)


def during(seconds, action):
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def test_the_drivers_are_registered_and_are_ports(arm):
    assert {"ur_rtde", "rg2_modbus", "rg2_digital"} <= set(registry.names("grasp.drivers"))
    assert registry.load("grasp.drivers", "ur_rtde") is UrArm
    assert isinstance(arm, Arm)


def test_a_trajectory_is_followed(arm):
    start = arm.state().positions[0]
    result = move(arm, 0.2, 0.8)
    assert result.ok, result.message
    assert result.state.positions[0] == pytest.approx(start + 0.2, abs=0.01)
    assert move(arm, -0.2, 0.8).ok


def test_a_cancel_brings_the_arm_to_rest(arm, cb3):
    cancel = threading.Event()
    during(0.4, cancel.set)
    began = time.monotonic()
    result = move(arm, 0.6, 3.0, cancel)
    assert result.status is MotionStatus.CANCELLED
    assert time.monotonic() - began < 1.5
    assert cb3.fault("state")["speed"] < 0.02


@pytest.mark.parametrize(("fault", "words"), [("protective_stop", "protective stop"), ("stop_program", "program")])
def test_a_stop_at_the_robot_ends_the_motion_until_somebody_recovers(arm, cb3, fault, words):
    timer = during(0.4, lambda: cb3.fault(fault))
    result = move(arm, 0.6, 2.0)
    assert result.status is MotionStatus.STOPPED
    assert words in result.message
    timer.join()
    refused = move(arm, 0.1, 0.5)
    assert refused.status is MotionStatus.STOPPED
    ok, text = arm.recover()
    assert ok, text
    assert move(ready(arm), -0.1, 0.5).ok


def test_an_emergency_stop_is_recovered_once_it_is_released(arm, cb3):
    timer = during(0.3, lambda: cb3.fault("emergency_stop"))
    result = move(arm, 0.6, 2.0)
    assert "emergency stop" in result.message
    timer.join()
    ok, text = arm.recover()
    assert not ok
    assert "release" in text
    cb3.fault("release_emergency_stop")
    ok, text = arm.recover()
    assert ok, text
    assert move(ready(arm), -0.1, 0.5).ok


@pytest.mark.parametrize("silent", [False, True])
def test_a_lost_connection_comes_back_and_the_motion_does_not(arm, cb3, silent):
    timer = during(0.4, lambda: cb3.fault("cut", seconds=0.7, silent=silent))
    result = move(arm, 0.6, 2.0)
    assert result.status is MotionStatus.STOPPED
    timer.join()
    reached = cb3.fault("state")["q"][0]
    arm.wait_for_reading(arm.reading, WAIT_S)
    ready(arm)
    assert arm.state().positions[0] == pytest.approx(reached, abs=0.03)
    assert move(arm, -0.1, 0.5).ok


def test_a_halt_works_from_another_thread_and_is_released(arm, cb3):
    said = []
    timer = during(0.4, lambda: said.append(arm.halt()))
    result = move(arm, 0.6, 2.0)
    timer.join()
    assert (result.status, result.message) == (MotionStatus.STOPPED, "halted")
    assert "rest" in said[0]
    assert "halted" in move(arm, 0.1, 0.5).message
    arm.release()
    assert move(arm, -0.1, 0.5).ok


def test_a_hanging_servo_process_does_not_keep_a_halt_from_working(arm, cb3):
    pid = arm._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "dashboard" in arm.halt()
        assert cb3.fault("state")["playing"] is False
    finally:
        os.kill(pid, signal.SIGCONT)
    arm.release()
    deadline = time.monotonic() + WAIT_S
    while arm.reading.halted or not arm.reading.problem:
        assert time.monotonic() < deadline
        arm.wait_for_reading(arm.reading, WAIT_S)
    assert arm.recover()[0]


def test_a_dead_servo_process_is_replaced_and_its_motion_is_over(arm):
    first = arm._process.pid
    timer = during(0.4, arm._process.kill)
    result = move(arm, 0.6, 2.0)
    timer.join()
    assert result.status is MotionStatus.STOPPED
    assert "process" in result.message
    deadline = time.monotonic() + WAIT_S
    while arm._process.pid == first or arm.reading is None:
        assert time.monotonic() < deadline
        arm.wait_for_reading(arm.reading, 1.0)
    assert move(ready(arm), -0.1, 0.5).ok


def test_a_servo_process_that_hangs_is_replaced_and_one_that_only_starts_is_not(arm, monkeypatch):
    killed = []
    monkeypatch.setattr(arm._process, "kill", lambda: killed.append(True))
    monkeypatch.setattr(UrArm, "silent_s", 20.0)
    with monkeypatch.context() as starting:
        starting.setattr(arm, "_reading", None)
        arm.look_after()
        assert not killed
    arm.look_after()
    assert killed


def test_a_halt_outlives_the_servo_process(arm):
    first = arm._process.pid
    arm.halt()
    arm._process.kill()
    until(arm, lambda: arm._process.pid != first and arm.reading is not None and not arm.reading.problem)
    assert "halted" in move(arm, 0.1, 0.5).message
    arm.release()
    assert move(arm, 0.1, 0.5).ok
    assert move(arm, -0.1, 0.5).ok


def test_a_halt_is_taken_while_the_robot_recovers(arm, cb3):
    cb3.fault("refuse_scripts", on=True)
    cb3.fault("protective_stop")
    until(arm, lambda: "protective stop" in arm.reading.problem)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(arm.recover()))
    thread.start()
    until(arm, lambda: arm.reading.safety_mode == 1)
    assert "rest" in arm.halt()
    cb3.fault("refuse_scripts", on=False)
    thread.join(WAIT_S)
    assert answers[0][0], answers
    assert "halted" in move(ready(arm), 0.1, 0.5).message
    arm.release()


def test_a_dashboard_that_refuses_to_stop_is_not_told_as_a_stop(arm, cb3):
    cb3.fault("local_control", on=True)
    os.kill(arm._process.pid, signal.SIGSTOP)
    try:
        said = arm.halt()
    finally:
        os.kill(arm._process.pid, signal.SIGCONT)
    assert "red button" in said
    assert cb3.fault("state")["playing"]
    arm.release()


def test_a_program_stopped_on_the_pendant_while_the_network_was_away_is_not_started_again(arm, cb3):
    cb3.fault("cut", seconds=WAIT_S)
    until(arm, lambda: not arm.reading.connected)
    cb3.fault("stop_program")
    cb3.fault("clear")
    until(arm, lambda: "while the connection was away" in arm.reading.problem)
    assert not cb3.fault("state")["playing"]
    assert arm.recover()[0]
    assert move(ready(arm), 0.1, 0.5).ok
    assert move(arm, -0.1, 0.5).ok


def until(arm, condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, arm.reading
        arm.wait_for_reading(arm.reading, 0.1)


def test_a_streamed_step_stops_by_itself(arm, cb3):
    start = arm.state().positions
    arm.stream(start + np.eye(6)[0] * 0.5, 1.0, 0.15)
    reading, end = arm.reading, time.monotonic() + 5.0
    while reading.moving != -1:
        assert time.monotonic() < end
        reading = arm.wait_for_reading(reading, 5.0)
    while reading.moving:
        assert time.monotonic() < end
        reading = arm.wait_for_reading(reading, 5.0)
    assert 0.0 < arm.state().positions[0] - start[0] < 0.4


def test_other_joints_are_refused(arm):
    trajectory = JointTrajectory(("elsewhere",), np.array([0.0, 1.0]), np.zeros((2, 1)))
    result = arm.execute(trajectory)
    assert result.status is MotionStatus.REJECTED
    assert "elsewhere" in result.message


def test_a_robot_that_is_not_there_is_told_and_close_does_not_wait():
    arm = UrArm("arm", LIMITS, {"robot_ip": own_address()})
    reading = None
    while reading is None or "no RTDE connection" not in reading.problem:
        reading = arm.wait_for_reading(reading, WAIT_S)
        assert reading is not None
    with pytest.raises(StateError, match="no RTDE connection"):
        arm.state()
    assert move_without_state(arm).status is MotionStatus.STOPPED
    arm.close()
    assert not arm._process.is_alive()


def move_without_state(arm):
    return arm.execute(JointTrajectory(NAMES, np.array([0.0, 1.0]), np.zeros((2, 6))))


def test_a_wrong_setting_is_refused_by_name():
    with pytest.raises(ConfigError, match="servo_gain"):
        UrArm("arm", LIMITS, {"robot_ip": "127.0.0.1", "servo_gain": 1.0})


def test_a_missing_library_is_told_at_once(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install ur_rtde"):
        UrArm("arm", LIMITS, {"robot_ip": "127.0.0.1"})


@pytest.fixture
def gripper(cb3):
    settings = {"host": cb3.host, "port": cb3.settings.modbus_port, "motion_s": 2.0}
    gripper = Rg2Modbus("gripper", load_gripper("rg2"), "left_", 20.0, settings)
    heard(gripper)
    yield gripper
    gripper.close()


def heard(gripper):
    gate, end = threading.Event(), time.monotonic() + WAIT_S
    while gripper.problem:
        assert time.monotonic() < end, gripper.problem
        gate.wait(0.02)


def test_the_gripper_opens_closes_and_feels(gripper, cb3):
    assert isinstance(gripper, Gripper)
    opened = gripper.move(0.11)
    assert (opened.stalled, opened.holding) == (False, False)
    assert opened.width_m == pytest.approx(0.11, abs=1e-3)
    assert set(opened.positions) > {"left_finger_joint"}
    cb3.fault("object", width_m=0.04)
    held = gripper.move(0.0, 25.0)
    assert (held.stalled, held.holding) == (True, True)
    assert (held.width_m, held.effort_n) == (pytest.approx(0.04, abs=1e-3), 25.0)
    cb3.fault("object", width_m=None)
    assert not gripper.move(0.11).holding
    empty = gripper.move(0.0)
    assert (empty.width_m, empty.holding) == (pytest.approx(0.0, abs=1e-3), False)
    assert gripper.move(0.5, 1000.0).width_m == pytest.approx(0.11, abs=1e-3)


def test_a_stuck_gripper_is_told_to_stop(gripper, cb3):
    gripper.move(0.11)
    cb3.fault("gripper_stuck", on=True)
    with pytest.raises(StateError, match="did not end its motion"):
        gripper.move(0.0)


def test_a_silent_gripper_is_told_and_comes_back(gripper, cb3):
    gripper.move(0.11)
    cb3.fault("gripper_silent", on=True)
    with pytest.raises(StateError):
        gripper.move(0.0)
    cb3.fault("gripper_silent", on=False)
    heard(gripper)
    assert gripper.move(0.05).width_m == pytest.approx(0.05, abs=2e-3)
    assert gripper.counts["failed reads"] > 0


def test_late_replies_only_slow_the_gripper(gripper, cb3):
    cb3.fault("gripper_late", seconds=0.1)
    assert gripper.move(0.11).width_m == pytest.approx(0.11, abs=2e-3)
    assert gripper.move(0.02).width_m == pytest.approx(0.02, abs=2e-3)


def test_a_cancelled_motion_of_the_gripper_stops(gripper, cb3):
    gripper.move(0.11)
    cancel = threading.Event()
    during(0.2, cancel.set)
    state = gripper.move(0.0, None, cancel)
    assert 0.01 < state.width_m < 0.109


def test_the_digital_gripper_tells_a_grip_where_an_input_is_wired(e_series):
    gripper = Rg2Digital("gripper", load_gripper("rg2"), "", 20.0, {"host": e_series.host})
    assert isinstance(gripper, Gripper)
    e_series.fault("object", width_m=0.05)
    gripper.move(0.11)
    held = gripper.move(0.0)
    assert (held.holding, held.stalled) == (True, True)
    e_series.fault("object", width_m=None)
    gripper.close()
    blind = Rg2Digital("gripper", load_gripper("rg2"), "", 20.0, {"host": e_series.host, "grip_input": -1})
    assert blind.move(0.11).holding is None
    blind.close()
