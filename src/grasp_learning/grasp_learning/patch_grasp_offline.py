# SPDX-License-Identifier: Apache-2.0
"""Tell ``patch_grasp``'s tries at unseen objects apart: networks and baselines in one table.

``python -m grasp_learning.patch_grasp_offline --train runs/patch_grasp``
makes the tries that the protocol ``offline`` asks for where they are missing; ``offline.json``, ``offline.md`` and
``offline.png`` tell the result.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from grasp_core.config import Config, ConfigError, read_yaml
from grasp_learning.collect import Collector, default_workers
from grasp_learning.command import command
from grasp_learning.episode_file import write_json
from grasp_learning.protocols import OfflineProtocol, load_offline
from grasp_learning.replay import ReplayReader
from grasp_learning.settings import FILE, check_pinned, read_begun
from grasp_learning.usage import origin
from grasp_policies.patch_grasp.dataset import Patches, build
from grasp_policies.patch_grasp.learner import random_aside
from grasp_policies.patch_grasp.offline import compare, plot, table
from grasp_policies.patch_grasp.settings import PatchGraspConfig

log = logging.getLogger(__name__)


class OfflineArguments(Config):
    """Compare classifiers of tries on objects that none of them has seen."""

    train: Path
    """Folder of the learning run: its tries for the baselines, its checkpoints stage by stage."""
    test: Path | None = None
    """Folder of the tries at unseen objects, where other comparisons may find them; none for ``offline/tries`` in the
    run's folder. What the protocol asks for and is not there is collected."""
    out: Path | None = None
    """Folder for the result; none for ``offline`` in the run's folder."""
    protocol: str = "offline"
    """Protocol: a name in config/protocols, or a YAML file."""
    checkpoint: tuple[Path, ...] = ()
    """Checkpoints to compare; none for those of the run's stages."""
    limit_m: float = Field(default=0.0107, gt=0.0)
    """Spread (standard deviation, m) up to which the heuristic with a limit takes a thing for too thin: that of a strip
    as wide as Baxter's closed fingers are apart, 37 mm."""
    most: int = Field(default=50000, ge=2)
    """Tries that kNN and the machines learn from at most."""
    workers: int | None = Field(default=None, ge=1)
    """Processes that collect; none for one a core."""


def tries_of(protocol: OfflineProtocol, folder: Path, config: PatchGraspConfig, workers: int = 1) -> Patches:
    """The tries that a protocol asks for; a folder that holds them is only read.

    Args:
        protocol: asks for them.
        folder: of the tries.
        config: of the run whose networks tell them apart; the tries are made with the same map and motion.
        workers: processes that collect.

    Raises:
        ConfigError: the folder holds tries of another map or motion, of another protocol or of nobody knows what, or
            collecting was interrupted.
        CollectionError: collecting cannot go on.
    """
    settings = protocol.collection({"policy": config.model_dump(mode="json")})
    if (folder / "replay").exists() and not (folder / FILE).exists():
        raise ConfigError(f"{folder} holds tries (replay) but no {FILE}: nothing tells how they were made")
    check_pinned(folder, settings)
    there = (folder / "replay" / "store.json").exists()
    if not there or _upto(folder, protocol).tries() < protocol.tries:
        log.info("collecting %d tries of the protocol into %s", protocol.tries, folder)
        if not Collector(settings, 0, folder, None, workers).run(protocol.tries):
            raise ConfigError(f"{folder} holds fewer than the {protocol.tries} tries of the protocol; call again")
    return build(_upto(folder, protocol), config_of(folder)).shown_to(config)


def _upto(folder: Path, protocol: OfflineProtocol) -> ReplayReader:
    return ReplayReader(folder / "replay", upto={0: protocol.tries})


