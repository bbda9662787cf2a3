# SPDX-License-Identifier: Apache-2.0
"""Toyota HSR: white round base and body, dark face with two eyes, a sensor on the head, a slim grey arm."""

from __future__ import annotations

from mesh_shapes.model import Model
from mesh_shapes.solids import ball, box, capsule, hull, lathe, loft, rounded_box, tube


def _base(model: Model) -> None:
    model.add("base_link", "dark", lathe([(0.190, 0.020), (0.205, 0.030), (0.212, 0.060), (0.212, 0.075)], segments=40))
    shell = [
        (0.212, 0.075),
        (0.215, 0.085),
        (0.215, 0.200),
        (0.211, 0.225),
        (0.200, 0.262),
        (0.180, 0.300),
        (0.150, 0.325),
        (0.10, 0.338),
    ]
    model.add("base_link", "white", lathe(shell, segments=40))
    model.add(
        "base_link",
        "hsr_blue",
        lathe([(0.2120, 0.226), (0.2135, 0.222), (0.2164, 0.206), (0.2160, 0.200)], segments=40),
    )
    # window of the laser scanner
    model.add("base_link", "black", tube((0.02, 0, 0.168), (0.02, 0, 0.196), 0.1985, bevel=0.002, segments=40))
    model.add(
        "base_link", "black", *[tube((-0.11, y - 0.012, 0.04), (-0.11, y + 0.012, 0.04), 0.04) for y in (-0.133, 0.133)]
    )
    model.add("base_link", "hsr_grey", rounded_box((0.11, 0.17, 0.34), 0.02, (-0.08, 0, 0.46)))


def _body(model: Model) -> None:
    torso = loft(
        [
            (-0.385, 0.13, 0.19, -0.070, 0), (-0.365, 0.15, 0.215, -0.066, 0), (-0.20, 0.16, 0.22, -0.062, 0),
            (-0.09, 0.155, 0.21, -0.060, 0), (-0.050, 0.13, 0.17, -0.050, 0), (-0.030, 0.09, 0.11, -0.030, 0),
        ],
        0.055,
    )  # fmt: skip
    model.add("torso_lift_link", "white", torso)
    model.add("torso_lift_link", "hsr_grey", box((0.012, 0.035, 0.30), (0.017, 0.065, -0.215), bevel=0.004))
    model.add("torso_lift_link", "hsr_blue", box((0.006, 0.07, 0.10), (0.016, -0.035, -0.16), bevel=0.002))
    model.add("head_pan_link", "hsr_grey", tube((0, 0, -0.035), (0, 0, 0.025), 0.040, 0.036))

    head = hull(
        ball((-0.075, 0.060, 0.095), 0.062), ball((-0.075, -0.060, 0.095), 0.062), ball((-0.030, 0.065, 0.085), 0.052),
        ball((-0.030, -0.065, 0.085), 0.052),
        ball((-0.060, 0.055, 0.150), 0.045), ball((-0.060, -0.055, 0.150), 0.045),
    )  # fmt: skip
    model.add("head_tilt_link", "white", head)
    model.add("head_tilt_link", "black", rounded_box((0.036, 0.200, 0.088), 0.016, (0.006, 0, 0.084)))
    for side in (-1, 1):
        model.add(
            "head_tilt_link",
            "white",
            tube((0.021, side * 0.070, 0.084), (0.0265, side * 0.070, 0.084), 0.026, bevel=0.002),
        )
        model.add(
            "head_tilt_link",
            "lens",
            tube((0.026, side * 0.070, 0.084), (0.029, side * 0.070, 0.084), 0.016, bevel=0.001),
        )
    model.add(
        "head_tilt_link",
        "hsr_grey",
        tube((-0.095, 0, 0.180), (-0.095, 0, 0.205), 0.018),
        rounded_box((0.040, 0.180, 0.030), 0.010, (-0.098, 0, 0.215)),
    )


def _arm(model: Model) -> None:
    shoulder = hull(
        box((0.06, 0.075, 0.11), (0.045, 0.020, -0.035), bevel=0.015), tube((0.130, 0.000, 0), (0.130, 0.040, 0), 0.052)
    )
    model.add("arm_lift_link", "white", shoulder)
    model.add(
        "arm_lift_link",
        "hsr_grey",
        tube((0.141, 0.036, 0), (0.141, 0.050, 0), 0.050),
        box((0.04, 0.06, 0.20), (-0.002, 0.02, -0.06), bevel=0.008),
    )
    model.add("arm_flex_link", "hsr_grey", tube((0, -0.036, 0), (0, 0.040, 0), 0.048))
    model.add(
        "arm_flex_link",
        "white",
        hull(tube((0, -0.026, 0), (0, 0.030, 0), 0.044), tube((0.0025, 0, 0.10), (0.0025, 0, 0.12), 0.044)),
    )
    model.add("arm_flex_link", "white", tube((0.003, 0, 0.10), (0.004, 0, 0.262), 0.044, 0.041))
    model.add("arm_flex_link", "hsr_grey", tube((0.004, 0, 0.262), (0.004, 0, 0.278), 0.0415, bevel=0.001))
    model.add(
        "arm_roll_link",
        "white",
        hull(tube((0, 0, -0.066), (0, 0, -0.050), 0.041), tube((0, -0.036, 0), (0, 0.036, 0), 0.036)),
    )
    model.add(
        "arm_roll_link",
        "hsr_grey",
        tube((0, -0.043, 0), (0, -0.036, 0), 0.033),
        tube((0, 0.036, 0), (0, 0.043, 0), 0.033),
    )
    model.add(
        "wrist_flex_link",
        "hsr_grey",
        tube((0, -0.028, 0), (0, 0.028, 0), 0.037),
        tube((0, 0, 0.02), (0, 0, 0.048), 0.034),
    )
    model.add("wrist_roll_link", "white", capsule((0.003, 0, 0.068), (0.008, 0, 0.080), 0.038))
    model.add("wrist_roll_link", "hsr_grey", tube((0, 0, 0.046), (0, 0, 0.060), 0.035))


def build() -> tuple[Model, ...]:
    """Return the model; links as in urdf/robots/hsr.urdf.xacro."""
    model = Model("hsr")
    _base(model)
    _body(model)
    _arm(model)
    return (model,)
