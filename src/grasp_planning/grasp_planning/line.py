# SPDX-License-Identifier: Apache-2.0
"""Following a Cartesian line: the tool's origin moves straight, its orientation turns evenly the shortest way."""

from __future__ import annotations

import numpy as np

from grasp_core.geometry import Array, difference, interpolate
from grasp_core.planning import PlanStatus

from .paths import JointPath, spline_path
from .requests import PlanSettings, Refusal, Task, in_words

# Between solutions the tool may be off the line by this much; more solutions are computed until it is not.
STRAIGHT_M = 2e-4
STRAIGHT_RAD = 2e-3
REFINEMENTS = 4
MIN_POINTS = 13
# Convergence of each solution: tighter than a robot needs, since the spline's third derivative amplifies what remains.
EXACT_M = 1e-10
ITERATIONS = 25
MAX_STEP = 0.3
# A Jacobian with a smaller singular value (m or rad per rad or m) makes a pose singular.
SINGULAR = 0.05


def follow_line(task: Task, T_goal: Array, settings: PlanSettings) -> JointPath | None:
    """The joint path that moves the tool in a line from the task's start to ``T_goal``; none when it is there already.

    Raises:
        Refusal: half a turn (no single way round), or ``LINE_INCOMPLETE`` with the share that can be reached and what
            ends it: a joint's limit, a singular or unreachable pose, a jump, or a collision.
    """
    T_start = task.posture.fk(task.start)
    length_m, angle = difference(T_start, T_goal)
    if angle > np.pi - 1e-6:
        raise Refusal(
            PlanStatus.INVALID_REQUEST, "the line turns the tool by half a turn, which has no single way round"
        )
    if length_m < 1e-6 and angle < 1e-6:
        return None
    count = max(MIN_POINTS, int(np.ceil(max(length_m / settings.line_step_m, angle / settings.line_step_rad))) + 1)
    for _ in range(REFINEMENTS):
        poses = list(interpolate(T_start, T_goal, count))
        points = _solutions(task, poses, length_m, settings)
        path = spline_path(points, task.chain.limits.velocity)
        if _is_straight(task, path, T_start, T_goal, count):
            inside = path(np.linspace(*path.path_interval, 4 * count))
            over = np.maximum(task.chain.lower - inside, inside - task.chain.upper).max(axis=0)
            if over.max() <= 1e-6:
                return path
            joint = task.chain.joints[int(over.argmax())]
            raise Refusal(PlanStatus.LINE_INCOMPLETE, f"along the line joint {joint} swings beyond its range")
        count = 2 * count - 1
    message = (
        f"the tool cannot be kept within {STRAIGHT_M * 1e3:.1f} mm of the line: it passes close to a singular pose"
    )
    raise Refusal(PlanStatus.LINE_INCOMPLETE, message)


def _solutions(task: Task, poses: list[Array], length_m: float, settings: PlanSettings) -> Array:
    """Joints [m, n] for each pose, each reached from the one before."""
    points = [task.start]
    for k, T in enumerate(poses[1:], start=1):
        reached = (k - 1) / (len(poses) - 1)
        where = f"the line ends after {100.0 * reached:.0f} % ({1e3 * reached * length_m:.0f} mm)"
        q, why = _track(task, points[-1], T)
        if q is None:
            raise Refusal(PlanStatus.LINE_INCOMPLETE, f"{where}: {why}")
        step = np.abs(q - points[-1])
        if step.max() > settings.line_jump:
            joint = task.chain.joints[int(step.argmax())]
            why = f"joint {joint} would have to jump by {step.max():.2f} to stay on it (singular pose)"
            raise Refusal(PlanStatus.LINE_INCOMPLETE, f"{where}: {why}")
        if touching := task.contacts(q):
            raise Refusal(PlanStatus.LINE_INCOMPLETE, f"{where}: {in_words(touching)}", touching)
        points.append(q)
    return np.stack(points)


def _track(task: Task, q: Array, T: Array) -> tuple[Array | None, str]:
    """Newton's method from ``q`` to pose ``T``; a joint that meets its limit stays there and the others go on."""
    posture, chain = task.posture, task.chain
    before = q
    scale = chain.limits.velocity
    locked = np.zeros(len(q), dtype=bool)
    for _ in range(ITERATIONS):
        error = _error(posture.fk(q), T)
        if np.abs(error).max() < EXACT_M:
            return q, ""
        J = posture.jacobian(q) * scale
        J[:, locked] = 0.0
        step = scale * np.linalg.lstsq(J, error, rcond=1e-4)[0]
        step *= min(1.0, MAX_STEP / max(float(np.abs(step).max()), 1e-12))
        wanted = q + step
        q = np.clip(wanted, chain.lower, chain.upper)
        locked |= np.abs(wanted - q) > 1e-12
    if locked.any():
        names = ", ".join(name for name, stuck in zip(chain.joints, locked, strict=True) if stuck)
        return None, f"joint limit of {names}"
    smallest = float(np.linalg.svd(posture.jacobian(before), compute_uv=False)[min(5, len(q) - 1)])
    if smallest < SINGULAR:
        return None, "the arm is stretched out or singular there"
    return None, "no joint positions reach on from there"


def _error(T: Array, T_goal: Array) -> Array:
    """Translation and small-angle rotation vector [6] from one pose to the other, in base axes."""
    R = T_goal[:3, :3] @ T[:3, :3].T
    turn = 0.5 * np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    return np.concatenate([T_goal[:3, 3] - T[:3, 3], turn])


def _is_straight(task: Task, path: JointPath, T_start: Array, T_goal: Array, count: int) -> bool:
    """Whether the tool is on the line halfway between the solutions too."""
    start, end = path.path_interval
    middles = start + (np.arange(count - 1) + 0.5) * (end - start) / (count - 1)
    wanted = list(interpolate(T_start, T_goal, 2 * count - 1))[1::2]
    for s, T in zip(middles, wanted, strict=True):
        error = _error(task.posture.fk(path(s)), T)
        if np.linalg.norm(error[:3]) > STRAIGHT_M or np.linalg.norm(error[3:]) > STRAIGHT_RAD:
            return False
    return True
