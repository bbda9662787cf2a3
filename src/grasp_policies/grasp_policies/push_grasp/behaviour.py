# SPDX-License-Identifier: Apache-2.0
"""How data is collected: one table cleared by random actions, by the present networks, or by a mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grasp_core.cell import Cell
from grasp_core.config import Config
from grasp_policies.devices import torch_device
from grasp_policies.heightmaps.state import State, changed, look
from grasp_policies.push_grasp import checkpoint
from grasp_policies.push_grasp.choosing import at_random, choose
from grasp_policies.push_grasp.primitives import Choice, to_action
from grasp_policies.push_grasp.settings import GRASP, PRIMITIVES, ActingSettings, PushGraspConfig, Share
from grasp_policies.push_grasp.values import Evaluator

# Row of an episode that shows only how the last action left the table.
CLOSING = -1


class BehaviourSettings(Config):
    """How the tries of one stage are chosen."""

    random_share: Share = 1.0
    """Share of tries made at random; the others follow the networks of the stage before."""
    push_share: Share = 0.3
    """Share of pushes among the random tries."""
    epsilon: Share = 0.1
    """Share of the networks' decisions with a random primitive (paper: 0.5 falling to 0.1)."""
    temperature: Annotated[float, Field(ge=0.0)] = 0.05
    """Pixels are drawn with weight exp(Q / temperature); 0 takes the best."""
    futile_limit: Annotated[int, Field(ge=1)] = 6
    """A table is left after this many actions in a row that changed nothing."""


@dataclass(frozen=True)
class Episode:
    """What was tried on one table: arrays [T, ...] by name, and a summary that JSON can hold."""

    fields: dict[str, NDArray[Any]]
    info: dict[str, Any] = field(default_factory=dict)


def fields_of(config: PushGraspConfig) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of each array's row."""
    size = config.map.pixels
    return {
        "height": ((size, size), "uint16"),
        "rgb": ((size, size, 3), "uint8"),
        "choice": ((4,), "int16"),
        "success": ((), "uint8"),
        "changed": ((), "uint8"),
        "random": ((), "uint8"),
        "value": ((), "float32"),
    }


class Behaviour:
    """Clears tables and writes down what happened.

    Args:
        config: maps, primitives, networks.
        settings: how tries are chosen.
        folder: checkpoint to follow; none only where every try is random.

    Raises:
        ValueError: networks are to be followed and there is no checkpoint.
    """

    def __init__(
        self, config: PushGraspConfig, settings: BehaviourSettings, folder: Path | None, device: str = "cpu"
    ) -> None:
        self._config, self._settings = config, settings
        self._evaluator: Evaluator | None = None
        if settings.random_share < 1.0:
            if folder is None:
                raise ValueError(f"random_share is {settings.random_share}: a checkpoint to follow is needed")
            networks, trained = checkpoint.load(folder)
            self._evaluator = Evaluator({p: n.to(torch_device(device)) for p, n in networks.items()}, trained, device)
        self._acting = ActingSettings(epsilon=settings.epsilon, temperature=settings.temperature)

    def run_episode(self, cell: Cell, scene: str, seed: int, max_steps: int) -> Episode:
        """Clear one table, at most ``max_steps`` tries.

        Raises:
            SceneError: the scene cannot be made.
        """
        rng = np.random.default_rng((seed, 7))
        config = self._config
        state = look(cell.reset(scene, seed), config.map)
        rows: list[dict[str, Any]] = []
        reasons: Counter[str] = Counter()
        futile = 0
        while len(rows) < max_steps and futile < self._settings.futile_limit:
            decided = self._decide(state, rng)
            if decided is None:
                break
            choice, value, by_chance = decided
            action = to_action(choice, state, config.map, config.primitive)
            if action is None:
                futile += 1  # or the same choice without room could be made for ever
                continue
            outcome = cell.execute(action)
            after = look(outcome.observation, config.map)
            success = choice.primitive == GRASP and bool(outcome.success)
            different = success or changed(state, after)
            futile = 0 if different else futile + 1
            reasons[f"{PRIMITIVES[choice.primitive]}:{outcome.reason}"] += 1
            rows.append(row_of(state, choice, success, different, by_chance, value))
            state = after
        info = summary_of(rows, reasons)
        if rows:
            rows.append(row_of(state, Choice(CLOSING, 0, 0, 0), False, False, False, float("nan")))
        return Episode(columns_of(rows, config), info)

    def _decide(self, state: State, rng: np.random.Generator) -> tuple[Choice, float, bool] | None:
        if self._evaluator is None or rng.random() < self._settings.random_share:
            choice = at_random(state, self._config, self._settings.push_share, rng)
            return None if choice is None else (choice, float("nan"), True)
        values = {p: self._evaluator.values(state, p) for p in self._evaluator.networks}
        chosen = choose(values, self._config, self._acting, rng)
        return None if chosen is None else (chosen[0], max(v.best for v in values.values()), False)


def row_of(
    state: State, choice: Choice, success: bool, different: bool, by_chance: bool, value: float
) -> dict[str, Any]:
    """One try as a row of ``fields_of``."""
    return {
        "height": state.height,
        "rgb": state.rgb,
        "choice": (choice.primitive, choice.row, choice.column, choice.rotation),
        "success": success,
        "changed": different,
        "random": by_chance,
        "value": value,
    }


def columns_of(rows: list[dict[str, Any]], config: PushGraspConfig) -> dict[str, NDArray[Any]]:
    """Rows as arrays [T, ...]."""
    return {
        name: np.array([row[name] for row in rows], dtype=dtype).reshape(len(rows), *shape)
        for name, (shape, dtype) in fields_of(config).items()
    }


def summary_of(rows: list[dict[str, Any]], reasons: Mapping[str, int]) -> dict[str, Any]:
    """What an episode tells of itself, from its rows without the closing one."""
    grasps = [row for row in rows if row["choice"][0] == GRASP]
    pushes = [row for row in rows if row["choice"][0] != GRASP]
    return {
        "tries": len(rows),
        "grasps": len(grasps),
        "successes": sum(bool(row["success"]) for row in grasps),
        "pushes": len(pushes),
        "pushes_that_changed": sum(bool(row["changed"]) for row in pushes),
        "reasons": dict(reasons),
    }
