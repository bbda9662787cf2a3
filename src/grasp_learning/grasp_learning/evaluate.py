# SPDX-License-Identifier: Apache-2.0
"""Evaluate policies by a protocol, in parallel processes; every policy meets the same scenes.

``ros2 run grasp_learning evaluate --cell ur5 --policy push_grasp --protocol random_30 --runs 30 --seed 0 --json FILE``
or ``python -m grasp_learning.evaluate ...``. With ``--json`` a stopped evaluation goes on when it is called again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field
from tqdm import tqdm

from grasp_core import resources
from grasp_core.config import Config, ConfigError
from grasp_learning.collect import default_workers, one_thread_each
from grasp_learning.contestants import (
    Contestant,
    EvaluationOrder,
    differences,
    fingerprint,
    make_evaluator,
    trained_with,
    usual_checkpoint,
)
from grasp_learning.episode_file import write_json
from grasp_learning.evaluation_plot import plot
from grasp_learning.finding import find
from grasp_learning.protocols import Protocol, RunOrder, load_protocol, orders
from grasp_learning.runs import RunRow
from grasp_learning.scores import by_place, markdown, score
from grasp_learning.settings import mapping_of
from grasp_learning.usage import origin
from grasp_sim.parallel import ParallelCells, WorkerError, WorkerLost

log = logging.getLogger(__name__)

LOST_LIMIT = 2


class EvaluateArguments(Config):
    """Evaluate policies in a cell. Several policies are compared on the same scenes."""

    policy: tuple[str, ...] = ("push_grasp",)
    """Policies: names in the entry points ``grasp.policies``, or ``module:attribute``."""
    checkpoint: tuple[str, ...] = ()
    """Checkpoint of each policy: a path, or a folder in models; ``none`` for none. Left out: the folder in models that
    has the policy's name, where there is one."""
    options: tuple[str, ...] = ()
    """Options of each policy, as YAML mappings like ``{patience: 0}``."""
    label: tuple[str, ...] = ()
    """Name of each policy in the report; left out: its own."""
    cell: str = "ur5"
    """Cell, a file in config/cells."""
    protocol: str = "random_30"
    """Protocol: a name in config/protocols, or a YAML file."""
    runs: int | None = Field(default=None, ge=1)
    """Runs of each scene or case; none for the protocol's number."""
    seed: int = Field(default=0, ge=0)
    """Of the scenes and the policies' chance."""
    cases: Path | None = None
    """Folder of arrangements (*.txt) in place of the protocol's scenes."""
    cell_options: str = "{}"
    """Options of the simulated cell on top of the protocol's, as a YAML mapping."""
    workers: int | None = Field(default=None, ge=1)
    """Processes; none for one a core. The result does not depend on it."""
    device: str = "cpu"
    """torch device of the policies."""
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None
    """File for the result. While the evaluation runs, finished runs are in FILE.runs.jsonl."""
    png: Path | None = None
    """Picture of the result to write (PNG): the metrics with their intervals, and completion by case."""


def evaluate(
    cell: str,
    protocol: Protocol,
    contestants: tuple[Contestant, ...],
    seed: int = 0,
    workers: int = 1,
    device: str = "cpu",
    file: Path | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]] | None:
    """Carry out all runs and score them, one result a contestant; none where it was interrupted.

    Args:
        cell, protocol, contestants, device: what is evaluated.
        seed: of all runs; every contestant meets the same scenes.
        workers: processes.
        file: of the result; finished runs are kept beside it until it is written.
        quiet: no progress bar.

    Raises:
        ConfigError: the kept runs are those of another evaluation.
        WorkerError: a process could not start.
    """
    plan = [(number, order) for order in orders(protocol, seed) for number in range(len(contestants))]
    described = {
        "cell": cell,
        "seed": seed,
        "protocol": protocol.model_dump(mode="json", exclude={"runs"}),
        "cases": _cases(protocol),
        "contestants": [{**c.model_dump(mode="json"), "sha256": fingerprint(c)} for c in contestants],
    }
    kept = _Kept(None if file is None else file.with_name(f"{file.name}.runs.jsonl"), described)
    waiting = [(number, order) for number, order in plan if (number, order.name, order.number) not in kept.rows]
    stop = threading.Event()
    if waiting:
        workers = min(workers, len(waiting))
        made: Callable[[int], Any] = functools.partial(
            make_evaluator, order=EvaluationOrder(cell, protocol, contestants, device)
        )
        with one_thread_each():
            cells = ParallelCells(workers, made, limit_s=3600.0)
        bar = tqdm(total=len(plan), initial=len(plan) - len(waiting), unit="run", disable=quiet)
        lock = threading.Lock()
        left = iter(waiting)

        def serve(worker: int) -> None:
            while not stop.is_set():
                with lock:
                    job = next(left, None)
                if job is None:
                    return
                row = _run(cells, worker, *job)
                with lock:
                    kept.add(job[0], row)
                    bar.set_postfix_str(_so_far(kept, contestants), refresh=False)
                    bar.update()

        try:
            with cells, ThreadPoolExecutor(workers) as pool:
                jobs = [pool.submit(serve, worker) for worker in range(workers)]
                try:
                    while not all(job.done() for job in jobs):
                        time.sleep(0.1)
                except KeyboardInterrupt:
                    log.warning("stopping when the present runs have ended")
                    stop.set()
                for job in jobs:
                    job.result()
        finally:
            bar.close()
    if stop.is_set():
        return None
    results = []
    for number, (contestant, other) in enumerate(zip(contestants, differences(contestants), strict=True)):
        rows = [kept.rows[number, order.name, order.number] for order in orders(protocol, seed)]
        results.append({**_result(contestant, rows, cell, protocol, seed), "differs": other})
    return results


