# SPDX-License-Identifier: Apache-2.0
"""A configuration as the parameters of a node."""

from __future__ import annotations

from typing import TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from grasp_core.config import Config

C = TypeVar("C", bound=Config)


def parameters(node: Node, kind: type[C]) -> C:
    """Declare every field of a flat configuration as a read-only parameter and make the configuration from them.

    Raises:
        ConfigError: a value is out of its range.
    """
    values = {}
    for name, field in kind.model_fields.items():
        descriptor = ParameterDescriptor(description=field.description or name, read_only=True)
        values[name] = node.declare_parameter(name, field.default, descriptor).value
    return kind.from_mapping(values, f"parameters of {node.get_name()}")
