# SPDX-License-Identifier: Apache-2.0
"""A launched graph on a ROS domain of its own: what it says of its episodes, what its processes need, who is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import rclpy
from domain_coordinator import domain_id
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from trajectory_msgs.msg import JointTrajectory

from grasp_core.cell_config import CellConfig
from grasp_core.resources import find
from grasp_interfaces.msg import EpisodeResult, EpisodeStep

SAMPLE_S = 1.0
# The kernel walks all of a process's pages to tell its own memory: not every time.
HEAP_EVERY = 10
LEAVE_S = 40.0
LOOK_S = 30.0
TELL_S = 300.0
KEPT_BAGS = 3


@dataclass
class Heard:
    """What came in, with the real time of its arrival."""

    first_command: float | None = None
    steps: list[EpisodeStep] = field(default_factory=list)
    results: list[EpisodeResult] = field(default_factory=list)


@dataclass
class Load:
    """One process over time: (seconds since launch, percent of a core, resident MiB), and (seconds, its own MiB)."""

    samples: list[tuple[float, float, float]] = field(default_factory=list)
    heap: list[tuple[float, float]] = field(default_factory=list)


class Watcher:
    """Listens to the graph and looks at its processes, each in a thread, until ``close``."""

    def __init__(self, domain: int, config: CellConfig, root: psutil.Process, begin: float) -> None:
        self.begin, self.heard, self.loads = begin, Heard(), defaultdict[str, Load](Load)
        self.orphans = 0
        self._root = root
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

    def told(self) -> str:
        """Where things stand, in a line."""
        heap = {name: round(load.heap[-1][1]) for name, load in self.loads.items() if load.heap}
        return f"{len(self.heard.results)} episodes, own MiB: {heap}"

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
        count = 0
        while not self._over.wait(SAMPLE_S):
            try:
                found = [self._root, *self._root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in found:
                process = known.setdefault(process.pid, process)
                try:
                    cpu, memory = process.cpu_percent(), process.memory_info().rss / 2**20
                    load, at = self.loads[name_of(process)], time.monotonic() - self.begin
                    load.samples.append((at, cpu, memory))
                    if count % HEAP_EVERY == 0:
                        load.heap.append((at, own_mib(process.pid)))
                except (psutil.Error, OSError):
                    continue  # it ended while we looked
            count += 1


def own_mib(pid: int) -> float:
    """Memory that is a process's own: neither files nor what it shares with the transport.

    Raises:
        OSError: there is no such process any more.
    """
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024.0
    return 0.0


def name_of(process: psutil.Process) -> str:
    """The executable that a node's process runs."""
    words = [Path(word).name for word in process.cmdline()[:3]]
    named = [word for word in words if word.endswith("_node") or word in ("run_episodes", "robot_state_publisher")]
    others = (word for word in words if not word.startswith(("python", "-")))
    return named[0] if named else next(others, process.name())


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


def run(cell: str, values: Mapping[str, object], minutes: float = 0.0, record_dir: Path | None = None) -> Watcher:
    """Launch a simulated cell, wait until it ends by itself or the minutes are over, end it, count who is left.

    Args:
        cell: name of the cell.
        values: launch arguments.
        minutes: 0 for as long as it takes.
        record_dir: where bags go; none for a temporary folder, in which only the newest are kept.
    """
    mark = f"episodes-benchmark-{os.getpid()}-{time.monotonic_ns()}"
    with domain_id() as domain, tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "GRASP_BENCHMARK": mark, "PYTHONUNBUFFERED": "1"}
        fixed = {"stay": "false", "headless_mode": "true", "viewer": "false", "log_level": "warn"}
        given = {**fixed, **values, "record_dir": record_dir or folder}
        command = ["ros2", "launch", "grasp_bringup", f"sim_{cell}.launch.py"]
        words = [*command, *(f"{name}:={value}" for name, value in given.items() if value != "")]
        begin = time.monotonic()
        process = subprocess.Popen(words, env=environment, start_new_session=True)
        config = CellConfig.from_yaml(find("config", f"cells/{cell}.yaml"))
        with _ended(process):
            watcher = Watcher(int(domain), config, psutil.Process(process.pid), begin)
            try:
                _wait(process, minutes, watcher, Path(folder) if record_dir is None else None)
            finally:
                _interrupt(process)
                watcher.close()
        gone_by = time.monotonic() + 10.0
        while (left := marked(mark)) and time.monotonic() < gone_by:
            psutil.wait_procs([psutil.Process(pid) for pid in left if psutil.pid_exists(pid)], 1.0)
        watcher.orphans = len(left)
    return watcher


@contextlib.contextmanager
def _ended(process: subprocess.Popen) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            _interrupt(process)


def _interrupt(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _wait(process: subprocess.Popen, minutes: float, watcher: Watcher, bags: Path | None) -> None:
    end = time.monotonic() + 60.0 * minutes if minutes else float("inf")
    told = time.monotonic()
    while time.monotonic() < end:
        try:
            process.wait(min(LOOK_S, max(0.1, end - time.monotonic())))
            return
        except KeyboardInterrupt:
            return
        except subprocess.TimeoutExpired:
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                print(watcher.told(), flush=True)
            if bags is not None:
                for old in sorted(bags.glob("*/*/*.mcap"), key=lambda path: path.stat().st_mtime)[:-KEPT_BAGS]:
                    old.unlink()
