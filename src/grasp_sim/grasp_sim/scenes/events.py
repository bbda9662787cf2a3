# SPDX-License-Identifier: Apache-2.0
"""What happens to a scene by itself: hooks that let go, a sheet that is pulled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.geometry import Array, invert, quaternion_of, transform
from grasp_sim.scenes.config import Sheet
from grasp_sim.world import SimObject, World

SHEET_THICKNESS_M = 0.003
SHEET_MASS_KG = 2.0


@dataclass
class _Hook:
    thing: SimObject
    T_base_object: Array
    constraint: int | None


class Hooks:
    """Objects hung on a wall: each is held with a limited force and freed once pulled off."""

    def __init__(self, hold_n: float, release_m: float) -> None:
        self._hold_n = hold_n
        self._release_m = release_m
        self._hooks: list[_Hook] = []

    def hang(self, world: World, thing: SimObject) -> None:
        """Hang an object where it is."""
        hook = _Hook(thing, world.pose_of(thing), None)
        self._attach(world, hook)
        self._hooks.append(hook)

    def before_step(self, world: World) -> None:
        """Let go of what was pulled off."""
        for hook in self._hooks:
            if hook.constraint is None:
                continue
            shift = world.pose_of(hook.thing)[:3, 3] - hook.T_base_object[:3, 3]
            if hook.thing.parked or np.linalg.norm(shift) > self._release_m:
                world.api.removeConstraint(hook.constraint)
                hook.constraint = None

    def hanging(self) -> int:
        """How many objects still hang."""
        return sum(hook.constraint is not None for hook in self._hooks)

    def snapshot(self) -> list[bool]:
        """Which hooks hold."""
        return [hook.constraint is not None for hook in self._hooks]

    def restore(self, world: World, state: list[bool]) -> None:
        """Attach and free as then."""
        for hook, held in zip(self._hooks, state, strict=True):
            if held and hook.constraint is None:
                self._attach(world, hook)
            elif not held and hook.constraint is not None:
                world.api.removeConstraint(hook.constraint)
                hook.constraint = None

    def _attach(self, world: World, hook: _Hook) -> None:
        api, T = world.api, hook.T_base_object @ hook.thing.T_object_com
        hook.constraint = int(
            api.createConstraint(
                hook.thing.body,
                -1,
                -1,
                -1,
                api.JOINT_FIXED,
                [0, 0, 0],
                [0, 0, 0],
                T[:3, 3].tolist(),
                [0, 0, 0, 1],
                quaternion_of(T).tolist(),
            )
        )
        api.changeConstraint(hook.constraint, maxForce=self._hold_n)


class SheetPull:
    """A sheet under the pile that moves once: straight and turning, smoothly, some time after it was armed."""

    def __init__(self, world: World, settings: Sheet, centre: Array, rng: np.random.Generator) -> None:
        self.settings = settings
        self._towards = float(rng.uniform(-np.pi, np.pi))
        self._shift_m = float(rng.uniform(*settings.shift_m))
        self._turn_rad = float(rng.uniform(*settings.turn_rad)) * float(rng.choice([-1.0, 1.0]))
        self._wait_s = float(rng.uniform(*settings.start_after_s))
        self._start_s: float | None = None
        api = world.api
        # Pulled from one side of the middle to the other, so that the pile stays in the workspace.
        self._from = centre[:2] - 0.5 * self._shift_m * np.array([np.cos(self._towards), np.sin(self._towards)])
        self._z = float(centre[2]) + 0.5 * SHEET_THICKNESS_M
        half = [0.5 * settings.size_m, 0.5 * settings.size_m, 0.5 * SHEET_THICKNESS_M]
        shape = api.createCollisionShape(api.GEOM_BOX, halfExtents=half)
        look = api.createVisualShape(api.GEOM_BOX, halfExtents=half, rgbaColor=[0.86, 0.84, 0.76, 1.0])
        T = self._pose(0.0)
        self.body = int(api.createMultiBody(SHEET_MASS_KG, shape, look, T[:3, 3].tolist(), quaternion_of(T).tolist()))
        api.changeDynamics(self.body, -1, lateralFriction=1.2)
        for body in (world.robot.statics, world.floor):
            for link in range(-1, api.getNumJoints(body)):
                api.setCollisionFilterPair(self.body, body, -1, link, 0)
        self._constraint = int(
            api.createConstraint(
                self.body,
                -1,
                -1,
                -1,
                api.JOINT_FIXED,
                [0, 0, 0],
                [0, 0, 0],
                T[:3, 3].tolist(),
                [0, 0, 0, 1],
                quaternion_of(T).tolist(),
            )
        )
        api.changeConstraint(self._constraint, maxForce=2000.0)
        world.extra_bodies["sheet"] = self.body

    @property
    def moved(self) -> bool:
        """Whether the pull has begun."""
        return self._start_s is not None

    def arm(self, world: World) -> None:
        """An attempt begins: the pull follows after the drawn delay, once a scene."""
        if self._start_s is None:
            self._start_s = world.time_s + self._wait_s

    def before_step(self, world: World) -> None:
        """Move the sheet along its path."""
        if self._start_s is None:
            return
        share = (world.time_s - self._start_s) / self.settings.duration_s
        if -0.01 <= share <= 1.05:
            T = self._pose(float(np.clip(share, 0.0, 1.0)))
            world.api.changeConstraint(self._constraint, T[:3, 3].tolist(), quaternion_of(T).tolist(), maxForce=2000.0)

    def motion(self) -> tuple[float, float]:
        """Distance (m) and turn (rad, positive) of the whole pull."""
        T = invert(self._pose(0.0)) @ self._pose(1.0)
        return float(np.linalg.norm(T[:3, 3])), float(abs(self._turn_rad))

    def snapshot(self) -> Any:
        """When it was armed."""
        return self._start_s

    def restore(self, world: World, state: Any) -> None:
        """Back to then."""
        self._start_s = state
        share = 0.0 if state is None else (world.time_s - state) / self.settings.duration_s
        T = self._pose(float(np.clip(share, 0.0, 1.0)))
        world.api.changeConstraint(self._constraint, T[:3, 3].tolist(), quaternion_of(T).tolist(), maxForce=2000.0)

    def _pose(self, share: float) -> Array:
        s = share * share * (3.0 - 2.0 * share)
        x, y = self._from + s * self._shift_m * np.array([np.cos(self._towards), np.sin(self._towards)])
        return transform([x, y, self._z], Rotation.from_euler("z", s * self._turn_rad))
