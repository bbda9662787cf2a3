# SPDX-License-Identifier: Apache-2.0
"""When to be where on a path: time parameterisation within velocity, acceleration and jerk limits.

A straight path is timed by Ruckig (Berscheid and Kroeger, RSS 2021), which is optimal there. A curved one takes three
steps, each of which keeps the geometry of the path untouched:

1. TOPPRA (Pham and Pham, IEEE T-RO 34(3), 2018) finds the fastest s(t) within velocity and acceleration limits. Its
   acceleration jumps, so its jerk has no bound.
2. s(t) is averaged over a sliding window. The result is one degree smoother: its third derivative is bounded by the
   jump of the second over the window. On a straight path this turns a trapezoidal speed profile into the S-curve.
3. Exact joint derivatives follow from the chain rule. What still exceeds a limit is cured by running the whole motion
   slower by one factor. Several windows are tried; the quickest result is taken.

The motion starts and ends at rest, with zero acceleration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import toppra
from ruckig import InputParameter, Ruckig, RuckigError, Trajectory
from scipy.interpolate import PPoly
from scipy.optimize import minimize_scalar
from toppra.algorithm import TOPPRA
from toppra.constraint import (
    DiscretizationType,
    JointAccelerationConstraint,
    LinearConstraint,
)

from grasp_core.geometry import Array
from grasp_core.ports import JointTrajectory

from .paths import JointPath

toppra.setup_logging("ERROR")

# Time between points of a trajectory. Controllers interpolate by quintics between points with accelerations.
SAMPLE_S = 0.02
# Sampled velocity, acceleration and jerk exceed no limit by more than this share.
TOLERANCE = 0.01
# Gridpoints of TOPPRA in each span of a path, and samples per span at which limits are checked.
GRID = 24
SPAN_CHECKS = 32
# Share of the jerk limit that the path's third derivative alone may use up; the rest is for changes of speed.
CURVE_JERK = 0.5
# The limits are checked at samples; what may hide between two of them is covered by this.
MARGIN = 0.003


class TimingError(ValueError):
    """A path cannot be timed; the message says why."""


@dataclass(frozen=True)
class MotionLimits:
    """Greatest velocity, acceleration and jerk of each joint [n]; rad or m, per s, s^2 and s^3."""

    velocity: Array
    acceleration: Array
    jerk: Array

    def __post_init__(self) -> None:
        for name in ("velocity", "acceleration", "jerk"):
            value = getattr(self, name)
            if value.shape != self.velocity.shape or not (np.isfinite(value).all() and (value > 0.0).all()):
                raise ValueError(
                    f"{name} limits are {value.tolist()}; {len(self.velocity)} positive numbers are needed"
                )

    def scaled(self, share: float) -> MotionLimits:
        """The given share of every limit."""
        return MotionLimits(share * self.velocity, share * self.acceleration, share * self.jerk)

    def excess(self, path: JointPath, s: Array, sd: Array, sdd: Array, sddd: Array) -> float:
        """How many times too fast a motion s(t) is, given by samples [k]: slowed by it, all limits are kept."""
        q1, q2, q3 = path(s, 1), path(s, 2), path(s, 3)
        sd, sdd, sddd = sd[:, None], sdd[:, None], sddd[:, None]
        velocity = np.abs(q1 * sd) / self.velocity
        acceleration = np.abs(q2 * sd**2 + q1 * sdd) / self.acceleration
        jerk = np.abs(q3 * sd**3 + 3.0 * q2 * sd * sdd + q1 * sddd) / self.jerk
        return max(float(velocity.max()), float(acceleration.max()) ** 0.5, float(jerk.max()) ** (1.0 / 3.0))


def time_paths(
    names: tuple[str, ...], paths: Sequence[JointPath], limits: MotionLimits, sample_s: float = SAMPLE_S
) -> JointTrajectory:
    """Time paths that follow one another; the motion rests where one ends and the next starts.

    Args:
        names: the joints [n].
        paths: at least one.
        limits: of these joints, already scaled.
        sample_s: largest time between points.

    Raises:
        TimingError: TOPPRA found no timing.
    """
    times, values = (
        [np.zeros(1)],
        [np.stack([paths[0](paths[0].path_interval[0]), *np.zeros((2, len(names)))])[:, None]],
    )
    for path in paths:
        t, q, qd, qdd = _time_path(path, limits, sample_s)
        times.append(times[-1][-1] + t[1:])
        values.append(np.stack([q, qd, qdd])[:, 1:])
    q, qd, qdd = np.concatenate(values, axis=1)
    qd[-1] = qdd[-1] = 0.0
    return JointTrajectory(names, np.concatenate(times), q, qd, qdd)


def rest(names: tuple[str, ...], position: Array, sample_s: float = SAMPLE_S) -> JointTrajectory:
    """The trajectory that stays at ``position`` [n]: two points, for controllers that refuse one."""
    q = np.stack([position, position])
    return JointTrajectory(names, np.array([0.0, sample_s]), q, np.zeros_like(q), np.zeros_like(q))


def _time_path(path: JointPath, limits: MotionLimits, sample_s: float) -> tuple[Array, Array, Array, Array]:
    """Times [k] from 0, positions, velocities and accelerations [k, n] along one path, from rest to rest."""
    motion = (_straight(path, limits) if path.is_straight else None) or _curved(path, limits)
    t = np.linspace(0.0, motion.duration_s, max(3, int(np.ceil(motion.duration_s / sample_s)) + 1))
    s, sd, sdd, _ = motion(t)
    q1 = path(s, 1)
    return t, path(s), q1 * sd[:, None], path(s, 2) * sd[:, None] ** 2 + q1 * sdd[:, None]


def _straight(path: JointPath, limits: MotionLimits) -> _Straight | None:
    """On a straight path the joint limits are limits of s itself, and Ruckig's answer is the fastest there is.

    None where Ruckig fails: it does so, rarely, where two of its kinds of profile meet.
    """
    start, end = (float(s) for s in path.path_interval)
    rate = np.maximum(np.abs(path(start, 1)), 1e-12)
    request = InputParameter(1)
    request.current_position, request.target_position = [start], [end]
    request.max_velocity = [float((limits.velocity / rate).min())]
    request.max_acceleration = [float((limits.acceleration / rate).min())]
    request.max_jerk = [float((limits.jerk / rate).min())]
    trajectory = Trajectory(1)
    try:
        Ruckig(1).calculate(request, trajectory)
    except RuckigError:
        return None
    return _Straight(trajectory, (start, end))


class _Straight:
    """s(t) of Ruckig."""

    def __init__(self, trajectory: Trajectory, span: tuple[float, float]) -> None:
        self._trajectory = trajectory
        self._span = span
        self.duration_s = float(trajectory.duration)

    def __call__(self, t: Array) -> tuple[Array, Array, Array, Array]:
        """s and its first two derivatives at times [k]; the third is left zero."""
        rows = np.array([[value[0] for value in self._trajectory.at_time(float(moment))[:3]] for moment in t]).T
        return np.clip(rows[0], *self._span), rows[1], rows[2], np.zeros_like(t)


def _curved(path: JointPath, limits: MotionLimits) -> _Averaged:
    profile = _fastest(path, limits)
    fastest_s = float(profile.x[-1])
    # Full acceleration reached at full jerk takes this long: the window of the S-curve, for the slowest joint.
    nominal_s = float((limits.acceleration / limits.jerk).max())
    low, high = np.log(0.05 * nominal_s), np.log(max(4.0 * nominal_s, fastest_s))
    found = minimize_scalar(
        lambda log_window: _slowed(path, limits, profile, float(np.exp(log_window)))[1],
        bounds=(low, high),
        method="bounded",
        options={"maxiter": 14, "xatol": 0.05},
    )
    window_s = float(np.exp(found.x))
    return _Averaged(profile, window_s, _slowed(path, limits, profile, window_s)[0])


def _fastest(path: JointPath, limits: MotionLimits) -> PPoly:
    """TOPPRA's s(t) as a piecewise quadratic polynomial."""
    # Closer at the ends of each span, where speeds change most per length.
    inner = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, GRID + 1))
    grid = np.unique((path.spans[:-1, None] + np.diff(path.spans)[:, None] * inner).ravel())
    grid = grid[np.concatenate([[True], np.diff(grid) > 1e-9 * path.length])]
    grid[-1] = path.spans[-1]
    constraints = [
        _SpeedLimit(limits),
        JointAccelerationConstraint(
            np.stack([-limits.acceleration, limits.acceleration], axis=1),
            discretization_scheme=DiscretizationType.Interpolation,
        ),
    ]
    solver = TOPPRA(constraints, path, gridpoints=grid, solver_wrapper="seidel")
    _, sd, _ = solver.compute_parameterization(0.0, 0.0)
    if sd is None or not np.isfinite(sd).all() or (sd[1:-1] <= 0.0).any():
        raise TimingError(f"TOPPRA found no timing of a path of length {path.length:.3g} within the joint limits")
    dt = 2.0 * np.diff(grid) / (sd[:-1] + sd[1:])
    coefficients = np.stack([0.5 * np.diff(sd) / dt, sd[:-1], grid[:-1]])
    return PPoly(coefficients, np.concatenate([[0.0], np.cumsum(dt)]))


