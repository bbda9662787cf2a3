# SPDX-License-Identifier: Apache-2.0
"""A whole learning run from one file: collect, learn, collect with what was learned, and so on.

``ros2 run grasp_learning learn --config push_grasp.yaml --out runs/first`` or ``python -m grasp_learning.learn ...``.
The same command goes on with a run that was stopped, at whatever moment. ``run.json`` tells what it took.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field

from grasp_core.config import Config, ConfigError
from grasp_learning.collect import Collector, default_workers, table
from grasp_learning.episode_file import write_json
from grasp_learning.replay import ReplayReader
from grasp_learning.settings import LearningSettings, load_settings
from grasp_learning.state_file import load_state
from grasp_learning.train import Trainer, checkpoint_folder, state_file
from grasp_learning.usage import origin, totals

log = logging.getLogger(__name__)


class LearnArguments(Config):
    """Collect and learn, stage by stage, from nothing to a checkpoint."""

    config: Path
    """Learning run: a YAML file, looked for here and in config/learning."""
    out: Path
    """Folder of the run. Give it again to go on with a run that was stopped."""
    workers: int | None = Field(default=None, ge=1)
    """Processes that collect; none for one a core. The data does not depend on it."""
    device: str = "cpu"
    """torch device that learns."""
    replay: Path | None = None
    """Store of another run: learn from its tries and collect none, for baselines and ablations."""
    set_: Annotated[tuple[str, ...], tyro.conf.arg(name="set")] = ()
    """Settings in place of the file's, like ``settings.policy.gamma=0.2``."""


def learn(
    settings: LearningSettings,
    folder: Path,
    workers: int = 1,
    device: str = "cpu",
    quiet: bool = False,
    replay: Path | None = None,
) -> bool:
    """Do what is still to be done of a run; false where it was interrupted.

    Args:
        settings: of the run.
        folder: of the run.
        workers: processes that collect.
        device: torch device that learns.
        quiet: no progress bars.
        replay: store of another run to learn from; nothing is collected then.

    Raises:
        ConfigError: ``replay`` holds fewer tries than a stage asks for.
        CollectionError: collecting cannot go on.
    """
    followed: Path | None = None
    for number, stage in enumerate(settings.stages):
        if replay is not None:
            _check_tries(settings, number, replay)
        elif not Collector(settings, number, folder, followed, workers, quiet).run(stage.tries):
            write_report(settings, folder)
            return False
        write_report(settings, folder, replay)
        if stage.updates == 0:
            continue
        if not _learned(settings, folder, number):
            log.info("learning %s", stage.name)
            finished = Trainer(settings, number, folder, device, quiet, replay).run()
            write_report(settings, folder, replay)
            if not finished:
                return False
        followed = checkpoint_folder(folder, settings, number)
    return True


def write_report(settings: LearningSettings, folder: Path, replay: Path | None = None) -> dict[str, Any]:
    """Write ``run.json``: data by stage, processor and wall time by part, machine, command."""
    spent = totals(folder)
    lines = ReplayReader(replay or folder / "replay").statistics()
    report = {
        "recipe": settings.recipe,
        "seed": settings.seed,
        "core_hours": {part: round(s["cpu_s"] / 3600.0, 4) for part, s in spent.items()},
        "core_hours_in_all": round(sum(s["cpu_s"] for s in spent.values()) / 3600.0, 4),
        "wall_hours": {part: round(s["wall_s"] / 3600.0, 4) for part, s in spent.items()},
        "stages": [
            {**asdict(line), "rate": line.rate, "stage": settings.stages[line.stage].name}
            for line in lines
            if line.stage is not None and line.stage < len(settings.stages)
        ],
        "finished": _learned(settings, folder, len(settings.stages) - 1),
        **origin(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "run.json", report)
    return report


def _check_tries(settings: LearningSettings, stage: int, replay: Path) -> None:
    wanted = settings.stages[stage]
    reader = ReplayReader(replay, settings.system.fields(settings.system_settings()))
    there = reader.tries(reader.first(stage, wanted.tries))
    if there < wanted.tries:
        raise ConfigError(f"{replay} holds {there} tries of stage {wanted.name!r}, {wanted.tries} are asked for")


def _learned(settings: LearningSettings, folder: Path, stage: int) -> bool:
    file = state_file(folder, settings, stage)
    # The card is what a checkpoint is finished with; the folder alone may be what a killed run left.
    if not file.exists() or not (checkpoint_folder(folder, settings, stage) / "card.yaml").exists():
        return False
    state, wanted = load_state(file), settings.stages[stage].updates
    return int(state["step"]) >= int(state["planned"] if wanted is None else wanted)


def main(arguments: list[str] | None = None) -> int:
    """Entry point of ``learn``."""
    from grasp_learning.command import command

    return command(LearnArguments, _learn, arguments)


def _learn(args: LearnArguments) -> int:
    settings = load_settings(args.config, args.set_)
    finished = learn(settings, args.out, args.workers or default_workers(), args.device, replay=args.replay)
    report = write_report(settings, args.out, args.replay)
    print(table(ReplayReader(args.replay or args.out / "replay").statistics(), [s.name for s in settings.stages]))
    hours = ", ".join(f"{part} {value:.2f}" for part, value in report["core_hours"].items())
    print(f"processor core hours: {report['core_hours_in_all']:.2f} ({hours})")
    made = [checkpoint_folder(args.out, settings, number) for number in range(len(settings.stages))]
    if learned := [folder for folder in made if (folder / "card.yaml").exists()]:
        print(f"checkpoint: {learned[-1]}")
    if not finished:
        print("interrupted; what was collected and learned is kept, the same command goes on", file=sys.stderr)
    return 0 if finished else 130


if __name__ == "__main__":
    sys.exit(main())
