# SPDX-License-Identifier: Apache-2.0
"""Learn again from the tries of a finished run, each time with one thing changed, and tell unseen tries apart.

``python -m grasp_learning.patch_grasp_ablations --train runs/patch_grasp``
The tries are those of the protocol ``offline``. The same command goes on with what was stopped: variants that are
finished are not learned again. Re-ranking changes what is chosen, not what is told apart: it is compared by
``evaluate --protocol isolated_novel --options '{rerank: false}'``.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from grasp_core.config import Config, ConfigError, read_yaml
from grasp_learning.collect import default_workers
from grasp_learning.command import command
from grasp_learning.episode_file import write_json
from grasp_learning.learn import learn
from grasp_learning.patch_grasp_offline import check_apart, config_of, learned_tries, tries_of, warn_unfinished
from grasp_learning.protocols import OfflineProtocol, load_offline
from grasp_learning.settings import LearningSettings, read_begun, set_value
from grasp_learning.train import checkpoint_folder
from grasp_learning.usage import totals
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.learner import HELD_OUT_EVERY, random_aside
from grasp_policies.patch_grasp.offline import network_row

log = logging.getLogger(__name__)

AMOUNTS = (1000, 2500, 5000, 10000, 20000, 40000)
# Twenty passes over a thousand tries would be too few updates to tell the lack of data from the lack of learning.
LEAST_UPDATES = 600
# Of ablations.json; rows of another were counted otherwise.
FORMAT = 2
BINS = ("settings.policy.network.head=bins", "settings.policy.network.heights=table")


class AblationArguments(Config):
    """Learn variants from the tries of a run and compare them on unseen objects."""

    train: Path
    """Folder of a finished run."""
    test: Path | None = None
    """Folder of the tries at unseen objects, as for the offline comparison; none for that in the run's folder."""
    out: Path | None = None
    """Folder for the variants, ``ablations.json``, ``ablations.md`` and ``data_curve.png``; none for ``ablations`` in
    the run's folder."""
    protocol: str = "offline"
    """Protocol: a name in config/protocols, or a YAML file."""
    amounts: tuple[int, ...] = AMOUNTS
    """Random tries of the data curve; more than the run has are left out."""
    only: tuple[str, ...] = ()
    """Names of variants to learn; none for all."""
    device: str = "cpu"
    """torch device."""
    workers: int | None = Field(default=None, ge=1)
    """Processes that collect what the protocol lacks; none for one a core."""


@dataclass(frozen=True)
class Variant:
    """One thing changed: so many stages, random tries (none for all) and settings of the system."""

    name: str
    stages: int
    tries: int | None = None
    changes: tuple[str, ...] = ()


def variants(stages: int, random_tries: int, amounts: tuple[int, ...]) -> list[Variant]:
    """The data curve, then stages, aggregation, what is seen, the head, turning.

    A variant of a head or of what is seen learns from random tries alone, as the first of the stages does, so that each
    is compared with ``1_stages``; those of later stages were drawn by another network.
    """
    found = [Variant(f"{n}_tries", 1, n) for n in sorted(amounts) if n <= random_tries]
    found += [Variant(f"{k}_stages", k) for k in range(1, stages + 1)]
    if stages > 1:
        found.append(Variant("no_aggregation", stages, None, ("settings.learn.aggregate=false",)))
    found += [
        Variant("rgb", 1, None, ("settings.policy.network.use_depth=false",)),
        Variant("depth", 1, None, ("settings.policy.network.use_colour=false",)),
        Variant("bins", 1, None, BINS),
        Variant("bins_rgb", 1, None, (*BINS, "settings.policy.network.use_depth=false")),
        Variant("heights_of_table", 1, None, ("settings.policy.network.heights=table",)),
        Variant("small_trunk", 1, None, ("settings.policy.network.trunk=small",)),
        Variant("wide_trunk", 1, None, ("settings.policy.network.channels=32",)),
        Variant("square", 1, None, ("settings.policy.network.across_px=null",)),
        Variant("one_view", 1, None, ("settings.policy.network.views=1",)),
        Variant("no_rotation", 1, None, ("settings.learn.rotate=false", "settings.learn.mirror=false")),
        Variant("no_jitter", 1, None, ("settings.learn.shift_m=0", "settings.learn.turn_rad=0")),
    ]
    return found


def settings_of(values: dict[str, Any], variant: Variant) -> dict[str, Any]:
    """The run's settings with a variant's changes; ``values`` are left as they are."""
    changed = copy.deepcopy(values)
    changed["stages"] = changed["stages"][: variant.stages]
    if variant.tries is not None:
        changed["stages"][0]["tries"] = variant.tries
    for change in variant.changes:
        set_value(changed, change)
    if variant.tries is not None:
        learn_settings = LearningSettings.from_mapping(changed, variant.name).system_settings().learn
        learned = variant.tries * (1.0 - 1.0 / HELD_OUT_EVERY)
        passes = max(learn_settings.epochs, LEAST_UPDATES * learn_settings.batch / learned)
        changed["stages"][0]["learn"] = {**changed["stages"][0].get("learn", {}), "epochs": passes}
    return changed


