# SPDX-License-Identifier: Apache-2.0
"""The last look at every command: what passes, what is refused, and that nothing refused reaches the driver."""

from __future__ import annotations

import time

import numpy as np
import pytest

from grasp_control.arm_guard import GuardedDriver
from grasp_control.node_parameters import ArmParameters, GripperParameters
from grasp_core import resources
from grasp_core.cell_config import CellConfig
from grasp_core.config import ConfigError
from grasp_core.ports import JointState, JointTrajectory, MotionResult, MotionStatus, StateError
from grasp_description.cell_kinematics import CellKinematics

CONFIG = CellConfig.from_yaml(resources.find("config", "cells/ur5.yaml"))
NAMES = CONFIG.arms["arm"].joints
READY = np.array([0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0])


class Arm:
    """Remembers what reaches it."""

    name, joint_names = "arm", NAMES

    def __init__(self):
        self.followed, self.streamed, self.age_s = [], [], 0.0

    def state(self):
        if self.age_s is None:
            raise StateError("no joint state")
        return JointState(NAMES, READY, np.zeros(6), time.time_ns() - int(self.age_s * 1e9))

    def last_state(self):
        return JointState(NAMES, READY, np.zeros(6), 0)

    def tolerances(self, *given):
        return given

    def follow(self, trajectory, tolerances, cancel, number, wait_s):
        self.followed.append(trajectory)
        return MotionResult(MotionStatus.SUCCEEDED, self.last_state())

    def stream(self, target, reach_s, deadman_s):
        self.streamed.append((target, reach_s, deadman_s))


@pytest.fixture(scope="module")
def kinematics():
    return CellKinematics(CONFIG)


@pytest.fixture
def arm():
    return Arm()


@pytest.fixture
def driver(arm, kinematics):
    return GuardedDriver(arm, CONFIG, kinematics)


def to(goal, duration=2.0):
    return JointTrajectory(NAMES, np.array([0.0, duration]), np.stack([READY, goal]), np.zeros((2, 6)))


def follow(driver, trajectory):
    return driver.follow(trajectory, None, None, None, None)


def test_a_harmless_motion_passes(driver, arm):
    assert follow(driver, to(READY + 0.1)).ok
    assert len(arm.followed) == 1


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (READY + np.array([0, 1.4, 0, 0, 0, 0]), "motion box"),
        (READY + np.array([7.0, 0, 0, 0, 0, 0]), "range"),
        (np.full(6, np.nan), "NaN"),
    ],
)
def test_what_breaks_a_limit_does_not_reach_the_driver(driver, arm, goal, words):
    result = follow(driver, to(goal, 9.0))
    assert result.status is MotionStatus.REJECTED
    assert words in result.message
    assert arm.followed == []
    assert sum(driver.counts.values()) == 1


def test_a_start_elsewhere_is_refused(driver, arm):
    elsewhere = JointTrajectory(NAMES, np.array([0.0, 2.0]), np.stack([READY + 0.5, READY]))
    assert "away from where" in follow(driver, elsewhere).message
    assert arm.followed == []


def test_what_is_too_fast_is_stretched(driver, arm):
    assert follow(driver, to(READY + 0.3, 0.02)).ok
    assert arm.followed[0].duration_s > 0.1


@pytest.mark.parametrize("age_s", [None, 5.0])
def test_without_a_fresh_joint_state_nothing_moves(driver, arm, age_s):
    arm.age_s = age_s
    assert follow(driver, to(READY + 0.1)).status in (MotionStatus.STOPPED, MotionStatus.REJECTED)
    assert driver.stream(to(READY + 0.01), 0.3) != ""
    assert (arm.followed, arm.streamed) == ([], [])


def test_a_short_step_is_streamed(driver, arm):
    assert driver.stream(to(READY + 0.02, 0.5), 0.3) == ""
    ((target, reach_s, deadman_s),) = arm.streamed
    assert np.allclose(target, READY + 0.02)
    assert (reach_s, deadman_s) == (0.5, 0.3)


@pytest.mark.parametrize(
    ("goal", "words"), [(READY + np.array([0.5, 0, 0, 0, 0, 0]), "allowed are"), (np.full(6, np.nan), "NaN")]
)
def test_a_step_that_is_too_long_or_no_number_is_left_out(driver, arm, goal, words):
    assert words in driver.stream(to(goal), 0.3)
    assert arm.streamed == []


def test_a_fast_step_gets_more_time(driver, arm):
    assert driver.stream(to(READY + 0.02, 0.001), 0.3) == ""
    assert arm.streamed[0][1] > 0.005


def test_options_are_yaml_and_refused_otherwise():
    assert ArmParameters(options="{servo_gain: 400}").settings(robot_ip="x") == {"robot_ip": "x", "servo_gain": 400}
    with pytest.raises(ConfigError, match="mapping"):
        GripperParameters(options="[1]").settings()
    with pytest.raises(ConfigError, match="no YAML"):
        GripperParameters(options="{").settings()
