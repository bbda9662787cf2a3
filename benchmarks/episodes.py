# SPDX-License-Identifier: Apache-2.0
"""Episodes through ROS: from launch to the first command, from a picture to a command by stage, load, endurance.

``python benchmarks/episodes.py --json FILE`` launches a cell of its own on a ROS domain of its own, lets it clear a
small table, writes rows of ``name, backend, value, unit, budget`` and prints them. ``--minutes 60`` runs episode after
episode and tells how memory grows.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import psutil
import rclpy
import tyro
from domain_coordinator import domain_id
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.time import Time
from trajectory_msgs.msg import JointTrajectory

from grasp_core.cell_config import CellConfig
from grasp_core.resources import find
from grasp_interfaces.msg import EpisodeResult, EpisodeStep

SAMPLE_S = 1.0
LEAVE_S = 40.0
BARS = 24
TELL_S = 300.0


@dataclass(frozen=True)
class Row:
    """One number; ``budget`` none where there is none."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


@dataclass
class Arguments:
    """Measure episodes through ROS."""

    json: Path | None = None
    """File for the rows."""
    cell: str = "ur5"
    """Name of the cell."""
    policy: str = "auto"
    """Name of the policy; auto: as the launch files decide."""
    scene: str = "blocks"
    """Scene to clear."""
    objects: int = 4
    """Objects in it."""
    episodes: int = 1
    """Episodes where ``minutes`` is 0."""
    minutes: float = 0.0
    """Run episode after episode for so long."""
    record: bool = True
    """Record bags, as a user would."""
    record_dir: Path | None = None
    """Where bags go; none for a temporary folder, whose bags are removed when they are old."""
    seed: int = 0
    """Seed of the first scene."""


@dataclass
class Heard:
    """What came in, with the real time of its arrival."""

    first_command: float | None = None
    steps: list[EpisodeStep] = field(default_factory=list)
    results: list[EpisodeResult] = field(default_factory=list)


@dataclass
class Load:
    """Processor share and memory of one process over time: (seconds since launch, percent of a core, MiB)."""

    samples: list[tuple[float, float, float]] = field(default_factory=list)


class Watcher:
    """Listens to the graph and looks at its processes, each in a thread, until ``close``."""

    def __init__(self, domain: int, config: CellConfig, root: psutil.Process, begin: float) -> None:
        self.heard, self.loads = Heard(), defaultdict(Load)
        self._root, self._begin = root, begin
        self._over = threading.Event()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("episodes_benchmark", context=self._context)
        self._node.create_subscription(EpisodeStep, "episode_manager/step", self.heard.steps.append, 50)
        self._node.create_subscription(EpisodeResult, "episode_manager/result", self.heard.results.append, 10)
        for controller in next(iter(config.arms.values())).controllers:
            topic = f"commands/{controller}/joint_trajectory"
            self._node.create_subscription(JointTrajectory, topic, self._command, 10)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._spin, self._sample)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop listening and looking."""
        self._over.set()
        self._executor.shutdown()
        for thread in self._threads:
            thread.join(5.0)
        rclpy.shutdown(context=self._context)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def _command(self, _: JointTrajectory) -> None:
        if self.heard.first_command is None:
            self.heard.first_command = time.monotonic()

    def _sample(self) -> None:
        known: dict[int, psutil.Process] = {}
        while not self._over.wait(SAMPLE_S):
            try:
                found = [self._root, *self._root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in found:
                process = known.setdefault(process.pid, process)
                try:
                    cpu, memory = process.cpu_percent(), process.memory_info().rss / 2**20
                    name = name_of(process)
                except psutil.Error:
                    continue  # it ended while we looked
                self.loads[name].samples.append((time.monotonic() - self._begin, cpu, memory))


def name_of(process: psutil.Process) -> str:
    """The executable that a node's process runs."""
    words = [Path(word).name for word in process.cmdline()[:3]]
    named = [word for word in words if word.endswith("_node") or word in ("run_episodes", "robot_state_publisher")]
    return named[0] if named else next((word for word in words if not word.startswith("python")), process.name())


