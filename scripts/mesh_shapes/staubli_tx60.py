# SPDX-License-Identifier: Apache-2.0
"""Staubli TX60: yellow castings, the upper arm a slab beside the axes, grey lids."""

from __future__ import annotations

from mesh_shapes.model import Model
from mesh_shapes.solids import ball, box, hull, lathe, loft, tube


def build() -> tuple[Model, ...]:
    """Return the model; links as in urdf/robots/staubli_tx60.urdf.xacro."""
    model = Model("staubli_tx60")
    yellow, grey = "staubli_yellow", "staubli_grey"
    foot = loft(
        [
            (0.0, 0.220, 0.228, 0, 0), (0.020, 0.220, 0.228, 0, 0), (0.032, 0.200, 0.208, 0, 0), (0.075, 0.186, 0.190,
            0, 0), (0.150, 0.178, 0.180, 0, 0), (0.1866, 0.176, 0.178, 0, 0),
        ],
        0.087,
    )  # fmt: skip
    model.add(
        "base_link",
        yellow,
        foot,
        hull(
            box((0.10, 0.17, 0.110), (-0.140, 0, 0.066), bevel=0.010),
            box((0.04, 0.15, 0.11), (-0.06, 0, 0.10), bevel=0.010),
        ),
    )
    model.add(
        "base_link",
        grey,
        box((0.006, 0.13, 0.075), (-0.1905, 0, 0.062)),
        *[tube((x, y, 0.012), (x, y, 0.022), 0.012, segments=12) for x in (-0.09, 0.09) for y in (-0.09, 0.09)],
    )

    model.add("link_1", grey, tube((0, 0, -0.1855), (0, 0, -0.172), 0.0862))
    turret = hull(tube((0, 0, -0.172), (0, 0, -0.08), 0.0868), tube((0, -0.080, 0), (0, 0.120, 0), 0.0862))
    model.add("link_1", yellow, turret)
    model.add(
        "link_1",
        grey,
        lathe([(0.074, 0), (0.073, 0.005), (0.060, 0.009)], (0, -0.0795, 0), (0, -1, 0)),
        tube((0, 0.119, 0), (0, 0.1335, 0), 0.080),
    )

    slab = hull(
        tube((0, 0.1350, 0), (0, 0.2140, 0), 0.0875, bevel=0.012),
        tube((0, 0.1350, 0.290), (0, 0.2140, 0.290), 0.0715, bevel=0.012),
    )
    model.add("link_2", yellow, slab)
    model.add(
        "link_2",
        grey,
        *[
            lathe([(r, 0), (r - 0.001, 0.003), (r - 0.012, 0.0055)], (0, 0.2132, z), (0, 1, 0))
            for r, z in ((0.062, 0), (0.050, 0.290))
        ],
    )

    elbow = hull(tube((0, -0.076, 0), (0, 0.090, 0), 0.078, bevel=0.010), tube((0, 0, 0.055), (0, 0, 0.085), 0.066))
    model.add(
        "link_3",
        yellow,
        elbow,
        hull(tube((0, 0.005, -0.06), (0, 0.005, -0.122), 0.058, bevel=0.010), ball((0, 0.005, 0), 0.060)),
    )
    model.add(
        "link_3",
        grey,
        tube((0, 0.089, 0), (0, 0.1135, 0), 0.070),
        tube((0, 0, 0.084), (0, 0, 0.108), 0.062),
        lathe([(0.062, 0), (0.060, 0.0035), (0.05, 0.0045)], (0, -0.0755, 0), (0, -1, 0)),
    )

    model.add("link_4", yellow, lathe([(0.060, 0.107), (0.063, 0.118), (0.062, 0.170), (0.054, 0.240), (0.050, 0.262)]))
    for side in (-1, 1):
        cheek = hull(
            tube((0, side * 0.026, 0.310), (0, side * 0.048, 0.310), 0.042),
            tube((0, side * 0.020, 0.240), (0, side * 0.030, 0.240), 0.030),
        )
        model.add("link_4", yellow, cheek)
        model.add(
            "link_4", grey, lathe([(0.031, 0), (0.030, 0.003), (0.022, 0.005)], (0, side * 0.0475, 0.310), (0, side, 0))
        )
    model.add(
        "link_5", grey, tube((0, -0.0212, 0), (0, 0.0212, 0), 0.0355), tube((0, 0, 0.010), (0, 0, 0.052), 0.029, 0.027)
    )
    model.add("link_6", "aluminium", tube((0, 0, -0.0205), (0, 0, 0), 0.0200, bevel=0.002))
    return (model,)
