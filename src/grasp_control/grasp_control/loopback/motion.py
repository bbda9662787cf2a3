# SPDX-License-Identifier: Apache-2.0
"""How the loopback controller moves its joints: one small motion generator for each kind of command.

A generator's ``step(q, qd, dt_s, scale)`` returns the next positions and velocities; ``scale`` is the speed slider,
which acts on moves and not on servo and speed commands, as on the real controller. ``done`` says that it came to rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from grasp_core.geometry import Array

STILL_RAD_S = 1e-4


class Motion(Protocol):
    """One motion."""

    done: bool

    def step(self, q: Array, qd: Array, dt_s: float, scale: float) -> tuple[Array, Array]:
        """Positions and velocities after ``dt_s``."""
        ...


@dataclass
class Hold:
    """Stay."""

    done: bool = True

    def step(self, q: Array, qd: Array, dt_s: float, scale: float) -> tuple[Array, Array]:
        """Where it is, at rest."""
        return q, np.zeros_like(q)


@dataclass
class Stop:
    """Decelerate every joint."""

    deceleration: float
    done: bool = False

    def step(self, q: Array, qd: Array, dt_s: float, scale: float) -> tuple[Array, Array]:
        """All joints in proportion, so that the path is kept straight in joint space."""
        speed = float(np.abs(qd).max())
        left = max(0.0, speed - self.deceleration * dt_s)
        after = qd * (left / speed if speed > 0.0 else 0.0)
        self.done = left <= STILL_RAD_S
        return q + 0.5 * (qd + after) * dt_s, np.zeros_like(qd) if self.done else after


@dataclass
class Line:
    """From where it is through points [k, n], at rest at each of them, with trapezoids of speed along each piece."""

    points: Sequence[Array]
    speed: float
    acceleration: float
    done: bool = False
    _from: Array | None = None
    _next: int = 0
    _s: float = 0.0
    _v: float = 0.0

    @property
    def progress(self) -> int:
        """Number of the point that it is moving to."""
        return self._next

    def step(self, q: Array, qd: Array, dt_s: float, scale: float) -> tuple[Array, Array]:
        """Along the present piece; ``s`` runs in the joint that has the longest way."""
        if self._from is None:
            self._from = q.copy()
        goal = self.points[self._next]
        way = goal - self._from
        length = float(np.abs(way).max())
        before = self._s
        if length > 1e-12 and scale > 0.0:
            left = length - self._s
            allowed = min(self.speed, np.sqrt(2.0 * self.acceleration * max(left, 0.0)))
            self._v = min(self._v + self.acceleration * dt_s * scale, allowed)
            self._s = min(length, self._s + self._v * dt_s * scale)
        if length - self._s <= 1e-6:
            self._from, self._s, self._v = goal.copy(), 0.0, 0.0
            self._next += 1
            self.done = self._next >= len(self.points)
            self._next = min(self._next, len(self.points) - 1)
            return goal.copy(), np.zeros_like(q)
        rate = (self._s - before) / dt_s
        return self._from + way * (self._s / length), way * (rate / length)


@dataclass
class Curve:
    """Along a curve ``q(s)``, 0 <= s <= length (metres), with a trapezoid of speed: straight lines of the tool."""

    at: Callable[[float], Array]
    length: float
    speed: float
    acceleration: float
    done: bool = False
    _s: float = 0.0
    _v: float = 0.0

    def step(self, q: Array, qd: Array, dt_s: float, scale: float) -> tuple[Array, Array]:
        """Along the curve."""
        left = self.length - self._s
        if scale > 0.0:
            self._v = min(self._v + self.acceleration * dt_s * scale, self.speed, np.sqrt(2 * self.acceleration * left))
            self._s = min(self.length, self._s + max(self._v, 1e-6) * dt_s * scale)
        self.done = self.length - self._s <= 1e-7
        after = self.at(self._s)
        return after, np.zeros_like(q) if self.done else (after - q) / dt_s


@dataclass
class Servo:
    """Follow a target that changes every cycle, smoothed by the look-ahead time, within speed and acceleration."""

    limits: Array
    acceleration: Array
    target: Array = field(default_factory=lambda: np.zeros(0))
    lookahead_s: float = 0.1
    done: bool = False

    def aim(self, target: Array, lookahead_s: float) -> None:
        """A new target."""
        self.target, self.lookahead_s = target, max(lookahead_s, 0.01)

    def step(self, q: Array, qd: Array, dt_s: float, scale: float) -> tuple[Array, Array]:
        """Towards the target, critically damped with a time constant of half the look-ahead."""
        omega = 2.0 / self.lookahead_s
        wanted = np.clip((self.target - q) * omega * 0.5, -self.limits, self.limits)
        change = np.clip(
            (wanted - qd) * min(1.0, 2.0 * omega * dt_s), -self.acceleration * dt_s, self.acceleration * dt_s
        )
        after = qd + change
        return q + after * dt_s, after


@dataclass
class Speed:
    """Joint speeds that are held for a time (0: until told otherwise), then decelerated."""

    wanted: Array
    acceleration: float
    time_s: float
    done: bool = False
    _spent_s: float = 0.0

    def step(self, q: Array, qd: Array, dt_s: float, scale: float) -> tuple[Array, Array]:
        """Towards the wanted speeds."""
        self._spent_s += dt_s
        wanted = self.wanted
        if self.time_s > 0.0 and self._spent_s > self.time_s:
            wanted = np.zeros_like(wanted)
        after = qd + np.clip(wanted - qd, -self.acceleration * dt_s, self.acceleration * dt_s)
        self.done = bool(np.abs(after).max() <= STILL_RAD_S and np.abs(wanted).max() == 0.0)
        return q + 0.5 * (qd + after) * dt_s, after