def check_apart(protocol: OfflineProtocol, folder: Path, checkpoints: Sequence[Path] = ()) -> None:
    """Refuse to compare where what was learned from and what is told apart may be the same.

    Args:
        protocol: of the tries that are told apart.
        folder: of the learning run.
        checkpoints: of other runs, whose cards tell what they were learned from.

    Raises:
        ConfigError: the folder is no run's, a card does not tell, objects or seeds may be shared, or the systems are
            not the same.
    """
    begun, _ = read_begun(folder)
    split = begun.cell_options.get("split")
    if split != "train":
        raise ConfigError(f"{folder}: cell_options.split is {split!r}; 'train' alone keeps objects for the comparison")
    if protocol.split != "test":
        raise ConfigError(f"protocol: split is {protocol.split!r}; expected 'test', which the run has not learned from")
    if protocol.seed == begun.seed:
        raise ConfigError(f"protocol: seed is {protocol.seed}, which is the run's in {folder}; expected another")
    for card in (folder / "card.yaml" for folder in checkpoints):
        options = read_yaml(card).get("cell_options")
        split = None if options is None else options.get("split")
        if split != "train":
            told = "missing" if options is None else repr(split)
            raise ConfigError(f"{card}: cell_options.split is {told}; 'train' alone keeps objects for the comparison")
    if protocol.recipe != begun.recipe:
        raise ConfigError(f"protocol: recipe is {protocol.recipe!r}; {folder} is a run of {begun.recipe!r}")


def warn_unfinished(folder: Path) -> None:
    """Say so where a run has not come to its end, or nothing tells that it has."""
    file = folder / "run.json"
    try:
        finished = json.loads(file.read_text(encoding="utf-8"))["finished"]
    except (OSError, ValueError, KeyError):
        finished = False
    if not finished:
        log.warning("%s does not tell that the run is finished; what is compared is what there is", file)


def learned_tries(folder: Path, config: PatchGraspConfig) -> Patches:
    """The tries that a run's stages ask for; its store may hold more.

    Raises:
        ConfigError: the folder is no run's.
    """
    stages = read_begun(folder)[0].stages
    return build(ReplayReader(folder / "replay", upto={n: stage.tries for n, stage in enumerate(stages)}), config)


def config_of(folder: Path) -> PatchGraspConfig:
    """What a run's tries were made with.

    Raises:
        ConfigError: the folder is no run's.
    """
    begun, resolved = read_begun(folder)
    values = begun.settings if resolved is None else resolved
    return PatchGraspConfig.from_mapping(values.get("policy", {}), f"{folder}: policy")


def run(args: OfflineArguments) -> dict[str, Any]:
    """Compare; returns what ``offline.json`` holds.

    Raises:
        ConfigError: the protocol or a folder is refused, or the run is too small to choose a threshold.
    """
    protocol, config = load_offline(args.protocol), config_of(args.train)
    check_apart(protocol, args.train, args.checkpoint)
    folders = args.checkpoint or tuple(sorted(card.parent for card in (args.train / "checkpoints").glob("*/card.yaml")))
    if not folders:
        raise ConfigError(f"{args.train} holds no finished checkpoint to compare; learn first, or name some")
    warn_unfinished(args.train)
    out = args.out or args.train / "offline"
    train = learned_tries(args.train, config)
    random_aside(train)
    test = tries_of(protocol, args.test or out / "tries", config, args.workers or default_workers())
    named = {f"network {'/'.join(f.parts[-2:]) if args.checkpoint else f.name}": f for f in folders}
    rows = compare(train, test, named, config, args.limit_m, args.most, protocol.balanced, own=not args.checkpoint)
    result = {
        "protocol": protocol.model_dump(mode="json"),
        "tries": {"train": len(train), "test": len(test), "test_successes": int(test.success.sum())},
        "rows": rows,
        "origin": origin(),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "offline.json", result)
    (out / "offline.md").write_text(table(rows) + "\n", encoding="utf-8")
    plot(rows, out / "offline.png", protocol.description)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    return command(OfflineArguments, _offline, arguments)


def _offline(args: OfflineArguments) -> int:
    print(table(run(args)["rows"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