def run(args: AblationArguments) -> list[dict[str, Any]]:
    """Learn the chosen variants; returns the table, in which those that were finished before stay.

    Raises:
        ConfigError: the run holds too few tries or may share objects with the test, or ``only`` names no variant.
    """
    begun, resolved = read_begun(args.train)
    values = begun.model_dump(mode="json")
    # With the defaults that the run was begun with, so that one thing alone is changed.
    values["settings"] = values["settings"] if resolved is None else resolved
    planned = variants(len(values["stages"]), int(values["stages"][0]["tries"]), args.amounts)
    unknown = [name for name in args.only if name not in {v.name for v in planned}]
    if unknown:
        raise ConfigError(f"no variant {', '.join(unknown)}; there is {', '.join(v.name for v in planned)}")
    chosen = [v for v in planned if not args.only or v.name in args.only]
    out, config, protocol = args.out or args.train / "ablations", config_of(args.train), load_offline(args.protocol)
    check_apart(protocol, args.train)
    warn_unfinished(args.train)
    there = args.test or args.train / "offline" / "tries"
    train = learned_tries(args.train, config)
    random_aside(train)
    test = tries_of(protocol, there, config, args.workers or default_workers())
    names = [v.name for v in planned]
    rows = finished_rows(out, protocol)
    for variant in chosen:
        settings = LearningSettings.from_mapping(settings_of(values, variant), variant.name)
        folder = out / variant.name
        log.info("%s", variant.name)
        if not learn(settings, folder, device=args.device, replay=args.train / "replay"):
            raise KeyboardInterrupt
        made = checkpoint_folder(folder, settings, len(settings.stages) - 1)
        network, _ = checkpoint.load(made)
        row = network_row(variant.name, network, train, test, protocol.balanced, args.device)
        tries = tries_learned(made, sum(stage.tries for stage in settings.stages))
        spent = totals(folder).get("train", {}).get("cpu_s", 0.0)
        rows = [r for r in rows if r["method"] != variant.name]
        rows.append({**row, "trained_on": tries, "train_core_min": round(spent / 60.0, 2)})
        rows.sort(key=lambda r: names.index(r["method"]) if r["method"] in names else len(names))
        write_json(
            out / "ablations.json", {"format": FORMAT, "protocol": protocol.model_dump(mode="json"), "rows": rows}
        )
        (out / "ablations.md").write_text(table_of(rows) + "\n", encoding="utf-8")
        plot(rows, out / "data_curve.png")
    return rows


def tries_learned(folder: Path, asked: int) -> int:
    """The tries that a variant was given, from its card; every tenth episode of them is kept aside.

    Args:
        folder: of its checkpoint.
        asked: as many as the run's file asks for today.

    Raises:
        ConfigError: they were fewer, as the run has grown since.
    """
    given = int(read_yaml(folder / "card.yaml")["data"]["tries"])
    if given < asked:
        where = folder.parent.parent
        raise ConfigError(f"{where} was learned from {given} tries, {asked} are asked for now; delete it to learn anew")
    return given


def finished_rows(out: Path, protocol: OfflineProtocol) -> list[dict[str, Any]]:
    """Rows of the table in a folder, of this protocol and of variants whose weights are still there.

    Raises:
        ConfigError: the table cannot be read.
    """
    file = out / "ablations.json"
    if not file.exists():
        return []
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    if told.get("format") != FORMAT or told["protocol"] != protocol.model_dump(mode="json"):
        return []
    learned = {row["method"] for row in told["rows"] if any((out / row["method"] / "checkpoints").glob("*/card.yaml"))}
    return [row for row in told["rows"] if row["method"] in learned]


def table_of(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| variant | tries given | accuracy | 95 % interval | area under curve | learned in core minutes |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['method']} | {r['trained_on']} | {r['accuracy']:.3f} | {r['low']:.3f} to {r['high']:.3f} | "
        f"{r['auc']:.3f} | {r['train_core_min']:.1f} |"
        for r in rows
    ]
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Accuracy over the amount of random tries beside that of the other variants, with intervals."""
    from matplotlib.figure import Figure

    curve = sorted((r for r in rows if r["method"].endswith("_tries")), key=lambda r: r["trained_on"])
    others = [r for r in rows if not r["method"].endswith("_tries")]
    panels = [(r, title) for r, title in ((curve, "amount of data"), (others, "one thing changed")) if r]
    figure = Figure(figsize=(1.0 + 4.5 * max(1, len(panels)), 4.2), layout="constrained")
    found = figure.subplots(1, max(1, len(panels)), sharey=True, squeeze=False)[0]
    for axes, (shown, title) in zip(found, panels, strict=False):
        x = [r["trained_on"] for r in shown] if shown is curve else range(len(shown))
        y = [r["accuracy"] for r in shown]
        spread = [[r["accuracy"] - r["low"] for r in shown], [r["high"] - r["accuracy"] for r in shown]]
        axes.errorbar(x, y, spread, marker="o", capsize=3, linestyle="-" if shown is curve else "none")
        axes.axhline(0.5, linestyle=":", color="grey")
        axes.set(title=title)
        if shown is curve:
            axes.set_xscale("log")
            axes.set_xticks(list(x), [f"{n:,}" for n in x], rotation=45, ha="right", fontsize=8)
            axes.minorticks_off()
            axes.set(xlabel="random tries")
        else:
            axes.set_xticks(x, [r["method"] for r in shown], rotation=60, ha="right", fontsize=8)
    found[0].set(ylabel="accuracy, objects not learned on")
    figure.savefig(file, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    return command(AblationArguments, _ablations, arguments)


def _ablations(args: AblationArguments) -> int:
    print(table_of(run(args)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
