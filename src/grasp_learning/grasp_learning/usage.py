# SPDX-License-Identifier: Apache-2.0
"""What a run costs: processor and wall seconds by part, added up over all resumptions, and the machine it ran on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

LIBRARIES = ("numpy", "torch", "zarr", "pybullet")
FILE = "usage.jsonl"


_counted_cpu_s: float | None = None


def count_from_start() -> None:
    """Let the next meter count from the start of this process: imports cost too. For command lines."""
    global _counted_cpu_s
    _counted_cpu_s = 0.0


class Meter:
    """Counts the processor and wall seconds of this process from when it is made; no second is counted twice.

    Every ``note`` appends the seconds since the last one to ``usage.jsonl``, so that a killed run loses little.
    """

    def __init__(self, folder: Path, part: str, stage: str) -> None:
        self._file, self._part, self._stage = Path(folder) / FILE, part, stage
        self._cpu_s = time.process_time() if _counted_cpu_s is None else _counted_cpu_s
        self._wall_s = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """Wall seconds since the last note."""
        return time.perf_counter() - self._wall_s

    def note(self, cpu_s: float = 0.0) -> None:
        """Write down what was spent; ``cpu_s`` of other processes is added."""
        cpu, wall = time.process_time(), time.perf_counter()
        line = {
            "part": self._part,
            "stage": self._stage,
            "cpu_s": round(cpu - self._cpu_s + cpu_s, 3),
            "wall_s": round(wall - self._wall_s, 3),
        }
        self._cpu_s, self._wall_s = cpu, wall
        global _counted_cpu_s
        if _counted_cpu_s is not None:
            _counted_cpu_s = cpu
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def totals(folder: Path) -> dict[str, dict[str, float]]:
    """Seconds by part: ``cpu_s`` and ``wall_s``."""
    found: dict[str, dict[str, float]] = {}
    file = Path(folder) / FILE
    if not file.exists():
        return found
    for text in file.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the last line of a killed process
        part = found.setdefault(line["part"], {"cpu_s": 0.0, "wall_s": 0.0})
        part["cpu_s"] += line["cpu_s"]
        part["wall_s"] += line["wall_s"]
    return found


def machine() -> dict[str, Any]:
    """Kind of processor and number of cores; nothing that names the machine."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        model = platform.machine()
    return {"cpu": model, "cores": os.cpu_count() or 1}


def origin() -> dict[str, Any]:
    """Where data or weights come from: command, code and library versions, time."""
    return {
        "command": _command(),
        "code": commit(),
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": machine(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def digest(path: Path) -> str:
    """SHA-256 over the names and contents of a checkpoint's files, or of one file, to say which weights were used."""
    found = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        found.update(file.name.encode())
        found.update(file.read_bytes())
    return found.hexdigest()


def _command() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = Path(sys.argv[0]).name if spec is None else f"python -m {spec.name}"
    # Where a file lies on this machine is nobody's business: the end of an absolute path says which it is.
    return " ".join([program, *(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])])


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Commit of the checkout that this file lies in, with ``-dirty`` where tracked files were changed."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit is None:
        return "unknown"
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return commit if changes == "" else f"{commit}-dirty"


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).resolve().parent), *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60.0).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("the version of the code is not known: %s", error)
        return None
