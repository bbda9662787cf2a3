# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ROS 2's ``launch_ros`` on machines without a ROS 2 installation; see the stand-in for ``launch``."""

from launch._refusal import refuse_attribute

from . import actions, descriptions, parameter_descriptions, substitutions

__all__ = ["actions", "descriptions", "parameter_descriptions", "substitutions"]
__getattr__ = refuse_attribute(__name__, __all__)
