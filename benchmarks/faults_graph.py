# SPDX-License-Identifier: Apache-2.0
"""Faults through the whole graph: each fault in each phase of a pick, in episodes of one object on mock hardware.

``python benchmarks/faults_graph.py --json FILE`` in a shell with env.sh launches ``real_ur5.launch.py
use_mock_hardware:=true`` with policy, episode manager and recorder, and runs an episode a row. Rows that FILE holds
already are not run again, so that a run that was interrupted goes on; ``--most`` ends a call after so many rows, and
``--doc docs/cells/ur5_faults.md`` writes the table into that page. The drivers alone: ``benchmarks/faults.py``.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tyro
from domain_coordinator import domain_id
from faults_graph_parts import FAULTS, PHASES, Fault, Graph
from tqdm import tqdm

from grasp_control.loopback.faults import STILL_RAD_S
from grasp_episodes.recorder import check_manifest, read_manifest
from grasp_interfaces.action import RunEpisodes

START_S, EPISODE_S, PHASE_S = 120.0, 150.0, 60.0
TRIES = 3
# From noticing to standing still (s): the bar.
STOP_S = 0.2
# The table's place in the documentation.
HEADING = "## Through the whole graph\n"


@dataclass
class Row:
    """What happened; times are none where there was nothing to notice, or the arm stood anyway."""

    fault: str
    phase: str
    noticed_s: float | None = None
    stopped_s: float | None = None
    reported: str = ""
    ended: str = ""
    bag: str = ""
    afterwards: str = ""
    moved_blindly: bool = False
    load: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing hung, nothing moved blindly, the arm stood in time, the bag is whole, and work can go on."""
        in_time = self.stopped_s is None or self.stopped_s <= STOP_S
        hung = "HUNG" in self.ended or "NOT" in self.afterwards
        return in_time and self.bag == "whole" and not (hung or self.moved_blindly)


@dataclass(frozen=True)
class Arguments:
    """Run faults through the whole graph."""

    json: Path = Path("faults_graph.json")
    """File that keeps the rows; those in it are not run again."""
    doc: Path | None = None
    """Page that gets the table."""
    host: str = "127.8.0.1"
    """Address of the loopback controllers."""
    only: str = ""
    """Only faults whose name contains this."""
    most: int = 1000
    """Rows to run in this call."""
    until_s: float = 1e9
    """Begin no row after so many seconds."""


class NotReached(RuntimeError):
    """An episode ended before the phase in which the fault was to come."""


@dataclass
class Moments:
    """When things happened, by the monotonic clock (s)."""

    began: float = 0.0
    noticed: float | None = None
    still: float | None = None
    was_moving: bool = False
    words: list[str] = field(default_factory=list)


def inject(graph: Graph, fault: Fault, phase: str, moments: Moments) -> None:
    """Wait for the phase, cause the fault, watch, and end it."""
    if not graph.until(lambda: graph.reached(phase) or graph.result_heard.is_set(), PHASE_S) or not graph.reached(
        phase
    ):
        raise NotReached(phase)
    moments.was_moving = graph.fault("state")["speed"] > STILL_RAD_S
    graph.listen_for_problems()
    moments.began = time.monotonic()
    if answer := fault.begin(graph):
        moments.noticed = time.monotonic()
        moments.words.append(str(answer))
    if fault.shows != "answer":
        graph.until(lambda: graph.problem is not None, fault.lasts_s + 1.5)
    if graph.problem is not None and moments.noticed is None:
        moments.noticed = graph.problem[0]
        moments.words.append(graph.problem[1])
    if moments.was_moving and fault.stops and moments.noticed is not None:
        graph.until(lambda: graph.fault("state")["speed"] <= STILL_RAD_S, 3.0)
        moments.still = graph.fault("state")["still_since_s"]
    graph.until(lambda: time.monotonic() - moments.began > fault.lasts_s, fault.lasts_s + 1.0)
    fault.end(graph)


def episode(graph: Graph, seed: int, meanwhile: Callable[[], None]) -> tuple[str, str]:
    """Run one; how it ended, and what is wrong with its bag."""
    graph.begin_episode()
    goal = RunEpisodes.Goal(episodes=1, objects=1, seed=seed, record=True, max_actions=1)
    sent = graph.action.send_goal_async(goal)
    if not graph.until(sent.done, 20.0):
        return "the goal was not taken in time", ""
    result = sent.result().get_result_async()
    result.add_done_callback(lambda _: graph.result_heard.set())
    try:
        meanwhile()
    finally:
        over = graph.until(result.done, EPISODE_S)
    if not over:
        return "HUNG", ""
    answer = result.result().result
    ended = answer.results[0].ended_by if answer.results else "no episode"
    how = [f"{reason} {count}" for reason, count in zip(answer.reasons, answer.reason_counts, strict=True)]
    (folder,) = graph.folder.iterdir()
    problems = check_manifest(folder)
    if not problems and not read_manifest(folder):
        problems = ["no bag was written"]
    text = answer.message.partition("episode 0 ended as failed: ")[2] or answer.message
    return "; ".join(part for part in (ended, ", ".join(how), text) if part), "; ".join(problems) or "whole"


