# SPDX-License-Identifier: Apache-2.0
"""The stand-in's tests run against the stand-in: where upstream's launch_ros is installed they are left out."""

import importlib
import importlib.util
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

_UNDERLAY = Path(__file__).resolve().parents[2]

for _name in ("launch", "launch_ros"):
    _spec = importlib.util.find_spec(_name)
    if _spec is None or _spec.origin is None:  # nothing, or a mere folder of that name in the working directory
        sys.path.insert(0, str(_UNDERLAY / _name))
        importlib.invalidate_caches()
        sys.modules.pop(_name, None)

collect_ignore_glob = [] if getattr(importlib.import_module("launch"), "IS_STAND_IN", False) else ["test_*.py"]

_SHOW = """#!{python} -S
import sys
print("arguments", sys.argv[1:])
"""


@dataclass
class Started:
    """What a node was started with."""

    code: int
    text: str
    arguments: list[list[str]]

    def parameters(self, which: int = 0) -> list[dict]:
        """Return the contents of the parameter files of one node."""
        words = self.arguments[which]
        files = [words[place + 1] for place, word in enumerate(words) if word == "--params-file"]
        return [yaml.safe_load(Path(file).read_text()) for file in files]


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An ament prefix with one package, 'demo', and one executable, 'show', which prints its arguments."""
    folder = tmp_path / "prefix"
    marker = folder / "share" / "ament_index" / "resource_index" / "packages" / "demo"
    marker.parent.mkdir(parents=True)
    marker.touch()
    (folder / "share" / "demo").mkdir()
    program = folder / "lib" / "demo" / "show"
    program.parent.mkdir(parents=True)
    program.write_text(_SHOW.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(folder))
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return folder


@pytest.fixture
def start(prefix, capsys):
    """Run entities in this process; return what the nodes were started with."""
    from launch.logging import launch_config

    from launch import LaunchDescription, LaunchService

    launch_config.reset()

    def start_entities(*entities) -> Started:
        service = LaunchService()
        service.include_launch_description(LaunchDescription(list(entities)))
        code = service.run()
        text = capsys.readouterr().out
        shown = sorted(line for line in text.splitlines() if "] arguments " in line)
        shown.sort(key=lambda line: int(line.partition("]")[0].rpartition("-")[2]))
        arguments = [yaml.safe_load(line.partition("] arguments ")[2]) for line in shown]
        return Started(code, text, arguments)

    yield start_entities
    launch_config.reset()
    assert os.environ["AMENT_PREFIX_PATH"] == str(prefix)
