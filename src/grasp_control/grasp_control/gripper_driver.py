# SPDX-License-Identifier: Apache-2.0
"""What a gripper driver offers beyond ``grasp_core.ports.Gripper``, and what all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from grasp_core.observation import GripperState
from grasp_core.ports import Cancel, Gripper, GripperLimits
from grasp_description.grippers import GripperSpec


class GripperDriver(Gripper, Protocol):
    """A gripper's driver, made from a name, the gripper's data and a mapping of settings."""

    @property
    def problem(self) -> str:
        """Why it takes no command, in words; empty where it is ready."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What has happened how often, for diagnostics."""
        ...

    def stop(self) -> None:
        """Stop the fingers now."""
        ...

    def close(self) -> None:
        """Let go of the gripper's connection."""
        ...


class FingerData:
    """Openings as joint positions, from the gripper's description."""

    def __init__(self, spec: GripperSpec, prefix: str = "") -> None:
        self._spec, self._prefix = spec, prefix
        self.limits = GripperLimits(*spec.stroke_m, *spec.force_n)

    def clamp(self, width_m: float, force_n: float) -> tuple[float, float]:
        """Opening and force within the gripper's limits."""
        low, high = self.limits.min_force_n, self.limits.max_force_n
        return min(max(width_m, self.limits.min_width_m), self.limits.max_width_m), min(max(force_n, low), high)

    def positions(self, width_m: float) -> dict[str, float]:
        """Position of every joint of the gripper at an opening, rad or m."""
        joints = self._spec.all_joints({self._spec.driver: self._spec.driver_position(width_m)})
        return {self._prefix + name: value for name, value in joints.items()}


def refuse_preshape(name: str, positions: Mapping[str, float], _: Cancel | None = None) -> GripperState:
    """For grippers without joints of their own.

    Raises:
        ValueError: always; it names the first joint.
    """
    raise ValueError(f"gripper {name} has no joint {next(iter(positions), '')!r} that can be moved by itself")