def try_out(graph: Graph, fault: Fault, phase: str, seed: int) -> Row:
    """One row.

    Raises:
        NotReached: the phase did not come.
    """
    row, moments = Row(fault.name, phase), Moments()
    row.ended, row.bag = episode(graph, seed, lambda: inject(graph, fault, phase, moments))
    if moments.noticed is not None:
        row.noticed_s = round(max(0.0, moments.noticed - moments.began), 3)
        if moments.still is not None:
            row.stopped_s = round(max(0.0, moments.still - moments.noticed), 3)
    row.reported = "; ".join(moments.words)
    if not row.reported and fault.shows == "episode":
        row.reported = "by how the action ended"
    row.afterwards = graph.back_at_work()
    moved = graph.fault("state")["moved_since_s"]
    if fault.stops and moments.still is not None and moved > moments.still + 0.05:
        # Whatever moved the arm afterwards was a new command.
        row.moved_blindly = not any(moments.still - 0.3 <= at <= moved + 0.3 for at in graph.commands)
    row.load = round(os.getloadavg()[0], 1)
    return row


def one_row(graph: Graph, fault: Fault, phase: str, seed: int) -> Row:
    """A row, tried again where the phase was not reached."""
    for turn in range(TRIES):
        try:
            return try_out(graph, fault, phase, seed + 1000 * turn)
        except NotReached:
            graph.back_at_work()
    return Row(fault.name, phase, reported="the phase was not reached", bag="-", load=round(os.getloadavg()[0], 1))


def markdown(rows: list[Row]) -> str:
    """The table for people."""

    def milliseconds(seconds: float | None) -> str:
        return "-" if seconds is None else f"{1e3 * seconds:.0f}"

    lines = [
        "| fault | phase | noticed after [ms] | stood after [ms] | reported as | episode ended | bag | afterwards |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        words = (row.reported, row.ended, row.bag, row.afterwards)
        said = " | ".join(word.replace("|", "/").replace("\n", " ") for word in words)
        lines.append(
            f"| {row.fault} | {row.phase} | {milliseconds(row.noticed_s)} | {milliseconds(row.stopped_s)} | {said} |"
        )
    return "\n".join(lines) + "\n"


def summary(rows: list[Row]) -> str:
    """A sentence on all rows."""
    reached = [row for row in rows if row.bag != "-"]
    bad = [f"{row.fault} in {row.phase}" for row in reached if not row.good]
    stops = [row.stopped_s for row in reached if row.stopped_s is not None]
    loads = [row.load for row in rows]
    return (
        f"{len(rows)} rows, {len(rows) - len(reached)} whose phase was not reached, {len(bad)} bad"
        f"{': ' + ', '.join(bad) if bad else ''}. Slowest stop {1e3 * max(stops, default=0.0):.0f} ms after the fault "
        f"was noticed ({len(stops)} stops), {os.cpu_count()} cores, load {min(loads):.0f} to {max(loads):.0f}."
    )


def into_doc(page: Path, rows: list[Row]) -> None:
    """Put the table below its heading's first paragraph."""
    text = page.read_text(encoding="utf-8")
    before, heading, after = text.partition(HEADING)
    assert heading, f"{page} has no heading {HEADING!r}"
    introduction = after.partition("\n|")[0].rstrip("\n").split("\n\nMeasured: ")[0]
    page.write_text(
        f"{before}{heading}{introduction}\n\nMeasured: {summary(rows)}\n\n{markdown(rows)}", encoding="utf-8"
    )


def write(args: Arguments, rows: list[Row]) -> None:
    """The rows so far."""
    args.json.parent.mkdir(parents=True, exist_ok=True)
    content = {"cores": os.cpu_count(), "rows": [{**asdict(row), "good": row.good} for row in rows]}
    args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def run_missing(args: Arguments, rows: list[Row], missing: list[tuple[Fault, str]]) -> None:
    """Run rows into ``rows``."""
    end = time.monotonic() + args.until_s
    with tempfile.TemporaryDirectory() as folder, domain_id() as domain:
        graph = Graph(args.host, domain, Path(folder))
        try:
            if not (graph.action.wait_for_server(START_S) and graph.until(graph.ready, START_S)):
                raise SystemExit(f"the graph did not come up: {graph.messages}")
            for fault, phase in tqdm(missing[: args.most], unit="row"):
                if time.monotonic() > end:
                    break
                rows.append(row := one_row(graph, fault, phase, 1 + len(rows)))
                tqdm.write(f"{'good' if row.good else 'BAD'} {asdict(row)}")
                write(args, rows)
        finally:
            graph.close()


def main() -> None:
    """Run what is missing, print, write."""
    args = tyro.cli(Arguments, description=__doc__)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows: list[Row] = []
    if args.json.exists():
        told = json.loads(args.json.read_text(encoding="utf-8"))["rows"]
        rows = [Row(**{name: value for name, value in row.items() if name != "good"}) for row in told]
    done = {(row.fault, row.phase) for row in rows}
    wanted = [(fault, phase) for fault in FAULTS if args.only in fault.name for phase in PHASES]
    missing = [(fault, phase) for fault, phase in wanted if (fault.name, phase) not in done]
    if missing and args.most > 0:
        run_missing(args, rows, missing)
    order = {(fault.name, phase): k for k, (fault, phase) in enumerate((f, p) for f in FAULTS for p in PHASES)}
    rows.sort(key=lambda row: order[row.fault, row.phase])
    print(summary(rows))
    if left := sum((fault.name, phase) not in {(r.fault, r.phase) for r in rows} for fault, phase in wanted):
        print(f"{left} rows are still missing; call again to go on")
    if args.doc is not None:
        into_doc(args.doc, rows)


if __name__ == "__main__":
    main()
