# SPDX-License-Identifier: Apache-2.0
"""Every launch argument of the workspace, declared once: its name, what it means, its default and its choices.

Names are upstream's where upstream has one. ``declare`` also puts a check in front of everything else that refuses an
argument which no file declares; the upstream launch system would take it in silence.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction

from launch import LaunchContext, LaunchDescriptionEntity

# Configurations that the launch system itself keeps beside the arguments.
LAUNCH_INTERNAL = frozenset(
    {
        "emulate_tty",
        "global_params",
        "launch-prefix",
        "launch-prefix-filter",
        "log_dir",
        "ros_namespace",
        "ros_params",
        "ros_remaps",
        "sigkill_timeout",
        "sigterm_timeout",
    }
)


@dataclass(frozen=True)
class Argument:
    """One launch argument; ``default`` none means that it must be given."""

    description: str
    default: str | None = None
    choices: tuple[str, ...] = ()


BOOLEAN = ("true", "false")

ARGUMENTS: dict[str, Argument] = {
    "hardware": Argument(
        "which drivers stand behind the graph: the simulator, the real robot, or loopback controllers that speak the "
        "real protocols",
        "sim",
        ("sim", "real", "mock"),
    ),
    "use_mock_hardware": Argument("upstream's word for hardware:=mock", "false", BOOLEAN),
    "robot_ip": Argument("address of the real robot; nothing real starts without it", ""),
    "tf_prefix": Argument("prefix of every joint and frame of the robot, for several robots in one graph", ""),
    "policy": Argument(
        "who decides: the name of a policy; auto: the cell's learned one if models/ has a checkpoint of it, or else "
        "its scripted baseline; none: the cell alone, without policy, episodes, recorder and viewer",
        "auto",
    ),
    "checkpoint": Argument(
        "checkpoint of the policy, a path or a folder in models/; empty: the one in models/ that bears its name", ""
    ),
    "episodes": Argument(
        "how many episodes to run at once; 0: wait for goals of the action run_episodes; auto: 1 in simulation, 0 on "
        "hardware, where nothing moves before somebody asks for it",
        "auto",
    ),
    "stay": Argument("whether the graph stays up when its episodes are over", "true", BOOLEAN),
    "judge": Argument(
        "who judges a grasp; auto: the simulator where there is one, otherwise as the cell's file says",
        "auto",
        ("auto", "gripper", "image", "simulator"),
    ),
    "record": Argument("write a bag of each episode", "true", BOOLEAN),
    "record_dir": Argument("folder for recordings; each start makes a folder of its own there", "recordings"),
    "viewer": Argument("serve the viewer at http://localhost:8080 (where it is installed)", "true", BOOLEAN),
    "scene": Argument("scene to start with, a name from config/scenes; empty: the cell's default", ""),
    "objects": Argument("how many objects the scene gets; -1: as the scene says", "-1"),
    "seed": Argument("seed of the scene; the same seed gives the same scene", "0"),
    "planner": Argument(
        "motion planner: MoveIt where it is installed (auto), or the one named", "auto", ("auto", "ompl", "moveit")
    ),
    "camera": Argument(
        "files behind the cell's cameras on real or mock hardware, names in config/cameras or paths, for example "
        "wrist_camera=realsense_d415,fixed_camera=/lab/tripod.yaml; the file alone where the cell has one camera",
        "",
    ),
    "fusion": Argument("fuse the arm's camera, or else the first with depth, into a volume", "false", BOOLEAN),
    "gui": Argument("open the simulator's own window", "false", BOOLEAN),
    "launch_rviz": Argument("start RViz (needs an installed ROS 2)", "false", BOOLEAN),
    "headless_mode": Argument("start no window at all, whatever gui and launch_rviz say", "false", BOOLEAN),
    "speed_scale": Argument(
        "largest share of the joint limits that planned motions may use, more than 0 and at most 1; auto: 0.25 on "
        "hardware, 1 in simulation, where the cell's file alone says how fast",
        "auto",
    ),
    "meshes": Argument(
        "the workspace's own meshes, or the vendor's where its description package is installed",
        "own",
        ("own", "vendor"),
    ),
    "log_level": Argument("log level of every node", "info", ("debug", "info", "warn", "error", "fatal")),
    "exchanges": Argument("how many answers the smoke graph checks before it ends", "5"),
}


class LaunchArgumentError(RuntimeError):
    """An argument that no file declares, or a value that makes no sense."""


def declare(names: Iterable[str], **defaults: str) -> list[LaunchDescriptionEntity]:
    """Actions that declare arguments of ``ARGUMENTS`` and refuse all others.

    Args:
        names: which of them this launch file takes.
        defaults: other defaults than the table's, by name.

    Raises:
        KeyError: a name that is not in the table.
    """
    wanted = tuple(names)
    actions: list[LaunchDescriptionEntity] = []
    for name in wanted:
        argument = ARGUMENTS[name]
        actions.append(
            DeclareLaunchArgument(
                name,
                default_value=defaults.get(name, argument.default),
                description=argument.description,
                choices=list(argument.choices) or None,
            )
        )
    actions.append(OpaqueFunction(function=refuse_undeclared, args=[wanted]))
    return actions


def refuse_undeclared(context: LaunchContext, declared: tuple[str, ...]) -> None:
    """Raise when the user gave an argument that is not among ``declared``.

    Looked at only in the file that was named on the command line: a file that includes ours may well have arguments of
    its own, and what it hands to an include is checked by the launch system where that can.

    Raises:
        LaunchArgumentError: naming the strangers, the nearest declared name and all declared ones.
    """
    here = getattr(context.locals, "current_launch_file_path", "")
    named = any(Path(word).name == Path(here).name for word in sys.argv) if here else False
    strangers = sorted(set(context.launch_configurations) - set(declared) - LAUNCH_INTERNAL)
    if not strangers or not named:
        return
    near = difflib.get_close_matches(strangers[0], declared, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise LaunchArgumentError(
        f"no launch file declares the argument {', '.join(repr(s) for s in strangers)}.{hint} "
        f"Declared are: {', '.join(sorted(declared))}."
    )
