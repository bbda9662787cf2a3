# SPDX-License-Identifier: Apache-2.0
"""The cell staubli in simulation."""

from grasp_bringup.graph import cell_graph
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    return cell_graph("staubli", hardware="sim")
