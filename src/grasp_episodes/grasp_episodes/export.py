# SPDX-License-Identifier: Apache-2.0
"""``ros2 run grasp_episodes export``: bags of episodes as a LeRobot dataset, or as replay that a policy learns from.

Exporters are found by name in the entry points ``grasp.exporters``, so that a learning package can offer one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import tyro

from grasp_core.recording import RecordedEpisode
from grasp_episodes import lerobot
from grasp_episodes.recorded import RecordingError, read_episode
from grasp_episodes.recorder import read_manifest

GROUP = "grasp.exporters"
LEROBOT = "lerobot"


@dataclass
class Arguments:
    """Export bags of episodes."""

    bags: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Bags, or folders of runs (all episodes of their manifests), for example recordings/latest."""
    to: Path
    """Folder of the dataset; a LeRobot dataset must not exist yet, a replay store is added to."""
    format: str = LEROBOT
    """lerobot, or the name of an exporter (replay)."""
    fps: float = 4.0
    """Rows a second of a LeRobot dataset."""
    recipe: str = "push_grasp"
    """Whose replay is written: a recipe of the learning package."""


def find_bags(paths: Sequence[Path]) -> list[Path]:
    """The bags that paths mean, those of a run in the order of its manifest.

    Raises:
        FileNotFoundError: a path is no bag and no run.
    """
    found = []
    for path in paths:
        episodes = read_manifest(path) if path.is_dir() else []
        if episodes:
            found += [path / entry["episode_id"] for entry in episodes]
        elif path.is_file() or any(path.glob("*.mcap")):
            found.append(path)
        else:
            raise FileNotFoundError(f"{path} is no bag and no folder of a run with a manifest")
    return found


def exporter(name: str) -> Callable[..., Any]:
    """The exporter of that name: called with episodes, target folder and the recipe's name, it returns a sentence.

    Raises:
        LookupError: there is none; the message lists those that there are.
    """
    offered = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in offered:
        raise LookupError(f"there is no exporter {name!r}; there is {', '.join((LEROBOT, *sorted(offered)))}")
    return offered[name].load()


def run(args: Arguments) -> str:
    """Export; returns what was done in a sentence.

    Raises:
        OSError, RecordingError, LookupError: in words what is wrong.
    """
    bags = find_bags(args.bags)
    if args.format == LEROBOT:
        rows = lerobot.export(bags, args.to, args.fps)
        return f"{len(bags)} episodes, {rows} rows in {args.to} (LeRobot {lerobot.VERSION})"
    write = exporter(args.format)
    episodes: list[RecordedEpisode] = [read_episode(bag) for bag in bags]
    return str(write(episodes, args.to, args.recipe))


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``export``."""
    try:
        print(run(tyro.cli(Arguments, args=arguments)))
    except (OSError, RecordingError, LookupError, ValueError) as error:
        sys.exit(f"export: {error}")


if __name__ == "__main__":
    main()
