# SPDX-License-Identifier: Apache-2.0
from launch.actions import ExecuteProcess

from launch import LaunchDescription


def generate_launch_description():
    return LaunchDescription([ExecuteProcess(cmd=["sh", "-c", "echo pid $$; exec sleep 100"], output="screen")])
