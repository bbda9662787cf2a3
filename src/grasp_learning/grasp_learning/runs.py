# SPDX-License-Identifier: Apache-2.0
"""One evaluation run: a policy clears a table until it is empty or it is clear that it will not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from grasp_core.actions import Grasp, Stop, kind_of
from grasp_core.cell import Cell
from grasp_core.policy import Goal, Policy
from grasp_learning.judging import Judge, judge_of
from grasp_learning.protocols import Protocol, RunOrder


@dataclass
class ActionRow:
    """One action of a run.

    Attributes:
        kind: as in ``grasp_core.actions``.
        value: the policy's own.
        success: as the cell says; a grasp of the simulation counts by what was really picked.
        changed: whether anything moved.
        reason: one word why.
        picked: objects that it took away.
    """

    kind: str
    value: float
    success: bool | None
    changed: bool
    reason: str
    picked: int


@dataclass
class RunRow:
    """One run as it stands in the report.

    Attributes:
        place, number, seed: which run.
        objects: at the beginning; none where nobody knows.
        picked, lost: objects picked, and gone without having been picked.
        ended: ``empty``, ``no_change``, ``max_actions``, ``stopped`` (by the policy), ``skipped`` (no scene).
        message: more about the end.
        longest_futile, longest_failed: longest run of actions without change, and of failed grasps.
        complete: every object was picked, without too many failed grasps in a row.
        wall_s, thinking_s: duration, and the policy's share of it.
    """

    place: str
    number: int
    seed: int
    objects: int | None = None
    picked: int = 0
    lost: int = 0
    ended: str = ""
    message: str = ""
    longest_futile: int = 0
    longest_failed: int = 0
    complete: bool = False
    wall_s: float = 0.0
    thinking_s: float = 0.0
    actions: list[ActionRow] = field(default_factory=list)

    @property
    def grasps(self) -> list[ActionRow]:
        """Its grasps."""
        return [row for row in self.actions if row.kind == "grasp"]

    @property
    def grasp_success(self) -> float | None:
        """Successful grasps per grasp; none without a grasp."""
        grasps = self.grasps
        return sum(bool(g.success) for g in grasps) / len(grasps) if grasps else None

    @property
    def efficiency(self) -> float | None:
        """Objects picked per action; none without an action. In a complete run: objects per action."""
        return self.picked / len(self.actions) if self.actions else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "grasp_success": self.grasp_success, "action_efficiency": self.efficiency}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunRow:
        """Back from ``as_dict``."""
        known = {name: values[name] for name in cls.__dataclass_fields__ if name != "actions"}
        return cls(**known, actions=[ActionRow(**row) for row in values["actions"]])


def run_once(cell: Cell, policy: Policy, protocol: Protocol, order: RunOrder) -> RunRow:
    """Carry out one run.

    Raises:
        SceneError: the scene cannot be made.
    """
    row = RunRow(order.name, order.number, order.seed)
    begin = time.perf_counter()
    observation = cell.reset(order.place, order.seed)
    policy.reset(Goal(), order.seed)
    judge: Judge = judge_of(cell, protocol.moved_m, protocol.objects)
    row.objects = judge.begin(observation)
    left = row.objects
    learn = getattr(policy, "learn", None)
    futile = failed = 0
    while not row.ended:
        thought = time.perf_counter()
        decision = policy.act(observation)
        row.thinking_s += time.perf_counter() - thought
        if isinstance(decision.action, Stop):
            row.ended, row.message = "stopped", decision.action.reason
            break
        outcome = cell.execute(decision.action, observation)
        observation = outcome.observation
        change = judge.after(outcome)
        left = change.left
        is_grasp = isinstance(decision.action, Grasp)
        success = outcome.success
        if is_grasp and left is not None and "held_ids" in outcome.info:
            success = change.picked > 0
        row.picked += change.picked
        row.lost += change.lost
        row.actions.append(
            ActionRow(
                kind_of(decision.action),
                float(decision.value),
                None if success is None else bool(success),
                change.changed,
                str(outcome.reason),
                change.picked,
            )
        )
        if learn is not None:
            learn(outcome)
        futile = 0 if change.changed else futile + 1
        row.longest_futile = max(row.longest_futile, futile)
        if is_grasp:  # a push neither fails to grasp nor ends a row of grasps that failed
            failed = 0 if success else failed + 1
        row.longest_failed = max(row.longest_failed, failed)
        if left == 0:
            row.ended = "empty"
        elif futile > protocol.futile_limit:
            row.ended = "no_change"
        elif len(row.actions) >= protocol.max_actions:
            row.ended = "max_actions"
    if row.objects is None:
        # Nobody counted: an empty table is where the policy says so, and all that was there was picked.
        all_picked = row.ended == "stopped" and row.picked > 0
    else:
        all_picked = row.picked >= row.objects
        if all_picked:
            row.ended = "empty"
    row.complete = all_picked and row.longest_failed <= protocol.failed_limit
    row.wall_s = time.perf_counter() - begin
    return row
