# SPDX-License-Identifier: Apache-2.0
"""What the servo loop commands: a trajectory that is followed, or streamed steps. Each knows how to come to rest.

Setpoints never jump: a motion begins where the one before left the setpoint, with its velocity where it is a stream.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from grasp_control.messages import Follow, Stream
from grasp_core.geometry import Array
from grasp_core.ports import MotionStatus
from grasp_core.sampler import Sampler

# How much of the commanded path a lagging arm may be on (s).
LAG_S = 0.25
# Time constant with which a streamed step runs into its target (s).
STREAM_TAU_S = 0.1
# A trajectory that begins a little beside the arm is run into over at least so long (s of its own time).
BLEND_S = 0.3


class Trail:
    """The path commanded lately, for comparing a lagging arm with it."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, Array]] = deque()

    def add(self, time_s: float, setpoint: Array) -> None:
        """What is commanded at a moment of the controller's clock; a moment that was told already adds nothing."""
        if self._points and time_s <= self._points[-1][0]:
            return
        self._points.append((time_s, setpoint))
        while time_s - self._points[0][0] > LAG_S:
            self._points.popleft()

    def farthest(self, q: Array, allowed: Array) -> tuple[int, float] | None:
        """The joint that is farther off the path than allowed, and by how much; none where all are on it."""
        if not self._points:
            return None
        off = np.abs(np.stack([point for _, point in self._points]) - q) / allowed
        nearest = int(off.max(axis=1).argmin())
        worst = int(off[nearest].argmax())
        if off[nearest, worst] <= 1.0:
            return None
        return worst, float(off[nearest, worst] * allowed[worst])


class Following:
    """A trajectory on its way; time along it runs with ``scale``, 0 to 1.

    Args:
        follow: what is to be followed.
        start: setpoint at which it begins [n].
        limits: greatest speeds of the joints [n].
    """

    def __init__(self, follow: Follow, start: Array, limits: Array) -> None:
        self.follow, self.setpoint, self.velocity = follow, start.copy(), np.zeros_like(start)
        self.ending: tuple[MotionStatus, str] | None = None
        self.trail = Trail()
        self.progress_s = self.scale = 0.0
        self._wait_s = follow.wait_s
        self._sampler = Sampler(follow.trajectory, start)
        self._offset = start - self._sampler.at(0.0)[0]
        beside = float(np.abs(self._offset).max()) > 1e-9
        self.duration_s = max(self._sampler.duration_s, BLEND_S if beside else 0.0)
        peak = self._sampler.peak_speed() + 1.5 * np.abs(self._offset) / BLEND_S
        self._peak_share = max(float((peak / limits).max()), 1e-9)

    @property
    def over(self) -> bool:
        """Whether its end is commanded."""
        return self.progress_s >= self.duration_s

    def advance(self, dt_s: float, slider: float, speed_scale: float, ramp_s: float) -> None:
        """Let ``dt_s`` pass: time runs as fast as slider and share allow, and to a stop where it is being ended."""
        if self._wait_s > 0.0 and self.ending is None:
            self._wait_s -= dt_s
            return
        wanted = 0.0 if self.ending is not None else slider * min(1.0, speed_scale / self._peak_share)
        # The ramp's time holds for a motion at its greatest speed.
        step = dt_s / ramp_s
        self.scale += min(max(wanted - self.scale, -step), step)
        self.progress_s = min(self.progress_s + self.scale * dt_s, self.duration_s)
        position, velocity = self._sampler.at(self.progress_s)
        u = min(self.progress_s / BLEND_S, 1.0)
        self.setpoint = position + self._offset * (1.0 - u * u * (3.0 - 2.0 * u))
        self.velocity = self.scale * (velocity - self._offset * 6.0 * u * (1.0 - u) / BLEND_S)


class Streaming:
    """Streamed steps: towards the newest target with bounded speed and acceleration, to rest where no newer one comes.

    Args:
        setpoint, velocity: where it begins, and how fast [n].
    """

    def __init__(self, setpoint: Array, velocity: Array) -> None:
        self.setpoint, self.velocity = setpoint.copy(), velocity.copy()
        self.trail = Trail()
        self._newest: Stream | None = None
        self._at_s = -np.inf

    def take(self, stream: Stream, now_s: float) -> None:
        """A newer step."""
        self._newest, self._at_s = stream, now_s

    def brake(self) -> None:
        """To rest from now on."""
        self._newest = None

    def overdue(self, now_s: float) -> bool:
        """Whether it comes to rest: told to, or no newer step came in time."""
        return self._newest is None or now_s - self._at_s > self._newest.deadman_s

    def resting(self, now_s: float) -> bool:
        """Whether it has come to rest."""
        return self.overdue(now_s) and float(np.abs(self.velocity).max()) < 1e-6

    def advance(self, now_s: float, dt_s: float, limits: Array, stop_rad_s2: float, stream_rad_s2: float) -> None:
        """Let ``dt_s`` pass, no faster than ``limits`` [n]."""
        wanted, acceleration = np.zeros_like(self.velocity), stop_rad_s2
        if self._newest is not None and not self.overdue(now_s):
            left_s = max(self._newest.reach_s - (now_s - self._at_s), STREAM_TAU_S)
            wanted, acceleration = (self._newest.target - self.setpoint) / left_s, stream_rad_s2
        worst = float((np.abs(wanted) / np.maximum(limits, 1e-9)).max())
        wanted = wanted / max(1.0, worst)
        step = acceleration * dt_s
        self.velocity = self.velocity + np.clip(wanted - self.velocity, -step, step)
        self.setpoint = self.setpoint + self.velocity * dt_s
