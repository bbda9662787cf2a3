# SPDX-License-Identifier: Apache-2.0
"""``SimCell``: a simulated cell behind ``grasp_core.cell.Cell``, without ROS, faster than real time.

The skills, the guard and the ports' protocols are those that the real cell runs with.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field

from grasp_core import resources
from grasp_core.actions import Action, Grasp, Push
from grasp_core.cell import Outcome, Reason, SceneError
from grasp_core.cell_config import CellConfig, DepthNoise
from grasp_core.config import Config, ConfigError
from grasp_core.geometry import Array, invert, look_at
from grasp_core.guard import Guard
from grasp_core.guarded_ports import GuardedArm, GuardedGripper
from grasp_core.observation import ArmObservation, Observation
from grasp_core.planning import Box
from grasp_core.skills.execute import execute_action
from grasp_core.skills.ports import ArmPorts, CellPorts, SkillResult
from grasp_core.skills.transfer import drop, go_to_state
from grasp_sim.engine import PhysicsSettings, Renderer
from grasp_sim.fast_motion import FastMotion
from grasp_sim.gripper_drive import StallSettings
from grasp_sim.kinematics import CellKinematics, PlannerName, make_planner
from grasp_sim.objects.sets import Split
from grasp_sim.scenes import SceneReport, build_scene, load_scene
from grasp_sim.scenes.events import SheetPull
from grasp_sim.scenes.obstacles import scene_obstacles
from grasp_sim.sim_ports import SimArm, SimGripper
from grasp_sim.trajectories import Tolerances
from grasp_sim.truth import GroundTruth
from grasp_sim.world import Snapshot, World

# How many directions are tried to look at the scene from.
LOOK_TRIES = 200


class SimOptions(Config):
    """How a ``SimCell`` behaves; see the fields."""

    motion: Literal["full", "fast"] = "full"
    """``full``: every motion is simulated. ``fast``: the arm jumps through free space (``fast_motion``)."""
    planner: PlannerName = "line"
    """``line``: straight, blind to the environment, milliseconds. ``ompl``: searches around obstacles."""
    renderer: Renderer = "auto"
    """``egl``, ``tiny``, or ``auto``."""
    cameras: tuple[str, ...] | None = None
    """Cameras that observations carry; none for all of the cell's."""
    sizes: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Other image sizes (width, height) by camera, same field of view."""
    depth_noise: DepthNoise | None = None
    """Noise of every depth camera in place of the cell's."""
    after_grasp: Literal["remove", "drop", "keep"] = "remove"
    """What becomes of a held object after a ``Grasp``: taken out, brought to the drop place, or kept in hand."""
    return_to_ready: bool = True
    """Go back to the ready state after a ``Grasp`` or a ``Push``, out of the cameras' view."""
    objects: str | None = None
    """Object set in place of the scene's."""
    split: Split = "all"
    """Part of the object set: train, test, all."""
    count: tuple[int, int] | None = None
    """Number of objects in place of the scene's."""
    speed_scale: float | None = None
    """Share of the joint limits in place of the cell's."""
    steps: int | None = None
    """How many actions an episode has; none without a limit."""
    gui: bool = False
    """Open PyBullet's window."""
    physics: PhysicsSettings = PhysicsSettings()
    tolerances: Tolerances = Tolerances()
    stall: StallSettings = StallSettings()


