# SPDX-License-Identifier: Apache-2.0
"""The smallest real graph: a cell that shows pictures and a policy that answers where to grasp. It ends by itself."""

from grasp_bringup.arguments import declare
from grasp_bringup.blocks import smoke_cell, smoke_policy
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(["exchanges", "seed", "log_level"]), smoke_policy(), smoke_cell()])
