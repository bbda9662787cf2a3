# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the ``ros2`` command on machines without an installed ROS 2 distribution."""