class SimCell:
    """A simulated cell.

    Args:
        cell: name of a file in ``config/cells``, or a configuration.
        options: see ``SimOptions``; single options may be given by name instead.
    """

    def __init__(self, cell: str | CellConfig, options: SimOptions | None = None, **values: Any) -> None:
        self.options = (options or SimOptions()).with_values(**values) if values else (options or SimOptions())
        config = load_cell_config(cell) if isinstance(cell, str) else cell
        self.config = self._adapted(config)
        self.kinematics = CellKinematics(self.config)
        self.world = World(
            self.config,
            self.kinematics.ready(),
            self.options.physics,
            self.options.renderer,
            self.options.gui,
            self.options.tolerances,
            self.options.stall,
        )
        self.truth = GroundTruth(self.world)
        self._cancel = threading.Event()
        self.guard = Guard(
            self.config.limits, self.kinematics.limits(), self.kinematics, now_ns=lambda: self.world.now_ns
        )
        self._fast = FastMotion(self.world, self.kinematics) if self.options.motion == "fast" else None
        self._raw_grippers = {name: SimGripper(self.world, name, self._fast) for name in self.config.grippers}
        self.ports = self._make_ports()
        self._told: tuple[Box, ...] = ()
        self.rng = np.random.default_rng(0)
        self.report = SceneReport()
        self.target_id: int | None = None
        self._step = 0

    @property
    def name(self) -> str:
        """Name of the cell file."""
        return self.config.name

    def reset(self, scene: str, seed: int) -> Observation:
        """Make a scene anew, the robot ready and the gripper open.

        Raises:
            SceneError: unknown scene, or it cannot be made.
        """
        description = load_scene(scene)
        self._cancel.clear()
        self.rng = np.random.default_rng((seed, 1))
        self.world.reset(seed)
        options = self.options
        self.report = build_scene(self.world, description, self.rng, options.objects, options.split, options.count)
        self._tell_the_planner()
        present = self.world.present()
        self.target_id = present[int(self.rng.integers(len(present)))].id
        self._step = 0
        return self.observe()

    def observe(self) -> Observation:
        """The present observation, in simulated time."""
        wanted = self.options.cameras
        cameras = {n: c for n, c in self.world.cameras.items() if wanted is None or n in wanted}
        joints = self.world.robot.positions()
        arms = {
            name: ArmObservation(self.kinematics.fk(joints, name), self._raw_grippers[settings.gripper].state())
            for name, settings in self.config.arms.items()
        }
        limit = self.options.steps
        left = None if limit is None else max(0, limit - self._step)
        frames = {name: camera.frame(0.0) for name, camera in cameras.items()}
        return Observation(frames, joints, arms, self.world.now_ns, self._step, left)

    def execute(self, action: Action, observation: Observation | None = None) -> Outcome:
        """Carry out one action to its end; ``observation`` is what it was decided on, none for the present one."""
        self._cancel.clear()
        self._arm_events()
        before = self.truth.poses()
        decided_on = self._blind_observation() if observation is None else observation
        result, interventions = execute_action(self.ports, self.guard, action, decided_on)
        info = self._judge(action, before, result)
        message = result.message
        if isinstance(action, Grasp | Push) and result.commanded is not None:
            message = self._tidy_up(action, result, info) or message
        self._step += 1
        success = result.success
        if self.config.skills.success == "simulator" and isinstance(action, Grasp) and success is not None:
            success = info["success"]
        return Outcome(action, result.commanded, success, result.reason, self.observe(), message, interventions, info)

    def look_from(self, camera: str, target: Array, distance_m: float, seed: int) -> Observation:
        """Put the arm, without physics, where its camera looks at ``target`` [3] from ``distance_m`` away.

        Directions from above are tried at random from ``seed`` until one can be reached.

        Raises:
            SceneError: none of them can be reached.
        """
        rng = np.random.default_rng((seed, 3))
        arm = next((n for n, settings in self.config.arms.items() if settings.camera == camera), None)
        if arm is None:
            raise SceneError(f"no arm carries camera {camera!r}; it cannot be moved to look at something")
        T_tcp_camera = invert(self.world.robot.T_base(self.config.arms[arm].tcp_frame)) @ self.world.robot.T_base(
            self.config.cameras[camera].frame
        )
        ready = self.world.robot.positions()
        for _ in range(LOOK_TRIES):
            lean, turn = rng.uniform(0.0, 0.6), rng.uniform(-np.pi, np.pi)
            way = np.array([np.sin(lean) * np.cos(turn), np.sin(lean) * np.sin(turn), np.cos(lean)])
            up = (float(np.cos(turn + 1.0)), float(np.sin(turn + 1.0)), 0.0)
            T_base_camera = look_at(np.asarray(target) + distance_m * way, target, up)
            joints = self.kinematics.ik(T_base_camera @ invert(T_tcp_camera), ready, arm)
            if joints is not None:
                self.world.take_over(joints)
                return self.observe()
        raise SceneError(f"camera {camera} reaches no place {distance_m} m from the middle of the workspace")

    def cancel(self) -> None:
        """End the running action; safe to call from another thread."""
        self._cancel.set()

    def save(self) -> tuple[Snapshot, int, dict]:
        """Keep the whole state in memory; see ``restore``."""
        return self.world.save(), self._step, self.rng.bit_generator.state

    def restore(self, state: tuple[Snapshot, int, dict]) -> Observation:
        """Back to a state of this scene; returns the observation there."""
        snapshot, self._step, self.rng.bit_generator.state = state
        self.world.restore(snapshot)
        return self.observe()

    def close(self) -> None:
        """Disconnect from the physics; safe to call twice."""
        self.world.close()

    def _adapted(self, config: CellConfig) -> CellConfig:
        options = self.options
        values: dict[str, Any] = {}
        unknown = set(options.sizes) | set(options.cameras or ())
        unknown -= set(config.cameras)
        if unknown:
            known = ", ".join(config.cameras)
            raise ConfigError(f"cell {config.name} has no camera {unknown.pop()!r}; it has {known}")
        if options.sizes or options.depth_noise is not None:
            cameras = {name: camera.model_dump(exclude_unset=True) for name, camera in config.cameras.items()}
            for name, (width, height) in options.sizes.items():
                cameras[name] |= {"width": width, "height": height}
            if options.depth_noise is not None:
                noise = options.depth_noise.model_dump()
                cameras = {name: {**camera, "noise": noise} for name, camera in cameras.items()}
            values["cameras"] = cameras
        if options.speed_scale is not None:
            values["skills"] = {**config.skills.model_dump(exclude_unset=True), "speed_scale": options.speed_scale}
        return config.with_values(**values) if values else config

    def _make_ports(self) -> CellPorts:
        arms = {}
        for name, settings in self.config.arms.items():
            gripper = self._raw_grippers[settings.gripper]
            arms[name] = ArmPorts(
                GuardedArm(SimArm(self.world, name, self._fast), self.guard),
                GuardedGripper(gripper, self.guard),
                self.config.grippers[settings.gripper].force_n,
                self._named_states(name),
            )
        planner = make_planner(self.options.planner, self.kinematics)
        return CellPorts(arms, planner, self.kinematics, self.config.skills, self._cancel)

    def _named_states(self, arm: str) -> Mapping[str, Mapping[str, float]]:
        settings = self.config.arms[arm]
        states = self.kinematics.states(arm)
        named = {"ready": states[settings.ready]}
        if settings.drop in states:
            named["drop"] = states[settings.drop]
        return {**states, **named}

    def _tell_the_planner(self) -> None:
        obstacles = scene_obstacles(self.world)
        # Most scenes bring nothing along; a planner that is told builds its collision shapes anew.
        if obstacles or self._told:
            self.ports.planner.set_obstacles(obstacles)
            self._told = obstacles

    def _blind_observation(self) -> Observation:
        # What a step needs to know, without rendering anything; camera axes are added for steps in a camera's frame.
        joints = self.world.robot.positions()
        arms = {
            name: ArmObservation(self.kinematics.fk(joints, name), self._raw_grippers[settings.gripper].state())
            for name, settings in self.config.arms.items()
        }
        frames = {name: camera.pose_only() for name, camera in self.world.cameras.items()}
        return Observation(frames, joints, arms, self.world.now_ns, self._step)

    def _arm_events(self) -> None:
        for event in self.world.events:
            if isinstance(event, SheetPull):
                event.arm(self.world)

    def _judge(self, action: Action, before: Mapping[int, Any], result: SkillResult) -> dict[str, Any]:
        arm = getattr(action, "arm", None)
        name, settings = self.config.arm(arm)
        held = self.truth.held(settings.gripper)
        risen = [h for h in held if h.thing.id in before and self._moved(before[h.thing.id], h.thing.id)]
        state = self._raw_grippers[settings.gripper].state()
        T_base_tcp = self.kinematics.fk(self.world.robot.positions(), name)
        kept = risen if isinstance(action, Grasp) else held
        best = max(kept, key=lambda h: h.force_n, default=None)
        return {
            "grasped_id": None if best is None else best.thing.id,
            "grasped_name": None if best is None else best.thing.name,
            "target_id": self.target_id,
            "success": best is not None,
            "gripper_height": float(T_base_tcp[2, 3] - self.config.support_z_m),
            "gripper_closed": bool(state.width_m < 0.5 * self._raw_grippers[settings.gripper].limits.max_width_m),
            "n_contacts": sum(h.contacts for h in kept),
            "stop_reason": str(result.reason),
            "held_ids": tuple(h.thing.id for h in kept),
            "finger_width_m": state.width_m,
            "finger_force_n": state.effort_n,
            "gripper_says": state.holding,
        }

    def _moved(self, T_before: Any, thing_id: int) -> bool:
        shift = self.world.pose_of(self.world.objects[thing_id])[:3, 3] - T_before[:3, 3]
        return float(np.linalg.norm(shift)) > 0.3 * self.config.skills.lift_m

    def _tidy_up(self, action: Grasp | Push, result: SkillResult, info: dict[str, Any]) -> str:
        """Bring the arm out of the way and the held object where it shall go; returns what went wrong, if anything."""
        options = self.options
        name, _settings = self.config.arm(action.arm)
        hand = self.ports.arms[name]
        problem = ""
        if isinstance(action, Grasp):
            if options.after_grasp == "keep" and info["success"]:
                return ""
            if options.after_grasp == "drop" and info["success"] and "drop" in hand.states:
                moved = drop(self.ports, name)
                problem = "" if moved.success else f"after the grasp: {moved.message}"
            elif options.after_grasp == "remove":
                for thing_id in info["held_ids"]:
                    self.world.park(self.world.objects[thing_id])
            if result.reason is not Reason.CANCELLED:
                hand.gripper.move(hand.gripper.limits.max_width_m, hand.force_n, self._cancel)
        for thing in self.truth.fallen():
            self.world.park(thing)
        if options.return_to_ready:
            moved = go_to_state(self.ports, "ready", name)
            problem = problem or ("" if moved.success else f"on the way back: {moved.message}")
        return problem


def load_cell_config(name: str) -> CellConfig:
    """The configuration of a cell by name.

    Raises:
        ResourceError: no such cell.
        ConfigError: its file is refused.
    """
    return CellConfig.from_yaml(resources.find("config", f"cells/{name}.yaml"))
