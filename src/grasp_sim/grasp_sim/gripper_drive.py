# SPDX-License-Identifier: Apache-2.0
"""What every simulated gripper offers to the world, to the ports and to a bridge, and when it counts as stalled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from grasp_core.config import Config
from grasp_core.observation import GripperState
from grasp_core.ports import GripperLimits


class StallSettings(Config):
    """When fingers count as stopped by something."""

    speed_m_s: float = 0.005
    """Mean opening speed over ``duration_s`` below which fingers count as standing still; squeezing fingers tremble."""
    duration_s: float = 0.1
    """How long they must stand still."""
    reached_m: float = 0.0008
    """Distance to the commanded opening that counts as reached."""
    empty_m: float = 0.002
    """Opening above fully closed from which a stall means that something is held."""


class GripperDrive(Protocol):
    """A gripper's motors and couplings, commanded once and updated before every physics step."""

    @property
    def limits(self) -> GripperLimits:
        """Openings (m) and forces (N) that it takes."""
        ...

    @property
    def finger_links(self) -> tuple[int, ...]:
        """Link numbers of the fingers in the robot's body."""
        ...

    @property
    def finger_groups(self) -> tuple[tuple[int, ...], ...]:
        """Link numbers finger by finger."""
        ...

    def joints_at(self, width_m: float) -> dict[str, float]:
        """Position of every joint at an opening with nothing in between."""
        ...

    @property
    def settled(self) -> bool:
        """Whether the last command has come to its end: reached, or stalled."""
        ...

    def command_width(self, width_m: float, force_n: float) -> None:
        """Open or close to an opening with at most this force at each pad."""
        ...

    def command_joints(self, positions: Mapping[str, float]) -> None:
        """Move motor-driven joints (rad or m) of a hand; others stay.

        Raises:
            ValueError: a joint that has no motor of its own, or that is not there.
        """
        ...

    def update(self) -> None:
        """Command the motors for the next step."""
        ...

    def state(self) -> GripperState:
        """What it reports now."""
        ...

    def hold_here(self) -> None:
        """Take the present joint positions as commanded (after they were set without physics)."""
        ...

    def snapshot(self) -> Any:
        """State for ``restore``."""
        ...

    def restore(self, state: Any) -> None:
        """Back to a snapshot."""
        ...


class StallClock:
    """Counts how long the opening has stayed where it was.

    It may tremble: what counts is the way from where it was first seen standing, not the speed of each step.
    """

    def __init__(self, settings: StallSettings) -> None:
        self.settings = settings
        self.still_s = 0.0
        self._width_m: float | None = None

    def reset(self) -> None:
        """A new command: start over."""
        self.still_s, self._width_m = 0.0, None

    def tick(self, width_m: float, dt_s: float) -> None:
        """Once a step, with the present opening."""
        way_m = self.settings.speed_m_s * self.settings.duration_s
        if self._width_m is None or abs(width_m - self._width_m) > way_m:
            self._width_m, self.still_s = width_m, 0.0
        else:
            self.still_s += dt_s

    @property
    def still(self) -> bool:
        """Whether it has stood still for long enough."""
        return self.still_s >= self.settings.duration_s - 1e-9

    def snapshot(self) -> tuple[float, float | None]:
        """State for ``restore``."""
        return self.still_s, self._width_m

    def restore(self, state: tuple[float, float | None]) -> None:
        """Back to a snapshot."""
        self.still_s, self._width_m = state
