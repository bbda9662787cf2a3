# SPDX-License-Identifier: Apache-2.0
"""What the planners inside this process share, and the cheap one that only draws straight lines in joint space."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from grasp_core.geometry import Array
from grasp_core.planning import Box, Obstacle, PlanOptions, PlanResult, PlanStatus
from grasp_core.ports import JointState, JointTrajectory

from .line import follow_line
from .model import PlanningModel
from .paths import JointPath, rounded_paths, spaced
from .requests import PlanSettings, Refusal, Task, in_words, refused
from .timing import TimingError, rest, time_paths

# A goal this close to the start (rad or m) needs no motion.
SAME = 1e-6
# Two solutions of the inverse kinematics that differ by less in every joint are one.
DIFFERENT = 0.05


class EmbeddedPlanner(ABC):
    """A ``MotionPlanner`` on a ``PlanningModel``: checks requests, follows lines, times paths, words refusals.

    A back end finds the way between joint positions (``_connect``). Requests from several threads wait for each other.

    Args:
        model: the robot; it must not be used by others while a request is answered.
        settings: how to work.

    ``on_stage`` may be set to be told the name of each stage when it begins.
    """

    name = "embedded"
    avoids_environment = True
    searches = True
    keeps_clear = True

    def __init__(self, model: PlanningModel, settings: PlanSettings | None = None) -> None:
        self.model = model
        self.settings = settings or PlanSettings()
        self.on_stage: Callable[[str], None] | None = None
        self._lock = threading.Lock()

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Replace the obstacles beyond the cell's own furniture.

        Raises:
            ValueError: two obstacles share a name, or one has a link's name.
        """
        with self._lock:
            self.model.set_obstacles(obstacles)

    def set_held(self, arm: str | None, held: tuple[Box, ...]) -> None:
        """Replace what an arm's hand carries: boxes that move with its tool, each pose in the tool's frame.

        Raises:
            KeyError: no such arm.
            ValueError: two share a name, or one has a link's or an obstacle's name.
        """
        with self._lock:
            self.model.set_held(arm, held)

    def plan_to_joints(
        self, arm: str | None, start: JointState, goal: Mapping[str, float], options: PlanOptions
    ) -> PlanResult:
        """To joint positions; joints not named in ``goal`` keep their place."""

        def work(task: Task) -> JointTrajectory:
            target = task.joint_goal(goal)
            task.check_start()
            if touching := task.contacts(target, first_only=False):
                raise Refusal(PlanStatus.GOAL_IN_COLLISION, f"at the goal {in_words(touching)}", touching)
            return self._move(task, [target])

        return self._answer(arm, start, options, work)

    def plan_to_pose(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """To a pose of the tool, along any path."""

        def work(task: Task) -> JointTrajectory:
            target = task.pose_goal(T_base_tcp)
            task.check_start()
            with task.stage("ik"):
                goals = self._goals(task, target)
            return self._move(task, goals)

        return self._answer(arm, start, options, work)

    def plan_line(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """To a pose of the tool, its origin moving in a straight line and its orientation turning evenly."""

        def work(task: Task) -> JointTrajectory:
            target = task.pose_goal(T_base_tcp)
            task.check_start()
            with task.stage("ik"):
                path = follow_line(task, target, self.settings)
            if path is None:
                return rest(task.chain.joints, task.start)
            return self._timed(task, [path])

        return self._answer(arm, start, options, work)

    @abstractmethod
    def _connect(self, task: Task, goals: Sequence[Array], step: float) -> Array:
        """Waypoints [m, n] from the task's start to one of the goals, the segments between them checked every ``step``.

        Raises:
            Refusal: there is no way, or none was found in time.
        """

    def _goals(self, task: Task, T_base_tcp: Array) -> list[Array]:
        """Free joint positions that put the tool there, nearest first.

        Raises:
            Refusal: unreachable, or in collision whichever way it is reached.
        """
        free: list[Array] = []
        blocked: list[Array] = []
        for q in self._solutions(task, T_base_tcp):
            if all(np.abs(q - other).max() > DIFFERENT for other in (*free, *blocked)):
                (blocked if task.contacts(q) else free).append(q)
            if len(free) == self.settings.goals:
                break
        if not free and not blocked:
            where = task.reach_goal(T_base_tcp)
            raise Refusal(PlanStatus.UNREACHABLE, f"no joint positions within their ranges put {where}")
        if not free:
            touching = task.contacts(blocked[0], first_only=False)
            words = f"at the goal {in_words(touching)}; {len(blocked)} ways to reach it were tried, none is free"
            raise Refusal(PlanStatus.GOAL_IN_COLLISION, words, touching)
        return sorted(free, key=lambda q: float((np.abs(q - task.start) / task.chain.limits.velocity).max()))

    def _solutions(self, task: Task, T_base_tcp: Array) -> Iterator[Array]:
        """Solutions of the inverse kinematics, from the start and then from random seeds; some may be equal."""
        chain, rng = task.chain, np.random.default_rng(self.settings.seed)
        low = np.maximum(chain.lower, task.start - np.pi)
        high = np.minimum(chain.upper, task.start + np.pi)
        first = task.posture.ik(T_base_tcp, task.start)
        if first is None:
            # Many random seeds in one call: where this finds nothing, the rest would not either.
            first = task.posture.ik(T_base_tcp, task.start, rng)
            if first is None:
                return
        yield chain.near(first, task.start)
        for _ in range(self.settings.ik_seeds):
            q = task.posture.ik(T_base_tcp, rng.uniform(low, high))
            if q is not None:
                yield chain.near(q, task.start)

    def _move(self, task: Task, goals: Sequence[Array]) -> JointTrajectory:
        if np.abs(goals[0] - task.start).max() < SAME:
            return rest(task.chain.joints, task.start)
        for margin_m in self._margins(task, goals[0]):
            try:
                with task.keeping_clear(margin_m, self.settings.clearance_s):
                    return self._searched(task, goals)
            except Refusal as refusal:
                if (
                    refusal.status not in (PlanStatus.PATH_IN_COLLISION, PlanStatus.TIMED_OUT)
                    or task.remaining_s <= 0.0
                ):
                    raise
        return self._searched(task, goals)

    def _margins(self, task: Task, goal: Array) -> tuple[float, ...]:
        """The distance to keep, at most what start and goal leave; none where they leave nothing."""
        if not (self.searches and self.keeps_clear and task.environment):
            return ()
        for share in (1.0, 0.5, 0.25):
            margin_m = share * self.settings.clearance_m
            if margin_m == 0.0:
                break
            with task.keeping_clear(margin_m):
                if task.all_free(np.stack([task.start, goal])):
                    return (margin_m,)
        return ()

    def _searched(self, task: Task, goals: Sequence[Array]) -> JointTrajectory:
        # What only the finer final check saw is searched for again, closer.
        final = self.settings.final_step
        steps = (self.settings.search_step, final, 0.25 * final) if self.searches else (self.settings.search_step,)
        for step in steps[:-1]:
            try:
                return self._moved(task, goals, step)
            except Refusal as refusal:
                if refusal.status is not PlanStatus.PATH_IN_COLLISION or task.remaining_s <= 0.0:
                    raise
        return self._moved(task, goals, steps[-1])

    def _moved(self, task: Task, goals: Sequence[Array], step: float) -> JointTrajectory:
        waypoints = self._connect(task, goals, step)
        scale = task.chain.limits.velocity
        with task.stage("rounding"):
            ways = [rounded_paths(waypoints, scale, task.all_free, self.settings.max_blend, step)]
            if len(waypoints) > 2:
                # Where corners leave little room, stopping at them can be quicker than creeping round.
                ways.append(rounded_paths(waypoints, scale, lambda _: False))
        return self._timed(task, *ways)

    def _timed(self, task: Task, *ways: Sequence[JointPath]) -> JointTrajectory:
        """The quickest of several ways, timed, its points checked once more and more often where they are far apart."""
        with task.stage("time_parameterisation"):
            timed = [time_paths(task.chain.joints, paths, task.limits) for paths in ways]
        quickest = min(range(len(ways)), key=lambda i: timed[i].duration_s)
        with task.stage("check"), task.keeping_clear(0.0):
            step = self.settings.final_step
            if touching := task.first_contact(spaced(timed[quickest].positions, 0.1 * step, step)):
                raise Refusal(PlanStatus.PATH_IN_COLLISION, f"on the way {in_words(touching)}", touching)
        return timed[quickest]

    def _answer(
        self, arm: str | None, start: JointState, options: PlanOptions, work: Callable[[Task], JointTrajectory]
    ) -> PlanResult:
        with self._lock:
            try:
                task = Task(self.model, arm, start, options, self.avoids_environment, self.on_stage)
            except Refusal as refusal:
                return refused(refusal)
            try:
                trajectory = work(task)
            except Refusal as refusal:
                return refused(refusal, task.stages_ms)
            except TimingError as error:
                return refused(Refusal(PlanStatus.UNREACHABLE, str(error)), task.stages_ms)
            return PlanResult(PlanStatus.SUCCEEDED, trajectory, stages_ms=task.stages_ms)


class StraightLinePlanner(EmbeddedPlanner):
    """The cheap mode for training: straight in joint space or along a Cartesian line, blind to the environment.

    It avoids self-collision only, and it does not search: a straight way that is not free is refused.
    """

    name = "line"
    avoids_environment = False
    searches = False

    def __init__(self, model: PlanningModel, settings: PlanSettings | None = None) -> None:
        super().__init__(model, settings or PlanSettings(final_step=0.05))

    def _goals(self, task: Task, T_base_tcp: Array) -> list[Array]:
        nearest = task.posture.ik(T_base_tcp, task.start)
        if nearest is not None and not task.contacts(nearest):
            return [task.chain.near(nearest, task.start)]
        return super()._goals(task, T_base_tcp)

    def _connect(self, task: Task, goals: Sequence[Array], step: float) -> Array:
        return np.stack([task.start, goals[0]])
