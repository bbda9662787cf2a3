# SPDX-License-Identifier: Apache-2.0
"""A trajectory as a function of time, as upstream's joint_trajectory_controller interpolates it."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from grasp_core.geometry import Array
from grasp_core.ports import JointTrajectory


class Sampler:
    """Cubic where velocities are given, else linear; held at both ends.

    Args:
        trajectory: what to follow.
        start: positions [n] at time 0, where the trajectory begins later.
    """

    def __init__(self, trajectory: JointTrajectory, start: Array) -> None:
        times, positions, velocities = trajectory.times_s, trajectory.positions, trajectory.velocities
        if times[0] > 0.0:
            times = np.concatenate([[0.0], times])
            positions = np.concatenate([start[None], positions])
            if velocities is not None:
                velocities = np.concatenate([np.zeros((1, len(start))), velocities])
        self._times, self._positions = times, positions
        self.duration_s = float(times[-1])
        self._spline: CubicHermiteSpline | None = None
        if velocities is not None and len(times) > 1:
            self._spline = CubicHermiteSpline(times, positions, velocities, axis=0)
            self._rate = self._spline.derivative()

    def at(self, time_s: float) -> tuple[Array, Array]:
        """Positions and velocities [n] at a time."""
        if time_s >= self.duration_s:
            return self._positions[-1], np.zeros(self._positions.shape[1])
        t = max(time_s, 0.0)
        if self._spline is not None:
            return self._spline(t), self._rate(t)
        k = int(np.searchsorted(self._times, t, side="right")) - 1
        span = self._times[k + 1] - self._times[k]
        rate = (self._positions[k + 1] - self._positions[k]) / span
        return self._positions[k] + rate * (t - self._times[k]), rate

    def peak_speed(self) -> Array:
        """Greatest speed of each joint [n], zero for a single point at time 0."""
        if len(self._times) < 2:
            return np.zeros(self._positions.shape[1])
        spans = np.diff(self._times)[:, None]
        peak = np.abs(np.diff(self._positions, axis=0) / spans).max(axis=0)
        if self._spline is not None:
            # A cubic's speed is greatest at its ends or where its acceleration is zero.
            acceleration = self._rate.derivative()
            inner = -acceleration.c[1] / np.where(acceleration.c[0] == 0.0, np.inf, acceleration.c[0])
            inner = np.clip(np.nan_to_num(inner), 0.0, spans)
            a, b, c = self._rate.c
            peak = np.maximum(peak, np.abs((a * inner + b) * inner + c).max(axis=0))
            peak = np.maximum(peak, np.abs(self._rate(self._times)).max(axis=0))
        return np.asarray(peak, dtype=np.float64)
