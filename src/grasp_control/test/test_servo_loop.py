# SPDX-License-Identifier: Apache-2.0
"""The servo loop against an ideal link with a clock of its own: no processes, no waiting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_control.arm_settings import ArmSettings
from grasp_control.messages import Cancel, Done, Follow, Halt, Release, SpeedScale, Stream, Tolerances
from grasp_control.servo_loop import ServoLoop
from grasp_control.ur_link import RobotState
from grasp_core.ports import JointTrajectory, MotionStatus

DT = 0.008
LIMITS = np.full(6, 3.0)
NAMES = tuple("abcdef")


class Robot:
    """Goes where it is told, one cycle late; everything about it can be set."""

    rate_hz = 125.0

    def __init__(self):
        self.connected = self.controlling = True
        self.q, self.target, self.time_s = np.zeros(6), np.zeros(6), 0.0
        self.robot_mode, self.safety_mode, self.runtime, self.slider = 7, 1, 2, 1.0
        self.scaling = 1.0
        self.blocked = self.frozen = False
        self.sent = []

    def state(self):
        speed = (self.target - self.q) / DT
        if not self.frozen:
            self.time_s += DT
            if not self.blocked:
                self.q = self.target.copy()
        return RobotState(
            self.time_s, self.q, speed, 0, self.robot_mode, self.safety_mode, self.scaling, self.slider, self.runtime
        )

    def servo(self, q, dt_s):
        self.target = q.copy()
        self.sent.append(q.copy())
        return True


class Bench:
    def __init__(self, **options):
        self.robot, self.told, self.now = Robot(), [], 0.0
        self.loop = ServoLoop(
            ArmSettings(robot_ip="nowhere", **options), self.robot, LIMITS, self.told.append, lambda: self.now
        )
        self.loop.stand_by = ""
        self.run(0.05)

    def run(self, seconds):
        for _ in range(round(seconds / DT)):
            self.now += DT
            self.loop.cycle()

    def until_done(self, limit_s=20.0):
        for _ in range(round(limit_s / DT)):
            self.run(DT)
            if done := [message for message in self.told if isinstance(message, Done)]:
                return done[-1]
        raise AssertionError("the motion did not end")

    def follow(self, distance=0.6, duration=1.0, number=1, path=0.05, goal=0.01):
        points = np.zeros((2, 6))
        points[:, 0] = self.robot.q[0], self.robot.q[0] + distance
        trajectory = JointTrajectory(NAMES, np.array([0.0, duration]), points, np.zeros((2, 6)))
        self.loop.take(Follow(number, trajectory, Tolerances(np.full(6, path), np.full(6, goal), 0.5)))

    def speeds(self):
        return np.abs(np.diff(np.array(self.robot.sent)[:, 0])) / DT


def test_a_trajectory_is_followed_no_faster_than_its_share():
    bench = Bench(speed_scale=0.1)
    bench.follow()
    assert bench.until_done().status is MotionStatus.SUCCEEDED
    assert bench.robot.q[0] == pytest.approx(0.6, abs=0.01)
    assert bench.speeds().max() <= 0.1 * 3.0 * 1.001
    assert len(bench.robot.sent) * DT == pytest.approx(3.0, rel=0.15)  # 0.9 rad/s at its peak, 0.3 allowed


def test_a_lower_speed_scale_slows_a_running_motion():
    bench = Bench(speed_scale=1.0)
    bench.follow(duration=2.0)
    bench.run(0.5)
    bench.loop.take(SpeedScale(0.05))
    bench.run(0.3)
    assert bench.speeds()[-1] <= 0.05 * 3.0 * 1.001
    assert bench.until_done().status is MotionStatus.SUCCEEDED


def test_the_slider_holds_the_motion_and_lets_it_go_on():
    bench = Bench(speed_scale=1.0)
    bench.follow(duration=1.5)
    bench.run(0.5)
    bench.robot.slider = 0.0
    bench.run(0.2)
    stopped = bench.robot.q[0]
    bench.run(3.0)
    assert bench.robot.q[0] == pytest.approx(stopped, abs=1e-9)
    bench.robot.slider = 1.0
    assert bench.until_done().status is MotionStatus.SUCCEEDED
    assert bench.robot.q[0] == pytest.approx(0.6, abs=0.01)


@settings(deadline=None, max_examples=12)
@given(st.floats(0.02, 0.95), st.floats(0.05, 1.0))
def test_a_cancel_decelerates_on_the_path(share, scale):
    bench = Bench(speed_scale=scale)
    bench.follow(duration=2.0)
    bench.run(2.0 * share)
    bench.loop.take(Cancel(1))
    began, sent = bench.now, len(bench.robot.sent)
    assert bench.until_done().status is MotionStatus.CANCELLED
    assert bench.now - began <= 0.2
    changes = np.abs(np.diff(bench.speeds()[max(0, sent - 2) :]))
    # Nothing stops within one cycle; the other joints stay on the line.
    assert changes.size == 0 or changes.max() <= 0.9 / 6.0
    assert np.abs(np.array(bench.robot.sent)[:, 1:]).max() == 0.0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("safety_mode", 3, "protective stop"),
        ("safety_mode", 7, "emergency stop"),
        ("robot_mode", 3, "not running"),
        ("runtime", 1, "program"),
        ("connected", False, "connection"),
        ("controlling", False, "program"),
    ],
)
def test_a_stop_of_the_robot_ends_the_motion_and_nothing_goes_on(field, value, words):
    bench = Bench()
    bench.follow()
    bench.run(0.3)
    normal = getattr(bench.robot, field)
    setattr(bench.robot, field, value)
    done = bench.until_done()
    assert done.status is MotionStatus.STOPPED
    assert words in done.message
    sent = len(bench.robot.sent)
    setattr(bench.robot, field, normal)
    bench.run(1.0)
    assert len(bench.robot.sent) == sent
    bench.told.clear()
    bench.follow(number=2, distance=0.1)
    assert bench.until_done() == Done(2, MotionStatus.SUCCEEDED, "")


def test_a_frozen_state_stops_the_motion_within_its_limit():
    bench = Bench()
    bench.follow()
    bench.run(0.3)
    bench.robot.frozen = True
    began, target = bench.now, bench.robot.target.copy()
    done = bench.until_done()
    assert (done.status, "frozen" in done.message) == (MotionStatus.STOPPED, True)
    assert bench.now - began <= 0.15
    # Without a clock the commanded position has not moved on either.
    assert np.abs(bench.robot.target - target).max() < 0.02


def test_an_obstacle_is_not_pushed_on():
    bench = Bench(speed_scale=1.0)
    bench.follow()
    bench.run(0.4)
    bench.robot.blocked = True
    done = bench.until_done()
    assert done.status is MotionStatus.PATH_TOLERANCE
    assert "a is" in done.message
    assert np.allclose(bench.robot.target, bench.robot.q)


def test_a_goal_that_is_not_reached_is_told():
    bench = Bench(speed_scale=1.0)
    bench.follow(path=10.0)
    bench.run(0.4)
    bench.robot.blocked = True
    assert bench.until_done().status is MotionStatus.GOAL_TOLERANCE


def test_a_halt_stays_until_released():
    bench = Bench()
    bench.follow()
    bench.run(0.3)
    bench.loop.take(Halt())
    began = bench.now
    assert bench.until_done().message == "halted"
    assert bench.now - began <= 0.2
    bench.told.clear()
    bench.follow(number=2)
    assert "release" in bench.until_done().message
    bench.told.clear()
    bench.loop.take(Release())
    bench.follow(number=3, distance=0.05)
    assert bench.until_done().status is MotionStatus.SUCCEEDED


def jolts(bench):
    """Greatest change of the commanded speed of a joint from one cycle to the next."""
    return np.abs(np.diff(np.array(bench.robot.sent), n=2, axis=0)).max() / DT


@settings(deadline=None, max_examples=12)
@given(st.floats(0.05, 0.9), st.floats(-0.5, 0.5), st.floats(0.1, 1.0))
def test_a_newer_motion_takes_over_without_a_jolt(at, distance, scale):
    bench = Bench(speed_scale=scale)
    bench.follow(number=1)
    bench.run(at)
    bench.follow(number=2, distance=distance)
    goal = bench.robot.q[0] + distance
    bench.run(0.2)
    first = next(message for message in bench.told if isinstance(message, Done))
    assert (first.number, first.status) == (1, MotionStatus.STOPPED)
    assert "newer" in first.message
    bench.told.clear()
    done = bench.until_done()
    assert (done.number, done.status) == (2, MotionStatus.SUCCEEDED)
    assert bench.robot.q[0] == pytest.approx(goal, abs=0.011)
    # Full speed is left within the ramp of 0.1 s, never at once.
    assert jolts(bench) <= 1.5 * 3.0 * scale * DT / 0.1 + 0.05


def test_a_trajectory_that_begins_later_waits_and_may_be_cancelled_meanwhile():
    for cancelled in (False, True):
        bench = Bench(speed_scale=0.2)
        points = np.stack([np.zeros(6), np.full(6, 0.1)])
        tolerances = Tolerances(np.full(6, 0.1), np.full(6, 0.01), 0.5)
        bench.loop.take(Follow(1, JointTrajectory(NAMES, np.array([0.0, 0.5]), points), tolerances, wait_s=1.0))
        bench.run(0.9)
        assert np.abs(bench.robot.q).max() == 0.0
        if cancelled:
            bench.loop.take(Cancel(1))
        done = bench.until_done(2.0)
        assert done.status is (MotionStatus.CANCELLED if cancelled else MotionStatus.SUCCEEDED)
        assert bench.robot.q[0] == pytest.approx(0.0 if cancelled else 0.1, abs=0.011)


def test_an_older_goal_that_comes_later_does_not_take_over():
    bench = Bench()
    bench.follow(number=5)
    bench.run(0.2)
    bench.follow(number=4, distance=-0.5)
    assert bench.until_done(0.1) == Done(4, MotionStatus.STOPPED, "a newer motion took over")
    bench.told.clear()
    assert bench.until_done().number == 5
    assert bench.robot.q[0] == pytest.approx(0.6, abs=0.01)


def test_a_motion_that_waits_for_its_turn_is_cancelled_or_halted_before_it_begins():
    for message, status in ((Cancel(2), MotionStatus.CANCELLED), (Halt(), MotionStatus.STOPPED)):
        bench = Bench(speed_scale=1.0)
        bench.follow(number=1)
        bench.run(0.4)
        bench.follow(number=2, distance=-0.5)
        bench.loop.take(message)
        reached = bench.robot.q[0]
        bench.run(2.0)
        assert {m.number: m.status for m in bench.told if isinstance(m, Done)}[2] is status
        assert bench.robot.q[0] == pytest.approx(reached, abs=0.1)
        assert not bench.loop.moving


@settings(deadline=None, max_examples=12)
@given(st.floats(-0.07, 0.07), st.floats(0.0, 1.0), st.floats(0.1, 1.0))
def test_a_trajectory_that_begins_beside_the_arm_is_run_into(beside, duration, scale):
    bench = Bench(speed_scale=scale)
    points = np.full((2, 6), beside) if duration else np.full((1, 6), beside)
    times = np.array([0.0, duration]) if duration else np.array([0.0])
    bench.loop.take(
        Follow(1, JointTrajectory(NAMES, times, points), Tolerances(np.full(6, 0.1), np.full(6, 0.01), 0.5))
    )
    assert bench.until_done().status is MotionStatus.SUCCEEDED
    assert bench.robot.q[0] == pytest.approx(beside, abs=0.011)
    assert len(bench.robot.sent) < 2 or bench.speeds().max() <= 3.0 * scale * 1.001
    assert len(bench.robot.sent) < 3 or jolts(bench) <= 0.1


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=8), st.floats(0.02, 0.4), st.floats(0.05, 1.0))
def test_streamed_steps_are_bounded_and_stop_by_themselves(steps, reach_s, scale):
    bench = Bench(speed_scale=scale)
    for step in steps:
        target = bench.robot.q + np.eye(6)[0] * step
        bench.loop.take(Stream(target, reach_s, 0.1))
        bench.run(0.1)
    bench.run(0.1 + 0.2 + 3.0 * scale / 20.0)
    stopped = bench.robot.q.copy()
    bench.run(1.0)
    assert np.allclose(bench.robot.q, stopped, atol=1e-9)
    assert not bench.loop.moving
    if len(bench.robot.sent) > 1:
        assert bench.speeds().max() <= 3.0 * scale * 1.001 + 1e-9


def test_a_streamed_step_arrives():
    bench = Bench(speed_scale=1.0)
    bench.loop.take(Stream(np.eye(6)[0] * 0.1, 0.3, 2.0))
    bench.run(1.5)
    assert bench.robot.q[0] == pytest.approx(0.1, abs=2e-3)


def stream(bench, distance, reach_s=0.3, deadman_s=0.3):
    bench.loop.take(Stream(bench.robot.q + np.eye(6)[0] * distance, reach_s, deadman_s))


@settings(deadline=None, max_examples=10)
@given(st.floats(0.02, 0.6))
def test_steps_and_trajectories_take_over_from_each_other_without_a_jolt(at):
    bench = Bench(speed_scale=1.0)
    bench.follow(number=1)
    bench.run(at)
    stream(bench, 0.1)
    assert next(m for m in bench.told if isinstance(m, Done)).message == "a streamed step took over"
    bench.run(0.1)
    bench.told.clear()
    bench.follow(number=2, distance=-0.2)
    goal = bench.robot.q[0] - 0.2
    assert bench.until_done() == Done(2, MotionStatus.SUCCEEDED, "")
    assert bench.robot.q[0] == pytest.approx(goal, abs=0.011)
    assert jolts(bench) <= 0.36  # 3 rad/s within 0.1 s, as a share of a cycle, and half as much again


def test_a_stream_does_not_push_on_what_it_met_either():
    bench = Bench(speed_scale=1.0)
    stream(bench, 0.5, 0.5, 1.0)
    bench.run(0.15)
    bench.robot.blocked = True
    bench.run(0.4)
    assert not bench.loop.moving
    assert bench.loop.counts["streams that met something"] == 1
    assert np.allclose(bench.robot.target, bench.robot.q)


def test_a_stream_follows_the_robots_own_scaling_too():
    bench = Bench(speed_scale=1.0)
    bench.robot.scaling = 0.1
    stream(bench, 0.5, 0.2, 0.4)
    bench.run(0.4)
    assert 0.0 < bench.speeds().max() <= 0.1 * 3.0 * 1.001


@pytest.mark.parametrize(("mode", "word"), [(3, "power off"), (5, "idle"), (1, "to be confirmed"), (99, "mode 99")])
def test_a_robot_that_does_not_run_is_told_in_words(mode, word):
    bench = Bench()
    bench.robot.robot_mode = mode
    bench.run(DT)
    assert word in bench.loop.problem()
