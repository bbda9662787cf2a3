# SPDX-License-Identifier: Apache-2.0
"""Barrett BH-280: dark palm, three fingers of two links; one look each for knuckle, proximal and distal link."""

from __future__ import annotations

from mesh_shapes.model import Model
from mesh_shapes.solids import ball, box, hull, lathe, rounded_box, tube


def build() -> tuple[Model, ...]:
    """Return the model; looks as named in urdf/grippers/bh280.urdf.xacro."""
    model = Model("bh280")
    model.add("bh_base_link", "aluminium", tube((0, 0, 0), (0, 0, 0.008), 0.0445))
    body = [(0.0440, 0.007), (0.0445, 0.012), (0.0445, 0.028), (0.0420, 0.036), (0.0420, 0.040)]
    model.add("bh_base_link", "graphite", lathe(body, segments=32))
    model.add("bh_base_link", "dark", tube((0, 0, 0.0395), (0, 0, 0.0755), 0.0300, 0.0285))
    model.add(
        "bh_base_link",
        "graphite",
        hull(
            box((0.026, 0.030, 0.036), (0, -0.028, 0.058), bevel=0.004),
            tube((-0.0125, -0.050, 0.0754), (0.0125, -0.050, 0.0754), 0.0125),
        ),
    )
    model.add("bh_base_link", "rubber", rounded_box((0.044, 0.046, 0.008), 0.003, (0, 0.002, 0.0775)))

    # knuckle: turns about z at the origin, carries the proximal axis (along y) at (-0.05, 0, 0.0339)
    post = tube((0, 0, 0.000), (0, 0, 0.030), 0.0120)
    arm = hull(tube((0, 0, 0.000), (0, 0, 0.022), 0.0115), box((0.022, 0.023, 0.020), (-0.046, 0, 0.012), bevel=0.003))
    fork = hull(
        box((0.024, 0.023, 0.012), (-0.048, 0, 0.018), bevel=0.003),
        tube((-0.05, -0.0118, 0.0339), (-0.05, 0.0118, 0.0339), 0.0125),
    )
    model.add("bh_knuckle", "graphite", post, arm, fork)
    model.add(
        "bh_knuckle", "steel", tube((-0.05, -0.0128, 0.0339), (-0.05, 0.0128, 0.0339), 0.0060, bevel=0.001, segments=16)
    )

    link = hull(
        tube((0, 0, -0.0105), (0, 0, 0.0105), 0.0115), tube((-0.0699, 0.003, -0.0105), (-0.0699, 0.003, 0.0105), 0.0105)
    )
    model.add("bh_proximal", "graphite", link)
    model.add("bh_proximal", "rubber", box((0.042, 0.004, 0.017), (-0.036, 0.0120, 0), (0, 0, -0.043), bevel=0.001))
    model.add(
        "bh_proximal",
        "steel",
        *[
            tube((x, y, -0.0122), (x, y, 0.0122), 0.0055, bevel=0.001, segments=16)
            for x, y in ((0, 0), (-0.0699, 0.003))
        ],
    )

    lower = hull(
        tube((0, 0, -0.0095), (0, 0, 0.0095), 0.0105), tube((-0.024, 0.018, -0.0095), (-0.024, 0.018, 0.0095), 0.0100)
    )
    tip = hull(
        tube((-0.024, 0.018, -0.0095), (-0.024, 0.018, 0.0095), 0.0098),
        ball((-0.0345, 0.0365, -0.002), 0.0085),
        ball((-0.0345, 0.0365, 0.002), 0.0085),
    )
    model.add("bh_distal", "dark", lower, tip)
    model.add("bh_distal", "rubber", hull(ball((-0.0195, 0.0215, 0), 0.0082), ball((-0.0290, 0.0375, 0), 0.0075)))
    return (model,)
