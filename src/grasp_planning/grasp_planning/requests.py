# SPDX-License-Identifier: Apache-2.0
"""A request, checked: what every embedded planner works on, and how it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import numpy as np
from pydantic import Field

from grasp_core.config import Config
from grasp_core.geometry import Array, NotRigidError, check_rigid, rotation_of, transform
from grasp_core.planning import PlanOptions, PlanResult, PlanStatus
from grasp_core.ports import JointState

from .model import Chain, Pair, PlanningModel
from .timing import MotionLimits

# A measured joint may stand this far (rad or m) outside its range; planning then starts from the border.
START_SLACK = 2e-3
# The motion box is left this early (m): between two samples that a planner checks, the guard looks too.
BOX_MARGIN_M = 2e-4
# Stands for the motion box in pairs of bodies that touch.
MOTION_BOX = "the motion box"

Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class PlanSettings(Config):
    """How the embedded planners work, whatever the request."""

    seed: Annotated[int, Field(ge=1)] = 1
    """Seed of every request: equal requests give equal paths."""
    search_step: Positive = 0.02
    """Largest joint distance (rad or m, 2-norm) between collision checks while searching."""
    final_step: Positive = 0.01
    """The same when the finished path is checked once more."""
    goals: Count = 8
    """Most solutions of the inverse kinematics that are tried as goals of one pose."""
    ik_seeds: Count = 40
    """Random seeds from which such solutions are looked for."""
    range: Positive = 1.0
    """Longest edge of the search tree (rad or m, 2-norm)."""
    window: Positive = 3.2
    """How far beyond start and goals a joint may go (rad or m), where its range is wider."""
    shortcuts: Annotated[int, Field(ge=0)] = 50
    """Random shortcuts tried on a found path."""
    max_blend: Positive = 0.5
    """Longest part of a segment (in seconds at full speed) that the rounding of a corner replaces."""
    clearance_m: Annotated[float, Field(ge=0.0)] = 0.01
    """A search first keeps this distance from what stands around the robot, or what start and goal leave of it."""
    clearance_s: Positive = 0.5
    """Longest time that a search takes for it; then touching nothing is enough."""
    line_step_m: Positive = 0.01
    """Distance between inverse kinematics solutions on a Cartesian line."""
    line_step_rad: Positive = 0.05
    """The same for the rotation on the way."""
    line_jump: Positive = 0.4
    """A joint that would have to move more (rad or m) from one solution to the next ends the line."""


class Refusal(Exception):
    """Why there is no plan; becomes a ``PlanResult`` at the planner's boundary."""

    def __init__(self, status: PlanStatus, message: str, contacts: tuple[Pair, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.contacts = contacts


class Task:
    """One checked request: where the arm is, what it may touch, how long the search may take, and where time goes.

    Args:
        model: the robot.
        arm: which arm, or none for the first.
        start: of all the arm's joints, others may be missing.
        options: of the request.
        environment: whether the obstacles count for this planner at all.
        on_stage: told the name of each stage when it begins.

    Raises:
        Refusal: the request makes no sense; the message says why.
    """

    def __init__(
        self,
        model: PlanningModel,
        arm: str | None,
        start: JointState,
        options: PlanOptions,
        environment: bool = True,
        on_stage: Callable[[str], None] | None = None,
    ) -> None:
        self._on_stage = on_stage
        self.options = options
        self.environment = environment and options.check_environment
        self.stages_ms: dict[str, float] = {}
        self._started = time.perf_counter()
        try:
            self.chain: Chain = model.chain(arm)
        except KeyError as error:
            raise _invalid(str(error.args[0])) from error
        positions = start.as_dict()
        if missing := [name for name in self.chain.joints if name not in positions]:
            raise _invalid(f"the start state lacks {', '.join(missing)} of arm {self.chain.arm}")
        if unknown := [name for name, value in positions.items() if not np.isfinite(value)]:
            raise _invalid(f"the start state of {', '.join(unknown)} is not finite")
        self.posture = model.posture(arm, positions)
        self.start = self._inside(np.array([positions[name] for name in self.chain.joints]), START_SLACK, "start")
        self.limits: MotionLimits = self.chain.limits.scaled(options.speed_scale)
        # As the guard has it: from outside of the motion box ways may lead back, but not farther out.
        self._outside_m = self.posture.outside_m(self.start, BOX_MARGIN_M)
        self._margin_m = 0.0

    @property
    def remaining_s(self) -> float:
        """What is left of the request's time for searching."""
        return self.options.timeout_s - (time.perf_counter() - self._started)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time spent inside to a stage."""
        if self._on_stage is not None:
            self._on_stage(name)
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.stages_ms[name] = self.stages_ms.get(name, 0.0) + 1e3 * (time.perf_counter() - begun)

    @property
    def search_s(self) -> float:
        """How long a search may take now."""
        return max(0.0, self.remaining_s if self._margin_m == 0.0 else min(self._clearance_s, 0.5 * self.remaining_s))

    @contextmanager
    def keeping_clear(self, margin_m: float, limit_s: float = 0.0) -> Iterator[None]:
        """Inside, what stands nearer than ``margin_m`` counts as touching; searches end after ``limit_s``."""
        before, self._margin_m, self._clearance_s = self._margin_m, margin_m, limit_s
        try:
            yield
        finally:
            self._margin_m = before

    def contacts(self, q: Array, first_only: bool = True) -> tuple[Pair, ...]:
        """What touches at ``q`` [n] and must not; a tool that is outside of the motion box touches it."""
        found = self.posture.contacts(q, self.environment, self.options.allowed_contacts, first_only, self._margin_m)
        if not (found and first_only) and self.posture.outside_m(q, BOX_MARGIN_M) > self._outside_m:
            found = (*found, (MOTION_BOX, f"arm {self.chain.arm}"))
        return found

    def all_free(self, positions: Array) -> bool:
        """Whether nothing touches at any of [m, n]."""
        return not any(self.contacts(q) for q in positions)

    def first_contact(self, positions: Array) -> tuple[Pair, ...]:
        """What touches at the first of [m, n] where something does."""
        return next((touching for q in positions if (touching := self.contacts(q))), ())

    def check_start(self) -> None:
        """Refuse a start in collision."""
        if touching := self.contacts(self.start, first_only=False):
            raise Refusal(PlanStatus.START_IN_COLLISION, f"at the start {in_words(touching)}", touching)

    def joint_goal(self, goal: Mapping[str, float]) -> Array:
        """The goal [n] that names some joints; the others keep their place."""
        if unknown := [name for name in goal if name not in self.chain.joints]:
            raise _invalid(
                f"arm {self.chain.arm} has no joint {', '.join(unknown)}; it has {', '.join(self.chain.joints)}"
            )
        here = dict(zip(self.chain.joints, self.start.tolist(), strict=True))
        target = np.array([float({**here, **goal}[name]) for name in self.chain.joints])
        if not np.isfinite(target).all():
            raise _invalid(f"the joint goal {dict(goal)} is not finite")
        return self._inside(target, 1e-9, "goal")

    def pose_goal(self, T_base_tcp: Array) -> Array:
        """The tool pose with its rotation made exactly orthonormal."""
        try:
            T = check_rigid(T_base_tcp, "the tool pose")
        except (NotRigidError, TypeError, ValueError) as error:
            raise _invalid(str(error)) from error
        return transform(T[:3, 3], rotation_of(T))

    def reach_goal(self, T_base_tcp: Array) -> str:
        """The pose in words, for refusals."""
        x, y, z = T_base_tcp[:3, 3]
        return f"the tool of arm {self.chain.arm} at ({x:.3f}, {y:.3f}, {z:.3f})"

    def _inside(self, q: Array, slack: float, what: str) -> Array:
        low, high = self.chain.lower, self.chain.upper
        for name, value, a, b in zip(self.chain.joints, q, low, high, strict=True):
            if not a - slack <= value <= b + slack:
                status = PlanStatus.INVALID_REQUEST if what == "start" else PlanStatus.UNREACHABLE
                raise Refusal(status, f"the {what} has {name} at {value:.4f}; its range is {a:.4f} to {b:.4f}")
        return np.clip(q, low, high)


def refused(refusal: Refusal, stages_ms: Mapping[str, float] | None = None) -> PlanResult:
    """The result that tells a refusal."""
    return PlanResult(refusal.status, None, str(refusal), refusal.contacts, dict(stages_ms or {}))


def in_words(contacts: tuple[Pair, ...]) -> str:
    """Contacts as part of a sentence."""
    return ", ".join(f"the tool of {b} leaves {a}" if a == MOTION_BOX else f"{a} touches {b}" for a, b in contacts)


def _invalid(message: str) -> Refusal:
    return Refusal(PlanStatus.INVALID_REQUEST, message)
