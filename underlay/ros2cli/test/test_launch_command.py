# SPDX-License-Identifier: Apache-2.0
"""``ros2 launch``: how it finds files and arguments. What launching does is launch's own subject."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ros2cli.launch import parse_arguments

FILE = "greet.launch.py"


@pytest.fixture(autouse=True)
def launch_is_there(ros2):
    check = [sys.executable, "-c", "import launch.launch_description_sources"]
    if subprocess.run(check, env=ros2.environment, capture_output=True, timeout=60).returncode:
        pytest.skip("launch is not built")


def test_show_args(ros2, demo_package):
    result = ros2("launch", "demo_pkg", FILE, "--show-args")
    assert result.returncode == 0
    assert result.stdout == (
        "Arguments (pass arguments as '<name>:=<value>'):\n"
        "\n    'robot_ip':\n        Address of the robot\n        (default: '10.0.0.1')\n"
        "\n    'greeting':\n        What to say\n"
    )


def test_launch_by_package_and_by_path(ros2, demo_package):
    path = demo_package / "share/demo_pkg/launch" / FILE
    for where in (("demo_pkg", FILE), (path,)):
        result = ros2("launch", "-n", *where, "greeting:=x", "greeting:=hello", "robot_ip:=1.2.3.4")
        assert result.returncode == 0, result.stderr
        assert "hello 1.2.3.4" in result.stdout + result.stderr


def test_print(ros2, demo_package):
    result = ros2("launch", "demo_pkg", FILE, "--print")
    assert result.returncode == 0
    assert "ExecuteProcess" in result.stdout


def test_an_undeclared_argument_is_an_error(ros2, demo_package):
    result = ros2("launch", "demo_pkg", FILE, "greeting:=hello", "robot_pi:=1.2.3.4")
    assert result.returncode == 1
    assert "robot_pi" in result.stderr
    assert "'robot_ip'" in result.stderr
    assert "hello" not in result.stdout


def test_a_missing_argument_is_an_error(ros2, demo_package):
    result = ros2("launch", "demo_pkg", FILE)
    assert result.returncode == 1
    assert "greeting" in result.stdout + result.stderr


def test_broken_file(ros2, demo_package):
    result = ros2("launch", "demo_pkg", "broken.launch.py")
    assert result.returncode != 0
    assert "this file is broken" in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nope", FILE), "Package 'nope' not found"),
        (("demo_pkg", "nope.launch.py"), "file 'nope.launch.py' was not found in the share directory"),
        (("nope.launch.py",), "No launch file supplied"),
        (("demo_pkg", FILE, "greeting=hello"), "malformed launch argument 'greeting=hello'"),
    ],
)
def test_refusals(ros2, demo_package, words, sentence):
    result = ros2("launch", *words)
    assert result.returncode == 1
    assert sentence in result.stderr


def test_two_files_of_one_name_are_told(ros2, demo_package):
    share = demo_package / "share/demo_pkg"
    (share / "more").mkdir()
    os.link(share / "launch" / FILE, share / "more" / FILE)
    assert "was found more than once" in ros2("launch", "demo_pkg", FILE).stderr


def test_parse_arguments():
    assert parse_arguments(["a:=1", "b:=x:=y", "a:=2"]) == {"a": "2", "b": "x:=y"}
    for word in ("a", ":=1", "a:="):
        with pytest.raises(RuntimeError, match="malformed"):
            parse_arguments([word])


def test_interrupt_leaves_nothing_behind(ros2, demo_package):
    status, output = ros2.until("pid ", "launch", "-n", "demo_pkg", "stay.launch.py")
    child = int(re.search(r"pid (\d+)", output).group(1))
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert status in (0, signal.SIGINT)
    assert "Traceback" not in output