class _SpeedLimit(LinearConstraint):
    """Bounds the path's speed by the joints' velocity limits and, where it bends sharply, by their jerk limits."""

    def __init__(self, limits: MotionLimits) -> None:
        super().__init__()
        self.dof = len(limits.velocity)
        self._limits = limits

    def compute_constraint_params(self, path: JointPath, gridpoints: Array) -> tuple[Array | None, ...]:
        """TOPPRA's form: bounds [k, 2] of the squared speed, no other terms."""
        tiny = 1e-12
        by_velocity = (self._limits.velocity / np.maximum(np.abs(path(gridpoints, 1)), tiny)).min(axis=1)
        by_jerk = (CURVE_JERK * self._limits.jerk / np.maximum(np.abs(path(gridpoints, 3)), tiny)).min(axis=1)
        fastest = np.minimum(by_velocity, np.cbrt(by_jerk))
        return None, None, None, None, None, None, np.stack([np.zeros_like(fastest), fastest**2], axis=1)


def _slowed(path: JointPath, limits: MotionLimits, profile: PPoly, window_s: float) -> tuple[float, float]:
    """Factor by which the averaged motion has to be slowed, and its duration then."""
    motion = _Averaged(profile, window_s, 1.0)
    # The second derivative jumps where the profile's does and again a window later; the third is constant in between.
    events = np.union1d(profile.x, profile.x + window_s)
    gaps = np.diff(events)[:, None]
    t = (events[:-1, None] + gaps * np.array([1e-6, 0.25, 0.5, 0.75, 1.0 - 1e-6])).ravel()
    # The path's derivatives change most in short spans: the times of some s in each, found better the second time.
    spread = np.linspace(0.0, 1.0, SPAN_CHECKS)
    inside = (path.spans[:-1, None] + np.diff(path.spans)[:, None] * spread).ravel()
    for _ in range(2):
        t = np.union1d(t, np.interp(inside, motion(t)[0], t))
    slow = limits.excess(path, *motion(t)) * (1.0 + MARGIN)
    return slow, slow * motion.duration_s


class _Averaged:
    """s(t) averaged over a window that slides along it, then slowed by a factor; it rests before and after."""

    def __init__(self, profile: PPoly, window_s: float, slow: float) -> None:
        end_s = float(profile.x[-1])
        self.duration_s = slow * (end_s + window_s)
        self._window_s, self._slow = window_s, slow
        self._span = (float(profile.c[2, 0]), float(profile(end_s)))
        coefficients = np.zeros((3, profile.c.shape[1] + 2))
        coefficients[:, 1:-1] = profile.c
        coefficients[2, [0, -1]] = self._span
        knots = np.concatenate([[-window_s - 1.0], profile.x, [end_s + window_s + 1.0]])
        position = PPoly(coefficients, knots)
        self._orders = [position.antiderivative(), position, position.derivative(), position.derivative(2)]

    def __call__(self, t: Array) -> tuple[Array, Array, Array, Array]:
        """s and its first three derivatives at times [k] from 0 to ``duration_s``."""
        late = np.asarray(t) / self._slow
        values = [(order(late) - order(late - self._window_s)) / self._window_s for order in self._orders]
        s, sd, sdd, sddd = (value / self._slow**k for k, value in enumerate(values))
        return np.clip(s, *self._span), sd, sdd, sddd
