# SPDX-License-Identifier: Apache-2.0
"""The blocks that let a cell work by itself: policy, episode manager, recorder, the run, the viewer."""

from __future__ import annotations

import json
import os
from pathlib import Path

from launch.actions import LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, NotEqualsSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from grasp_bringup.blocks import (
    ends_the_launch,
    log_arguments,
    refusal_ends_the_launch,
    text,
    uses_sim_time,
    whole,
)
from grasp_bringup.policy_choice import NONE
from launch import LaunchContext

# A network shares the cores with the simulator and the planner: threads that wait for each other by spinning starve
# on a busy machine, and a decision of a second then takes minutes. What the user has set is kept.
NETWORK_THREADS = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}


def episodes(cell: str) -> OpaqueFunction:
    """Everything that a policy needs to work in a cell; nothing with ``policy:=none``."""

    def make(context: LaunchContext) -> list:
        given = context.launch_configurations
        if given["policy"] == NONE:
            return []
        parts = [*policy(cell), *episode_manager(cell)]
        parts += recorder(given) if given["record"] == "true" else []
        parts += viewer(cell) if given["viewer"] == "true" else []
        parts += run(cell) if int(given["episodes"]) > 0 else []
        return parts

    return OpaqueFunction(function=make)


def policy(cell: str) -> list:
    """The policy node; started again if it dies, since an episode goes on with a fresh one."""
    node = Node(
        package="grasp_policies",
        executable="policy_node",
        parameters=[
            {
                "cell": cell,
                "policy": text("policy"),
                "checkpoint": text("checkpoint"),
                "tf_prefix": text("tf_prefix"),
                "use_sim_time": uses_sim_time(),
            }
        ],
        arguments=log_arguments(),
        output="screen",
        respawn=True,
        respawn_delay=1.0,
        additional_env={name: os.environ.get(name, value) for name, value in NETWORK_THREADS.items()},
    )
    return [refusal_ends_the_launch(node), node]


def episode_manager(cell: str) -> list:
    """The episode manager; the launch ends when it ends, since a goal that it has lost has no end."""
    node = Node(
        package="grasp_episodes",
        executable="episode_manager_node",
        parameters=[
            {
                "cell": cell,
                "tf_prefix": text("tf_prefix"),
                "judge": text("judge"),
                # Nobody can put real objects back.
                "reset_scene": ParameterValue(
                    NotEqualsSubstitution(LaunchConfiguration("hardware"), "real"), value_type=bool
                ),
                "use_sim_time": uses_sim_time(),
            }
        ],
        arguments=log_arguments(),
        output="screen",
    )
    return [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ends_the_launch)), node]


def recorder(given: dict[str, str]) -> list:
    """The recorder; started again if it dies, for the next episode."""
    node = Node(
        package="grasp_episodes",
        executable="recorder_node",
        parameters=[
            {
                "record_dir": text("run_dir"),
                "policy": text("policy"),
                "checkpoint": text("checkpoint"),
                "launch_configuration": json.dumps(dict(given), sort_keys=True),
                "use_sim_time": uses_sim_time(),
            }
        ],
        arguments=log_arguments(),
        output="screen",
        respawn=True,
        respawn_delay=1.0,
    )
    return [refusal_ends_the_launch(node), node]


def viewer(cell: str) -> list:
    """The viewer in the browser; a graph does without it where it is not installed, and when it dies."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    if not any((Path(prefix) / "share" / "grasp_viewer").is_dir() for prefix in prefixes):
        return [LogInfo(msg="the viewer is not installed; going on without it")]
    return [
        Node(
            package="grasp_viewer",
            executable="viewer_node",
            parameters=[{"cell": cell, "tf_prefix": text("tf_prefix"), "use_sim_time": uses_sim_time()}],
            arguments=log_arguments(),
            output="screen",
            respawn=True,
            respawn_delay=2.0,
        )
    ]


def run(cell: str) -> list:
    """The client that asks for the episodes and prints them; with ``stay:=false`` the launch ends with it."""
    node = Node(
        package="grasp_episodes",
        executable="run_episodes",
        parameters=[
            {
                "cell": cell,
                "policy": text("policy"),
                "checkpoint": text("checkpoint"),
                "episodes": whole("episodes"),
                "scene": text("scene"),
                "objects": whole("objects"),
                "seed": whole("seed"),
                "record": LaunchConfiguration("record"),
                "run_dir": text("run_dir"),
                "stopped_code": 0,
            }
        ],
        output="screen",
    )

    def over(event: ProcessExited, context: LaunchContext) -> list:
        if context.launch_configurations["stay"] == "false":
            return ends_the_launch(event, context)
        if context.is_shutdown:
            return []
        return [LogInfo(msg="the episodes are over; the graph stays, and waits for goals of run_episodes")]

    return [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=over)), node]
