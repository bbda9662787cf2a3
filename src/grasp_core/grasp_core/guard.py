# SPDX-License-Identifier: Apache-2.0
"""The guard between every decision and every port. On by default; it counts what it clips and refuses.

It knows nothing of tasks: limits in, the allowed command or a refusal out. Steps are clipped to their limits; a grasp
or a whole trajectory is never bent into something else, it is refused; one that is only too fast is stretched.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.actions import Action, Grasp, Push, Step
from grasp_core.cell import Intervention
from grasp_core.cell_config import BoxRegion, Limits
from grasp_core.geometry import Array, transform
from grasp_core.motion_samples import MOST_SAMPLES, Motion, sample
from grasp_core.observation import Observation
from grasp_core.ports import GripperLimits, JointState, JointTrajectory, Kinematics

# Rounding that a joint's range forgives (rad or m).
RANGE_SLACK = 1e-6


@dataclass(frozen=True)
class JointLimit:
    """Range (rad or m) and greatest speed (rad/s or m/s) of a joint; a continuous joint has an infinite range."""

    lower: float
    upper: float
    velocity: float


class Refused(Exception):
    """The guard let nothing through; ``interventions`` says why."""

    def __init__(self, interventions: tuple[Intervention, ...]) -> None:
        super().__init__("; ".join(i.message for i in interventions))
        self.interventions = interventions


class Guard:
    """Enforces a cell's limits on actions, trajectories and gripper commands.

    Args:
        limits: the cell's.
        joints: limits of every joint that is moved, by name.
        kinematics: says where the tool is.
        now_ns: the clock that stamps of observations and joint states are compared with.
    """

    def __init__(
        self,
        limits: Limits,
        joints: Mapping[str, JointLimit],
        kinematics: Kinematics,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.limits = limits
        self._joints = dict(joints)
        self._kinematics = kinematics
        self._now_ns = now_ns
        self._counts: Counter[str] = Counter()
        self._listeners: list[list[Intervention]] = []
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, int]:
        """How often each limit stepped in since the guard was made."""
        with self._lock:
            return dict(self._counts)

    @contextmanager
    def listen(self) -> Iterator[list[Intervention]]:
        """Collects what steps in while the context is open, on every level: action, trajectories, gripper."""
        heard: list[Intervention] = []
        with self._lock:
            self._listeners.append(heard)
        try:
            yield heard
        finally:
            with self._lock:
                self._listeners = [listener for listener in self._listeners if listener is not heard]

    def admit(self, action: Action, observation: Observation) -> tuple[Action, tuple[Intervention, ...]]:
        """The action that may be carried out instead of ``action``, decided on ``observation``, and what was clipped.

        Raises:
            Refused: stale observation, or a pose outside the workspace.
        """
        self._check_age(observation.stamp_ns, self.limits.max_observation_age_s, "the observation")
        if isinstance(action, Step):
            return self._admit_step(action, observation)
        if isinstance(action, Grasp):
            self._check_inside(action.T_base_tcp[:3, 3], "the grasp", action.arm)
            return action, ()
        if isinstance(action, Push):
            return self._admit_push(action)
        return action, ()

    def admit_trajectory(
        self, trajectory: JointTrajectory, state: JointState, arm: str | None
    ) -> tuple[JointTrajectory, tuple[Intervention, ...]]:
        """The trajectory that may be executed: as it is, or stretched in time where it was too fast.

        Raises:
            Refused: NaN, an unknown joint, a joint limit, a start away from the present state, a stale state, or a
                path that leaves the motion box. Looked at is the curve that a joint_trajectory_controller would follow.
        """
        self._check_age(state.stamp_ns, self.limits.max_state_age_s, "the joint state")
        self._check_numbers(trajectory, state)
        limits = self._limits_of(trajectory.names)
        start = state.select(trajectory.names).positions
        self._check_start(trajectory, start)
        try:
            motion = sample(trajectory, start)
        except ValueError as error:
            raise self._refusal("size", float(len(trajectory.times_s)), float(MOST_SAMPLES), str(error), "") from error
        self._check_range(motion, limits)
        points = self._tool_path(motion, state, arm)
        # What was looked at is the cubic through positions and velocities; accelerations would make it another curve.
        checked = replace(trajectory, accelerations=None)
        stretch = self._stretch(motion, limits, points)
        if stretch <= 1.0 + 1e-9:
            return checked, ()
        text = f"the trajectory was {stretch:.2f} times too fast and was stretched"
        return _stretched(checked, stretch), (self._count(Intervention("speed", stretch, 1.0, text, "times")),)

    def admit_preshape(self, positions: Mapping[str, float]) -> tuple[dict[str, float], tuple[Intervention, ...]]:
        """Positions of a hand's joints within their ranges; a joint whose range is not known is left to the hand.

        Raises:
            Refused: NaN or infinite.
        """
        admitted: dict[str, float] = {}
        found: tuple[Intervention, ...] = ()
        for name, value in positions.items():
            limit = self._joints.get(name, JointLimit(-np.inf, np.inf, np.inf))
            admitted[name], more = self._clip(f"preshape {name}", value, limit.lower, limit.upper, "rad")
            found += more
        return admitted, found

    def admit_gripper(
        self, width_m: float, force_n: float | None, limits: GripperLimits
    ) -> tuple[float, float | None, tuple[Intervention, ...]]:
        """Opening and force within the gripper's limits.

        Raises:
            Refused: NaN or infinite.
        """
        width, found = self._clip("gripper_width", width_m, limits.min_width_m, limits.max_width_m, "m")
        if force_n is None:
            return width, None, found
        force, more = self._clip("gripper_force", force_n, limits.min_force_n, limits.max_force_n, "N")
        return width, force, found + more

    def _clip(
        self, name: str, value: float, low: float, high: float, unit: str
    ) -> tuple[float, tuple[Intervention, ...]]:
        if not np.isfinite(value):
            raise self._refusal("not_finite", np.nan, 0.0, f"{name} is {value}", unit)
        allowed = min(max(value, low), high)
        if abs(allowed - value) <= 1e-9:
            return value, ()
        text = f"{name} {value:.4g} was clipped to {allowed:.4g}"
        return allowed, (self._count(Intervention(name, value, allowed, text, unit)),)

    def _admit_step(self, step: Step, observation: Observation) -> tuple[Step, tuple[Intervention, ...]]:
        found = []
        shift = step.T_delta[:3, 3].copy()
        rotvec = Rotation.from_matrix(step.T_delta[:3, :3]).as_rotvec()
        length, angle = float(np.linalg.norm(shift)), float(np.linalg.norm(rotvec))
        if length > self.limits.max_step_m:
            shift *= self.limits.max_step_m / length
            text = f"a step of {length:.3f} m was clipped to {self.limits.max_step_m} m"
            found.append(self._count(Intervention("step_translation", length, self.limits.max_step_m, text, "m")))
        if angle > self.limits.max_step_rad:
            rotvec = rotvec * (self.limits.max_step_rad / angle)
            text = f"a step of {angle:.3f} rad was clipped to {self.limits.max_step_rad} rad"
            found.append(self._count(Intervention("step_rotation", angle, self.limits.max_step_rad, text, "rad")))
        # Where the tool would end: the translation is turned into base axes and looked at there.
        box = self.limits.region(step.arm)
        R_base_frame = observation.axes(step.frame, step.arm)
        here = observation.arm(step.arm).T_base_tcp[:3, 3]
        there = here + R_base_frame @ shift
        outside_m, now_outside_m = _outside_m(box, there), _outside_m(box, here)
        if outside_m > 1e-9 and now_outside_m <= 1e-9:
            shift = R_base_frame.T @ (box.clamp(there) - here)
            text = f"a step led {outside_m:.3f} m out of the workspace and was clipped at its border"
            found.append(self._count(Intervention("workspace", outside_m, 0.0, text, "m")))
        elif outside_m > now_outside_m + 1e-9:
            # The guard never makes up a motion of its own: what leads farther out is left out, nothing is put in place.
            shift = np.zeros(3)
            text = f"the tool is {now_outside_m:.3f} m outside of the workspace and a step led farther out"
            found.append(self._count(Intervention("workspace", outside_m, now_outside_m, text, "m")))
        if not found:
            return step, ()
        return replace(step, T_delta=transform(shift, Rotation.from_rotvec(rotvec))), tuple(found)

    def _admit_push(self, push: Push) -> tuple[Push, tuple[Intervention, ...]]:
        self._check_inside(push.start, "the start of the push", push.arm)
        end = push.start + push.direction * push.length_m
        box = self.limits.region(push.arm)
        if box.contains(end, margin_m=1e-9):
            return push, ()
        with np.errstate(divide="ignore", invalid="ignore"):
            to_low = (np.array(box.min_m) - push.start) / push.direction
            to_high = (np.array(box.max_m) - push.start) / push.direction
        exits = np.where(push.direction > 0.0, to_high, np.where(push.direction < 0.0, to_low, np.inf))
        allowed = max(0.0, float(exits.min()))
        text = f"a push of {push.length_m:.3f} m was shortened to {allowed:.3f} m at the border of the workspace"
        found = self._count(Intervention("workspace", push.length_m, allowed, text, "m"))
        return replace(push, length_m=allowed), (found,)

    def _check_age(self, stamp_ns: int, limit_s: float, what: str) -> None:
        age_s = (self._now_ns() - stamp_ns) * 1e-9
        if age_s > limit_s:
            text = f"{what} is {age_s:.2f} s old (allowed {limit_s} s)"
            raise self._refusal("stale_state", age_s, limit_s, text, "s")
        if age_s < -limit_s:
            raise self._refusal("stale_state", age_s, limit_s, f"{what} has a stamp {-age_s:.2f} s in the future", "s")

    def _check_inside(self, point: Array, what: str, arm: str | None) -> None:
        box = self.limits.region(arm)
        if not box.contains(point, margin_m=1e-9):
            outside_m = float(np.linalg.norm(point - box.clamp(point)))
            where = ", ".join(f"{v:.3f}" for v in point)
            text = f"{what} at ({where}) lies {outside_m:.3f} m outside the workspace {box.min_m} .. {box.max_m}"
            raise self._refusal("workspace", outside_m, 0.0, text, "m")

    def _check_numbers(self, trajectory: JointTrajectory, state: JointState) -> None:
        if not (np.isfinite(state.positions).all() and np.isfinite(state.velocities).all()):
            raise self._refusal("not_finite", np.nan, 0.0, "the joint state contains NaN or infinity", "")
        for name in ("times_s", "positions", "velocities", "accelerations"):
            value = getattr(trajectory, name)
            if value is not None and not np.isfinite(value).all():
                raise self._refusal("not_finite", np.nan, 0.0, f"the trajectory's {name} contain NaN or infinity", "")

    def _limits_of(self, names: tuple[str, ...]) -> list[JointLimit]:
        unknown = [name for name in names if name not in self._joints]
        if unknown:
            text = f"the trajectory moves {', '.join(unknown)}, whose limits are not known"
            raise self._refusal("unknown_joint", float(len(unknown)), 0.0, text, "")
        return [self._joints[name] for name in names]

    def _check_range(self, motion: Motion, limits: list[JointLimit]) -> None:
        for i, (name, limit) in enumerate(zip(motion.names, limits, strict=True)):
            low, high = float(motion.positions[:, i].min()), float(motion.positions[:, i].max())
            if not (low >= limit.lower - RANGE_SLACK and high <= limit.upper + RANGE_SLACK):
                asked = low if low < limit.lower - RANGE_SLACK else high
                text = f"joint {name} would go to {asked:.3f}; its range is {limit.lower:.3f} to {limit.upper:.3f}"
                raise self._refusal(
                    "joint_range", asked, limit.lower if asked == low else limit.upper, text, "rad or m"
                )

    def _check_start(self, trajectory: JointTrajectory, start: Array) -> None:
        # A trajectory without a point at time 0 starts wherever the arm is.
        if trajectory.times_s[0] > 0.0:
            return
        gap = np.abs(trajectory.positions[0] - start)
        worst = int(gap.argmax())
        allowed = self.limits.max_start_error_rad
        if not gap[worst] <= allowed:
            text = f"the trajectory starts {gap[worst]:.3f} away from where {trajectory.names[worst]} is"
            raise self._refusal("start", float(gap[worst]), allowed, text, "rad or m")

    def _tool_path(self, motion: Motion, state: JointState, arm: str | None) -> Array:
        """The tool's origin at every sample [k, 3]; refused where it leaves the motion box."""
        joints = state.as_dict()
        points = np.empty((len(motion.times_s), 3))
        for k, row in enumerate(motion.positions):
            joints.update(zip(motion.names, row.tolist(), strict=True))
            points[k] = self._kinematics.fk(joints, arm)[:3, 3]
        if not np.isfinite(points).all():
            raise self._refusal(
                "not_finite", np.nan, 0.0, "the tool's pose cannot be computed for this trajectory", "m"
            )
        box = self.limits.motion_box
        start_m = _outside_m(box, points[0])
        for point in points[1:]:
            # Moving back from outside is allowed as long as it does not lead farther out.
            if not box.contains(point, margin_m=1e-6) and _outside_m(box, point) > start_m + 1e-3:
                where = ", ".join(f"{v:.3f}" for v in point)
                text = f"the tool's path leaves the motion box at ({where}); it spans {box.min_m} .. {box.max_m}"
                raise self._refusal("motion_box", _outside_m(box, point), 0.0, text, "m")
        return points

    def _stretch(self, motion: Motion, limits: list[JointLimit], points: Array) -> float:
        """How many times too fast the motion is."""
        if len(motion.times_s) < 2:
            return 1.0
        spans = np.diff(motion.times_s)
        tool = float((np.linalg.norm(np.diff(points, axis=0), axis=1) / spans).max()) / self.limits.max_tcp_speed_m_s
        allowed = np.array([limit.velocity for limit in limits]) * self.limits.joint_speed_share
        chords = float((np.abs(np.diff(motion.positions, axis=0)) / spans[:, None] / allowed).max())
        asked = float((np.abs(motion.velocities) / allowed).max())
        return max(1.0, tool, chords, asked)

    def _refusal(self, limit: str, asked: float, allowed: float, message: str, unit: str) -> Refused:
        return Refused((self._count(Intervention(limit, asked, allowed, message, unit)),))

    def _count(self, intervention: Intervention) -> Intervention:
        with self._lock:
            self._counts[intervention.limit] += 1
            for listener in self._listeners:
                listener.append(intervention)
        return intervention


def _outside_m(box: BoxRegion, point: Array) -> float:
    return float(np.linalg.norm(point - box.clamp(point)))


def _stretched(trajectory: JointTrajectory, factor: float) -> JointTrajectory:
    return replace(
        trajectory,
        times_s=trajectory.times_s * factor,
        velocities=None if trajectory.velocities is None else trajectory.velocities / factor,
        accelerations=None if trajectory.accelerations is None else trajectory.accelerations / factor**2,
    )
