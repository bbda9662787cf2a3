# SPDX-License-Identifier: Apache-2.0
"""``RosCell``: a running graph behind ``grasp_core.cell.Cell``, whether a simulator or a robot answers.

The skills, the guard and the ports' protocols are those that the simulated cell runs with. Every wait has an end: what
does not answer becomes a ``StateError`` or a failed outcome with a sentence.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState as JointStateMsg
from tf2_ros import Buffer, TransformListener

from grasp_core.actions import Action, Grasp, Push, Step
from grasp_core.cell import FELT, Outcome, Reason, SceneError
from grasp_core.cell_config import CellConfig
from grasp_core.guard import Guard
from grasp_core.guarded_ports import GuardedArm, GuardedGripper
from grasp_core.joint_states import JointStates
from grasp_core.observation import ArmObservation, Observation
from grasp_core.ports import JointState, StateError
from grasp_core.ros_running import leave_graph, spin_until
from grasp_core.skills.execute import execute_action
from grasp_core.skills.ports import ArmPorts, CellPorts, SkillResult
from grasp_core.skills.transfer import drop, go_to_state
from grasp_episodes import ros_conversions as ros
from grasp_episodes.ros_calls import GoalRunner, call_service
from grasp_episodes.ros_camera import RosCamera, Transforms
from grasp_episodes.ros_planner import RosPlanner
from grasp_episodes.ros_ports import RosArm, RosGripper, Wire
from grasp_episodes.settings import GripperData, RobotData, RosCellOptions
from grasp_interfaces.srv import ResetScene

# A robot this near to its ready state is there (rad or m).
READY = 0.02
# The first joint state of a new scene is certainly newer than the clock was by this much (ns).
SCENE_MARGIN_NS = 50_000_000
TRANSFORM_TIMEOUT_S = 2.0


class RosCell:
    """A cell over topics and actions. It has a node and a thread of its own; close it in the end.

    Args:
        config: the cell.
        robot: its kinematics, joint limits and named states.
        grippers: what its grippers can do, by the cell's names.
        options: see ``RosCellOptions``.
        domain_id: the ROS domain; none for that of the environment.

    Raises:
        StateError: the graph is silent.
    """

    def __init__(
        self,
        config: CellConfig,
        robot: RobotData,
        grippers: Mapping[str, GripperData],
        options: RosCellOptions | Mapping[str, Any] | None = None,
        domain_id: int | None = None,
    ) -> None:
        if not isinstance(options, RosCellOptions):
            options = RosCellOptions.from_mapping(options or {}, "options of RosCell")
        self.config, self.options, self.kinematics = config, options, robot
        self._cancel, self._given_up = threading.Event(), threading.Event()
        self._step = 0
        self._since_ns = 0
        self._last: Observation | None = None
        self._closed = False
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node(
            f"{config.name}_cell",
            context=self._context,
            parameter_overrides=[Parameter("use_sim_time", value=options.use_sim_time)],
        )
        self._arrived = threading.Condition()
        limits = config.limits
        self._joints = JointStates(limits.max_state_age_s, self._now_ns)
        self._newest_ns = 0
        goals = GoalRunner(self._node.get_clock(), options.answer_timeout_s)
        wire = Wire(self._node, goals, self._joints, options)
        buffer = Buffer(node=self._node)
        self._listener = TransformListener(buffer, self._node)
        transforms = Transforms(buffer, config.base_frame, TRANSFORM_TIMEOUT_S)
        wanted = config.cameras if options.cameras is None else options.cameras
        self.cameras = {
            name: RosCamera(self._node, name, config.cameras[name], transforms, options, self._given_up)
            for name in wanted
        }
        self.grippers = {
            name: RosGripper(wire, name, settings, grippers[name]) for name, settings in config.grippers.items()
        }
        self.arms = {name: RosArm(wire, name, settings) for name, settings in config.arms.items()}
        self.guard = Guard(limits, robot.limits(), robot, self._now_ns)
        planner = RosPlanner(self._node, goals, config, options, self._cancel)
        self.ports = CellPorts(self._arm_ports(), planner, robot, config.skills, self._cancel)
        self._node.create_subscription(JointStateMsg, "joint_states", self._remember, 10)
        self._reset = self._node.create_client(ResetScene, "reset_scene")
        self._over = threading.Event()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        # Where the process is interrupted, calls that wait run into their time-outs.
        self._thread = threading.Thread(
            target=spin_until, args=(self._executor, self._over), name="ros_cell", daemon=True
        )
        self._thread.start()
        try:
            self._wait_for_joints(0, options.connect_timeout_s)
        except BaseException:
            # Also when interrupted: its thread must not be inside of the middleware when Python ends.
            self.close()
            raise

    @property
    def name(self) -> str:
        """Name of the cell file."""
        return self.config.name

    def reset(self, scene: str, seed: int, objects: int = -1) -> Observation:
        """Make a scene anew through ``reset_scene``, then the robot ready and the grippers open.

        ``objects`` is how many the scene gets; negative: as the scene says.

        Raises:
            SceneError: unknown scene, or it cannot be made.
            StateError: the graph is silent, the robot does not come to its ready state, or it was cancelled.
        """
        self._cancel.clear()
        request = ResetScene.Request(scene=scene, seed=seed, objects=objects)
        answer = call_service(self._reset, request, self.options.reset_timeout_s, self._cancel)
        # Also after a refusal: the scene may have been cleared before it could not be made.
        # Not by the clock alone: on a busy machine it may lag behind the scene that was made.
        self._since_ns = max(self._now_ns() + SCENE_MARGIN_NS, ros.nanoseconds(answer.ready))
        self._wait_for_joints(self._since_ns, self.options.answer_timeout_s)
        for gripper in self.grippers.values():
            gripper.forget()
        if not answer.success:
            raise SceneError(answer.message)
        self._make_all_ready()
        self._step = 0
        return self.observe()

    def make_ready(self) -> None:
        """Every gripper open and every arm in its ready state, the scene left as it is.

        Raises:
            StateError: an arm does not come to its ready state.
        """
        self._cancel.clear()
        self._make_all_ready()

    def _make_all_ready(self) -> None:
        for name in self.arms:
            self._make_ready(name)
        self._since_ns = self._now_ns()

    def observe(self) -> Observation:
        """The present observation.

        Raises:
            StateError: joints or a camera are silent.
        """
        blind = self._blind_observation()
        frames = {
            name: camera.frame(self.options.max_frame_age_s, self._since_ns, self.options.answer_timeout_s)
            for name, camera in self.cameras.items()
        }
        self._last = replace(blind, frames=frames)
        return self._last

    def execute(self, action: Action, observation: Observation | None = None) -> Outcome:
        """Carry out one action to its end; what is silent becomes a failed outcome.

        ``observation`` is what the action was decided on, none for the present one.

        Raises:
            StateError: nothing at all is known of the robot yet.
        """
        self._cancel.clear()
        try:
            decided_on = self._blind_observation(action) if observation is None else observation
        except StateError as error:
            return self._outcome(
                action, SkillResult(None, False, Reason.STALE_STATE, str(error)), (), self._felt(action)
            )
        result, interventions = execute_action(self.ports, self.guard, action, decided_on)
        info = self._felt(action)
        if isinstance(action, Grasp | Push) and result.commanded is not None and result.reason is not Reason.CANCELLED:
            result = self._tidy_up(action, result)
        self._step += 1
        self._since_ns = self._now_ns()
        return self._outcome(action, result, interventions, info)

    def cancel(self) -> None:
        """End the running action or reset; safe to call from another thread."""
        self._cancel.set()
        with self._arrived:
            self._arrived.notify_all()

    def give_up(self) -> None:
        """The graph ends: what runs is cancelled, and no picture is waited for any more, now or later."""
        self._given_up.set()
        self.cancel()
        for camera in self.cameras.values():
            camera.wake()

    def close(self) -> None:
        """Leave the graph; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._cancel.set()
        self._over.set()
        self._thread.join()
        self._executor.shutdown()
        leave_graph(self._node)
        rclpy.shutdown(context=self._context)

    @property
    def since_ns(self) -> int:
        """Time of the latest change that the cell made itself; pictures from before it show another scene."""
        return self._since_ns

    def now_ns(self) -> int:
        """The graph's time in nanoseconds."""
        return self._now_ns()

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _remember(self, message: JointStateMsg) -> None:
        try:
            state = ros.joint_state(message, self.options.tf_prefix)
        except ValueError as error:
            self._node.get_logger().warning(f"a joint state was dropped: {error}", throttle_duration_sec=5.0)
            return
        with self._arrived:
            self._joints.add(state)
            self._newest_ns = max(self._newest_ns, state.stamp_ns)
            self._arrived.notify_all()

    def _wait_for_joints(self, since_ns: int, timeout_s: float) -> None:
        """Wait for a state of every arm's joints, and for one that is stamped after ``since_ns``."""
        needed = tuple(joint for arm in self.config.arms.values() for joint in arm.joints)

        def complete() -> bool:
            try:
                self._joints.newest(needed)
            except StateError:
                return False
            return self._newest_ns > since_ns

        with self._arrived:
            if not self._arrived.wait_for(lambda: self._cancel.is_set() or complete(), timeout_s):
                self._joints.newest(needed)
                raise StateError(f"no joint state came within {timeout_s:g} s; is the graph running?")
            if not complete():
                raise StateError("cancelled while waiting for the robot's joint states")

    def _all_joints(self) -> JointState:
        return self._joints.newest(tuple(joint for arm in self.config.arms.values() for joint in arm.joints))

    def _blind_observation(self, action: Action | None = None) -> Observation:
        """Without pictures; with the pose of the camera that a step is given in."""
        state = self._all_joints()
        joints = state.as_dict()
        arms = {
            name: ArmObservation(self.kinematics.fk(joints, name), self.grippers[settings.gripper].state())
            for name, settings in self.config.arms.items()
        }
        frames = {}
        if isinstance(action, Step) and action.frame in self.cameras:
            frames[action.frame] = self.cameras[action.frame].pose_only()
        limit = self.options.steps
        left = None if limit is None else max(0, limit - self._step)
        return Observation(frames, joints, arms, state.stamp_ns, self._step, left)

    def _felt(self, action: Action) -> dict[str, Any]:
        """What the hand felt, without the reason; see ``grasp_core.cell.FELT``."""
        asked = getattr(action, "arm", None)
        name, settings = self.config.arm(asked if asked in self.config.arms else None)
        gripper = self.grippers[settings.gripper]
        try:
            state = gripper.state()
            height_m = self.kinematics.fk(self._all_joints().as_dict(), name)[2, 3] - self.config.support_z_m
        except StateError:
            felt: tuple[Any, ...] = (float("nan"), float("nan"), None, float("nan"), False)
        else:
            closed = state.width_m < 0.5 * gripper.limits.max_width_m
            felt = (float(state.width_m), float(state.effort_n), state.holding, float(height_m), bool(closed))
        return dict(zip(FELT[1:], felt, strict=True))

    def _outcome(self, action: Action, result: SkillResult, interventions: tuple, felt: dict[str, Any]) -> Outcome:
        try:
            observation = self.observe()
        except StateError as error:
            # The action is over and its result stands; what can still be told is told.
            if self._last is None:
                raise
            observation = replace(self._last, frames={}, step=self._step)
            if result.success is not False:
                result = replace(result, success=None, reason=Reason.STALE_STATE, message=f"afterwards: {error}")
        return Outcome(
            action,
            result.commanded,
            result.success,
            result.reason,
            observation,
            result.message,
            interventions,
            {"stop_reason": str(result.reason), **felt},
        )

    def _arm_ports(self) -> dict[str, ArmPorts]:
        ports = {}
        for name, settings in self.config.arms.items():
            states = self.kinematics.states(name)
            named = {"ready": states[settings.ready]}
            if settings.drop in states:
                named["drop"] = states[settings.drop]
            ports[name] = ArmPorts(
                GuardedArm(self.arms[name], self.guard),
                GuardedGripper(self.grippers[settings.gripper], self.guard),
                self.config.grippers[settings.gripper].force_n,
                {**states, **named},
            )
        return ports

    def _make_ready(self, arm: str) -> None:
        hand = self.ports.arms[arm]
        limits, state = hand.gripper.limits, hand.gripper.state()
        if state.width_m < limits.max_width_m - 0.05 * (limits.max_width_m - limits.min_width_m):
            hand.gripper.move(limits.max_width_m, hand.force_n, self._cancel)
        now = hand.arm.state().as_dict()
        if all(abs(now[joint] - value) <= READY for joint, value in hand.states["ready"].items() if joint in now):
            return
        moved = go_to_state(self.ports, "ready", arm)
        if not moved.success:
            raise StateError(f"arm {arm} does not come to its ready state: {moved.message}")

    def _tidy_up(self, action: Grasp | Push, result: SkillResult) -> SkillResult:
        """Bring a held object to the drop place and the arm out of the way; problems are told beside the result."""
        name, _ = self.config.arm(action.arm)
        hand = self.ports.arms[name]
        problem = ""
        try:
            if isinstance(action, Grasp):
                if result.success and self.options.after_grasp == "keep":
                    return result
                if result.success and "drop" in hand.states:
                    moved = drop(self.ports, name)
                    problem = "" if moved.success else f"after the grasp: {moved.message}"
                hand.gripper.move(hand.gripper.limits.max_width_m, hand.force_n, self._cancel)
            if self.options.return_to_ready:
                moved = go_to_state(self.ports, "ready", name)
                problem = problem or ("" if moved.success else f"on the way back: {moved.message}")
        except StateError as error:
            problem = str(error)
        return replace(result, message=f"{result.message}; {problem}" if problem else result.message)
