# SPDX-License-Identifier: Apache-2.0
"""What every part of the workspace agrees on; see the modules. Nothing here knows ROS, a simulator or a robot."""