def marked(mark: str) -> list[int]:
    """Processes that carry a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.environ().values() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue  # not ours, or ended while we looked
    return found


def measure(args: Arguments) -> list[Row]:
    """All rows of one launch."""
    mark = f"episodes-benchmark-{os.getpid()}"
    with domain_id() as domain, tempfile.TemporaryDirectory() as folder:
        record_dir = args.record_dir or Path(folder)
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "GRASP_BENCHMARK": mark, "PYTHONUNBUFFERED": "1"}
        episodes = args.episodes if not args.minutes else 100_000
        values = {
            "policy": args.policy, "scene": args.scene, "objects": args.objects, "seed": args.seed, "stay": "false",
            "episodes": episodes, "headless_mode": "true", "viewer": "false", "log_level": "warn",
            "record": str(args.record).lower(), "record_dir": record_dir,
        }  # fmt: skip
        command = ["ros2", "launch", "grasp_bringup", f"sim_{args.cell}.launch.py"]
        begin = time.monotonic()
        process = subprocess.Popen(
            [*command, *(f"{name}:={value}" for name, value in values.items())], env=environment, start_new_session=True
        )
        config = CellConfig.from_yaml(find("config", f"cells/{args.cell}.yaml"))
        watcher = Watcher(int(domain), config, psutil.Process(process.pid), begin)
        try:
            _wait(process, args, watcher, Path(folder) if args.record_dir is None else None)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            watcher.close()
        gone_by = time.monotonic() + 10.0
        while (left := marked(mark)) and time.monotonic() < gone_by:
            psutil.wait_procs([psutil.Process(pid) for pid in left if psutil.pid_exists(pid)], 1.0)
        return rows(watcher, args, begin, len(left))


def _wait(process: subprocess.Popen, args: Arguments, watcher: Watcher, bags: Path | None) -> None:
    """Until the launch has ended or the minutes are over; old bags in a temporary folder make room meanwhile."""
    end = time.monotonic() + 60.0 * args.minutes if args.minutes else float("inf")
    told = time.monotonic()
    while time.monotonic() < end:
        try:
            process.wait(min(30.0, max(0.1, end - time.monotonic())))
            return
        except KeyboardInterrupt:
            return
        except subprocess.TimeoutExpired:
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                memory = {name: round(load.samples[-1][2]) for name, load in watcher.loads.items()}
                print(f"{len(watcher.heard.results)} episodes, MiB: {memory}", flush=True)
            if bags is not None:
                for old in sorted(bags.glob("*/*/*.mcap"), key=lambda path: path.stat().st_mtime)[:-3]:
                    old.unlink()


def stages(step: EpisodeStep) -> dict[str, float]:
    """Milliseconds from the picture to the first command, by stage, and the whole."""
    found = {stage.stage: 1e3 * stage.seconds for stage in step.stages}
    inside = sum(ms for name, ms in found.items() if name not in AFTER)
    at = {name: Time.from_msg(getattr(step, name)).nanoseconds for name in ("observed", "decided", "started")}
    told = {name: ms for name, ms in found.items() if name not in AFTER}
    told["infer: transport"] = max(0.0, found.get("decide", 0.0) - inside)
    if at["started"]:
        told["decision to command"] = 1e-6 * (at["started"] - at["decided"])
        told["capture to command"] = 1e-6 * (at["started"] - at["observed"])
    return told


AFTER = ("decide", "plan", "motion", "gripper", "execute", "judge")


def rows(watcher: Watcher, args: Arguments, begin: float, orphans: int) -> list[Row]:
    """Everything as numbers; histograms are printed beside."""
    heard, backend = watcher.heard, args.policy
    found = [Row("processes left behind", backend, orphans, "", 0)]
    if heard.first_command is not None:
        found.append(Row("launch to first command", backend, heard.first_command - begin, "s", 30.0))
    by_stage: dict[str, list[float]] = defaultdict(list)
    for step in heard.steps:
        for name, ms in stages(step).items():
            by_stage[name].append(ms)
        for stage in step.stages:
            if stage.stage in AFTER:
                by_stage[f"action: {stage.stage}"].append(1e3 * stage.seconds)
    for name, values in by_stage.items():
        print(histogram(name, values))
        found += [Row(f"{name}, {word}", backend, float(np.percentile(values, q)), "ms") for word, q in PERCENTILES]
    attempts = sum(result.attempts for result in heard.results)
    found.append(Row("episodes", backend, len(heard.results), ""))
    found.append(Row("episodes failed", backend, sum(r.ended_by == "failed" for r in heard.results), "", 0))
    found.append(Row("grasps tried", backend, attempts, ""))
    if attempts:
        held = sum(result.successes for result in heard.results)
        found.append(Row("grasps that succeeded", backend, 100.0 * held / attempts, "%"))
    for name, load in sorted(watcher.loads.items()):
        found += load_rows(name, np.array(load.samples), backend)
    return found


PERCENTILES = (("median", 50), ("95 %", 95))


def load_rows(name: str, samples: np.ndarray, backend: str) -> list[Row]:
    """Processor share and memory of a node; how memory grows after the first quarter, where it ran long enough."""
    if len(samples) < 3:
        return []
    at, cpu, memory = samples.T
    found = [
        Row(f"{name}: processor", backend, float(cpu[1:].mean()), "% of a core"),
        Row(f"{name}: memory at the end", backend, float(memory[-1]), "MiB"),
    ]
    later = at > at[0] + 0.25 * (at[-1] - at[0])
    if at[-1] - at[0] > 240.0:
        growth = np.polyfit(at[later] / 3600.0, memory[later], 1)[0]
        found.append(Row(f"{name}: memory growth", backend, float(growth), "MiB/h"))
    return found


def histogram(name: str, values: list[float]) -> str:
    """Counts over ten bins as text."""
    counts, edges = np.histogram(values, bins=10)
    lines = [f"{name} (ms, {len(values)} actions)"]
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        bar = "#" * round(BARS * count / max(counts.max(), 1))
        lines.append(f"  {low:9.1f} .. {high:9.1f}  {bar:{BARS}s} {count}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    args = tyro.cli(Arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = measure(args)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in found:
        budget = "" if row.budget is None else f"   (budget {row.budget:g})"
        print(f"{row.name:48s} {row.backend:14s} {row.value:10.2f} {row.unit}{budget}")
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
