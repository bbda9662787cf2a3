# SPDX-License-Identifier: Apache-2.0
"""Intrinsic and hand-eye calibration with a ChArUco board; no ROS inside."""
