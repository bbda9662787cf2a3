# SPDX-License-Identifier: Apache-2.0
"""The blocks that every launch file is built from: one function a part, each owning its node and its parameters."""

from __future__ import annotations

from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext


class PartFailed(RuntimeError):
    """A part of the graph that everything hangs on ended badly; the launch ends with it, and with an error."""


def whole(name: str) -> ParameterValue:
    """The launch argument as an integer parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=int)


def real(name: str) -> ParameterValue:
    """The launch argument as a floating-point parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=float)


def flag(name: str) -> ParameterValue:
    """The launch argument as a boolean parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=bool)


def log_arguments() -> list:
    """ROS arguments that set a node's log level."""
    return ["--ros-args", "--log-level", LaunchConfiguration("log_level")]


def ends_the_launch(event: ProcessExited, context: LaunchContext) -> list:
    """End the launch when a part has ended; with an error when the part failed before a shutdown was asked for.

    Raises:
        PartFailed: the part's exit code was not 0 and nobody had asked for a shutdown.
    """
    if event.returncode != 0 and not context.is_shutdown:
        raise PartFailed(f"{event.process_name} ended with exit code {event.returncode}")
    return [EmitEvent(event=Shutdown(reason=f"{event.process_name} has finished"))]


def smoke_policy() -> Node:
    """The smoke graph's policy; started again if it dies."""
    return Node(
        package="grasp_bringup",
        executable="smoke_policy_node",
        arguments=log_arguments(),
        output="screen",
        respawn=True,
    )


def smoke_cell() -> OpaqueFunction:
    """The smoke graph's cell; the launch ends when it has finished its exchanges."""

    def make(context: LaunchContext) -> list:
        cell = Node(
            package="grasp_bringup",
            executable="smoke_cell_node",
            parameters=[{"exchanges": whole("exchanges"), "seed": whole("seed")}],
            arguments=log_arguments(),
            output="screen",
        )
        return [RegisterEventHandler(OnProcessExit(target_action=cell, on_exit=ends_the_launch)), cell]

    return OpaqueFunction(function=make)
