# SPDX-License-Identifier: Apache-2.0
"""Learn again from the tries of a finished run, each time with one thing changed, and tell unseen tries apart.

``python -m grasp_learning.patch_grasp_ablations --train runs/patch_grasp --test runs/patch_grasp_test --out FOLDER``
Variants that are finished are not learned again. Re-ranking changes what is chosen, not what is told apart: it is
compared by ``evaluate --options '{rerank: false}'``.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from pydantic import Field

from grasp_core.config import Config, ConfigError, read_yaml
from grasp_learning.episode_file import write_json
from grasp_learning.learn import learn
from grasp_learning.replay import ReplayReader
from grasp_learning.settings import LearningSettings, set_value
from grasp_learning.train import checkpoint_folder
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.baselines import balanced_index
from grasp_policies.patch_grasp.dataset import build
from grasp_policies.patch_grasp.learner import best_threshold, kept_aside, scores_of
from grasp_policies.patch_grasp.offline import row_of, table

log = logging.getLogger(__name__)

AMOUNTS = (1000, 2500, 5000, 10000, 20000, 40000)


class AblationArguments(Config):
    """Learn variants from the tries of a run and compare them on unseen objects."""

    train: Path
    """Folder of a finished run."""
    test: Path
    """Folder of the run with the tries at unseen objects."""
    out: Path
    """Folder for the variants, ``ablations.json``, ``ablations.md`` and ``data_curve.png``."""
    amounts: tuple[int, ...] = AMOUNTS
    """Random tries of the data curve; more than the run has are left out."""
    only: tuple[str, ...] = ()
    """Names of variants to learn; none for all."""
    device: str = "cpu"
    """torch device."""
    seed: int = Field(default=0, ge=0)
    """Of the resampling."""


@dataclass(frozen=True)
class Variant:
    """One thing changed: so many stages, random tries (none for all) and settings of the system."""

    name: str
    stages: int
    tries: int | None = None
    changes: tuple[str, ...] = ()


def variants(stages: int, random_tries: int, amounts: tuple[int, ...]) -> list[Variant]:
    """The data curve, then stages, aggregation, depth, rotation."""
    found = [Variant(f"{n}_tries", 1, n) for n in sorted(amounts) if n <= random_tries]
    found += [Variant(f"{k}_stages", k) for k in range(1, stages + 1)]
    found.append(Variant("no_rotation", 1, None, ("settings.learn.rotate=false", "settings.learn.mirror=false")))
    found.append(Variant("rgb", stages, None, ("settings.policy.network.use_depth=false",)))
    if stages > 1:
        found.append(Variant("no_aggregation", stages, None, ("settings.learn.aggregate=false",)))
    return found


def settings_of(values: dict[str, Any], variant: Variant) -> dict[str, Any]:
    """The run's settings with a variant's changes; ``values`` are left as they are."""

    changed = copy.deepcopy(values)
    changed["stages"] = changed["stages"][: variant.stages]
    if variant.tries is not None:
        changed["stages"][0]["tries"] = variant.tries
    for change in variant.changes:
        set_value(changed, change)
    return changed


def run(args: AblationArguments) -> list[dict[str, Any]]:
    """Learn all variants; returns the table.

    Raises:
        ConfigError: the run holds too few tries, or ``only`` names no variant.
    """

    values = read_yaml(args.train / "settings.json")
    planned = variants(len(values["stages"]), int(values["stages"][0]["tries"]), args.amounts)
    chosen = [v for v in planned if not args.only or v.name in args.only]
    if not chosen:
        raise ConfigError(f"no variant {', '.join(args.only)}; there is {', '.join(v.name for v in planned)}")
    rows = []
    for variant in chosen:
        settings = LearningSettings.from_mapping(settings_of(values, variant), variant.name)
        folder = args.out / variant.name
        log.info("%s", variant.name)
        learn(settings, folder, device=args.device, replay=args.train / "replay")
        network, config = checkpoint.load(checkpoint_folder(folder, settings, len(settings.stages) - 1))
        test = build(ReplayReader(args.test / "replay"), config)
        data = test.part(balanced_index(test.success, np.random.default_rng(args.seed)))
        train = build(ReplayReader(args.train / "replay"), config)
        aside = train.part(kept_aside(train))
        threshold = best_threshold(scores_of(network, aside, args.device), aside.success)
        said = scores_of(network, data, args.device) >= threshold
        tries = sum(stage.tries for stage in settings.stages)
        rows.append({**row_of(variant.name, said, data.success), "trained_on": tries})
        write_json(args.out / "ablations.json", {"rows": rows})
    (args.out / "ablations.md").write_text(table(rows) + "\n", encoding="utf-8")
    plot(rows, args.out / "data_curve.png")
    return rows


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Accuracy over the amount of random tries, with intervals."""
    from matplotlib.figure import Figure

    curve = [r for r in rows if r["method"].endswith("_tries")]
    figure = Figure(figsize=(5.0, 3.4), layout="constrained")
    axes = figure.subplots()
    if curve:
        x, y = [r["trained_on"] for r in curve], [r["accuracy"] for r in curve]
        spread = [[r["accuracy"] - r["low"] for r in curve], [r["high"] - r["accuracy"] for r in curve]]
        axes.errorbar(x, y, spread, marker="o", capsize=3)
        axes.set_xscale("log")
    axes.axhline(0.5, linestyle=":", color="grey")
    axes.set(xlabel="random tries", ylabel="balanced accuracy", title="objects not learned on")
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(table(run(tyro.cli(AblationArguments))))
