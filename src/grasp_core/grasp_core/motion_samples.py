# SPDX-License-Identifier: Apache-2.0
"""A trajectory looked at finely: the curve that a joint_trajectory_controller follows, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from grasp_core.geometry import Array
from grasp_core.ports import JointTrajectory

# Farthest that a joint moves between two samples (rad, or m for a prismatic joint).
SAMPLE_RAD = 0.02
MOST_SAMPLES = 20_000


@dataclass(frozen=True)
class Motion:
    """Samples of a motion, the present state first: times [k], positions and velocities [k, n]."""

    names: tuple[str, ...]
    times_s: Array
    positions: Array
    velocities: Array


def sample(trajectory: JointTrajectory, start: Array) -> Motion:
    """Sample a trajectory from the present positions ``start`` [n] on, each segment as finely as its joints move.

    Between points with velocities the curve is cubic, between others straight, as upstream's controller has it.

    Raises:
        ValueError: more samples than ``MOST_SAMPLES``: the motion is too long to be looked at.
    """
    times, positions, velocities = trajectory.times_s, trajectory.positions, trajectory.velocities
    if times[0] > 0.0:
        times = np.concatenate([[0.0], times])
        positions = np.concatenate([start[None], positions])
        if velocities is not None:
            velocities = np.concatenate([np.zeros((1, positions.shape[1])), velocities])
    if len(times) == 1:
        return Motion(trajectory.names, times, positions, np.zeros_like(positions))
    spans = np.diff(times)
    travel = np.abs(np.diff(positions, axis=0))
    if velocities is not None:
        # A cubic may swing out between its ends by what its end velocities carry it.
        travel = travel + spans[:, None] * (np.abs(velocities[:-1]) + np.abs(velocities[1:]))
    wanted = np.maximum(2.0, np.ceil(travel.max(axis=1) / SAMPLE_RAD))
    if not wanted.sum() <= MOST_SAMPLES:
        raise ValueError(
            f"the motion needs {wanted.sum():.0f} samples to be looked at; at most {MOST_SAMPLES} are taken"
        )
    pieces = [np.linspace(times[k], times[k + 1], int(count), endpoint=False) for k, count in enumerate(wanted)]
    sampled = np.append(np.concatenate(pieces), times[-1])
    if velocities is not None:
        curve = CubicHermiteSpline(times, positions, velocities, axis=0)
        return Motion(trajectory.names, sampled, curve(sampled), curve.derivative()(sampled))
    columns = [np.interp(sampled, times, positions[:, i]) for i in range(positions.shape[1])]
    straight = np.stack(columns, axis=1)
    # Speeds of straight pieces are read off their chords.
    return Motion(trajectory.names, sampled, straight, np.zeros_like(straight))
