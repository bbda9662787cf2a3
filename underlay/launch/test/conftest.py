# SPDX-License-Identifier: Apache-2.0
"""The stand-in's tests run against the stand-in: where upstream's launch is installed they are left out."""

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_PACKAGE = Path(__file__).resolve().parents[1]


def _find_stand_in() -> bool:
    spec = importlib.util.find_spec("launch")
    if spec is None or spec.origin is None:  # nothing, or a mere folder of that name in the working directory
        sys.path.insert(0, str(_PACKAGE))
        importlib.invalidate_caches()
        sys.modules.pop("launch", None)
    return getattr(importlib.import_module("launch"), "IS_STAND_IN", False)


collect_ignore_glob = [] if _find_stand_in() else ["test_*.py"]


@dataclass
class Outcome:
    """What a launch returned and showed."""

    code: int
    text: str


@pytest.fixture(autouse=True)
def log_dir(tmp_path, monkeypatch):
    """Keep the log of every test in its own folder."""
    from launch.logging import launch_config

    folder = tmp_path / "log"
    monkeypatch.setenv("ROS_LOG_DIR", str(folder))
    launch_config.reset()
    yield folder
    launch_config.reset()


@pytest.fixture
def run(capsys):
    """Run entities in this process; return an Outcome."""
    from launch import LaunchDescription, LaunchService

    def run_entities(*entities) -> Outcome:
        service = LaunchService()
        service.include_launch_description(LaunchDescription(list(entities)))
        code = service.run()
        return Outcome(code, capsys.readouterr().out)

    return run_entities


class Launcher:
    """A launch in a process of its own, read line by line."""

    def __init__(self, arguments: list[str], environment: dict[str, str], **options) -> None:
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, **options
        )
        self.lines: list[str] = []

    def wait_for(self, text: str) -> str:
        """Return the first further line with the text (the test's time-out bounds the wait)."""
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"the launch ended without saying {text!r}: {''.join(self.lines)}")

    def finish(self) -> int:
        """Read to the end; return the exit status."""
        self.lines.extend(self.process.stdout)
        return self.process.wait()

    @property
    def text(self) -> str:
        """All that was read."""
        return "".join(self.lines)


@pytest.fixture
def start(tmp_path, log_dir):
    """Start a launch of entities, given as the text of a Python list, in a process of its own; return a Launcher."""
    import launch

    started = []

    def start_launch(entities: str, *, through: tuple[str, ...] = (), head: str = "", **options) -> Launcher:
        script = tmp_path / "launcher.py"
        script.write_text(
            "import sys\n"
            "from launch import LaunchDescription, LaunchService\n"
            "from launch.actions import *\n"
            "from launch.event_handlers import *\n"
            'PY = [sys.executable, "-S", "-u", "-c"]\n'
            f"{head}\n"
            "service = LaunchService(noninteractive=True)\n"
            f"service.include_launch_description(LaunchDescription({entities}))\n"
            "sys.exit(service.run())\n"
        )
        paths = [str(Path(launch.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
        launcher = Launcher([*through, sys.executable, "-u", str(script)], environment, **options)
        started.append(launcher)
        return launcher

    yield start_launch
    for launcher in started:
        if launcher.process.poll() is None:
            launcher.process.send_signal(signal.SIGKILL)
        launcher.process.wait()
        launcher.process.stdout.close()
