# SPDX-License-Identifier: Apache-2.0
"""Rethink electric parallel gripper: dark body across the hand, two plain fingers."""

from __future__ import annotations

from mesh_shapes.model import Model
from mesh_shapes.solids import box, rounded_box, tube


def build() -> tuple[Model, ...]:
    """Return the model; links as in urdf/grippers/baxter_electric.urdf.xacro."""
    model = Model("baxter_electric")
    model.add(
        "gripper_base",
        "dark",
        tube((0, 0, -0.025), (0, 0, -0.012), 0.036),
        rounded_box((0.052, 0.108, 0.036), 0.010, (0, 0, 0.000)),
    )
    model.add("gripper_base", "baxter_red", box((0.030, 0.1085, 0.006), (0, 0, -0.004), bevel=0.001))
    model.add("gripper_base", "steel", box((0.014, 0.096, 0.006), (0, 0, 0.0195), bevel=0.001))
    for link, side in (("gripper_l_finger", 1), ("gripper_r_finger", -1)):
        model.add(link, "graphite", box((0.012, 0.032, 0.017), (0, side * 0.009, 0.0083)))
        model.add(link, "steel", box((0.010, 0.0135, 0.075), (0, side * 0.01725, 0.040), bevel=0.002))
    return (model,)
