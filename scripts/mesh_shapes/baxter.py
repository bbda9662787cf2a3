# SPDX-License-Identifier: Apache-2.0
"""Baxter: charcoal torso on a pedestal, red arms with dark joints, a screen with a face."""

from __future__ import annotations

import math

from mesh_shapes.model import Model
from mesh_shapes.solids import ball, box, hull, lathe, loft, placed, rounded_box, tube


def _body(model: Model) -> None:
    torso = loft(
        [
            (-0.12, 0.22, 0.24, -0.05, 0), (-0.06, 0.26, 0.32, -0.05, 0), (0.06, 0.27, 0.38, -0.05, 0), (0.24, 0.26,
            0.38, -0.05, 0), (0.40, 0.22, 0.30, -0.045, 0), (0.50, 0.18, 0.22, -0.03, 0), (0.56, 0.16, 0.19, -0.01, 0),
        ],
        0.07,
    )  # fmt: skip
    model.add("torso", "baxter_grey", torso)
    chest = loft(
        [
            (0.00, 0.05, 0.20, 0.062, 0),
            (0.10, 0.06, 0.24, 0.066, 0),
            (0.26, 0.05, 0.20, 0.060, 0),
            (0.33, 0.03, 0.12, 0.045, 0),
        ],
        0.02,
    )
    model.add("torso", "baxter_red", chest)
    neck = [(0.075, 0.55), (0.062, 0.60), (0.058, 0.66), (0.070, 0.684)]
    model.add("torso", "dark", lathe(neck, (0.045, 0, 0)))
    for side in (-1, 1):
        # shoulder mounts turn out by 45 degrees
        direction = (math.sqrt(0.5), side * math.sqrt(0.5))
        centre = (0.024645 + 0.045 * direction[0], side * 0.219645 + 0.045 * direction[1])
        mount = hull(
            tube((*centre, 0.075), (*centre, 0.128), 0.078),
            box((0.14, 0.04, 0.16), (-0.04, side * 0.165, 0.10), bevel=0.015),
        )
        model.add("torso", "baxter_grey", mount)

    foot = [
        (0.30, -0.92),
        (0.31, -0.90),
        (0.29, -0.865),
        (0.20, -0.835),
        (0.16, -0.80),
        (0.135, -0.55),
        (0.13, -0.25),
        (0.145, -0.12),
    ]
    model.add("pedestal", "dark", lathe(foot, (-0.05, 0, 0), segments=32))
    model.add(
        "pedestal",
        "baxter_grey",
        *[
            rounded_box((0.20, 0.09, 0.06), 0.02, (-0.05 + 0.23 * math.cos(a), 0.23 * math.sin(a), -0.885), (0, 0, a))
            for a in (0.785, 2.356, 3.927, 5.498)
        ],
    )

    model.add(
        "head",
        "baxter_grey",
        tube((0, 0, 0.0), (0, 0, 0.025), 0.072),
        hull(ball((-0.01, 0, 0.05), 0.055), ball((0.06, 0, 0.02), 0.05)),
    )
    model.add("head", "baxter_red", tube((0, 0, 0.022), (0, 0, 0.032), 0.0735, bevel=0.001))
    # screen frame: x left, y up (tilted), z towards the viewer... seen from the front
    model.add("screen", "dark", rounded_box((0.30, 0.21, 0.045), 0.02, (0, 0.02, -0.010)))
    model.add("screen", "screen_blue", box((0.262, 0.168, 0.004), (0, 0.024, 0.0125), bevel=0.001))
    for side in (-1, 1):
        eye = lathe([(0.033, 0), (0.033, 0.0012), (0.031, 0.002)], (0, 0, 0))
        eye.apply_scale([1.0, 0.72, 1.0])
        model.add("screen", "white", placed(eye, (side * 0.058, 0.030, 0.0142)))
        model.add(
            "screen", "black", tube((side * 0.055, 0.024, 0.0158), (side * 0.055, 0.024, 0.0172), 0.014, bevel=0.0003)
        )
        model.add(
            "screen",
            "dark",
            box((0.055, 0.008, 0.002), (side * 0.060, 0.072, 0.0152), (0, 0, -side * 0.15), bevel=0.0005),
        )


