# SPDX-License-Identifier: Apache-2.0
"""The episode: observe, decide, carry out, judge, until the table is empty, the robot is stuck, or something breaks.

Knows nothing of ROS: a cell, somebody who decides and somebody who judges are handed in, so that the same loop runs on
a graph, in a simulated cell and on fakes. Whatever fails ends in a halted robot and a reason; nothing raises.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import Field

from grasp_core.actions import Action, Grasp, Push, Stop
from grasp_core.cell import Outcome, Reason
from grasp_core.config import Config
from grasp_core.observation import Observation
from grasp_core.policy import Decision, Goal
from grasp_core.ports import StateError
from grasp_episodes.judges import Judge, Judgement
from grasp_episodes.timing import StageClock

log = logging.getLogger(__name__)

# Something broke: a part of the robot or the graph, not the action. The robot is halted and made ready.
BREAKDOWNS = frozenset({Reason.MOTION_FAILED, Reason.GRIPPER_FAILED, Reason.STALE_STATE})


class EndedBy(StrEnum):
    """How an episode ended."""

    CLEARED = "cleared"
    STUCK = "stuck"
    STOPPED_BY_POLICY = "stopped_by_policy"
    MAX_ACTIONS = "max_actions"
    CANCELLED = "cancelled"
    FAILED = "failed"


class RunnerConfig(Config):
    """When an episode ends, and how often what failed is tried again."""

    max_actions: Annotated[int, Field(ge=0)] = 60
    """Actions before an episode ends; 0 for no limit."""
    max_attempts: Annotated[int, Field(ge=0)] = 0
    """Grasps tried before an episode ends; 0 for no limit."""
    stuck_after: Annotated[int, Field(ge=1)] = 10
    """The episode is stuck after so many actions in a row that changed nothing."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often in a row a part may fail and be tried again."""


class DecisionError(RuntimeError):
    """There is no decision; ``reason`` says whose fault it is, the message why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Decided:
    """A decision, when the picture behind it was taken, and when it was made (ns)."""

    decision: Decision
    observed_ns: int
    decided_ns: int


class Decider(Protocol):
    """Somebody who decides: a policy in this process, or one behind the action ``infer``."""

    def begin(self, goal: Goal, seed: int) -> None:
        """The next decision is the first of an episode."""
        ...

    def decide(self, observation: Observation, not_before_ns: int, cancel: threading.Event) -> Decided:
        """The next action, on a picture taken at ``not_before_ns`` or later.

        Raises:
            DecisionError: there is none.
        """
        ...


class EpisodeCell(Protocol):
    """What the runner needs of a cell, beyond ``observe`` and ``execute`` of ``grasp_core.cell.Cell``."""

    def observe(self) -> Observation:
        """See ``Cell``."""
        ...

    def execute(self, action: Action, observation: Observation | None = None) -> Outcome:
        """See ``Cell``."""
        ...

    def cancel(self) -> None:
        """End the running action."""
        ...

    def halt(self) -> None:
        """Every arm decelerates to a halt now, whoever moves it."""
        ...

    def make_ready(self) -> None:
        """Grippers open, arms ready."""
        ...

    def since_ns(self) -> int:
        """Pictures from before this time show another scene."""
        ...

    def now_ns(self) -> int:
        """The cell's time."""
        ...


@dataclass(frozen=True)
class StepRecord:
    """One action with everything that is worth keeping; see ``grasp_interfaces/msg/EpisodeStep``."""

    step: int
    decision: Decision
    outcome: Outcome
    judgement: Judgement
    observed_ns: int
    decided_ns: int
    started_ns: int | None
    ended_ns: int
    stages_s: Mapping[str, float]


@dataclass
class EpisodeRecord:
    """How an episode went.

    ``latest`` is the decision that is being carried out, or the last one; ``note`` is what the count of objects at the
    beginning left out, in words, which ``message`` tells too.
    """

    objects_start: int | None = None
    objects_left: int | None = None
    attempts: int = 0
    successes: int = 0
    actions: int = 0
    duration_s: float = 0.0
    ended_by: EndedBy = EndedBy.FAILED
    message: str = ""
    note: str = ""
    reasons: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)
    stages: list[Mapping[str, float]] = field(default_factory=list)
    latest: Decision | None = None


