# SPDX-License-Identifier: Apache-2.0
"""The blocks that every launch file is built from: one function a part, each owning its node and its parameters."""

from __future__ import annotations

from collections.abc import Mapping

from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import (
    AndSubstitution,
    Command,
    EqualsSubstitution,
    FindExecutable,
    LaunchConfiguration,
    NotSubstitution,
    PathJoinSubstitution,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from grasp_bringup.cameras import camera_files, camera_parameters, fusion_parameters
from grasp_bringup.cells import load_cell
from launch import LaunchContext

# Where loopback controllers listen when no other address is given.
MOCK_ADDRESS = "127.0.0.1"
# The exit code of a node that refuses its parameters: starting it again would not help.
REFUSED = 2


class PartFailed(RuntimeError):
    """A part of the graph that everything hangs on ended badly; the launch ends with it, and with an error."""


def whole(name: str) -> ParameterValue:
    """The launch argument as an integer parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=int)


def real(name: str) -> ParameterValue:
    """The launch argument as a floating-point parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=float)


def text(name: str) -> ParameterValue:
    """The launch argument as a string parameter, also where it looks like a number."""
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def window_wanted(name: str) -> AndSubstitution:
    """The boolean launch argument, and not ``headless_mode``."""
    return AndSubstitution(LaunchConfiguration(name), NotSubstitution(LaunchConfiguration("headless_mode")))


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


def refusal_ends_the_launch(node: Node) -> RegisterEventHandler:
    """Ends the launch, with an error, when a node that would be started again refuses what it was given."""

    def look(event: ProcessExited, context: LaunchContext) -> list:
        if event.returncode == REFUSED and not context.is_shutdown:
            raise PartFailed(f"{event.process_name} refuses its parameters; see its message above")
        return []

    return RegisterEventHandler(OnProcessExit(target_action=node, on_exit=look))


def robot_description(cell: str) -> Node:
    """robot_state_publisher with the cell's URDF made from its xacro."""
    config = load_cell(cell)
    path = PathJoinSubstitution([FindPackageShare("grasp_description"), "urdf", *config.description.xacro.split("/")])
    arguments = {"prefix": LaunchConfiguration("tf_prefix"), "meshes": LaunchConfiguration("meshes")}
    words: list = [FindExecutable(name="xacro"), " ", path]
    for name, value in {**config.description.arguments, **arguments}.items():
        words += [f" {name}:=", value]
    return Node(
        package="robot_state_publisher",
        executable="robot_state_publisher",
        parameters=[
            {
                "robot_description": ParameterValue(Command(words), value_type=str),
                # Upstream's 20 Hz leave a moving camera's pictures waiting for their frame.
                "publish_frequency": 50.0,
                "use_sim_time": uses_sim_time(),
            }
        ],
        arguments=log_arguments(),
        output="screen",
    )


def uses_sim_time() -> ParameterValue:
    """Whether nodes follow /clock, which only the simulator publishes."""
    return ParameterValue(EqualsSubstitution(LaunchConfiguration("hardware"), "sim"), value_type=bool)


def drivers(cell: str) -> OpaqueFunction:
    """What moves and sees: the sim bridge, or the cell's hardware nodes. The launch ends when one of them ends."""

    def make(context: LaunchContext) -> list:
        hardware = context.launch_configurations["hardware"]
        cameras = context.launch_configurations["camera"]
        if hardware == "sim":
            nodes = [sim_bridge(cell)]
        else:
            address = context.launch_configurations["robot_ip"] or MOCK_ADDRESS
            nodes = [*hardware_nodes(cell, hardware, address), *camera_nodes(cell, cameras)]
        watches = [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ends_the_launch)) for node in nodes]
        return [*watches, *nodes]

    return OpaqueFunction(function=make)


def world_parameters(cell: str) -> dict:
    """What is told to every node that may hold a simulated world, an arm or a gripper of the cell."""
    return {
        "cell": cell,
        "scene": text("scene"),
        "objects": whole("objects"),
        "seed": whole("seed"),
        "gui": ParameterValue(window_wanted("gui"), value_type=bool),
        "tf_prefix": text("tf_prefix"),
    }


def sim_bridge(cell: str) -> Node:
    """The simulated world behind topics and actions."""
    return Node(
        package="grasp_sim",
        executable="sim_bridge_node",
        parameters=[world_parameters(cell)],
        arguments=log_arguments(),
        output="screen",
    )


def hardware_nodes(cell: str, hardware: str, address: str) -> list[Node]:
    """The nodes that the cell file names for real or mock hardware; ``$(robot_ip)`` in it becomes the address."""

    def filled(value: object) -> object:
        return value.replace("$(robot_ip)", address) if isinstance(value, str) else value

    common = {**world_parameters(cell), "robot_ip": address, "speed_scale": real("speed_scale")}
    return [
        Node(
            package=driver.package,
            executable=driver.executable,
            parameters=[{**common, **{name: filled(value) for name, value in driver.parameters.items()}}],
            arguments=log_arguments(),
            output="screen",
        )
        for driver in load_cell(cell).drivers[hardware]
    ]


def camera_nodes(cell: str, files: str) -> list[Node]:
    """A node for each camera that the launch argument ``camera`` gives a file; its frame is the cell's."""
    return [
        Node(
            package="grasp_cameras",
            executable="camera_node",
            name=f"{name}_node",
            parameters=[camera_parameters(load_cell(cell).cameras[name], name, file)],
            arguments=log_arguments(),
            output="screen",
        )
        for name, file in camera_files(load_cell(cell), files).items()
    ]


def simulated_cameras(given: Mapping[str, str]) -> bool:
    """Whether pictures come from the simulated world: always in simulation, before loopback controllers by default."""
    return given["hardware"] == "sim" or (given["hardware"] == "mock" and not given["camera"])


def fusion(cell: str) -> OpaqueFunction:
    """The volume that the cell's camera is fused into, where wanted; started again if it dies, with an empty volume."""

    def make(context: LaunchContext) -> list:
        if context.launch_configurations["fusion"] == "false":
            return []
        node = Node(
            package="grasp_fusion",
            executable="fusion_node",
            parameters=[
                {
                    **fusion_parameters(load_cell(cell), simulated_cameras(context.launch_configurations)),
                    "use_sim_time": uses_sim_time(),
                }
            ],
            arguments=log_arguments(),
            output="screen",
            respawn=True,
            respawn_delay=1.0,
        )
        return [refusal_ends_the_launch(node), node]

    return OpaqueFunction(function=make)


def planning(cell: str) -> list:
    """The motion planner; started again if it dies, since it holds nothing that cannot be made anew."""
    node = Node(
        package="grasp_planning",
        executable="planning_node",
        parameters=[
            {
                "cell": cell,
                "planner": text("planner"),
                "speed_scale": real("speed_scale"),
                "use_sim_time": uses_sim_time(),
            }
        ],
        arguments=log_arguments(),
        output="screen",
        respawn=True,
        respawn_delay=1.0,
    )
    return [refusal_ends_the_launch(node), node]


def rviz(cell: str) -> Node:
    """RViz with the cell's configuration."""
    return Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([FindPackageShare("grasp_bringup"), "config", "rviz", f"{cell}.rviz"])],
        parameters=[{"use_sim_time": uses_sim_time()}],
        condition=IfCondition(window_wanted("launch_rviz")),
        output="log",
    )


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
