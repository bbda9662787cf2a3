# SPDX-License-Identifier: Apache-2.0
"""The cell staubli on the real robot, or on mock hardware with use_mock_hardware:=true."""

from grasp_bringup.graph import cell_graph
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    return cell_graph("staubli", hardware="real")
