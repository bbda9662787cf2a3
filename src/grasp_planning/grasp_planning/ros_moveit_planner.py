# SPDX-License-Identifier: Apache-2.0
"""MoveIt as the back end, through moveit_py, which is imported when a ``MoveitPlanner`` is made.

MoveIt's pipeline searches, and MoveIt's planning scene has a veto on the whole motion, so that what only MoveIt knows
(an octomap from sensors, attached objects) counts too. Checking requests, inverse kinematics, Cartesian lines, timing
and the words of refusals are those of every embedded planner: a cell behaves the same whichever back end is chosen.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from grasp_core.cell_config import CellConfig
from grasp_core.geometry import Array
from grasp_core.planning import Obstacle, PlanStatus
from grasp_core.ports import JointTrajectory
from grasp_description import cell_srdf, cell_urdf

from .embedded import EmbeddedPlanner
from .model import CellModel
from .moveit_config import load_moveit_config
from .paths import JointPath, distinct, thinned
from .requests import PlanSettings, Refusal, Task

NODE_NAME = "moveit_py"
# Waypoints of MoveIt's dense path that are this close (in s) to a straight line between their neighbours are left out.
STRAIGHT = 2e-3
# moveit_msgs/MoveItErrorCodes: what a failed search means here.
ERRORS: Mapping[int, tuple[PlanStatus, str]] = {
    -1: (PlanStatus.TIMED_OUT, "planning failed"),
    -2: (PlanStatus.PATH_IN_COLLISION, "the plan is not valid"),
    -3: (PlanStatus.PATH_IN_COLLISION, "the scene changed while planning"),
    -6: (PlanStatus.TIMED_OUT, "no way was found in time"),
    -10: (PlanStatus.START_IN_COLLISION, "the start is in collision in MoveIt's scene"),
    -11: (PlanStatus.START_IN_COLLISION, "the start violates path constraints"),
    -12: (PlanStatus.GOAL_IN_COLLISION, "the goal is in collision in MoveIt's scene"),
    -15: (PlanStatus.INVALID_REQUEST, "MoveIt does not know the group"),
    -16: (PlanStatus.INVALID_REQUEST, "MoveIt refused the goal constraints"),
    -17: (PlanStatus.INVALID_REQUEST, "MoveIt refused the start state"),
    -26: (PlanStatus.INVALID_REQUEST, "the start state is invalid"),
    -27: (PlanStatus.UNREACHABLE, "the goal state is invalid"),
    -31: (PlanStatus.UNREACHABLE, "no solution of the inverse kinematics"),
}


class MoveitPlanner(EmbeddedPlanner):
    """Motions that MoveIt finds.

    Args:
        moveit: a ``moveit.planning.MoveItPy`` of the same cell.
        core: the modules ``moveit.planning`` and ``moveit.core.robot_state``.
        model: the cell's robot.
        config: the cell's.
        settings: how to work.
    """

    name = "moveit"
    # MoveIt pads its robot itself.
    keeps_clear = False

    def __init__(
        self,
        moveit: Any,
        core: tuple[ModuleType, ModuleType],
        model: CellModel,
        config: CellConfig,
        settings: PlanSettings | None = None,
    ) -> None:
        super().__init__(model, settings)
        self._moveit = moveit
        self._planning, self._states = core
        self._config = config
        self._components = {name: moveit.get_planning_component(arm.group) for name, arm in config.arms.items()}

    @classmethod
    def from_config(cls, config: CellConfig, settings: PlanSettings | None = None) -> MoveitPlanner:
        """Start moveit_py with the configuration in ``config/moveit/<cell>``.

        Raises:
            ImportError: moveit_py is not installed.
            ConfigError: a file of the configuration is missing or broken.
        """
        from moveit import planning
        from moveit.core import robot_state

        arguments = config.description.arguments
        parameters = load_moveit_config(config.name)
        parameters["robot_description"] = cell_urdf(config.name, **arguments)
        parameters["robot_description_semantic"] = cell_srdf(config.name, arguments.get("prefix", ""))
        moveit = planning.MoveItPy(node_name=NODE_NAME, config_dict=parameters)
        return cls(moveit, (planning, robot_state), CellModel.from_config(config), config, settings)

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Replace the obstacles beyond the cell's own furniture, in both worlds.

        Raises:
            ValueError: two obstacles share a name, or one has a link's name.
        """
        from .ros_conversions import collision_object

        super().set_obstacles(obstacles)
        with self._moveit.get_planning_scene_monitor().read_write() as scene:
            scene.remove_all_collision_objects()
            for obstacle in obstacles:
                scene.apply_collision_object(collision_object(obstacle, self._config.base_frame))
            scene.current_state.update()

    def _connect(self, task: Task, goals: Sequence[Array], step: float) -> Array:
        """Ask MoveIt for each goal in turn, nearest first, until the time is over."""
        scene = self._scene(task)
        component = self._components[task.chain.arm]
        parameters = self._planning.PlanRequestParameters(self._moveit, "")
        parameters.max_velocity_scaling_factor = parameters.max_acceleration_scaling_factor = task.options.speed_scale
        refusal = Refusal(PlanStatus.TIMED_OUT, f"no way was found in {task.options.timeout_s:g} s")
        for goal in goals:
            if task.remaining_s <= 0.0:
                break
            parameters.planning_time = task.remaining_s
            component.set_start_state(robot_state=self._state(task, task.start))
            component.set_goal_state(robot_state=self._state(task, goal))
            with task.stage("search"):
                response = component.plan(single_plan_parameters=parameters, planning_scene=scene)
            if response:
                return self._waypoints(task, response, goal)
            status, words = ERRORS.get(response.error_code.val, (PlanStatus.TIMED_OUT, "MoveIt found no plan"))
            refusal = Refusal(status, f"{words} (MoveIt's error code {response.error_code.val})")
        raise refusal

    def _timed(self, task: Task, *ways: Sequence[JointPath]) -> JointTrajectory:
        trajectory = super()._timed(task, *ways)
        with task.stage("moveit_check"):
            scene, group = self._scene(task), self._config.arms[task.chain.arm].group
            for q in trajectory.positions:
                if scene.is_state_colliding(self._state(task, q), group):
                    raise Refusal(PlanStatus.PATH_IN_COLLISION, "on the way something touches in MoveIt's scene")
        return trajectory

    def _scene(self, task: Task) -> Any:
        """A copy of MoveIt's scene without what this request may touch."""
        from .ros_conversions import removed_object

        with self._moveit.get_planning_scene_monitor().read_only() as present:
            scene = copy.deepcopy(present)
        if not task.environment:
            scene.remove_all_collision_objects()
            return scene
        for name in sorted(task.options.allowed_contacts):
            scene.apply_collision_object(removed_object(name, self._config.base_frame))
        return scene

    def _state(self, task: Task, q: Array) -> Any:
        """MoveIt's robot state with the arm at ``q`` [n] and all other joints where the request says they are."""
        state = self._states.RobotState(self._moveit.get_robot_model())
        state.set_to_default_values()
        state.joint_positions = task.posture.named(q)
        state.update()
        return state

    def _waypoints(self, task: Task, response: Any, goal: Array) -> Array:
        found = response.trajectory.get_robot_trajectory_msg().joint_trajectory
        order = [list(found.joint_names).index(name) for name in task.chain.joints]
        dense = np.array([[point.positions[i] for i in order] for point in found.points])
        # MoveIt's goal tolerance is wider than ours; the path ends where it was asked to.
        dense = np.concatenate([task.start[None], dense[1:-1], goal[None]])
        scale = task.chain.limits.velocity
        return thinned(distinct(dense, scale), scale, STRAIGHT)
