# SPDX-License-Identifier: Apache-2.0
"""OnRobot RG2: dark body with a light band, bars and fingers of a parallelogram."""

from __future__ import annotations

import numpy as np
import trimesh

from mesh_shapes.model import Model
from mesh_shapes.solids import box, hull, loft, tube


def build() -> tuple[Model, ...]:
    """Return the model; links as in urdf/grippers/rg2.urdf.xacro."""
    model = Model("rg2")
    model.add("rg2_base_link", "aluminium", tube((0, 0, 0), (0, 0, 0.014), 0.0335))
    model.add("rg2_base_link", "dark", tube((0, 0, 0.013), (0, 0, 0.032), 0.036))
    body = loft(
        [
            (0.028, 0.060, 0.060, 0, 0),
            (0.036, 0.066, 0.070, 0, 0),
            (0.094, 0.066, 0.074, 0, 0),
            (0.112, 0.050, 0.070, 0, 0),
            (0.118, 0.040, 0.060, 0, 0),
        ],
        0.016,
    )
    model.add("rg2_base_link", "graphite", body)
    model.add("rg2_base_link", "ur_blue", loft([(0.060, 0.0668, 0.0748, 0, 0), (0.066, 0.0668, 0.0748, 0, 0)], 0.016))
    cheeks = [box((0.007, 0.060, 0.046), (side * 0.0145, 0, 0.127), bevel=0.004) for side in (-1, 1)]
    model.add("rg2_base_link", "dark", *cheeks)
    pins = [
        tube((-0.019, y, z), (0.019, y, z), 0.005, bevel=0.001, segments=16)
        for y, z in ((-0.017178, 0.125797), (0.017178, 0.125797), (-0.007678, 0.142297), (0.007678, 0.142297))
    ]
    model.add("rg2_base_link", "steel", *pins)

    far = np.array([0.0, -0.039592, 0.038177])
    for side in ("left", "right"):
        bars = [
            hull(
                tube((x - 0.002, 0, 0), (x + 0.002, 0, 0), 0.0085, bevel=0.001, segments=16),
                tube((x - 0.002, *far[1:]), (x + 0.002, *far[1:]), 0.0085, bevel=0.001, segments=16),
            )
            for x in (-0.0075, 0.0075)
        ]
        model.add(f"{side}_outer_knuckle", "graphite", *bars)
        inner = [
            hull(
                tube((x - 0.002, 0, 0), (x + 0.002, 0, 0), 0.006, bevel=0.001, segments=16),
                tube((x - 0.002, *far[1:]), (x + 0.002, *far[1:]), 0.006, bevel=0.001, segments=16),
            )
            for x in (-0.0135, 0.0135)
        ]
        model.add(f"{side}_inner_knuckle", "aluminium", *inner)
        # the finger: from the outer bar's end (0, 0, 0) over the inner bar's end (0, 0.0095, 0.0165) to the pad face at
        # y = 0.014678
        heel = hull(
            tube((-0.005, 0, 0), (0.005, 0, 0), 0.0075, bevel=0.001, segments=16),
            tube((-0.005, 0.0075, 0.0165), (0.005, 0.0075, 0.0165), 0.0065, bevel=0.001, segments=16),
        )
        blade = trimesh.convex.convex_hull(
            np.array(
                [
                    [x, y, z]
                    for x in (-0.0095, 0.0095)
                    for y, z in ((0.004, 0.012), (0.0118, 0.012), (0.0118, 0.0528), (0.0075, 0.0528), (0.003, 0.036))
                ]
            )
        )
        model.add(f"{side}_inner_finger", "graphite", heel, blade)
        model.add(f"{side}_inner_finger", "rubber", box((0.0185, 0.0035, 0.034), (0, 0.012928, 0.0355), bevel=0.001))
        model.add(
            f"{side}_inner_finger",
            "steel",
            tube((-0.010, 0, 0), (0.010, 0, 0), 0.0045, bevel=0.001, segments=16),
            tube((-0.016, 0.0095, 0.0165), (0.016, 0.0095, 0.0165), 0.004, bevel=0.001, segments=16),
        )
    return (model,)
