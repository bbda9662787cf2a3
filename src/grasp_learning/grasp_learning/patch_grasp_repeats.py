# SPDX-License-Identifier: Apache-2.0
"""How far ``patch_grasp``'s labels repeat: the same random try again and again on the same simulated table.

``python -m grasp_learning.patch_grasp_repeats --tries 150 --json repeats.json``
Told from its other repetitions, a label is right as often as a vote of few tries is: a noisy estimate of the chance
that such a try holds. A classifier that knew that chance would be right more often: ``known_chance_balanced_accuracy``
estimates how often.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray
from pydantic import Field
from scipy import optimize, stats

from grasp_core.actions import Grasp
from grasp_core.cell import NOT_DONE
from grasp_core.config import Config
from grasp_learning.command import command
from grasp_learning.episode_file import write_json
from grasp_learning.plan import CollectionError
from grasp_learning.protocols import load_offline
from grasp_learning.worker import make_cell
from grasp_policies.heightmaps.state import look
from grasp_policies.patch_grasp.settings import PatchGraspConfig
from grasp_policies.patch_grasp.table import at_random, region, to_action

log = logging.getLogger(__name__)

# Tables in a row without a try that could be repeated: the scene or the reach is wrong, not the luck.
BARREN_TABLES = 20


class RepeatsArguments(Config):
    """Repeat random tries and count how often the label is another."""

    tries: int = Field(default=150, ge=1)
    """Tries to repeat."""
    repeats: int = Field(default=5, ge=1)
    """How often each is repeated."""
    shift_m: float = Field(default=0.0003, ge=0.0)
    """Standard deviation of the grasp point between repetitions, along each axis."""
    turn_rad: float = Field(default=0.005, ge=0.0)
    """Standard deviation of the closing direction between repetitions."""
    protocol: str = "offline"
    """Protocol that names scene and cell options."""
    split: Literal["train", "test"] = "train"
    """Part of the objects; ``test`` is kept for tests."""
    per_table: int = Field(default=8, ge=1)
    """Tries on one table."""
    seed: int = Field(default=0, ge=0)
    """Of the tables, the tries and what is added to them."""
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """File for the result."""


def moved(action: Grasp, shift_m: NDArray[np.float64], turn_rad: float) -> Grasp:
    """The grasp a little aside, [2] in the table's plane, and turned about the vertical."""
    T = action.T_base_tcp.copy()
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    T[:3, :3] = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ T[:3, :3]
    T[:2, 3] += shift_m
    return dataclasses.replace(action, T_base_tcp=T)


def repeated(cell: Any, action: Grasp, args: RepeatsArguments, rng: np.random.Generator) -> list[bool] | None:
    """Labels of a try and of its repetitions from the same saved world; none where a motion did not take place."""
    saved, labels = cell.save(), []
    for number in range(1 + args.repeats):
        again = moved(action, args.shift_m * rng.standard_normal(2), args.turn_rad * float(rng.standard_normal()))
        outcome = cell.execute(again if number else action)
        cell.restore(saved)
        if outcome.success is None or outcome.reason in NOT_DONE:
            return None
        labels.append(bool(outcome.success))
    return labels


def summary(labels: NDArray[np.bool_]) -> dict[str, float]:
    """What labels [tries, 1 + repeats] say of themselves.

    ``disagree`` is the share of pairs of the same try that differ; ``successes_lost`` and ``failures_held`` are the
    shares of repetitions that differ from a success and from a failure. ``best_balanced_accuracy`` is that of telling
    each label from all others of its try, with the threshold that is best for it; missing where no label differs.
    """
    first, others = labels[:, 0], labels[:, 1:]
    count = labels.shape[1]
    pairs = [(labels[:, a] != labels[:, b]).mean() for a in range(count) for b in range(a)]
    best = []
    for least in range(1, count):
        found = []
        for k in range(count):
            said, success = np.delete(labels, k, axis=1).sum(axis=1) >= least, labels[:, k]
            if success.any() and not success.all():
                found.append(0.5 * (said[success].mean() + (~said[~success]).mean()))
        if found:
            best.append(float(np.mean(found)))
    return {
        "tries": float(len(labels)),
        "rate": float(labels.mean()),
        "disagree": float(np.mean(pairs)),
        "successes_lost": float((~others[first]).mean()) if first.any() else 0.0,
        "failures_held": float(others[~first].mean()) if not first.all() else 0.0,
        **({"best_balanced_accuracy": max(best)} if best else {}),
    }


