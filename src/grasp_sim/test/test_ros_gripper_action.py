# SPDX-License-Identifier: Apache-2.0
"""The result of a hand's pre-shape says what became of its goal."""

import threading
from types import SimpleNamespace

import pytest

pytest.importorskip("control_msgs.action", reason="control_msgs is not built")

from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory, GripperCommand
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_core.ports import GripperLimits
from grasp_sim.ros_gripper_action import GripperActions
from grasp_sim.ros_trajectory_action import TrajectoryAction

Result = FollowJointTrajectory.Result


@pytest.mark.parametrize(
    ("status", "code"),
    [(GoalStatus.STATUS_SUCCEEDED, Result.SUCCESSFUL), (GoalStatus.STATUS_ABORTED, Result.INVALID_GOAL)],
)
def test_a_pre_shape_that_was_given_up_is_no_success(monkeypatch, status, code):
    actions = GripperActions.__new__(GripperActions)
    actions._prefix, actions._bridge = "", SimpleNamespace(closed=False)
    monkeypatch.setattr(actions, "_move", lambda *_: (None, False))
    points = [JointTrajectoryPoint(positions=[0.5])]
    goal = FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=["spread"], points=points))
    result = actions._preshape(SimpleNamespace(request=goal, status=status))
    assert result.error_code == code
    assert bool(result.error_string) == (code != Result.SUCCESSFUL)


class Goal:
    """A goal handle without a graph; remembers how it ended."""

    def __init__(self, request):
        self.request, self.ended = request, ""

    def abort(self):
        self.ended = "aborted"


class Drive:
    """Of a world that is gone: asking it for anything is a mistake."""

    limits = GripperLimits(0.0, 0.1, 1.0, 40.0)

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked of a world that has ended")


def test_goals_that_come_after_the_world_has_ended_are_aborted():
    world = SimpleNamespace(drives={"hand": Drive()}, controllers={"arm": SimpleNamespace(joints=["x"])})
    bridge = SimpleNamespace(stepped=threading.Condition(), closed=True, world=world)
    actions = GripperActions.__new__(GripperActions)
    actions._bridge, actions._gripper, actions._force_n = bridge, "hand", 20.0
    goal = Goal(GripperCommand.Goal())
    result = actions._command(goal)
    assert (goal.ended, result.reached_goal, result.stalled) == ("aborted", False, False)
    arm = TrajectoryAction.__new__(TrajectoryAction)
    arm._bridge, arm._name, arm._prefix = bridge, "arm", ""
    points = [JointTrajectoryPoint(positions=[0.5])]
    goal = Goal(FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=["x"], points=points)))
    assert arm._execute(goal).error_string == "the simulation has ended"
    assert goal.ended == "aborted"
