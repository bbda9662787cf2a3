# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.action_goals import delay_of, gripper_goal, tolerances_of, trajectory_of
from grasp_core.ports import GripperLimits

LIMITS = GripperLimits(0.0, 0.11, 3.0, 40.0)


def point(positions, at_s, velocities=()):
    sec, nanosec = divmod(round(at_s * 1e9), 1_000_000_000)
    return Message(positions=positions, velocities=velocities, time_from_start=Message(sec=sec, nanosec=nanosec))


def test_a_trajectory_loses_its_prefix():
    message = Message(joint_names=["l_a", "l_b"], points=[point([0.0, 1.0], 0.5), point([1.0, 2.0], 1.25)])
    trajectory = trajectory_of(message, "l_")
    assert trajectory.names == ("a", "b")
    assert trajectory.times_s.tolist() == [0.5, 1.25]
    assert trajectory.velocities is None


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([], "no points"),
        ([point([0.0], 1.0)], "needs 2"),
        ([point([0.0, np.nan], 1.0)], "NaN"),
        ([point([0.0, 0.0], 1.0, [np.inf, 0.0])], "NaN"),
        ([point([0.0, 0.0], 1.0), point([0.0, 0.0], 1.0)], "increase"),
        ([point([0.0, 0.0], 1.0, [0.0, 0.0]), point([0.0, 0.0], 2.0)], "some points"),
    ],
)
def test_wrong_goals_are_refused_in_words(points, words):
    with pytest.raises(ValueError, match=words):
        trajectory_of(Message(joint_names=["a", "b"], points=points), "")


def test_a_joint_without_the_prefix_is_refused():
    with pytest.raises(ValueError, match="lacks the prefix"):
        trajectory_of(Message(joint_names=["a"], points=[point([0.0], 1.0)]), "l_")


def test_tolerances_are_put_in_the_joints_order():
    assert tolerances_of([], ("a", "b"), "") is None
    given = [Message(name="l_b", position=0.1)]
    assert tolerances_of(given, ("a", "b"), "l_").tolist() == [0.0, 0.1]


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_gripper_goals_lie_within_the_limits(width, force):
    w, f = gripper_goal(width, force, LIMITS, 25.0)
    assert 0.0 <= w <= 0.11
    assert 3.0 <= f <= 40.0
    assert force > 0.0 or f == 25.0


@pytest.mark.parametrize("values", [(np.nan, 1.0), (0.05, np.inf)])
def test_gripper_goals_that_are_no_numbers_are_refused(values):
    with pytest.raises(ValueError, match="NaN"):
        gripper_goal(*values, LIMITS, 25.0)


@given(st.integers(1, 2**31 - 1), st.integers(0, 999_999_999), st.floats(-5.0, 5.0))
def test_a_stamp_is_when_a_trajectory_begins(sec, nanosec, earlier_s):
    message = Message(joint_names=["a"], points=[point([0.0], 0.5), point([1.0], 2.0)])
    message.header = Message(stamp=Message(sec=sec, nanosec=nanosec))
    trajectory = trajectory_of(message, "")
    now_ns = sec * 1_000_000_000 + nanosec + round(earlier_s * 1e9)
    if earlier_s > 2.0 + 1e-6:
        with pytest.raises(ValueError, match="ended"):
            delay_of(message, trajectory, now_ns)
    elif earlier_s < 2.0 - 1e-6:
        assert delay_of(message, trajectory, now_ns) == pytest.approx(-earlier_s, abs=1e-6)


def test_without_a_stamp_it_begins_at_once():
    message = Message(joint_names=["a"], points=[point([0.0], 0.5)])
    message.header = Message(stamp=Message(sec=0, nanosec=0))
    assert delay_of(message, trajectory_of(message, ""), 10**18) == 0.0
