# SPDX-License-Identifier: Apache-2.0
"""Publishes the frames of a robot from its URDF and its joint states, for machines without ROS 2."""
