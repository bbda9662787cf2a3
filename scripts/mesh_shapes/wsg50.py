# SPDX-License-Identifier: Apache-2.0
"""Two-finger parallel gripper: a wide flat body with two guides, blade fingers with rubber pads."""

from __future__ import annotations

from mesh_shapes.model import Model
from mesh_shapes.solids import box, rounded_box, tube


def build() -> tuple[Model, ...]:
    """Return the model; links as in urdf/grippers/wsg50.urdf.xacro."""
    model = Model("wsg50")
    model.add(
        "wsg50_base_link",
        "aluminium",
        tube((0, 0, 0), (0, 0, 0.010), 0.0315),
        rounded_box((0.146, 0.05, 0.058), 0.005, (0, 0, 0.039)),
    )
    model.add(
        "wsg50_base_link",
        "dark",
        box((0.142, 0.036, 0.008), (0, 0, 0.0695), bevel=0.002),
        box((0.10, 0.0506, 0.016), (0, 0, 0.044), bevel=0.0005),
    )
    model.add("wsg50_base_link", "green_light", box((0.010, 0.0512, 0.004), (0.060, 0, 0.058), bevel=0.0005))
    for link, side in (("left_finger", -1), ("right_finger", 1)):
        model.add(link, "steel", box((0.0175, 0.030, 0.024), (side * 0.0107, 0, 0.0855)))
        model.add(link, "graphite", box((0.009, 0.020, 0.070), (side * 0.0075, 0, 0.130)))
        model.add(link, "rubber", box((0.0032, 0.0195, 0.036), (side * 0.0016, 0, 0.1465), bevel=0.001))
    return (model,)
