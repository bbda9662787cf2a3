# SPDX-License-Identifier: Apache-2.0
"""What runs in a collecting process: one cell, one behaviour, one thread."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grasp_core.cell import Cell, SceneError
from grasp_learning.finding import find, known
from grasp_learning.replay import EpisodeId, ReplayStore
from grasp_learning.settings import LearningSettings
from grasp_learning.usage import commit, digest

NICE = 5


@dataclass(frozen=True)
class WorkOrder:
    """All that a worker needs; can be sent to another process.

    Attributes:
        settings: of the run.
        stage: number of the stage.
        folder: of the replay store.
        checkpoint: policy to follow, or none.
        device: torch device of the behaviour.
    """

    settings: LearningSettings
    stage: int
    folder: Path
    checkpoint: Path | None
    device: str = "cpu"


def make_cell(name: str, options: dict[str, Any]) -> Cell:
    """A cell by name: registered in ``grasp.cells`` (called with the options), or a simulated one of ``config/cells``.

    Raises:
        ConfigError, ResourceError: the options are refused, or there is no such cell.
    """
    if known("grasp.cells", name):
        return find("grasp.cells", name)(**options)
    from grasp_sim.cell import SimCell, SimOptions

    return SimCell(name, SimOptions.from_mapping(options, f"options of cell {name}"))


def draw_scene(settings: LearningSettings, episode: EpisodeId) -> tuple[str, int]:
    """Scene and seed of an episode; they depend on the run's seed, the stage and the episode's number alone."""
    rng = np.random.default_rng(np.random.SeedSequence((settings.seed, episode.stage, episode.index)))
    scenes = settings.stages[episode.stage].scenes
    weights = np.array(list(scenes.values()))
    scene = str(rng.choice(list(scenes), p=weights / weights.sum()))
    return scene, int(rng.integers(2**31))


class Worker:
    """Runs episodes one after the other and writes each to the store."""

    def __init__(self, order: WorkOrder) -> None:
        # The parent decides when to stop; a Ctrl-C in the terminal reaches this process too.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.nice(NICE)
        settings = order.settings
        system, own = settings.system, settings.system_settings()
        self._order = order
        self._store = ReplayStore(order.folder, system.fields(own))
        self._behaviour = system.behaviour(own, settings.stages[order.stage].behaviour, order.checkpoint, order.device)
        use_one_thread()
        self._cell = make_cell(settings.cell_name, settings.cell_options)
        self._made_by = {"code": commit(), "followed": None if order.checkpoint is None else digest(order.checkpoint)}
        self._counted_cpu_s = 0.0

    def run(self, index: int) -> dict[str, Any]:
        """Make an episode and write it; returns its summary."""
        settings, episode = self._order.settings, EpisodeId(self._order.stage, index)
        scene, seed = draw_scene(settings, episode)
        begin = time.perf_counter()
        origin = {"stage": settings.stages[episode.stage].name, "scene": scene, "seed": seed, **self._made_by}
        try:
            done = self._behaviour.run_episode(self._cell, scene, seed, settings.stages[episode.stage].max_steps)
        except SceneError as error:
            info = {**origin, "skipped": str(error), "wall_s": time.perf_counter() - begin, "cpu_s": self._cpu_s()}
            self._store.skip(episode, info)
            return {"tries": 0, "successes": 0, **info}
        info = {**done.info, **origin, "wall_s": time.perf_counter() - begin, "cpu_s": self._cpu_s()}
        self._store.write(episode, done.fields, info)
        return info

    def close(self) -> None:
        """Release the cell."""
        self._cell.close()

    def _cpu_s(self) -> float:
        """Processor seconds of this process since the last call; the first includes its start."""
        now = time.process_time()
        spent, self._counted_cpu_s = now - self._counted_cpu_s, now
        return spent


def use_one_thread() -> None:
    """Let torch use one thread, where whatever was loaded has brought it along; it is not loaded for that."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def make_worker(index: int, order: WorkOrder) -> Worker:
    """For ``ParallelCells``."""
    return Worker(order)
