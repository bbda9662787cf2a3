# SPDX-License-Identifier: Apache-2.0
"""The one graph of every cell. Launch files only say which cell and which hardware they mean."""

from __future__ import annotations

import datetime
import shutil
from importlib.util import find_spec
from pathlib import Path

from launch.actions import LogInfo, OpaqueFunction, SetLaunchConfiguration

from grasp_bringup import blocks, episode_blocks
from grasp_bringup.arguments import LaunchArgumentError, declare
from grasp_bringup.cameras import camera_files, fusion_parameters
from grasp_bringup.cells import load_cell
from grasp_bringup.policy_choice import NONE, choose_policy
from grasp_core import resources
from launch import Action, LaunchContext, LaunchDescription

CELL_ARGUMENTS = (
    "hardware",
    "use_mock_hardware",
    "robot_ip",
    "policy",
    "checkpoint",
    "scene",
    "objects",
    "episodes",
    "stay",
    "judge",
    "seed",
    "planner",
    "speed_scale",
    "camera",
    "fusion",
    "record",
    "record_dir",
    "viewer",
    "gui",
    "launch_rviz",
    "headless_mode",
    "tf_prefix",
    "meshes",
    "log_level",
)

# From Ctrl-C to a node's termination, in seconds as launch writes them: on a small or busy computer eight nodes of
# Python that end at once need more than launch's own 5.
IMPATIENT_S = "10"


def cell_graph(cell: str, hardware: str) -> LaunchDescription:
    """The graph of a cell.

    Args:
        cell: name of a file in config/cells.
        hardware: default of the argument ``hardware``.
    """
    return LaunchDescription(
        [
            *declare(CELL_ARGUMENTS, hardware=hardware, scene=load_cell(cell).default_scene),
            OpaqueFunction(function=check_arguments, args=[cell]),
            blocks.robot_description(cell),
            blocks.drivers(cell),
            *blocks.planning(cell),
            blocks.fusion(cell),
            episode_blocks.episodes(cell),
            blocks.rviz(cell),
        ]
    )


def check_arguments(context: LaunchContext, cell: str) -> list[Action]:
    """Refuse, before anything starts, what the cell or this machine cannot do; settle what was left open.

    Raises:
        LaunchArgumentError: in one sentence what was asked and what is possible.
    """
    given = context.launch_configurations
    # Upstream says use_mock_hardware:=true where we say hardware:=mock.
    hardware = "mock" if given["use_mock_hardware"] == "true" else given["hardware"]
    if hardware == "real" and not given["robot_ip"]:
        raise LaunchArgumentError(
            "hardware:=real needs the robot's address, for example robot_ip:=192.168.1.10; "
            "without a robot use hardware:=mock or hardware:=sim"
        )
    offered = ("sim", *load_cell(cell).drivers)
    if hardware not in offered:
        raise LaunchArgumentError(
            f"the cell {cell} has no drivers for hardware:={hardware}; it has {', '.join(offered)}"
        )
    speed_scale = _number("speed_scale", _automatic(given["speed_scale"], "1.0" if hardware == "sim" else "0.25"))
    if not 0.0 < speed_scale <= 1.0:
        raise LaunchArgumentError(f"speed_scale is {speed_scale}; allowed is more than 0 and at most 1")
    scenes = resources.names("config", "scenes")
    if given["scene"] not in scenes:
        raise LaunchArgumentError(f"there is no scene {given['scene']!r}; there is {', '.join(scenes)}")
    episodes = _automatic(given["episodes"], "1" if hardware == "sim" else "0")
    _whole("objects", given["objects"], -1, "-1 takes as many as the scene says")
    _whole("seed", given["seed"], 0, "0 is the least seed")
    _whole("episodes", episodes, 0, "0 waits for goals, 1 or more runs so many")
    judge = _automatic(given["judge"], "simulator" if hardware == "sim" else "")
    if judge == "simulator" and hardware == "real":
        raise LaunchArgumentError("judge:=simulator needs a simulated world; on hardware take gripper or image")
    try:
        chosen = choose_policy(load_cell(cell), given["policy"], given["checkpoint"])
    except ValueError as error:
        raise LaunchArgumentError(str(error)) from None
    if chosen.policy == NONE and given["episodes"] not in ("auto", "0"):
        raise LaunchArgumentError(f"episodes:={episodes} needs a policy, and there is none: {chosen.why}")
    if given["planner"] == "moveit" and find_spec("moveit") is None:
        raise LaunchArgumentError(
            "planner:=moveit needs moveit_py, which is not installed; install ros-<distro>-moveit-py, or take ompl"
        )
    if given["camera"] and hardware == "sim":
        raise LaunchArgumentError("camera:= names files of real cameras; with hardware:=sim the simulator's are used")
    try:
        camera_files(load_cell(cell), given["camera"])
        if given["fusion"] == "true":
            fusion_parameters(load_cell(cell), blocks.simulated_cameras({**given, "hardware": hardware}))
    except ValueError as error:
        raise LaunchArgumentError(str(error)) from None
    if given["launch_rviz"] == "true" and given["headless_mode"] == "false" and shutil.which("rviz2") is None:
        raise LaunchArgumentError("launch_rviz:=true needs rviz2, which comes with an installed ROS 2 distribution")
    settled = {
        "hardware": hardware,
        "speed_scale": str(speed_scale),
        "episodes": episodes,
        "judge": judge,
        "policy": chosen.policy,
        "checkpoint": chosen.checkpoint,
        "run_dir": str(_run_dir(given["record_dir"], cell, chosen.policy)),
        "sigterm_timeout": given.get("sigterm_timeout", IMPATIENT_S),
    }
    return [
        *(SetLaunchConfiguration(name, value) for name, value in settled.items()),
        LogInfo(msg=f"deciding: {chosen.why}"),
    ]


def _automatic(given: str, value: str) -> str:
    return value if given == "auto" else given


def _run_dir(record_dir: str, cell: str, policy: str) -> Path:
    now = datetime.datetime.now().astimezone()
    return Path(record_dir).expanduser().absolute() / f"{now:%Y%m%d_%H%M%S}_{cell}_{policy}"


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise LaunchArgumentError(f"{name} is {text!r}; it is a number") from None


def _whole(name: str, text: str, least: int, meaning: str) -> None:
    try:
        value = int(text)
    except ValueError:
        raise LaunchArgumentError(f"{name} is {text!r}; it is a whole number") from None
    if value < least:
        raise LaunchArgumentError(f"{name} is {value}; allowed is {least} or more: {meaning}")