def _ignore(*_: object) -> None:
    return None


@dataclass
class Listeners:
    """Those who want to know; called from the runner's thread.

    Attributes:
        state: what is being done: "observing", "inferring", "executing", "judging", "recovering".
        step: an action has ended.
        health: a sentence when something outside the loop (a recorder) forbids to go on, otherwise none.
    """

    state: Callable[[str, EpisodeRecord], None] = _ignore
    step: Callable[[StepRecord, EpisodeRecord], None] = _ignore
    health: Callable[[], str | None] = _ignore


class _End(Exception):
    """Ends the episode."""

    def __init__(self, ended_by: EndedBy, message: str) -> None:
        super().__init__(message)
        self.ended_by = ended_by


class EpisodeRunner:
    """Runs one episode after another on a scene that is there already; ``cancel`` may come from any thread."""

    def __init__(
        self, cell: EpisodeCell, decider: Decider, judge: Judge, config: RunnerConfig, clock: StageClock,
        listeners: Listeners | None = None,
    ) -> None:  # fmt: skip
        self._cell, self._decider, self._judge, self._config = cell, decider, judge, config
        self._clock = clock
        self._listeners = listeners or Listeners()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End the running episode: the robot halts at once. Call again until ``run`` has returned."""
        self._cancelled.set()
        self._cell.cancel()

    def run(self, goal: Goal, seed: int) -> EpisodeRecord:
        """One episode from the first look to its end."""
        record = EpisodeRecord()
        begin = time.monotonic()
        self._cancelled.clear()
        try:
            self._run(goal, seed, record)
        except _End as end:
            record.ended_by, record.message = end.ended_by, str(end)
        except StateError as error:
            record.ended_by, record.message = EndedBy.FAILED, str(error)
            record.reasons[Reason.STALE_STATE] += 1
        if record.ended_by in (EndedBy.FAILED, EndedBy.CANCELLED):
            self._cell.halt()
        record.message = "; ".join(filter(None, (record.message, record.note)))
        record.duration_s = time.monotonic() - begin
        return record

    def _run(self, goal: Goal, seed: int, record: EpisodeRecord) -> None:
        self._decider.begin(goal, seed)
        record.objects_start = record.objects_left = self._judge.objects_left()
        record.note = self._judge.note()
        unchanged = failures = 0
        while True:
            self._check_limits(record, unchanged)
            try:
                step = self._one_step(record)
            except (DecisionError, StateError) as error:
                reason = error.reason if isinstance(error, DecisionError) else Reason.STALE_STATE
                failures += 1
                self._recover(reason, str(error), failures, record, move=False)
                continue
            self._count(step, record)
            self._check_end(step, record)
            if step.outcome.reason in BREAKDOWNS:
                failures += 1
                self._recover(step.outcome.reason, step.outcome.message, failures, record, move=True)
            else:
                failures = 0
            changed = step.judgement.changed or step.judgement.success
            if step.judgement.changed is None and isinstance(step.decision.action, Push):
                changed = True
            unchanged = 0 if changed else unchanged + 1

    def _one_step(self, record: EpisodeRecord) -> StepRecord:
        self._listeners.state("observing", record)
        self._clock.start()
        before = self._cell.observe()
        self._judge.before(before)
        self._listeners.state("inferring", record)
        decided = self._decide(before)
        self._end_if_cancelled()
        record.latest = decided.decision
        self._listeners.state("executing", record)
        # The guard judges the age of what was decided on, not of the joints that were read a moment ago.
        seen = Observation(
            before.frames, before.joint_positions, before.arms, decided.observed_ns, before.step, before.steps_left
        )
        begin = time.perf_counter()
        outcome = self._cell.execute(decided.decision.action, seen)
        self._clock.add("execute", begin)
        self._listeners.state("judging", record)
        begin = time.perf_counter()
        judgement = self._judged(outcome)
        self._clock.add("judge", begin)
        stages = {name: 1e-3 * ms for name, ms in decided.decision.stages_ms.items()} | self._clock.seconds
        return StepRecord(
            record.actions, decided.decision, outcome, judgement, decided.observed_ns, decided.decided_ns,
            self._clock.first_command_ns, self._cell.now_ns(), stages,
        )  # fmt: skip

    def _decide(self, before: Observation) -> Decided:
        begin = time.perf_counter()
        try:
            decided = self._decider.decide(before, self._cell.since_ns(), self._cancelled)
            # By the clock that tells when the first command leaves: another may be a tick ahead or behind.
            return replace(decided, decided_ns=self._cell.now_ns())
        finally:
            self._clock.add("decide", begin)

    def _judged(self, outcome: Outcome) -> Judgement:
        if outcome.reason in (Reason.CANCELLED, Reason.STOPPED_BY_POLICY):
            return Judgement(None, None, None, "nobody")
        try:
            return self._judge.after(outcome)
        except StateError as error:
            return Judgement(None, None, None, "nobody", f"could not be judged: {error}")

    def _count(self, step: StepRecord, record: EpisodeRecord) -> None:
        outcome, judged = step.outcome, step.judgement
        if judged.objects_left is not None:
            record.objects_left = judged.objects_left
        for intervention in outcome.interventions:
            record.limits[intervention.limit] += 1
        if not isinstance(outcome.requested, Stop):
            record.actions += 1
            record.stages.append(step.stages_s)
            if isinstance(outcome.requested, Grasp):
                record.attempts += outcome.commanded is not None
                record.successes += bool(judged.success)
            if judged.success is False or outcome.commanded is None:
                felt = isinstance(outcome.requested, Grasp) and outcome.success
                record.reasons[str(Reason.NOT_BROUGHT_AWAY if felt else outcome.reason)] += 1
        self._listeners.step(step, record)

    def _check_limits(self, record: EpisodeRecord, unchanged: int) -> None:
        self._end_if_cancelled()
        problem = self._listeners.health()
        if problem:
            raise _End(EndedBy.FAILED, problem)
        c = self._config
        if record.objects_left == 0:
            raise _End(EndedBy.CLEARED, "nothing is left in the work area")
        if unchanged >= c.stuck_after:
            raise _End(EndedBy.STUCK, f"the last {unchanged} actions changed nothing")
        if c.max_actions and record.actions >= c.max_actions:
            raise _End(EndedBy.MAX_ACTIONS, f"{record.actions} actions are over")
        if c.max_attempts and record.attempts >= c.max_attempts:
            raise _End(EndedBy.MAX_ACTIONS, f"{record.attempts} grasps are over")

    def _check_end(self, step: StepRecord, record: EpisodeRecord) -> None:
        if step.outcome.reason is Reason.CANCELLED:
            raise _End(EndedBy.CANCELLED, step.outcome.message or "cancelled")
        if step.outcome.reason is Reason.STOPPED_BY_POLICY:
            left = self._judge.objects_left()
            record.objects_left = left if left is not None else record.objects_left
            why = step.outcome.message or "the policy sees nothing to do"
            raise _End(EndedBy.CLEARED if left == 0 else EndedBy.STOPPED_BY_POLICY, why)

    def _end_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise _End(EndedBy.CANCELLED, "cancelled")

    def _recover(self, reason: Reason, message: str, failures: int, record: EpisodeRecord, move: bool) -> None:
        """Halt; give up after too many failures in a row; otherwise make the robot ready for another try."""
        self._cell.halt()
        if not move:
            record.reasons[str(reason)] += 1
        self._end_if_cancelled()
        if failures > self._config.retries:
            raise _End(EndedBy.FAILED, f"{reason} {failures} times in a row, lastly: {message}")
        log.warning("%s (%s); try %d of %d", message, reason, failures, self._config.retries)
        self._listeners.state("recovering", record)
        if move:
            self._cell.make_ready()
