# SPDX-License-Identifier: Apache-2.0
"""The result of a hand's pre-shape says what became of its goal."""

from types import SimpleNamespace

import pytest

pytest.importorskip("control_msgs.action", reason="control_msgs is not built")

from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_sim.ros_gripper_action import GripperActions

Result = FollowJointTrajectory.Result


@pytest.mark.parametrize(
    ("status", "code"),
    [(GoalStatus.STATUS_SUCCEEDED, Result.SUCCESSFUL), (GoalStatus.STATUS_ABORTED, Result.INVALID_GOAL)],
)
def test_a_pre_shape_that_was_given_up_is_no_success(monkeypatch, status, code):
    actions = GripperActions.__new__(GripperActions)
    actions._prefix = ""
    monkeypatch.setattr(actions, "_move", lambda *_: (None, False))
    points = [JointTrajectoryPoint(positions=[0.5])]
    goal = FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=["spread"], points=points))
    result = actions._preshape(SimpleNamespace(request=goal, status=status))
    assert result.error_code == code
    assert bool(result.error_string) == (code != Result.SUCCESSFUL)
