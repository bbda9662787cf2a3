# SPDX-License-Identifier: Apache-2.0
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument("robot_ip", default_value="10.0.0.1", description="Address of the robot"),
            DeclareLaunchArgument("greeting", description="What to say"),
            ExecuteProcess(
                cmd=["echo", LaunchConfiguration("greeting"), LaunchConfiguration("robot_ip")], output="screen"
            ),
        ]
    )
