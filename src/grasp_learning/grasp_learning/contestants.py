# SPDX-License-Identifier: Apache-2.0
"""The policies of an evaluation, and the process that carries out their runs."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from grasp_core import resources
from grasp_core.cell import SceneError
from grasp_core.config import Config, read_yaml
from grasp_learning.finding import find
from grasp_learning.protocols import Protocol, RunOrder
from grasp_learning.runs import RunRow, run_once
from grasp_learning.usage import digest
from grasp_learning.worker import make_cell, use_one_thread


class Contestant(Config):
    """One policy of an evaluation."""

    label: str
    policy: str
    checkpoint: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationOrder:
    """All that a process needs for its runs."""

    cell: str
    protocol: Protocol
    contestants: tuple[Contestant, ...]
    device: str


class Evaluator:
    """Lives in a process of its own: one cell, the policies, one thread."""

    def __init__(self, order: EvaluationOrder) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._order = order
        # Before the cell, which takes longer to make: what is refused is told at once.
        self._policies = {each.label: load_policy(each, order.device) for each in order.contestants}
        use_one_thread()
        self._cell = make_cell(order.cell, order.protocol.cell_options)

    def run(self, number: int, order: RunOrder) -> dict[str, Any]:
        """One run of a contestant; a scene that cannot be made is told as ``skipped``."""
        policy = self._policies[self._order.contestants[number].label]
        try:
            row = run_once(self._cell, policy, self._order.protocol, order)
        except SceneError as error:
            row = RunRow(order.name, order.number, order.seed, ended="skipped", message=str(error))
        return row.as_dict()

    def close(self) -> None:
        """Release the cell."""
        self._cell.close()


def load_policy(contestant: Contestant, device: str) -> Any:
    """Make the policy with its weights.

    Raises:
        UnknownNameError, ConfigError, ResourceError: it, its options or its checkpoint are refused.
    """
    factory = find("grasp.policies", contestant.policy)
    return factory.load(resources.find_checkpoint(contestant.checkpoint or ""), device, contestant.options)


def make_evaluator(index: int, order: EvaluationOrder) -> Evaluator:
    """For ``ParallelCells``."""
    return Evaluator(order)


def usual_checkpoint(policy: str) -> str | None:
    """The folder in models that has a policy's name, or none."""
    try:
        resources.find("models", policy)
    except resources.ResourceError:
        return None
    return policy


def trained_with(contestant: Contestant) -> dict[str, Any]:
    """What its checkpoint's card says of its configuration; empty without a checkpoint or a card."""
    folder = resources.find_checkpoint(contestant.checkpoint or "")
    card = None if folder is None else folder / "card.yaml"
    if card is None or not card.exists():
        return {}
    values = read_yaml(card)
    return {"config": values.get("config", {}), "data": values.get("data", {}), "updates": values.get("updates")}


def fingerprint(contestant: Contestant) -> str | None:
    """SHA-256 over the files of its checkpoint, to say which weights were evaluated; none without one."""
    path = resources.find_checkpoint(contestant.checkpoint or "")
    return None if path is None else digest(path)


def differences(contestants: Sequence[Contestant]) -> list[dict[str, Any]]:
    """For each contestant what is set otherwise than for the first: ``{"config.gamma": [0.5, 0.2], ...}``."""
    told = [_flat({"options": c.options, **trained_with(c), "policy": c.policy}) for c in contestants]
    first = told[0]
    return [
        {name: [first.get(name), mine.get(name)] for name in first | mine if first.get(name) != mine.get(name)}
        for mine in told
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
