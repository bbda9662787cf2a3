# SPDX-License-Identifier: Apache-2.0
"""Collect tries of one stage in parallel processes. Run it again to go on; it ends with the same data either way.

``ros2 run grasp_learning collect --config push_grasp.yaml --out runs/first --stage random`` or
``python -m grasp_learning.collect ...``. Ctrl-C lets the running episodes end; a second one does not wait.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field
from tqdm import tqdm

from grasp_core.config import Config
from grasp_learning.folder_lock import alone
from grasp_learning.plan import CollectionError, Plan
from grasp_learning.replay import EpisodeId, ReplayStore, StageCount
from grasp_learning.settings import LearningSettings, check_pinned, load_settings, read_pinned
from grasp_learning.usage import Meter, origin
from grasp_learning.worker import WorkOrder, draw_scene, make_worker
from grasp_sim.parallel import ParallelCells, WorkerError, WorkerLost

log = logging.getLogger(__name__)

# An episode is given up after so many workers died of it, a collection after so many episodes in a row that failed.
LOST_LIMIT = 3
FAILED_LIMIT = 10
NOTE_EVERY_S = 20.0


class CollectArguments(Config):
    """Collect tries of one stage of a learning run."""

    config: Path
    """Learning run: a YAML file, looked for here and in config/learning."""
    out: Path
    """Folder of the run; the tries go into its ``replay``."""
    stage: str | None = None
    """Stage to collect; none for the first."""
    total: int | None = Field(default=None, ge=1)
    """Collect until the stage has this many tries, counting those that are there; none for the stage's own number."""
    more: int | None = Field(default=None, ge=1)
    """Collect this many tries beyond those that the stage has now."""
    checkpoint: Path | None = None
    """Policy to follow; none for none."""
    workers: int | None = Field(default=None, ge=1)
    """Processes; none for one a core."""
    set_: Annotated[tuple[str, ...], tyro.conf.arg(name="set")] = ()
    """Settings in place of the file's, like ``stages.random.max_steps=20``."""


class Collector:
    """Collects one stage.

    Args:
        settings: of the run.
        stage: number of the stage.
        folder: of the run.
        checkpoint: policy to follow.
        workers: number of processes.
        quiet: no progress bar.
    """

    def __init__(
        self,
        settings: LearningSettings,
        stage: int,
        folder: Path,
        checkpoint: Path | None = None,
        workers: int = 1,
        quiet: bool = False,
    ) -> None:
        self._settings, self._stage, self._folder = settings, stage, Path(folder)
        check_pinned(self._folder, settings)
        system = settings.system
        fields = system.fields(settings.system_settings())
        described = {**origin(), "recipe": settings.recipe, "cell": settings.cell_name}
        self.store = ReplayStore(self._folder / "replay", fields, described)
        order = WorkOrder(settings, stage, self.store.folder, checkpoint)
        self._make: Callable[[int], Any] = functools.partial(make_worker, order=order)
        self._workers, self._quiet = workers, quiet
        self._stop = threading.Event()
        self._failed_in_a_row = 0
        self._worker_cpu_s = 0.0
        self._lock = threading.Lock()
        self.lost = 0

    def count(self) -> StageCount:
        """What the stage holds now."""
        lines = [line for line in self.store.reader().statistics() if line.stage == self._stage]
        return lines[0] if lines else StageCount(self._stage, 0, 0, 0, 0, 0.0)

    def run(self, total: int) -> bool:
        """Collect until the stage has ``total`` tries; false where it was interrupted before.

        Raises:
            CollectionError: a worker cannot start, or episode after episode fails.
            ConfigError: another process collects into this folder.
        """
        with alone(self._folder, "collect"):
            read_pinned(self._folder, self._settings)
            return self._run(total)

    def _run(self, total: int) -> bool:
        removed = self.store.remove_unfinished()
        if removed:
            log.info("removed %d unfinished files of an earlier run", removed)
        reader = self.store.reader()
        mine = [(i, reader.info(n)) for n, i in enumerate(reader.ids) if i.stage == self._stage]
        plan = Plan(total, {i.index: int(info["tries"]) for i, info in mine})
        if plan.done >= total:
            return True
        successes = sum(int(info.get("successes", 0)) for _, info in mine)
        meter = Meter(self._folder, "collect", self._settings.stages[self._stage].name)
        workers = min(self._workers, total)
        with one_thread_each(), self._interruptible():
            try:
                cells = ParallelCells(workers, self._make, limit_s=self._settings.episode_limit_s)
            except WorkerError as error:
                raise CollectionError(str(error)) from error
        name = self._settings.stages[self._stage].name
        bar = tqdm(total=total, initial=sum(plan.tries.values()), unit="try", desc=name, disable=self._quiet)
        progress = _Progress(bar, sum(plan.tries.values()), successes)
        try:
            with self._interruptible(), cells, ThreadPoolExecutor(workers) as pool:
                jobs = [pool.submit(self._serve, cells, index, plan, progress) for index in range(workers)]
                while not all(job.done() for job in jobs):
                    time.sleep(0.2)
                    if meter.elapsed_s > NOTE_EVERY_S:
                        meter.note(self._take_cpu())
                for job in jobs:
                    job.result()
        finally:
            bar.close()
            meter.note(self._take_cpu())
            self.lost += cells.replaced
        return plan.done >= total

    def _serve(self, cells: ParallelCells[Any], worker: int, plan: Plan, progress: _Progress) -> None:
        """One thread per worker: give it episodes until there are none left."""
        while not self._stop.is_set():
            index = plan.next()
            if index is None:
                if plan.done >= plan.wanted or not plan.busy:
                    return
                time.sleep(0.05)
                continue
            try:
                info = self._attempt(cells, worker, index)
            except BaseException:
                plan.failed(index)
                self._stop.set()
                raise
            plan.finished(index, int(info["tries"]))
            progress.add(info)

    def _attempt(self, cells: ParallelCells[Any], worker: int, index: int) -> dict[str, Any]:
        why = ""
        for _ in range(LOST_LIMIT):
            begin = time.perf_counter()
            try:
                info: dict[str, Any] = cells.call(worker, "run", index)
            except WorkerLost as error:
                why = str(error)
                self._add_cpu(time.perf_counter() - begin)  # a dead process cannot tell: at most this much
                continue
            except WorkerError as error:
                why = str(error)
                break
            self._add_cpu(float(info["cpu_s"]))
            self._failed_in_a_row = 0
            return info
        return self._give_up(index, why)

    def _give_up(self, index: int, why: str) -> dict[str, Any]:
        episode = EpisodeId(self._stage, index)
        log.error("episode %s is given up: %s", episode.file, why)
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILED_LIMIT:
            raise CollectionError(f"{FAILED_LIMIT} episodes in a row failed; the last, {episode.file}: {why}")
        scene, seed = draw_scene(self._settings, episode)
        info = {"scene": scene, "seed": seed, "skipped": why.splitlines()[-1] if why else "unknown", "cpu_s": 0.0}
        self.store.skip(episode, {"stage": self._settings.stages[self._stage].name, **info})
        return {"tries": 0, "successes": 0, **info}

    def _add_cpu(self, seconds: float) -> None:
        with self._lock:
            self._worker_cpu_s += seconds

    def _take_cpu(self) -> float:
        with self._lock:
            seconds, self._worker_cpu_s = self._worker_cpu_s, 0.0
        return seconds

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C lets the running episodes end, the second is an ordinary one."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def asked(number: int, frame: Any) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt
            log.warning("stopping when the running episodes have ended; press Ctrl-C again to drop them")
            self._stop.set()

        before = signal.signal(signal.SIGINT, asked)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


