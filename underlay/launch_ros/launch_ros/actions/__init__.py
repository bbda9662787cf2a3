# SPDX-License-Identifier: Apache-2.0
"""Actions about ROS nodes."""

from launch._refusal import refuse_attribute

from .node import Node
from .scope import PushROSNamespace, PushRosNamespace, SetParameter, SetParametersFromFile, SetRemap

__all__ = ["Node", "PushROSNamespace", "PushRosNamespace", "SetParameter", "SetParametersFromFile", "SetRemap"]
__getattr__ = refuse_attribute(__name__, __all__)
