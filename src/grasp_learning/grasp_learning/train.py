# SPDX-License-Identifier: Apache-2.0
"""Learn from the collected tries of a stage and all before it. Run it again to go on; it ends with equal weights.

``ros2 run grasp_learning train --config push_grasp.yaml --out runs/first --stage random`` or
``python -m grasp_learning.train ...``. Ctrl-C saves and stops.

Files in ``training/``: ``NN-stage/state.safetensors`` (to go on from), ``curve.json``, ``curve.png``, ``tensorboard/``.
The policy is written to ``checkpoints/NN-stage``.
"""

from __future__ import annotations

import logging
import random
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from pydantic import Field
from tqdm import tqdm

from grasp_core.config import Config, ConfigError
from grasp_learning.curve import Curve
from grasp_learning.folder_lock import alone
from grasp_learning.replay import ReplayReader
from grasp_learning.settings import LearningSettings, check_pinned, load_settings, read_pinned
from grasp_learning.state_file import load_state, save_state
from grasp_learning.usage import Meter, origin, totals

log = logging.getLogger(__name__)


class TrainArguments(Config):
    """Learn from the tries that one stage and those before it have collected."""

    config: Path
    """Learning run: a YAML file, looked for here and in config/learning."""
    out: Path
    """Folder of the run, where ``collect`` has put the tries."""
    stage: str | None = None
    """Stage to learn; none for the first."""
    total: int | None = Field(default=None, ge=1)
    """Learn until the stage has had this many updates; none for what the learner plans for the data."""
    more: int | None = Field(default=None, ge=1)
    """Make this many updates beyond those that the stage has had."""
    device: str = "cpu"
    """torch device."""
    replay: Path | None = None
    """Store of another run to learn from; none for the run's own."""
    set_: Annotated[tuple[str, ...], tyro.conf.arg(name="set")] = ()
    """Settings in place of the file's, like ``settings.policy.gamma=0.2``."""


