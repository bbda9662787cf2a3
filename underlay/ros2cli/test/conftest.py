# SPDX-License-Identifier: Apache-2.0
"""The checkout's own ``ros2`` as a subprocess, in a ROS domain that no other test uses."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1]
TEST = Path(__file__).resolve().parent
TIMEOUT_S = 40


@pytest.fixture(scope="session")
def ros2_environment(tmp_path_factory):
    """Environment in which this checkout's ros2cli and its entry points are found before any installed one."""
    domain_coordinator = pytest.importorskip("domain_coordinator", reason="needs the ROS 2 wheels or a distribution")
    pytest.importorskip("rclpy", reason="needs the ROS 2 wheels or a distribution")
    metadata = tmp_path_factory.mktemp("metadata")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(metadata)], cwd=PACKAGE, check=True, timeout=60
    )
    folders = [PACKAGE, metadata, *(PACKAGE.parent / name for name in ("launch", "launch_ros"))]
    search = [str(folder) for folder in folders if folder.is_dir()] + [os.environ.get("PYTHONPATH", "")]
    with domain_coordinator.domain_id() as domain:
        yield {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, search)),
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "FASTRTPS_DEFAULT_PROFILES_FILE": str(TEST / "quick_discovery.xml"),
            "FASTDDS_DEFAULT_PROFILES_FILE": str(TEST / "quick_discovery.xml"),
            "ROS_LOG_DIR": str(tmp_path_factory.mktemp("log")),
            "PYTHONUNBUFFERED": "1",
        }


class Ros2:
    """Runs ``ros2``; ``environment`` may be changed by a test (it is the test's own copy)."""

    def __init__(self, environment):
        self.environment = dict(environment)

    def start(self, *words, **options):
        """Start ``ros2 words...`` and return the process."""
        command = [sys.executable, "-m", "ros2cli.cli", *map(str, words)]
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(command, env=self.environment, text=True, **options)

    def __call__(self, *words, stdin=None, cwd=None):
        """Run ``ros2 words...`` to its end and return the finished process."""
        command = [sys.executable, "-m", "ros2cli.cli", *map(str, words)]
        return subprocess.run(
            command, env=self.environment, text=True, capture_output=True, timeout=TIMEOUT_S, input=stdin, cwd=cwd
        )

    @contextlib.contextmanager
    def running(self, *words):
        """``ros2 words...`` as a running process with one output stream; it is gone at the end."""
        process = self.start(*words, stderr=subprocess.STDOUT)
        with killing(process):
            yield process

    read_until = staticmethod(lambda process, text: read_until(process, text))

    def until(self, text, *words):
        """Start ``ros2 words...``, wait until it has printed ``text``, interrupt it; returns (status, output)."""
        with self.running(*words) as process:
            seen = read_until(process, text)
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=TIMEOUT_S)
        return process.returncode, seen + rest


@contextlib.contextmanager
def killing(process):
    """Make sure that the process is gone at the end, whatever happens; a reader that hangs is freed in time."""
    timer = threading.Timer(TIMEOUT_S, process.kill)
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
        process.wait()


def read_until(process, text):
    """Read the process's lines up to the one that holds ``text``; fails where the output ends before it."""
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"'{text}' was not printed; the output is:\n{seen}")


@pytest.fixture
def ros2(ros2_environment):
    """Runs this checkout's ``ros2``."""
    return Ros2(ros2_environment)


@pytest.fixture(scope="session")
def session_ros2(ros2_environment):
    """Like ``ros2``, for fixtures that outlive a test."""
    return Ros2(ros2_environment)


@pytest.fixture(scope="session")
def has_action(ros2_environment):
    """Whether control_msgs is built, so that the action can be served."""
    check = subprocess.run(
        [sys.executable, "-c", "from control_msgs.action import GripperCommand"],
        env=ros2_environment,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    return check.returncode == 0


@pytest.fixture(scope="session")
def talker(ros2_environment, has_action):
    """The node of talker_node.py, running."""
    command = [sys.executable, str(TEST / "talker_node.py"), *(["--action"] if has_action else [])]
    process = subprocess.Popen(command, env=ros2_environment, text=True, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def demo_package(tmp_path, ros2):
    """A prefix with the package ``demo_pkg``: two executables, three launch files."""
    prefix = tmp_path / "prefix"
    marker = prefix / "share/ament_index/resource_index/packages/demo_pkg"
    marker.parent.mkdir(parents=True)
    marker.touch()
    lib = prefix / "lib/demo_pkg"
    lib.mkdir(parents=True)
    script = "#!/bin/sh\n"
    for name, body in {
        "hello": 'echo "args: $*"\nexit 7\n',
        "stay": 'trap "echo interrupted; exit 0" INT\necho up\nwhile :; do sleep 0.05; done\n',
    }.items():
        (lib / name).write_text(script + body)
        (lib / name).chmod(0o755)
    (lib / "data.txt").write_text("no executable\n")
    launch = prefix / "share/demo_pkg/launch"
    launch.mkdir(parents=True)
    for file in (TEST / "launch_files").glob("*.launch.py"):
        shutil.copy(file, launch)
    ros2.environment["AMENT_PREFIX_PATH"] = os.pathsep.join(
        filter(None, [str(prefix), os.environ.get("AMENT_PREFIX_PATH", "")])
    )
    return prefix
