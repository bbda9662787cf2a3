# SPDX-License-Identifier: Apache-2.0
"""How data is collected: random tries in regions of interest, then tries drawn by the network of the stage before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grasp_core.cell import NOT_DONE, Cell, Outcome
from grasp_core.config import Config
from grasp_policies.heightmaps.state import State, look
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.scoring import Scorer, importance
from grasp_policies.patch_grasp.settings import CoarseAngles, PatchGraspConfig, Share
from grasp_policies.patch_grasp.table import Choice, at_random, region, to_action, windows

# Fewer object pixels than this are noise: the table is empty.
LEAST_PIXELS = 20


class BehaviourSettings(Config):
    """How the tries of one stage are chosen."""

    random_share: Share = 1.0
    """Share of tries made at random; the others are drawn by the network of the stage before."""
    patches: Annotated[int, Field(ge=1)] = 800
    """Patches among which a try is drawn, each at 18 angles (paper: 800)."""
    coarse_angles: CoarseAngles = 6
    """Angles at which an aligned network looks at every patch; between them scores are interpolated (paper: 18)."""
    fine_share: Share = 0.05
    """Share of the patches, the most promising, that it looks at from all 18 angles (paper: all)."""
    exponent: Annotated[float, Field(ge=0.0)] = 1.0
    """Tries are drawn with a weight of score ** exponent."""
    keep: Annotated[int, Field(ge=1)] | None = None
    """Draw among so many of the best patches and angles alone; none for all."""


@dataclass(frozen=True)
class Episode:
    """What was tried on one table: arrays [T, ...] by name, and a summary that JSON can hold."""

    fields: dict[str, NDArray[Any]]
    info: dict[str, Any] = field(default_factory=dict)


def fields_of(config: PatchGraspConfig) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of each array's row: the window around the grasp point, not the whole table."""
    size = config.window_px
    return {
        "height": ((size, size), "uint16"),
        "rgb": ((size, size, 3), "uint8"),
        "pixel": ((2,), "int16"),
        "angle": ((), "float32"),
        "success": ((), "uint8"),
        "held": ((), "int8"),
        "width_m": ((), "float32"),
        "force_n": ((), "float32"),
        "random": ((), "uint8"),
        "score": ((), "float32"),
    }


class Behaviour:
    """Tries grasps on a table and writes down what the gripper felt.

    Args:
        config: map, patches, network.
        settings: how tries are chosen.
        folder: checkpoint to follow; none only where every try is random.

    Raises:
        ValueError: a network is to be followed and there is no checkpoint.
    """

    def __init__(
        self, config: PatchGraspConfig, settings: BehaviourSettings, folder: Path | None, device: str = "cpu"
    ) -> None:
        self._config, self._settings = config, settings
        self._scorer: Scorer | None = None
        if settings.random_share < 1.0:
            if folder is None:
                raise ValueError(f"random_share is {settings.random_share}: a checkpoint to follow is needed")
            network, trained = checkpoint.load(folder)
            self._scorer = Scorer(network, trained, device, settings.coarse_angles, settings.fine_share)

    def run_episode(self, cell: Cell, scene: str, seed: int, max_steps: int) -> Episode:
        """Try up to ``max_steps`` grasps on one table; an empty table ends it, and the next episode lays a new one.

        Raises:
            SceneError: the scene cannot be made.
        """
        rng = np.random.default_rng((seed, 5))
        state = look(cell.reset(scene, seed), self._config.map)
        rows: list[dict[str, Any]] = []
        reasons: Counter[str] = Counter()
        arms: Counter[str] = Counter()
        skipped = 0
        while len(rows) + skipped < max_steps:
            decided = self._decide(state, rng)
            if decided is None:
                break
            choice, score, by_chance = decided
            action = to_action(choice, state, self._config)
            outcome = cell.execute(action)
            reasons[str(outcome.reason)] += 1
            if outcome.success is None or outcome.reason in NOT_DONE:
                # The grasp did not take place: it tells nothing of the patch.
                skipped += 1
            else:
                arms[str(action.arm)] += 1
                rows.append(row_of(state, choice, outcome, by_chance, score, self._config))
            state = look(outcome.observation, self._config.map)
        return Episode(columns_of(rows, self._config), summary_of(rows, reasons, arms))

    def _decide(self, state: State, rng: np.random.Generator) -> tuple[Choice, float, bool] | None:
        mask = region(state, self._config)
        if int(mask.sum()) < LEAST_PIXELS:
            return None
        if self._scorer is None or rng.random() < self._settings.random_share:
            choice = at_random(mask, self._config, rng)
            return None if choice is None else (choice, float("nan"), True)
        weighed = self._scorer.sample(state, mask, self._settings.patches, rng)
        choice, score = importance(weighed, rng, self._settings.exponent, self._settings.keep)
        return choice, score, False


def row_of(
    state: State, choice: Choice, outcome: Outcome, by_chance: bool, score: float, config: PatchGraspConfig
) -> dict[str, Any]:
    """One try as a row of ``fields_of``. ``held`` is the simulation's own knowledge, -1 where nobody knows."""
    height, rgb = windows(state, np.array([[choice.row, choice.column]]), config.window_px)
    truth = outcome.info.get("success")
    return {
        "height": height[0],
        "rgb": rgb[0],
        "pixel": (choice.row, choice.column),
        "angle": choice.angle,
        "success": bool(outcome.success),
        "held": -1 if truth is None else int(truth),
        "width_m": outcome.info.get("finger_width_m", np.nan),
        "force_n": outcome.info.get("finger_force_n", np.nan),
        "random": by_chance,
        "score": score,
    }


def columns_of(rows: list[dict[str, Any]], config: PatchGraspConfig) -> dict[str, NDArray[Any]]:
    """Rows as arrays [T, ...]."""
    return {
        name: np.array([row[name] for row in rows], dtype=dtype).reshape(len(rows), *shape)
        for name, (shape, dtype) in fields_of(config).items()
    }


def summary_of(rows: list[dict[str, Any]], reasons: Counter[str], arms: Counter[str]) -> dict[str, Any]:
    """What an episode tells of itself.

    ``held_unnoticed`` and ``felt_not_held`` count the tries that the gripper felt otherwise than the simulation knows.
    """
    known = [row for row in rows if row["held"] >= 0]
    return {
        "tries": len(rows),
        "successes": sum(row["success"] for row in rows),
        "held_unnoticed": sum(bool(row["held"]) and not row["success"] for row in known),
        "felt_not_held": sum(row["success"] and not row["held"] for row in known),
        "reasons": dict(reasons),
        "arms": dict(arms),
    }
