# SPDX-License-Identifier: Apache-2.0
"""Names, types and sizes of the RTDE outputs and inputs that clients may ask for. Source: UR's RTDE guide."""

from __future__ import annotations

# struct letters and counts by type name; everything is big-endian.
TYPES: dict[str, tuple[str, int]] = {
    "BOOL": ("?", 1),
    "UINT8": ("B", 1),
    "UINT32": ("I", 1),
    "UINT64": ("Q", 1),
    "INT32": ("i", 1),
    "DOUBLE": ("d", 1),
    "VECTOR3D": ("d", 3),
    "VECTOR6D": ("d", 6),
    "VECTOR6INT32": ("i", 6),
    "VECTOR6UINT32": ("I", 6),
}

_OUTPUTS = {
    "DOUBLE": """timestamp actual_execution_time target_execution_time speed_scaling target_speed_fraction
        actual_momentum actual_main_voltage actual_robot_voltage actual_robot_current standard_analog_input0
        standard_analog_input1 standard_analog_output0 standard_analog_output1 io_current tool_analog_input0
        tool_analog_input1 tool_output_current tool_temperature tcp_force_scalar payload""",
    "VECTOR6D": """target_q target_qd target_qdd target_current target_moment actual_q actual_qd actual_current
        actual_current_window actual_current_as_torque joint_control_output actual_TCP_pose actual_TCP_speed
        actual_TCP_force target_TCP_pose target_TCP_speed tcp_offset joint_temperatures actual_joint_voltage
        ft_raw_wrench payload_inertia""",
    "VECTOR3D": "actual_tool_accelerometer elbow_position elbow_velocity payload_cog",
    "VECTOR6INT32": "joint_mode",
    "INT32": "robot_mode safety_mode safety_status tool_output_voltage",
    "UINT32": """runtime_state robot_status_bits safety_status_bits analog_io_types tool_mode tool_analog_input_types
        script_control_line output_bit_registers0_to_31 output_bit_registers32_to_63""",
    "UINT64": "actual_digital_input_bits actual_digital_output_bits",
}
_INPUTS = {
    "UINT32": "speed_slider_mask input_bit_registers0_to_31 input_bit_registers32_to_63",
    "DOUBLE": "speed_slider_fraction standard_analog_output_0 standard_analog_output_1",
    "UINT8": """standard_digital_output_mask standard_digital_output configurable_digital_output_mask
        configurable_digital_output standard_analog_output_mask standard_analog_output_type tool_digital_output_mask
        tool_digital_output""",
    "VECTOR6D": "external_force_torque",
}


def _table(source: dict[str, str], stem: str) -> dict[str, str]:
    table = {name: kind for kind, names in source.items() for name in names.split()}
    table |= {f"{stem}_int_register_{n}": "INT32" for n in range(48)}
    table |= {f"{stem}_double_register_{n}": "DOUBLE" for n in range(48)}
    table |= {f"{stem}_bit_register_{n}": "BOOL" for n in range(64, 128)}
    return table


OUTPUTS = _table(_OUTPUTS, "output")
INPUTS = _table(_INPUTS, "input")
