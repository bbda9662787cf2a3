# SPDX-License-Identifier: Apache-2.0
"""Commands that need no graph: pkg, run, interface, launch, and what is refused."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1]


def test_pkg(ros2, demo_package):
    listed = ros2("pkg", "list").stdout.split()
    assert "demo_pkg" in listed
    assert listed == sorted(listed)
    assert ros2("pkg", "prefix", "demo_pkg").stdout == f"{demo_package}\n"
    assert ros2("pkg", "prefix", "--share", "demo_pkg").stdout == f"{demo_package}/share/demo_pkg\n"
    assert ros2("pkg", "executables", "demo_pkg").stdout == "demo_pkg hello\ndemo_pkg stay\n"
    full = ros2("pkg", "executables", "--full-path", "demo_pkg").stdout.split()
    assert full == [f"{demo_package}/lib/demo_pkg/hello", f"{demo_package}/lib/demo_pkg/stay"]
    missing = ros2("pkg", "prefix", "nope")
    assert (missing.returncode, missing.stderr) == (1, "Package not found\n")


def test_run_passes_arguments_and_status(ros2, demo_package):
    result = ros2("run", "demo_pkg", "hello", "--ros-args", "-p", "a:=1")
    assert result.returncode == 7
    assert result.stdout == "args: --ros-args -p a:=1\n[ros2run]: Process exited with failure 7\n"
    assert ros2("run", "--prefix", "env X=1", "demo_pkg", "hello").returncode == 7
    assert ros2("run", "demo_pkg", "nope").stderr == "No executable found\n"
    assert ros2("run", "nope", "hello").stderr == "Package 'nope' not found\n"


def test_run_waits_for_an_interrupted_child(ros2, demo_package):
    process = ros2.start("run", "demo_pkg", "stay", start_new_session=True)
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: to the whole foreground group
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "interrupted\n")


def test_run_hands_sigterm_on(ros2, demo_package):
    process = ros2.start("run", "demo_pkg", "stay")
    assert process.stdout.readline() == "up\n"
    process.terminate()
    output, _ = process.communicate(timeout=20)
    assert process.returncode not in (0, None)
    assert "[ros2run]: Terminated" in output


def test_interface_show_nests(ros2):
    result = ros2("interface", "show", "sensor_msgs/msg/Image", "--no-comments")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[:5] == [
        "std_msgs/Header header",
        "\tbuiltin_interfaces/Time stamp",
        "\t\tint32 sec",
        "\t\tuint32 nanosec",
        "\tstring frame_id",
    ]
    commented = ros2("interface", "show", "sensor_msgs/msg/Image").stdout
    assert commented.startswith("# This message contains an uncompressed image")
    assert "valid over all int32" not in commented  # a nested comment
    everything = ros2("interface", "show", "-", "--all-comments", stdin="std_msgs/msg/Header\n").stdout
    assert "\n\t# The seconds component" in everything
    assert "---" in ros2("interface", "show", "std_srvs/srv/SetBool").stdout.splitlines()


def test_interface_lists(ros2):
    assert ros2("interface", "package", "std_srvs").stdout.split() == [
        "std_srvs/srv/Empty",
        "std_srvs/srv/SetBool",
        "std_srvs/srv/Trigger",
    ]
    messages = ros2("interface", "list", "-m").stdout
    assert messages.startswith("Messages:\n")
    assert "    std_msgs/msg/String\n" in messages
    assert "srv" not in messages
    assert "std_srvs" in ros2("interface", "packages", "-s").stdout.split()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nope/msg/X", "Unknown package 'nope'"),
        ("std_msgs/msg/X", "Could not find the interface"),
        ("std_msgs/String", "Invalid name 'std_msgs/String'. Expected three parts separated by '/'"),
    ],
)
def test_interface_show_refuses(ros2, name, sentence):
    result = ros2("interface", "show", name)
    assert result.returncode == 1
    assert sentence in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("lifecycle", "set", "/x", "configure"),
        ("component", "list"),
        ("doctor",),
        ("security", "create_keystore", "x"),
        ("daemon", "stop"),
        ("topic", "delay", "/x"),
        ("param", "load", "/x", "y"),
        ("bag", "convert"),
        ("pkg", "create", "x"),
        ("action", "echo", "/x"),
        ("service", "echo", "/x"),
        ("interface", "proto", "x"),
    ],
)
def test_what_is_not_there_is_refused_by_name(ros2, words):
    result = ros2(*words)
    assert result.returncode == 1
    name = words[0] if words[0] in ("lifecycle", "component", "doctor", "security", "daemon") else " ".join(words[:2])
    assert f"`ros2 {name}` is not part of this workspace's stand-in" in result.stderr
    assert "install a ROS 2 distribution" in result.stderr


@pytest.mark.parametrize("words", [("bogus",), ("topic", "bogus"), ("topic", "list", "--bogus"), ("bag", "play")])
def test_unknown_words_are_usage_errors(ros2, words):
    result = ros2(*words)
    assert result.returncode == 2
    assert "usage:" in result.stderr


def test_help_names_every_command_and_verb(ros2):
    text = ros2().stdout
    for name in ("action", "bag", "interface", "launch", "node", "param", "pkg", "run", "service", "topic"):
        assert f"    {name} " in text
    text = ros2("topic").stdout
    for name in ("bw", "echo", "hz", "info", "list", "pub", "type"):
        assert f"    {name} " in text


def test_a_package_adds_a_command_through_entry_points(ros2, tmp_path):
    module = tmp_path / "shout.py"
    module.write_text(
        "from ros2cli.command import CommandExtension\n"
        "class Shout(CommandExtension):\n"
        "    '''Say it loud.'''\n"
        "    def add_arguments(self, parser, cli_name, *, argv):\n"
        "        parser.add_argument('word')\n"
        "    def main(self, *, parser, args):\n"
        "        print(args.word.upper())\n"
    )
    metadata = tmp_path / "shout-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shout\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[ros2cli.command]\nshout = shout:Shout\n")
    ros2.environment["PYTHONPATH"] += os.pathsep + str(tmp_path)
    assert ros2("shout", "hey").stdout == "HEY\n"
    assert "Say it loud." in ros2("-h").stdout


def test_completion_of_commands_and_verbs(ros2, tmp_path):
    pytest.importorskip("argcomplete")
    for line, expected in (
        ("ros2 to", {"topic"}),
        ("ros2 topic ec", {"echo"}),
        ("ros2 pkg prefix std_ms", {"std_msgs"}),
    ):
        out = tmp_path / "out"
        environment = {
            **ros2.environment,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
            "_ARGCOMPLETE_IFS": "\n",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        subprocess.run([sys.executable, "-m", "ros2cli.cli"], env=environment, check=True, timeout=30)
        assert {word.strip() for word in out.read_text().split("\n")} == expected


def test_colcon_installs_ros2_on_the_path(tmp_path):
    """``ros2`` lands in ``bin``, which setup.bash puts on PATH, both copied and linked."""
    pytest.importorskip("colcon_core")
    for name, options in (("copied", []), ("linked", ["--symlink-install"])):
        folder = tmp_path / name
        command = [sys.executable, "-m", "colcon", "--log-base", "/dev/null", "build", "--base-paths", str(PACKAGE)]
        command += ["--build-base", str(folder / "build"), "--install-base", str(folder / "install"), *options]
        subprocess.run(command, check=True, timeout=100, capture_output=True)
        script = f'. "{folder}/install/setup.bash" && command -v ros2 && ros2 pkg prefix ros2cli'
        result = subprocess.run(["bash", "-c", script], check=True, timeout=60, capture_output=True, text=True)
        prefix = folder / "install/ros2cli"
        assert result.stdout.split() == [str(prefix / "bin/ros2"), str(prefix)]