class Trainer:
    """Trains one stage.

    Args:
        settings: of the run.
        stage: number of the stage.
        folder: of the run.
        device: torch device.
        quiet: no progress bar.
        replay: store to learn from; none for the run's own.
    """

    def __init__(
        self,
        settings: LearningSettings,
        stage: int,
        folder: Path,
        device: str = "cpu",
        quiet: bool = False,
        replay: Path | None = None,
    ) -> None:
        self._settings, self._stage, self._folder = settings, stage, Path(folder)
        self._quiet = quiet
        self._replay = replay or self._folder / "replay"
        check_pinned(self._folder, settings)
        self._own = settings.system_settings()
        self.learner = settings.system.learner(self._own, device, settings.seed)
        self._stopping = False

    @property
    def state_file(self) -> Path:
        """What this stage goes on from."""
        return state_file(self._folder, self._settings, self._stage)

    def run(self, total: int | None = None, more: int | None = None) -> bool:
        """Make the planned updates, or up to ``total``, or ``more`` than there are; false where it was interrupted.

        Raises:
            ReplayError: the store or the saved state is not this run's.
            ConfigError: an earlier stage is not finished, or another process trains in this folder.
        """
        with alone(self._folder, "train"):
            read_pinned(self._folder, self._settings)
            return self._run(total, more)

    def _run(self, total: int | None, more: int | None) -> bool:
        settings, stage = self._settings, self._settings.stages[self._stage]
        meter = Meter(self._folder, "train", stage.name)
        self._take_over_earlier_stage()
        saved = load_state(self.state_file) if self.state_file.exists() else None
        # A stage that was begun goes on with the tries that it was begun with, though more may have come since.
        tries = {int(k): int(v) for k, v in saved["tries"].items()} if saved else self._tries_there()
        episodes = ReplayReader(self._replay, settings.system.fields(self._own), tries)
        seed_all((settings.seed, self._stage))
        planned = self.learner.begin_stage(episodes, self._stage, **stage.learn)
        step, window = 0, _Window()
        if saved is not None:
            self.learner.load_state(saved["learner"])
            # Last: beginning the stage may have drawn numbers.
            load_state(self.state_file, random_numbers=True)
            step, window = int(saved["step"]), _Window(saved["window"]["sums"], int(saved["window"]["count"]))
        wanted = total if total is not None else step + more if more is not None else stage.updates
        wanted = planned if wanted is None else wanted
        training = self._folder / "training"
        training.mkdir(parents=True, exist_ok=True)
        curve = Curve(training)
        earlier = curve.go_on_from(self._stage, step)

        def save() -> None:
            held = {"sums": window.sums, "count": window.count}
            state = {"step": step, "planned": planned, "tries": tries, "window": held}
            save_state(self.state_file, {**state, "learner": self.learner.state()})
            curve.save()
            meter.note()

        bar = tqdm(total=wanted, initial=step, unit="update", desc=f"learn {stage.name}", disable=self._quiet)
        with self._interruptible():
            while step < wanted and not self._stopping:
                window.add(self.learner.update(step))
                step += 1
                bar.update()
                if step % settings.log_every == 0 or step == wanted:
                    means = window.take()
                    curve.add(self._stage, step, earlier + step, "train", means)
                    bar.set_postfix({k: f"{v:.3g}" for k, v in list(means.items())[:3]}, refresh=False)
                if step % settings.measure_every == 0 or step == wanted:
                    curve.add(self._stage, step, earlier + step, "measure", self.learner.measure())
                if step % settings.checkpoint_every == 0 and step < wanted:
                    save()
        bar.close()
        finished = step >= wanted
        if finished:
            meter.note()
            measured = [p for p in curve.points if p["kind"] == "measure"]
            self._save_policy(episodes, step, measured[-1] if measured else {})
        # After the policy: whoever finds this stage learned by its state finds its policy too.
        save()
        lines = [line for line in episodes.statistics() if line.stage is not None]
        curve.plot([s.name for s in settings.stages], [line.rate for line in lines])
        curve.close()
        meter.note()
        return finished

    def _save_policy(self, episodes: ReplayReader, step: int, measured: Mapping[str, Any]) -> None:
        folder = checkpoint_folder(self._folder, self._settings, self._stage)
        sums = episodes.statistics()[-1]
        self.learner.save_policy(
            folder,
            {
                "recipe": self._settings.recipe,
                "seed": self._settings.seed,
                "cell": self._settings.cell_name,
                "cell_options": self._settings.cell_options,
                "stage": self._settings.stages[self._stage].name,
                "data": {"episodes": sums.episodes, "tries": sums.tries, "successes": sums.successes},
                "updates": step,
                "measured": {k: v for k, v in measured.items() if k not in ("stage", "step", "updates", "kind")},
                "core_hours": {part: round(s["cpu_s"] / 3600.0, 3) for part, s in totals(self._folder).items()},
                **origin(),
            },
        )

    def _tries_there(self) -> dict[int, int]:
        """The tries asked for, by stage, or as many as there are by now."""
        reader = ReplayReader(self._replay, self._settings.system.fields(self._own))
        found = {}
        for number, stage in enumerate(self._settings.stages[: self._stage + 1]):
            there = reader.tries(reader.first(number, stage.tries))
            if there < stage.tries:
                log.warning("stage %s holds %d tries; %d are asked for", stage.name, there, stage.tries)
            found[number] = min(there, stage.tries)
        return found

    def _take_over_earlier_stage(self) -> None:
        """Weights and optimiser as the stage before left them; stages that learn nothing are passed over."""
        for number in range(self._stage - 1, -1, -1):
            if self._settings.stages[number].updates == 0:
                continue
            file = state_file(self._folder, self._settings, number)
            if not file.exists():
                raise ConfigError(f"stage {self._settings.stages[number].name!r} comes first; it has not been learned")
            self.learner.load_state(load_state(file)["learner"])
            return

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        def asked(number: int, frame: Any) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            self._stopping = True
            log.warning("saving after this update; press Ctrl-C again to stop at once")

        try:
            before = signal.signal(signal.SIGINT, asked)
        except ValueError:  # not in the main thread: whoever is, decides
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


class _Window:
    """Sums of what the updates since the last point of the curve told."""

    def __init__(self, sums: Mapping[str, float] | None = None, count: int = 0) -> None:
        self.sums, self.count = dict(sums or {}), count

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.count += 1

    def take(self) -> dict[str, float]:
        """Means, and begin anew."""
        means = {name: value / max(1, self.count) for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


def seed_all(seed: tuple[int, ...]) -> None:
    """Put the global random generators of Python, NumPy and torch where the seed says."""
    words = np.random.SeedSequence(seed).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))  # noqa: NPY002 - for learners that draw from it
    torch.manual_seed(int(words[2]))


def state_file(folder: Path, settings: LearningSettings, stage: int) -> Path:
    """Where a stage keeps what it goes on from."""
    return Path(folder) / "training" / f"{stage:02d}-{settings.stages[stage].name}" / "state.safetensors"


def checkpoint_folder(folder: Path, settings: LearningSettings, stage: int) -> Path:
    """Where a stage leaves its policy."""
    return Path(folder) / "checkpoints" / f"{stage:02d}-{settings.stages[stage].name}"


def main(arguments: list[str] | None = None) -> int:
    """Entry point of ``train``."""
    from grasp_learning.command import command

    return command(TrainArguments, _train, arguments)


def _train(args: TrainArguments) -> int:
    settings = load_settings(args.config, args.set_)
    stage = settings.stage_number(args.stage) if args.stage else 0
    return 0 if Trainer(settings, stage, args.out, args.device, replay=args.replay).run(args.total, args.more) else 130


if __name__ == "__main__":
    sys.exit(main())
