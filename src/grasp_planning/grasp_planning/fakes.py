# SPDX-License-Identifier: Apache-2.0
"""A planning model with known answers, for tests: the gantry of ``grasp_core.fakes`` among boxes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grasp_core.cell_config import BoxRegion
from grasp_core.fakes import GANTRY_JOINTS, GANTRY_LIMITS, FakeKinematics
from grasp_core.geometry import Array, apply, invert
from grasp_core.planning import Box, Obstacle
from grasp_core.ports import JointState

from .model import Chain, Pair, outside_m
from .timing import MotionLimits


class GantryModel:
    """The gantry carries a ball of 5 cm around its tool; only boxes are obstacles. Every answer is exact."""

    radius_m = 0.05
    arms = ("arm",)

    def __init__(self) -> None:
        self.obstacles: tuple[Box, ...] = ()
        self.held: tuple[Box, ...] = ()
        self.motion_box: BoxRegion | None = None
        limits = list(GANTRY_LIMITS.values())
        speed = np.array([limit.velocity for limit in limits])
        self._chain = Chain(
            "arm",
            GANTRY_JOINTS,
            np.array([limit.lower for limit in limits]),
            np.array([limit.upper for limit in limits]),
            MotionLimits(speed, 2.0 * speed, 20.0 * speed),
            np.array([False, False, False, True]),
        )

    def chain(self, arm: str | None) -> Chain:
        """The gantry's joints."""
        if arm not in (None, *self.arms):
            raise KeyError(f"no arm {arm!r}; there is {', '.join(self.arms)}")
        return self._chain

    def posture(self, arm: str | None, joints: Mapping[str, float]) -> GantryPosture:
        """The gantry; it has no other joints."""
        return GantryPosture(self, self.chain(arm))

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Remember boxes."""
        if len({o.name for o in obstacles}) != len(obstacles):
            raise ValueError("two obstacles share a name")
        self.obstacles = tuple(o for o in obstacles if isinstance(o, Box))

    def set_held(self, arm: str | None, held: tuple[Box, ...]) -> None:
        """Remember them; the ball is large enough for what it carries."""
        self.chain(arm)
        self.held = held


class GantryPosture:
    """The gantry's answers."""

    def __init__(self, model: GantryModel, chain: Chain) -> None:
        self._model, self.chain = model, chain
        self._kinematics = FakeKinematics()

    def fk(self, q: Array) -> Array:
        """Tool pose."""
        return self._kinematics.fk(dict(zip(GANTRY_JOINTS, q, strict=True)))

    def named(self, q: Array) -> dict[str, float]:
        """Positions by name."""
        return dict(zip(GANTRY_JOINTS, q.tolist(), strict=True))

    def jacobian(self, q: Array) -> Array:
        """Each joint moves one coordinate."""
        J = np.zeros((6, 4))
        J[[0, 1, 2, 5], [0, 1, 2, 3]] = 1.0
        return J

    def ik(self, T_base_tcp: Array, seed: Array, rng: np.random.Generator | None = None) -> Array | None:
        """The one solution, or none."""
        joints = self._kinematics.ik(T_base_tcp, {})
        return None if joints is None else np.array([joints[name] for name in GANTRY_JOINTS])

    def contacts(
        self,
        q: Array,
        environment: bool = True,
        allowed: frozenset[str] = frozenset(),
        first_only: bool = True,
        margin_m: float = 0.0,
    ) -> tuple[Pair, ...]:
        """Boxes that the ball touches, or comes nearer than the margin."""
        if not environment:
            return ()
        found = []
        for box in self._model.obstacles:
            local = apply(invert(box.T_base_box), q[:3])
            outside = np.maximum(np.abs(local) - 0.5 * np.array(box.size_m), 0.0)
            if box.name not in allowed and np.linalg.norm(outside) < self._model.radius_m + margin_m:
                found.append((box.name, "tool"))
        return tuple(found)

    def outside_m(self, q: Array, margin_m: float = 0.0) -> float:
        """How far the tool is outside of the model's motion box."""
        box = self._model.motion_box
        return 0.0 if box is None else outside_m(box, q[:3], margin_m)


def at(x: float, y: float, z: float, yaw: float = 0.0) -> JointState:
    """The gantry at rest."""
    return JointState.at_rest(dict(zip(GANTRY_JOINTS, (x, y, z, yaw), strict=True)))
