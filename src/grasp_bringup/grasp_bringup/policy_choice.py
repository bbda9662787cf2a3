# SPDX-License-Identifier: Apache-2.0
"""Which policy a graph runs with. Decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grasp_core import registry, resources
from grasp_core.cell_config import CellConfig
from grasp_core.resources import ResourceError

AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class PolicyChoice:
    """A policy with its checkpoint (empty: scripted), and why it was taken; ``policy`` is ``none`` for no policy."""

    policy: str
    checkpoint: str
    why: str


def choose_policy(cell: CellConfig, policy: str, checkpoint: str) -> PolicyChoice:
    """Settle the launch arguments ``policy`` and ``checkpoint``.

    Raises:
        ValueError: no such policy or checkpoint; the message lists what there is.
    """
    known = registry.names("grasp.policies")
    if policy == NONE:
        return PolicyChoice(NONE, "", "no policy was asked for")
    if policy == AUTO:
        return _automatic(cell, known, checkpoint)
    if policy not in known:
        raise ValueError(f"there is no policy {policy!r}; there is {', '.join((*known, AUTO, NONE))}")
    found = _checkpoint(checkpoint) if checkpoint else _own_checkpoint(policy)
    if not found and policy == cell.default_policy:
        raise ValueError(
            f"policy {policy} has no checkpoint in models/, and untrained it must not move a robot; train one, name "
            f"one with checkpoint:=PATH, or take policy:={cell.baseline_policy or NONE}"
        )
    return PolicyChoice(policy, found, f"policy {policy} was asked for")


def _automatic(cell: CellConfig, known: tuple[str, ...], checkpoint: str) -> PolicyChoice:
    learned, baseline = cell.default_policy, cell.baseline_policy
    if learned in known:
        found = _checkpoint(checkpoint) if checkpoint else _own_checkpoint(learned)
        if found:
            return PolicyChoice(learned, found, f"the learned policy {learned} with the checkpoint {found}")
    if checkpoint:
        raise ValueError(f"checkpoint:={checkpoint} needs a policy that can load it; name one with policy:=")
    if baseline in known:
        why = f"the scripted baseline {baseline}, because models/ has no checkpoint of {learned}"
        return PolicyChoice(baseline, "", why)
    return PolicyChoice(NONE, "", f"cell {cell.name} has no policy yet ({learned or 'none'} is not there)")


def _own_checkpoint(policy: str) -> str:
    try:
        return str(resources.find("models", policy))
    except ResourceError:
        return ""


def _checkpoint(name: str) -> str:
    path = Path(name).expanduser()
    if path.exists():
        return str(path.resolve())
    try:
        return str(resources.find("models", name))
    except ResourceError as error:
        raise ValueError(f"there is no checkpoint {name!r}: {error}") from None
