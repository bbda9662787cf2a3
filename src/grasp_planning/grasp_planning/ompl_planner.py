# SPDX-License-Identifier: Apache-2.0
"""The embedded default: OMPL searches joint space, Coal says what touches.

The straight way to each goal is tried first, nearest goal first; most requests end there. Otherwise a planner of OMPL
(RRT-Connect: Kuffner and LaValle, ICRA 2000) connects the start to any of the goals, and OMPL's path simplifier
shortens what it found. Equal requests give equal paths: the random numbers start anew with every request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ompl import base as ob
from ompl import geometric as og
from ompl import util as ou

from grasp_core.geometry import Array
from grasp_core.planning import PlanStatus

from .embedded import EmbeddedPlanner
from .model import PlanningModel
from .paths import distinct
from .requests import PlanSettings, Refusal, Task, in_words

# Planners of OMPL that make sense here: they need no optimisation objective and stop at the first solution.
PLANNERS = ("RRTConnect", "RRT", "KPIECE1", "BKPIECE1", "LBKPIECE1", "PRM")
# OMPL's random numbers and messages belong to the process.
_OMPL = threading.Lock()


class OmplPlanner(EmbeddedPlanner):
    """Collision-free motions past whatever is in the way.

    Args:
        model: the robot; used by nobody else while a request is answered.
        settings: how to work.
        planner: one of ``PLANNERS``.

    Raises:
        ValueError: an unknown planner.
    """

    name = "ompl"

    def __init__(self, model: PlanningModel, settings: PlanSettings | None = None, planner: str = "RRTConnect") -> None:
        super().__init__(model, settings)
        if planner not in PLANNERS:
            raise ValueError(f"OMPL's planner {planner!r} is not offered; there are {', '.join(PLANNERS)}")
        self.planner = planner

    def _connect(self, task: Task, goals: Sequence[Array], step: float) -> Array:
        with task.stage("search"):
            for goal in goals:
                if task.all_free(_between(task.start, goal, step)):
                    return np.stack([task.start, goal])
        with _OMPL:
            ou.setLogLevel(ou.LogLevel.LOG_NONE)
            ou.RNG.setSeed(self.settings.seed)
            search = _Search(task, goals, self.settings, self.planner, step)
            try:
                with task.stage("search"):
                    path = search.solve()
                if path is None:
                    blocked = task.first_contact(_between(task.start, goals[0], step))
                    message = f"no way was found in {task.options.timeout_s:g} s; straight on, {in_words(blocked)}"
                    raise Refusal(PlanStatus.TIMED_OUT, message, blocked)
                with task.stage("shortcut"):
                    # Closer checks make each try dearer: fewer of them, so that the time stays about the same.
                    search.shorten(path, round(self.settings.shortcuts * step / self.settings.search_step))
                return distinct(search.waypoints(path), task.chain.limits.velocity)
            finally:
                search.close()


class _Search:
    """One problem of OMPL: the arm's joints between start and goals."""

    def __init__(self, task: Task, goals: Sequence[Array], settings: PlanSettings, planner: str, step: float) -> None:
        self._task = task
        ends = np.stack([task.start, *goals])
        low = np.maximum(task.chain.lower, ends.min(axis=0) - settings.window)
        high = np.minimum(task.chain.upper, ends.max(axis=0) + settings.window)
        bounds = ob.RealVectorBounds(len(low))
        for i, (a, b) in enumerate(zip(low, high, strict=True)):
            # OMPL refuses states that lie outside by a rounding error.
            bounds.setLow(i, float(a) - 1e-9)
            bounds.setHigh(i, float(b) + 1e-9)
        self._space = ob.RealVectorStateSpace(len(low))
        self._space.setBounds(bounds)
        self._size = len(low)
        self.information = ob.SpaceInformation(self._space)
        self.information.setStateValidityChecker(self._is_free)
        self.information.setStateValidityCheckingResolution(step / self._space.getMaximumExtent())
        self.information.setup()
        self._problem = ob.ProblemDefinition(self.information)
        self._add(self._problem.addStartState, task.start)
        region = ob.GoalStates(self.information)
        for goal in goals:
            self._add(region.addState, goal)
        self._problem.setGoal(region)
        self._planner = getattr(og, planner)(self.information)
        if hasattr(self._planner, "setRange"):
            self._planner.setRange(settings.range)
        self._planner.setProblemDefinition(self._problem)
        self._planner.setup()

    def solve(self) -> Any | None:
        """A path of OMPL, or none in the time that is left."""
        status = self._planner.solve(self._task.search_s)
        if status.getStatus() != ob.PlannerStatus.PlannerStatusType.EXACT_SOLUTION:
            return None
        return self._problem.getSolutionPath()

    def shorten(self, path: Any, steps: int) -> None:
        """Shorten a path in place; its end stays a goal."""
        simplifier = og.PathSimplifier(self.information)
        if steps:
            simplifier.reduceVertices(path)
            simplifier.partialShortcutPath(path, steps, steps)
            simplifier.reduceVertices(path)

    def waypoints(self, path: Any) -> Array:
        """A path's states [m, n]."""
        return np.array([[path.getState(k)[i] for i in range(self._size)] for k in range(path.getStateCount())])

    def close(self) -> None:
        """Let go of the validity checker: OMPL would keep it, and it this object, for ever."""
        self.information.setStateValidityChecker(_anything)

    def _add(self, receiver: Callable[[Any], None], q: Array) -> None:
        """Hand over a state; the receiver copies it."""
        state = self.information.allocState()
        for i, value in enumerate(q.tolist()):
            state[i] = value
        receiver(state)

    def _is_free(self, state: Any) -> bool:
        return not self._task.contacts(np.array([state[i] for i in range(self._size)]))


def _anything(state: Any) -> bool:
    return True


def _between(a: Array, b: Array, step: float) -> Array:
    """Positions [m, n] from a to b, both included, at most ``step`` (2-norm) apart."""
    count = max(2, int(np.ceil(np.linalg.norm(b - a) / step)) + 1)
    return a + np.linspace(0.0, 1.0, count)[:, None] * (b - a)
