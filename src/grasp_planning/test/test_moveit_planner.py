# SPDX-License-Identifier: Apache-2.0
"""The MoveIt back end against a stand-in with the part of moveit_py's surface that it uses.

The stand-in takes the same positional and keyword arguments as the bindings of MoveIt for ROS 2 (main, 2025) and
refuses what they refuse. It proves how the back end calls MoveIt and reads its answers, not that MoveIt plans well.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("geometry_msgs.msg", reason="the ROS messages are not installed")

from std_msgs.msg import Header

from grasp_core.cell_config import CellConfig
from grasp_core.geometry import transform
from grasp_core.planning import Box, MotionPlanner, PlanOptions, PlanStatus, VoxelGrid
from grasp_core.ports import JointState
from grasp_core.resources import find
from grasp_planning import factory
from grasp_planning.factory import PlannerUnavailableError, choose_backend, make_planner
from grasp_planning.ros_moveit_planner import MoveitPlanner

OPTIONS = PlanOptions(speed_scale=0.5, timeout_s=3.0)


class FakeRobotState:
    def __init__(self, robot_model: Any, /) -> None:
        self.robot_model = robot_model
        self._positions: dict[str, float] | None = None
        self.dirty = True

    def set_to_default_values(self) -> None:
        self._positions = dict.fromkeys(self.robot_model.variables, 0.0)

    @property
    def joint_positions(self) -> dict[str, float]:
        assert self._positions is not None, "read before it was set"
        return dict(self._positions)

    @joint_positions.setter
    def joint_positions(self, values: dict[str, float]) -> None:
        unknown = set(values) - set(self.robot_model.variables)
        if unknown:
            raise RuntimeError(f"Variable '{unknown.pop()}' is not known to model")
        assert self._positions is not None
        self._positions.update(values)
        self.dirty = True

    def update(self, force: bool = False, type: str = "all") -> None:
        self.dirty = False


@dataclass
class FakeScene:
    colliding: Callable[[dict[str, float]], bool]
    objects: dict[str, Any] = field(default_factory=dict)
    current_state: Any = field(default_factory=lambda: SimpleNamespace(update=lambda: None))

    def __deepcopy__(self, memo: dict) -> FakeScene:
        return FakeScene(self.colliding, dict(self.objects), self.current_state)

    def apply_collision_object(self, collision_object_msg: Any, color_msg: Any = None) -> None:
        assert collision_object_msg.header.frame_id == "world"
        if collision_object_msg.operation == FakeCollisionObject.REMOVE:
            self.objects.pop(collision_object_msg.id, None)
        else:
            shapes = len(collision_object_msg.primitives) + len(collision_object_msg.meshes)
            poses = len(collision_object_msg.primitive_poses) + len(collision_object_msg.mesh_poses)
            assert shapes == poses > 0
            self.objects[collision_object_msg.id] = collision_object_msg

    def remove_all_collision_objects(self) -> None:
        self.objects.clear()

    def is_state_colliding(
        self, robot_state: FakeRobotState, joint_model_group_name: str, verbose: bool = False
    ) -> bool:
        assert not robot_state.dirty
        assert joint_model_group_name == "arm"
        return self.colliding(robot_state.joint_positions)


class FakeCollisionObject:
    ADD, REMOVE = b"\x00", b"\x01"

    def __init__(self, *, id: str, operation: bytes) -> None:
        self.header, self.id, self.operation, self.pose = Header(), id, operation, None
        self.primitives: list[Any] = []
        self.primitive_poses: list[Any] = []
        self.meshes: list[Any] = []
        self.mesh_poses: list[Any] = []


class FakePlanRequestParameters:
    def __init__(self, moveit_cpp: Any, ns: str, /) -> None:
        assert isinstance(moveit_cpp, FakeMoveItPy)
        prefix = moveit_cpp.parameters[f"{ns}.plan_request_params" if ns else "plan_request_params"]
        self.planner_id, self.planning_pipeline = prefix["planner_id"], prefix["planning_pipeline"]
        self.planning_attempts, self.planning_time = prefix["planning_attempts"], prefix["planning_time"]
        self.max_velocity_scaling_factor = self.max_acceleration_scaling_factor = 1.0


class FakeResponse:
    """Reaches the goal by way of a middle point, or fails with an error code; joints in an order of its own."""

    def __init__(self, start: dict[str, float], goal: dict[str, float], joints: list[str], error: int) -> None:
        self.error_code = SimpleNamespace(val=error)
        order = sorted(joints)
        a, b = (np.array([state[name] for name in order]) for state in (start, goal))
        middle = 0.5 * (a + b)
        middle[order.index("elbow_joint")] -= 0.1
        ways = np.concatenate([np.linspace(a, middle, 15), np.linspace(middle, b, 15)[1:]])
        points = [SimpleNamespace(positions=row.tolist()) for row in ways]
        message = SimpleNamespace(joint_trajectory=SimpleNamespace(joint_names=order, points=points))
        self.trajectory = SimpleNamespace(get_robot_trajectory_msg=lambda: message)

    def __bool__(self) -> bool:
        return self.error_code.val == 1


class FakePlanningComponent:
    def __init__(self, moveit: FakeMoveItPy, group: str) -> None:
        self._moveit, self._group = moveit, group
        self._start: Any = None
        self._goal: Any = None

    def set_start_state(self, configuration_name: str | None = None, robot_state: Any = None) -> bool:
        assert (configuration_name is None) != (robot_state is None)
        self._start = robot_state
        return True

    def set_goal_state(
        self,
        configuration_name: str | None = None,
        robot_state: Any = None,
        pose_stamped_msg: Any = None,
        pose_link: str | None = None,
        motion_plan_constraints: Any = None,
    ) -> bool:
        assert sum(v is not None for v in (configuration_name, robot_state, pose_stamped_msg)) == 1
        self._goal = robot_state
        return True

    def plan(
        self, single_plan_parameters: Any = None, multi_plan_parameters: Any = None, planning_scene: Any = None
    ) -> FakeResponse:
        assert isinstance(single_plan_parameters, FakePlanRequestParameters)
        self._moveit.requests.append((copy.copy(single_plan_parameters), sorted(planning_scene.objects)))
        start, goal = self._start.joint_positions, self._goal.joint_positions
        return FakeResponse(start, goal, self._moveit.joints, self._moveit.errors.pop(0) if self._moveit.errors else 1)


class FakeMoveItPy:
    def __init__(
        self,
        node_name: str = "moveit_py",
        launch_params_filepath: str = "",
        config_dict: dict[str, Any] | None = None,
        provide_planning_service: bool = True,
    ) -> None:
        assert config_dict is not None
        self.parameters = config_dict
        self.joints = list(config_dict["moveit_simple_controller_manager"]["arm_controller"]["joints"])
        self.errors: list[int] = []
        self.requests: list[tuple[Any, list[str]]] = []
        self.scene = FakeScene(lambda _: False)
        assert "<robot" in config_dict["robot_description"]
        assert "<robot" in config_dict["robot_description_semantic"]

    def get_planning_component(self, planning_component_name: str) -> FakePlanningComponent:
        assert planning_component_name in self.parameters["robot_description_kinematics"]
        return FakePlanningComponent(self, planning_component_name)

    def get_robot_model(self) -> Any:
        fingers = [n for n in self.parameters["robot_description"].split('"') if "finger" in n or "knuckle" in n]
        return SimpleNamespace(variables=[*self.joints, *fingers])

    def get_planning_scene_monitor(self) -> Any:
        @contextmanager
        def locked() -> Iterator[FakeScene]:
            yield self.scene

        return SimpleNamespace(read_only=locked, read_write=locked)


@pytest.fixture
def moveit_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    contents: dict[str, dict[str, Any]] = {
        "moveit": {},
        "moveit.core": {},
        "moveit.core.robot_state": {"RobotState": FakeRobotState},
        "moveit.planning": {"MoveItPy": FakeMoveItPy, "PlanRequestParameters": FakePlanRequestParameters},
        "moveit_msgs": {},
        "moveit_msgs.msg": {"CollisionObject": FakeCollisionObject},
    }
    for name, attributes in contents.items():
        module = ModuleType(name)
        vars(module).update(attributes, __path__=[])
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


@pytest.fixture
def planner(moveit_modules: None) -> MoveitPlanner:
    return MoveitPlanner.from_config(CellConfig.from_yaml(find("config", "cells/ur5.yaml")))


@pytest.fixture
def start(planner: MoveitPlanner) -> JointState:
    return JointState.at_rest(planner.model.robot.positions(planner.model.robot.state("ready")))


def test_a_plan_of_moveit_becomes_a_timed_trajectory(planner: MoveitPlanner, start: JointState) -> None:
    assert isinstance(planner, MotionPlanner)
    result = planner.plan_to_joints(None, start, {"elbow_joint": 1.2}, OPTIONS)
    assert result.status is PlanStatus.SUCCEEDED, result.message
    assert result.trajectory is not None
    assert result.trajectory.names == planner.model.chain(None).joints
    elbow = result.trajectory.positions[:, result.trajectory.names.index("elbow_joint")]
    assert elbow[0] == pytest.approx(np.pi / 2)
    assert elbow[-1] == pytest.approx(1.2)
    limits = planner.model.chain(None).limits
    jerk = np.diff(result.trajectory.accelerations, axis=0) / np.diff(result.trajectory.times_s)[:, None]
    assert (np.abs(jerk) <= 0.5 * 1.01 * limits.jerk).all()
    request, _ = planner._moveit.requests[0]
    assert request.max_velocity_scaling_factor == 0.5
    assert 0.0 < request.planning_time <= 3.0
    assert request.planning_pipeline == "ompl"


def test_goals_are_tried_until_one_is_reached_and_errors_are_put_in_words(
    planner: MoveitPlanner, start: JointState
) -> None:
    T = planner.model.posture(None, start.as_dict()).fk(start.positions[:6]) @ transform((0.0, 0.05, 0.1))
    planner._moveit.errors = [-12]
    assert planner.plan_to_pose(None, start, T, OPTIONS).ok
    assert len(planner._moveit.requests) == 2
    for code, status in {
        -6: PlanStatus.TIMED_OUT,
        -10: PlanStatus.START_IN_COLLISION,
        12345: PlanStatus.TIMED_OUT,
    }.items():
        planner._moveit.errors = [code]
        refused = planner.plan_to_joints(None, start, {"elbow_joint": 1.2}, OPTIONS)
        assert refused.status is status
        assert str(code) in refused.message


def test_obstacles_reach_moveit_without_those_that_may_be_touched(planner: MoveitPlanner, start: JointState) -> None:
    far = transform((0.0, -0.7, 0.5))
    grid = VoxelGrid("voxels", far, 0.05, np.ones((2, 2, 3), dtype=bool))
    planner.set_obstacles((Box("crate", far, (0.1, 0.1, 0.1)), grid))
    assert len(planner._moveit.scene.objects["voxels"].primitives) == 4
    for options, seen in (
        (OPTIONS, ["crate", "voxels"]),
        (PlanOptions(allowed_contacts=frozenset({"crate"})), ["voxels"]),
        (PlanOptions(check_environment=False), []),
    ):
        assert planner.plan_to_joints(None, start, {"elbow_joint": 1.2}, options).ok
        assert planner._moveit.requests[-1][1] == seen
    assert sorted(planner._moveit.scene.objects) == ["crate", "voxels"]


def test_moveits_scene_has_a_veto_on_lines_too(planner: MoveitPlanner, start: JointState) -> None:
    T = planner.model.posture(None, start.as_dict()).fk(start.positions[:6]) @ transform((0.0, 0.0, 0.05))
    assert planner.plan_line(None, start, T, OPTIONS).ok
    assert not planner._moveit.requests
    planner._moveit.scene.colliding = lambda joints: abs(joints["elbow_joint"] - np.pi / 2) > 0.05
    refused = planner.plan_line(None, start, T, OPTIONS)
    assert refused.status is PlanStatus.PATH_IN_COLLISION
    assert "MoveIt" in refused.message


def test_auto_takes_moveit_where_it_is_and_says_so(
    moveit_modules: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = CellConfig.from_yaml(find("config", "cells/ur5.yaml"))
    monkeypatch.setattr(factory, "moveit_installed", lambda: True)
    with caplog.at_level("INFO"):
        assert make_planner("auto", config).name == "moveit"
    assert "ur5: planner moveit: it is installed" in caplog.text


def test_without_moveit_auto_takes_ompl_and_moveit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "moveit_installed", lambda: False)
    assert choose_backend("auto") == ("ompl", "planner ompl: moveit_py is not installed")
    assert choose_backend("line").backend == "line"
    with pytest.raises(PlannerUnavailableError, match="planner:=ompl"):
        choose_backend("moveit")
    with pytest.raises(ValueError, match="auto, ompl, moveit, line"):
        choose_backend("magic")
