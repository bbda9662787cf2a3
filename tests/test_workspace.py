# SPDX-License-Identifier: Apache-2.0
"""The entry points of a user: ./ws, env.sh, and the choice between an installed ROS 2 and the wheels."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if key not in ("WS_ROS", "WS_ROS_ROOT", "ROS_DISTRO", "FASTRTPS_DEFAULT_PROFILES_FILE")
}


def shell(command, program="bash", **variables):
    return subprocess.run(
        [program, "-c", command], cwd="/", env={**CLEAN, **variables}, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def fake_ros(tmp_path):
    """A folder like /opt/ros with distributions that only say who they are."""

    def make(*names):
        for name in names:
            folder = tmp_path / name
            folder.mkdir()
            for suffix in ("sh", "bash", "zsh"):
                (folder / f"setup.{suffix}").write_text(f"export SOURCED={name} ROS_DISTRO={name}\n")
        return str(tmp_path)

    return make


@pytest.mark.parametrize("program", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("installed", "variables", "expected"),
    [
        ((), {}, ""),
        (("jazzy",), {}, "jazzy"),
        (("jazzy", "kilted"), {}, "kilted"),
        (("jazzy", "kilted"), {"ROS_DISTRO": "jazzy"}, "jazzy"),
        (("jazzy", "rolling"), {"WS_ROS": "rolling"}, "rolling"),
        (("jazzy",), {"WS_ROS": "none"}, ""),
        (("jazzy",), {"WS_ROS": "lyrical"}, ""),
        (("humble",), {}, ""),
        (("humble",), {"ROS_DISTRO": "humble"}, ""),
        (("humble",), {"WS_ROS": "humble"}, ""),
    ],
)
def test_the_right_ros_is_chosen(fake_ros, program, installed, variables, expected):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    root = fake_ros(*installed)
    result = shell(f". {ROOT}/scripts/common.sh; ws_find_ros", program, WS_ROS_ROOT=root, **variables)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == (f"{expected} {root}/{expected}" if expected else "")


@pytest.mark.parametrize("program", ["bash", "zsh"])
def test_env_gives_a_shell_with_ros2_that_stays_on_this_machine(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    variables = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    command = f"source {ROOT}/env.sh && ros2 pkg prefix grasp_bringup && echo $ROS_AUTOMATIC_DISCOVERY_RANGE"
    opened = shell(command, program, **variables)
    assert opened.stdout.split() == [str(ROOT / "install"), "SUBNET"], opened.stderr
    closed = shell(f"unset ROS_AUTOMATIC_DISCOVERY_RANGE; {command}", program)
    assert closed.stdout.split()[1] == "LOCALHOST"


def test_env_refuses_a_distribution_that_the_workspace_was_not_set_up_for(fake_ros):
    result = shell(f"source {ROOT}/env.sh || echo refused", WS_ROS_ROOT=fake_ros("jazzy"))
    assert result.stdout.strip() == "refused"
    assert "was not set up for jazzy" in result.stderr


def test_setup_refuses_a_distribution_that_is_not_there(fake_ros):
    result = shell(f"{ROOT}/ws setup", WS_ROS="kilted", WS_ROS_ROOT=fake_ros("jazzy"))
    assert result.returncode == 1
    assert "kilted/setup.sh is not there" in result.stderr


def test_help_explains_every_command_and_strangers_are_refused():
    text = shell(f"{ROOT}/ws help").stdout
    cases = [line.strip().rstrip(")") for line in (ROOT / "ws").read_text().splitlines() if line.startswith("    ")]
    for command in ("setup", "demo", "test", "lint", "bench", "shell", "clean"):
        assert command in cases
        assert f"\n  {command} " in text
    for command in ("setup", "lint", "clean", "shell"):
        stray = shell(f"{ROOT}/ws {command} --dry-run")
        assert (stray.returncode, stray.stdout) == (2, "")
        assert "takes no arguments" in stray.stderr
    refused = shell(f"{ROOT}/ws dance")
    assert refused.returncode == 2
    assert "there is no command 'dance'" in refused.stderr


def test_every_requirement_is_pinned_and_explained():
    for name in ("python.txt", "ros.txt", "dev.txt"):
        for line in (ROOT / "requirements" / name).read_text().splitlines():
            if line and not line.startswith("#"):
                requirement, _, reason = line.partition("#")
                assert reason.strip(), f"{name}: {line} says no reason"
                assert "==" in requirement or requirement.split()[0] in ("numpy", "setuptools<80"), f"{name}: {line}"
