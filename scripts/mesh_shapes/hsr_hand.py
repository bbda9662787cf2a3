# SPDX-License-Identifier: Apache-2.0
"""HSR hand: wide white palm, two bars that swing out, fingertips that stay parallel."""

from __future__ import annotations

import numpy as np
import trimesh

from mesh_shapes.model import Model
from mesh_shapes.solids import box, hull, rounded_box, tube


def build() -> tuple[Model, ...]:
    """Return the model; links as in urdf/grippers/hsr_hand.urdf.xacro."""
    model = Model("hsr_hand")
    model.add("hand_palm_link", "white", rounded_box((0.076, 0.126, 0.048), 0.016, (0, 0, -0.045)))
    model.add("hand_palm_link", "hsr_grey", box((0.052, 0.090, 0.012), (0, 0, -0.019), bevel=0.004))
    for s, out in (("l", -1), ("r", 1)):
        bar = hull(
            tube((0.007, 0, 0), (0.021, 0, 0), 0.0095, bevel=0.001, segments=16),
            tube((0.007, 0, 0.07), (0.021, 0, 0.07), 0.0085, bevel=0.001, segments=16),
        )
        model.add(f"hand_{s}_spring_proximal_link", "hsr_grey", bar)
        model.add(
            f"hand_{s}_spring_proximal_link",
            "dark",
            tube((0.005, 0, 0), (0.023, 0, 0), 0.005, bevel=0.001, segments=12),
            tube((0.005, 0, 0.07), (0.023, 0, 0.07), 0.005, bevel=0.001, segments=12),
        )
        # the pad's face is the plane y = -out * 0.01865
        profile = (
            (0.006, -0.004),
            (-0.0165, 0.009),
            (-0.0165, 0.0548),
            (-0.0125, 0.0548),
            (-0.0065, 0.030),
            (0.0085, 0.006),
        )
        blade = trimesh.convex.convex_hull(np.array([[x, out * y, z] for x in (0.0065, 0.027) for y, z in profile]))
        model.add(f"hand_{s}_distal_link", "white", blade)
        model.add(
            f"hand_{s}_distal_link",
            "rubber",
            box((0.020, 0.0035, 0.034), (0.01675, -out * 0.0169, 0.0365), bevel=0.001),
        )
    return (model,)
