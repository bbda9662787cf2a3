# SPDX-License-Identifier: Apache-2.0
"""What comes back by itself and what waits for a person, against a link that the test sets."""

from __future__ import annotations

import numpy as np
import pytest

from grasp_control import supervisor as supervisor_module
from grasp_control.arm_settings import ArmSettings
from grasp_control.servo_loop import PLAYING, RUNNING, ServoLoop
from grasp_control.supervisor import Supervisor
from grasp_control.ur_link import LinkError, RobotState

DT = 0.008
STOPPED = 1


class Link:
    """A robot whose states come while ``connected``; its program runs from when control was taken."""

    rate_hz = 125.0

    def __init__(self):
        self.connected = self.controlling = False
        self.reachable, self.time_s = True, 0.0
        self.robot_mode, self.safety_mode, self.runtime = RUNNING, 1, STOPPED
        self.programs = 0

    def state(self):
        if not self.connected:
            return None
        return RobotState(
            self.time_s, np.zeros(6), np.zeros(6), 0, self.robot_mode, self.safety_mode, 1.0, 1.0, self.runtime
        )

    def servo(self, q, dt_s):
        return True

    def connect(self):
        if not self.reachable:
            raise LinkError("no RTDE connection")
        self.connected = True

    def take_control(self):
        self.programs += 1
        self.controlling, self.runtime = True, PLAYING

    def drop_control(self):
        self.controlling = False


class Bench:
    def __init__(self, monkeypatch):
        self.now, self.link, self.asked = 0.0, Link(), []
        settings = ArmSettings(robot_ip="nowhere")
        self.loop = ServoLoop(settings, self.link, np.full(6, 3.0), lambda _: None, lambda: self.now)
        self.supervisor = Supervisor(settings, self.link, self.loop, lambda: self.now)
        monkeypatch.setattr(supervisor_module, "dashboard", self.dashboard)
        self.run(1.0)
        assert self.loop.problem() == ""

    def dashboard(self, host, *commands, timeout_s=2.0):
        self.asked += commands
        if commands[-1] == "brake release":
            self.link.robot_mode = RUNNING
        return ["ok"] * len(commands)

    def run(self, seconds):
        for _ in range(round(seconds / DT)):
            self.now += DT
            self.link.time_s += DT
            self.loop.cycle()
            self.supervisor.look()
        return True

    def lose(self, meanwhile=lambda link: None):
        self.link.connected = self.link.controlling = self.link.reachable = False
        self.run(1.0)
        meanwhile(self.link)
        self.link.reachable = True
        self.run(3.0)


def test_a_lost_connection_and_the_program_come_back_by_themselves(monkeypatch):
    bench = Bench(monkeypatch)
    bench.lose()
    assert bench.loop.problem() == ""
    assert bench.link.programs == 2


def test_a_program_that_was_stopped_while_the_connection_was_away_waits_for_a_person(monkeypatch):
    bench = Bench(monkeypatch)
    bench.lose(lambda link: setattr(link, "runtime", STOPPED))
    assert "while the connection was away" in bench.loop.problem()
    assert bench.link.programs == 1
    assert bench.supervisor.recover(bench.run)[0]
    bench.run(0.1)
    assert bench.loop.problem() == ""


@pytest.mark.parametrize(
    ("mode", "words"),
    [(7, "release it on the robot"), (5, "safeguard stop"), (8, "restart the safety system"), (9, "safety fault")],
)
def test_a_stop_that_only_a_person_ends_is_told_as_such(monkeypatch, mode, words):
    bench = Bench(monkeypatch)
    bench.link.safety_mode = mode
    bench.run(0.1)
    ok, text = bench.supervisor.recover(bench.run)
    assert not ok
    assert words in text
    assert bench.asked == [], "nothing is unlocked, powered or released in such a state"


def test_power_that_was_taken_is_given_back_only_when_asked(monkeypatch):
    bench = Bench(monkeypatch)
    bench.link.robot_mode, bench.link.runtime = 3, STOPPED
    bench.run(5.0)
    assert bench.asked == []
    assert "power off" in bench.loop.problem()
    assert bench.supervisor.recover(bench.run)[0]
    assert bench.asked == ["brake release"]


def test_recovering_ends_when_the_driver_is_closed(monkeypatch):
    bench = Bench(monkeypatch)
    bench.link.safety_mode = 3
    assert bench.supervisor.recover(lambda _: False) == (False, "the driver is being closed")
