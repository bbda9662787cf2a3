# SPDX-License-Identifier: Apache-2.0
"""Between the drivers and messages, and a configuration's fields as a node's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from grasp_core.config import Config

ConfigType = TypeVar("ConfigType", bound=Config)


def time_message(stamp_ns: int) -> Time:
    """Nanoseconds as a message."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def joint_state_message(
    names: Sequence[str], positions: Sequence[float], velocities: Sequence[float], prefix: str, stamp_ns: int
) -> JointState:
    """Joint states with the prefix in front of every name."""
    return JointState(
        header=Header(stamp=time_message(stamp_ns)),
        name=[prefix + name for name in names],
        position=list(positions),
        velocity=list(velocities),
    )


def diagnostics_message(
    name: str, hardware: str, problem: str, warning: str, values: Mapping[str, object], stamp_ns: int
) -> DiagnosticArray:
    """One status: an error where there is a problem, else a warning where there is one, else fine."""
    level = DiagnosticStatus.ERROR if problem else (DiagnosticStatus.WARN if warning else DiagnosticStatus.OK)
    status = DiagnosticStatus(name=name, hardware_id=hardware, level=level, message=problem or warning or "ready")
    status.values = [KeyValue(key=str(key), value=str(value)) for key, value in values.items()]
    return DiagnosticArray(header=Header(stamp=time_message(stamp_ns)), status=[status])


def declared_parameters(node: Node, cls: type[ConfigType], changeable: Sequence[str] = ()) -> ConfigType:
    """Declare every field of a configuration as a parameter and read them; only ``changeable`` ones may be set later.

    Raises:
        ConfigError: a value is refused; the message names the parameter.
    """
    values = {}
    for name, field in cls.model_fields.items():
        descriptor = ParameterDescriptor(description=field.description or "", read_only=name not in changeable)
        values[name] = node.declare_parameter(name, field.default, descriptor).value
    return cls.from_mapping(values, f"parameters of {node.get_name()}")
