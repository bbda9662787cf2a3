# SPDX-License-Identifier: Apache-2.0
"""Writing an episode's messages in a thread of its own, so that a slow disk holds nobody up; ROS-free.

Whatever goes wrong is kept as one sentence in ``problem``; nothing more is written then, and what was written stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

from grasp_episodes.mcap_writer import EpisodeBag, Topic, shortfalls, written_counts

FLUSH_S = 1.0
# Messages of different topics come out of order by up to so much (ns); they are sorted before they are written, since
# readers are slow where chunks overlap in time.
SETTLE_NS = 250_000_000
# Messages may wait for the disk until they are so many bytes together.
MOST_WAITING_BYTES = 256 << 20
# Less room than this on the disk is too little to begin an episode with.
LEAST_FREE_BYTES = 200 << 20
MANIFEST = "manifest.json"


class RecordError(RuntimeError):
    """An episode cannot be recorded, or not to its end; the message says why."""


@dataclass(frozen=True)
class Item:
    """One message on its way to the bag; ``encode`` makes its bytes in the writer's thread."""

    topic: Topic
    received_ns: int
    published_ns: int
    data: bytes
    encode: Callable[[bytes], bytes] | None = None


class EpisodeRecorder:
    """Writes one episode; ``put`` may be called from any thread.

    Raises:
        RecordError: the folder cannot be made or written, or there is too little room.
    """

    def __init__(self, folder: Path, about: Mapping[str, str], compression: str = "zstd") -> None:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder.parent).free
            if free < LEAST_FREE_BYTES:
                raise RecordError(
                    f"{folder.parent} has {free >> 20} MiB of room left; at least {LEAST_FREE_BYTES >> 20} are needed"
                )
            self._bag = EpisodeBag(folder, about, compression, os.environ.get("ROS_DISTRO", ""))
        except OSError as error:
            raise RecordError(f"{folder} cannot be written: {error.strerror or error}") from error
        self.folder = folder
        self.problem = ""
        self.received: dict[str, int] = {}
        self._waiting: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Take one message."""
        with self._lock:
            if self.problem:
                return
            self._waiting_bytes += len(item.data)
            if self._waiting_bytes > MOST_WAITING_BYTES:
                self.problem = f"the disk under {self.folder} is too slow for what is recorded"
                return
            self.received[item.topic.name] = self.received.get(item.topic.name, 0) + 1
        self._waiting.put(item)

    def finish(self) -> tuple[dict[str, int], float]:
        """Write everything out and check it; returns messages by topic and the time they span (s).

        Raises:
            RecordError: writing has failed, or messages are missing in the file.
        """
        self._waiting.put(None)
        self._thread.join()
        if self.problem:
            raise RecordError(self.problem)
        try:
            found = written_counts(self._bag.path)
        except (OSError, ValueError) as error:
            raise RecordError(f"{self._bag.path} cannot be read back: {error}") from error
        missing = shortfalls(self.received, found)
        if missing:
            raise RecordError(f"{self._bag.path} lacks messages: {'; '.join(missing)}")
        return found, self._bag.span_s

    def _run(self) -> None:
        try:
            self._write_all()
            self._bag.close()
        except OSError as error:
            with self._lock:
                self.problem = f"{self._bag.path} cannot be written: {error.strerror or error}"
            self._bag.abandon()
        except Exception as error:  # noqa: BLE001 # told in words; the thread must not die in silence
            with self._lock:
                self.problem = f"the recorder failed: {type(error).__name__}: {error}"
            self._bag.abandon()

    def _write_all(self) -> None:
        flushed, held = monotonic(), list[Item]()
        while True:
            try:
                item = self._waiting.get(timeout=FLUSH_S)
                if item is None:
                    self._write(held)
                    return
                held.append(item if item.encode is None else replace(item, data=item.encode(item.data), encode=None))
                with self._lock:
                    self._waiting_bytes += len(held[-1].data) - len(item.data)
            except queue.Empty:
                pass
            if monotonic() - flushed >= FLUSH_S:
                settled_ns = time_ns() - SETTLE_NS
                self._write([item for item in held if item.received_ns <= settled_ns])
                held = [item for item in held if item.received_ns > settled_ns]
                self._bag.flush()
                flushed = monotonic()

    def _write(self, items: list[Item]) -> None:
        for item in sorted(items, key=lambda item: item.received_ns):
            self._bag.declare(item.topic)
            self._bag.write(item.topic.name, item.received_ns, item.published_ns, item.data)
            with self._lock:
                self._waiting_bytes -= len(item.data)


def add_to_manifest(run_dir: Path, entry: Mapping[str, Any]) -> None:
    """Add one episode to the run's ``manifest.json``.

    Raises:
        RecordError: it cannot be written.
    """
    path, draft = run_dir / MANIFEST, run_dir / f".{MANIFEST}.new"
    try:
        episodes = read_manifest(run_dir)
        draft.write_text(json.dumps({"episodes": [*episodes, dict(entry)]}, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror or error}") from error


def read_manifest(run_dir: Path) -> list[dict[str, Any]]:
    """The episodes of a run, oldest first; none where there is no manifest."""
    path = run_dir / MANIFEST
    return json.loads(path.read_text(encoding="utf-8"))["episodes"] if path.exists() else []


def check_manifest(run_dir: Path) -> list[str]:
    """Sentences on what is missing of the episodes that a run's manifest tells of; none when all is there."""
    problems = []
    for entry in read_manifest(run_dir):
        bag = run_dir / entry["episode_id"] / f"{entry['episode_id']}_0.mcap"
        try:
            missing = shortfalls(entry["messages"], written_counts(bag))
        except (OSError, ValueError) as error:
            missing = [str(error)]
        problems += [f"{entry['episode_id']}: {text}" for text in missing]
    return problems


def checksum(path: Path | None) -> str:
    """SHA-256 of a checkpoint: of a file, or of all files in a folder in the order of their names; empty for none."""
    if path is None:
        return ""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()