class _Progress:
    """The bar: tries, their rate and the time left, and how many succeed."""

    def __init__(self, bar: Any, tries: int, successes: int) -> None:
        self._bar, self._tries, self._successes = bar, tries, successes
        self._lock = threading.Lock()

    def add(self, info: dict[str, Any]) -> None:
        with self._lock:
            self._tries += int(info["tries"])
            self._successes += int(info.get("successes", 0))
            rate = self._successes / self._tries if self._tries else 0.0
            self._bar.set_postfix_str(f"success {rate:.1%}", refresh=False)
            self._bar.update(int(info["tries"]))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes started within use one thread of the numerical libraries each."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def table(lines: list[StageCount], names: list[str]) -> str:
    """Statistics as a Markdown table: positives, negatives, total and rate by stage.

    Where the simulation knows better, how many labels are not what it knows.
    """
    judged = any(line.held_unnoticed is not None for line in lines)
    more = " held unnoticed | felt but not held |" if judged else ""
    rows = [
        f"| stage | positive | negative | total | rate | episodes | skipped |{more}",
        "|---|---|---|---|---|---|---|" + 2 * judged * "---|",
    ]
    for line in lines:
        name = "sum" if line.stage is None else names[line.stage] if line.stage < len(names) else str(line.stage)
        rows.append(
            f"| {name} | {line.successes} | {line.tries - line.successes} | {line.tries} | {line.rate:.2%} "
            f"| {line.episodes} | {line.skipped} |"
            + (f" {line.held_unnoticed or 0} | {line.felt_not_held or 0} |" if judged else "")
        )
    return "\n".join(rows)


def default_workers() -> int:
    """One process for each core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def main(arguments: list[str] | None = None) -> int:
    """Entry point of ``collect``."""
    from grasp_learning.command import command

    return command(CollectArguments, _collect, arguments)


def _collect(args: CollectArguments) -> int:
    settings = load_settings(args.config, args.set_)
    stage = settings.stage_number(args.stage) if args.stage else 0
    collector = Collector(settings, stage, args.out, args.checkpoint, args.workers or default_workers())
    total = args.total or settings.stages[stage].tries
    if args.more:
        total = collector.count().tries + args.more
    finished = collector.run(total)
    print(table(collector.store.reader().statistics(), [s.name for s in settings.stages]))
    return 0 if finished else 130


if __name__ == "__main__":
    sys.exit(main())