def known_chance_accuracy(labels: NDArray[np.bool_]) -> float | None:
    """Balanced accuracy of who knows every try's chance to hold, but not its luck; none where no label differs.

    The chances of all tries are taken as drawn from a beta distribution, fitted to how often each try [tries, repeats]
    held. Who knows the chance says yes above the mean chance, which is best for balanced accuracy.
    """
    count, held = labels.shape[1], labels.sum(axis=1)
    rate = float(labels.mean())
    if not 0.0 < rate < 1.0:
        return None

    def surprise(logs: NDArray[np.float64]) -> float:
        return -float(stats.betabinom.logpmf(held, count, *np.exp(logs)).sum())

    a, b = np.exp(optimize.minimize(surprise, np.log([rate, 1.0 - rate]), method="Nelder-Mead").x)
    mean = a / (a + b)
    # E[p; p > mean] of a beta distribution is its mean times the tail of the one with a + 1; likewise for 1 - p.
    right = float(stats.beta.sf(mean, a + 1.0, b)), float(stats.beta.cdf(mean, a, b + 1.0))
    return 0.5 * sum(right)


def interval(labels: NDArray[np.bool_], rng: np.random.Generator, draws: int = 1000) -> tuple[float, float] | None:
    """95 % of ``best_balanced_accuracy`` over bootstrap draws of whole tries; none where no label differs.

    Args:
        labels: bool [tries, 1 + repeats].
        rng: of the draws.
        draws: how many.
    """
    drawn = (summary(labels[rng.integers(len(labels), size=len(labels))]) for _ in range(draws))
    found = [told["best_balanced_accuracy"] for told in drawn if "best_balanced_accuracy" in told]
    if not found:
        return None
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def run(args: RepeatsArguments, cell: Any) -> NDArray[np.bool_]:
    """Repeat tries in a cell that can save and restore its world; bool [tries, 1 + repeats].

    Raises:
        CollectionError: table after table gives no try.
    """
    protocol, config = load_offline(args.protocol), PatchGraspConfig()
    rng, found, table, barren = np.random.default_rng((args.seed, 21)), [], 0, 0
    while len(found) < args.tries:
        if barren == BARREN_TABLES:
            raise CollectionError(
                f"{barren} tables of scene {protocol.scene} in a row gave no try that can be repeated"
            )
        before = len(found)
        observation = cell.reset(protocol.scene, int(rng.integers(2**31)))
        table += 1
        for _ in range(min(args.per_table, args.tries - len(found))):
            state = look(observation, config.map)
            choice = at_random(region(state, config), config, rng)
            if choice is None:
                break
            action = to_action(choice, state, config)
            labels = repeated(cell, action, args, rng)
            if labels is not None:
                found.append(labels)
            observation = cell.execute(action).observation
        barren = barren + 1 if len(found) == before else 0
        log.info("%d of %d tries repeated on %d tables", len(found), args.tries, table)
    return np.array(found)


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    return command(RepeatsArguments, _repeats, arguments)


def _repeats(args: RepeatsArguments) -> int:
    cell: Any = make_cell("baxter", {**load_offline(args.protocol).cell_options, "split": args.split})
    try:
        labels = run(args, cell)
    finally:
        cell.close()
    told = summary(labels)
    known = known_chance_accuracy(labels)
    if known is not None:
        told["known_chance_balanced_accuracy"] = known
    spread = interval(labels, np.random.default_rng(args.seed))
    if spread is not None:
        told |= {"best_balanced_accuracy_low": spread[0], "best_balanced_accuracy_high": spread[1]}
    print("\n".join(f"{name}: {value:.3f}" for name, value in told.items()))
    if args.json_file is not None:
        write_json(args.json_file, {**told, "labels": labels.astype(int).tolist(), **args.model_dump(mode="json")})
    return 0


if __name__ == "__main__":
    sys.exit(main())