def _arm(model: Model) -> None:
    """Links of one arm; both arms use the same frames."""
    model.add("upper_shoulder", "baxter_grey", tube((0, 0, 0.002), (0, 0, 0.045), 0.082, 0.076))
    column = hull(
        tube((0, 0, 0.045), (0, 0, 0.12), 0.074, 0.070), tube((0.045, -0.052, 0.262), (0.045, 0.052, 0.262), 0.070)
    )
    model.add("upper_shoulder", "baxter_red", column)
    model.add(
        "upper_shoulder",
        "dark",
        tube((0.069, -0.066, 0.27035), (0.069, -0.050, 0.27035), 0.062),
        tube((0.069, 0.050, 0.27035), (0.069, 0.066, 0.27035), 0.062),
    )

    model.add("lower_shoulder", "baxter_grey", tube((0, 0, -0.050), (0, 0, 0.050), 0.068))
    model.add(
        "lower_shoulder",
        "baxter_grey",
        hull(tube((0, 0, -0.045), (0, 0, 0.045), 0.062), tube((0.070, 0, 0), (0.100, 0, 0), 0.064)),
    )
    model.add("lower_shoulder", "dark", tube((0.098, 0, 0), (0.106, 0, 0), 0.0625, bevel=0.001))

    _limb(model, "upper_elbow", 0.26242, 0.069, 0.062)
    model.add("lower_elbow", "baxter_grey", tube((0, 0, -0.048), (0, 0, 0.048), 0.060))
    model.add(
        "lower_elbow",
        "baxter_grey",
        hull(tube((0, 0, -0.04), (0, 0, 0.04), 0.055), tube((0.070, 0, 0), (0.100, 0, 0), 0.058)),
    )
    model.add("lower_elbow", "dark", tube((0.098, 0, 0), (0.106, 0, 0), 0.0565, bevel=0.001))
    _limb(model, "upper_forearm", 0.2707, 0.010, 0.056)
    model.add("lower_forearm", "baxter_grey", tube((0, 0, -0.046), (0, 0, 0.046), 0.054))
    model.add(
        "lower_forearm",
        "baxter_grey",
        hull(tube((0, 0, -0.04), (0, 0, 0.04), 0.050), tube((0.075, 0, 0), (0.110, 0, 0), 0.053)),
    )
    # cuff: the soft ring that a user squeezes to move the arm
    model.add("wrist", "dark", tube((0, 0, -0.006), (0, 0, 0.012), 0.050))
    model.add("wrist", "baxter_red", tube((0, 0, 0.010), (0, 0, 0.058), 0.056, 0.057, bevel=0.008))
    model.add("wrist", "baxter_grey", tube((0, 0, 0.056), (0, 0, 0.082), 0.050, 0.046))
    model.add(
        "hand",
        "dark",
        tube((0, 0, -0.034), (0, 0, 0.0), 0.042, 0.040),
        box((0.05, 0.045, 0.034), (0.028, 0.005, -0.012)),
    )


def _limb(model: Model, link: str, length: float, offset: float, radius: float) -> None:
    """A red tube along z that ends in the fork of the next joint's axis (along y) at x = offset."""
    model.add(link, "baxter_grey", tube((0, 0, 0.004), (0, 0, 0.035), radius + 0.001))
    body = hull(
        tube((0, 0, 0.035), (0, 0, 0.10), radius, radius - 0.002),
        tube((offset * 0.75, -0.044, length - 0.010), (offset * 0.75, 0.044, length - 0.010), radius - 0.002),
    )
    model.add(link, "baxter_red", body)
    r = radius - 0.006
    model.add(
        link,
        "dark",
        tube((offset, -0.060, length), (offset, -0.044, length), r),
        tube((offset, 0.044, length), (offset, 0.060, length), r),
    )


def build() -> tuple[Model, ...]:
    """Return the model; links as in urdf/robots/baxter.urdf.xacro, arm links without their side."""
    model = Model("baxter")
    _body(model)
    _arm(model)
    return (model,)
