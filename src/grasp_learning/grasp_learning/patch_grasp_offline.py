# SPDX-License-Identifier: Apache-2.0
"""Tell ``patch_grasp``'s tries at unseen objects apart: networks and baselines in one table.

``python -m grasp_learning.patch_grasp_offline --train runs/patch_grasp --test runs/patch_grasp_test --json FILE``
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from grasp_core.config import Config, read_yaml
from grasp_learning.replay import ReplayReader
from grasp_policies.patch_grasp.dataset import build
from grasp_policies.patch_grasp.offline import compare, table
from grasp_policies.patch_grasp.settings import PatchGraspConfig


class OfflineArguments(Config):
    """Compare classifiers of tries on objects that none of them has seen."""

    train: Path
    """Folder of the learning run whose tries the baselines learn from."""
    test: Path
    """Folder of the run with the tries at unseen objects."""
    checkpoint: tuple[Path, ...] = ()
    """Checkpoints to compare; none for those of the run's stages."""
    limit_m: float = Field(default=0.017, gt=0.0)
    """Spread (standard deviation, m) that the heuristic with a limit takes to fit between the fingers."""
    most_neighbours: int = Field(default=50000, ge=2)
    """Tries that kNN and the machines learn from at most."""
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """File for the table."""


def _run(args: OfflineArguments) -> None:
    values = read_yaml(args.train / "settings.json").get("settings", {}).get("policy", {})
    config = PatchGraspConfig.from_mapping(values, f"{args.train}: policy")
    train = build(ReplayReader(args.train / "replay"), config)
    test = build(ReplayReader(args.test / "replay"), config)
    folders = args.checkpoint or tuple(sorted(card.parent for card in args.train.rglob("card.yaml")))
    named = {f"network {folder.parent.name}/{folder.name}": folder for folder in folders}
    rows = compare(train, test, named, config, args.limit_m, args.most_neighbours)
    print(table(rows))
    if args.json_file is not None:
        args.json_file.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _run(tyro.cli(OfflineArguments))