def _run(cells: ParallelCells[Any], worker: int, number: int, order: RunOrder) -> RunRow:
    why = ""
    for _ in range(LOST_LIMIT):
        try:
            return RunRow.from_dict(cells.call(worker, "run", number, order))
        except WorkerLost as error:
            why = str(error)
    raise WorkerError(f"run {order.number} of {order.name} (seed {order.seed}): {why}")


def _result(contestant: Contestant, rows: list[RunRow], cell: str, protocol: Protocol, seed: int) -> dict[str, Any]:
    return {
        "label": contestant.label,
        "policy": contestant.policy,
        "checkpoint": contestant.checkpoint,
        "sha256": fingerprint(contestant),
        "trained_with": trained_with(contestant),
        "options": contestant.options,
        "cell": cell,
        "protocol": protocol.model_dump(mode="json"),
        "cases": _cases(protocol),
        "seed": seed,
        **score(rows, protocol.max_actions == 1),
        "by_place": by_place(rows, protocol.max_actions == 1),
        "runs": [row.as_dict() for row in rows],
    }


def _cases(protocol: Protocol) -> dict[str, str]:
    """SHA-256 of each arrangement's file: what stands in it may change while its name stays."""
    files = [Path(place) for place in protocol.places()] if protocol.cases is not None else []
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _so_far(kept: _Kept, contestants: tuple[Contestant, ...]) -> str:
    parts = []
    for number, contestant in enumerate(contestants):
        rows = [row for (who, _, _), row in kept.rows.items() if who == number]
        if rows:
            parts.append(f"{contestant.label} {sum(row.complete for row in rows)}/{len(rows)}")
    return ", ".join(parts)


class _Kept:
    """Finished runs, on disk as they finish."""

    def __init__(self, file: Path | None, described: dict[str, Any]) -> None:
        self._file = file
        self.rows: dict[tuple[int, str, int], RunRow] = {}
        if file is None:
            return
        head = json.dumps(described, sort_keys=True)
        if file.exists():
            first, *lines = file.read_text(encoding="utf-8").splitlines() or [""]
            if first != head:
                raise ConfigError(f"{file} keeps the runs of another evaluation; remove it or take another --json")
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # the last line of a killed process
                self._take(int(entry["contestant"]), RunRow.from_dict(entry["run"]))
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(head + "\n", encoding="utf-8")

    def add(self, contestant: int, row: RunRow) -> None:
        """Keep a run."""
        self._take(contestant, row)
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"contestant": contestant, "run": row.as_dict()}) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def _take(self, contestant: int, row: RunRow) -> None:
        self.rows[contestant, row.place, row.number] = row


def contestants_of(args: EvaluateArguments) -> tuple[Contestant, ...]:
    """The policies that a command line names; none of them is loaded.

    Raises:
        ConfigError: there are not as many checkpoints, options or labels as policies, or two share a label.
        UnknownNameError, ResourceError: no such policy, or no such checkpoint.
    """
    count = len(args.policy)
    for name in ("checkpoint", "options", "label"):
        given = len(getattr(args, name))
        if given not in (0, count):
            raise ConfigError(f"--{name} is given {given} times for {count} policies; give one for each, or none")
    found = []
    for number, policy in enumerate(args.policy):
        checkpoint = args.checkpoint[number] if args.checkpoint else usual_checkpoint(policy)
        options = mapping_of(args.options[number], "--options") if args.options else {}
        label = args.label[number] if args.label else policy
        find("grasp.policies", policy)
        checkpoint = None if checkpoint == "none" else checkpoint
        resources.find_checkpoint(checkpoint or "")
        found.append(
            Contestant(
                label=label,
                policy=policy,
                checkpoint=checkpoint,
                options=options,
            )
        )
    if len({c.label for c in found}) < count:
        raise ConfigError("two policies share a label; tell them apart with --label")
    return tuple(found)


def main(arguments: list[str] | None = None) -> int:
    """Entry point of ``evaluate``."""
    from grasp_learning.command import command

    return command(EvaluateArguments, _evaluate, arguments)


def _evaluate(args: EvaluateArguments) -> int:
    if args.png is not None and args.png.suffix.lower() != ".png":
        raise ConfigError(f"--png is {args.png}; its name ends in .png")
    protocol = load_protocol(args.protocol)
    values: dict[str, Any] = {
        "cell_options": {**protocol.cell_options, **mapping_of(args.cell_options, "--cell-options")}
    }
    if args.runs is not None:
        values["runs"] = args.runs
    if args.cases is not None:
        values |= {"scenes": (), "cases": str(args.cases)}
    protocol = protocol.with_values(**values)
    contestants = contestants_of(args)
    results = evaluate(
        args.cell, protocol, contestants, args.seed, args.workers or default_workers(), args.device, args.json_file
    )
    if results is None:
        kept = f"{args.json_file}.runs.jsonl keeps the finished runs, the same command goes on"
        told = kept if args.json_file is not None else "nothing is kept without --json"
        print(f"interrupted; {told}", file=sys.stderr)
        return 130
    print(markdown(results))
    if args.json_file is not None:
        told = results[0] if len(results) == 1 else {"policies": results}
        write_json(args.json_file, {**told, "origin": origin()})
        args.json_file.with_name(f"{args.json_file.name}.runs.jsonl").unlink(missing_ok=True)
        log.info("wrote %s", args.json_file)
    if args.png is not None:
        plot(results, args.png)
        log.info("wrote %s", args.png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
