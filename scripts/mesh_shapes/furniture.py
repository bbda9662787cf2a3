# SPDX-License-Identifier: Apache-2.0
"""Cameras: the origin is the middle of the front glass, x looks forward, y left, z up (the body frame of REP-103)."""

from __future__ import annotations

from mesh_shapes.model import Model
from mesh_shapes.solids import box, rounded_box, tube


def build() -> tuple[Model, ...]:
    """Return the housings named in urdf/common/cell.urdf.xacro."""
    model = Model("furniture")
    model.add("camera_d415", "aluminium", rounded_box((0.021, 0.099, 0.020), 0.0095, (-0.0125, 0, 0)))
    model.add("camera_d415", "black", box((0.004, 0.090, 0.014), (-0.002, 0, 0), bevel=0.002))
    model.add(
        "camera_d415",
        "lens",
        *[
            tube((-0.001, y, 0), (0.0005, y, 0), 0.0045, bevel=0.0005, segments=16)
            for y in (0.035, -0.020, 0.015, -0.002)
        ],
    )
    model.add("camera_box", "aluminium", box((0.045, 0.05, 0.05), (-0.0375, 0, 0)))
    model.add("camera_box", "black", tube((-0.016, 0, 0), (0, 0, 0), 0.018, bevel=0.002))
    model.add("camera_box", "lens", tube((-0.001, 0, 0), (0.0005, 0, 0), 0.012, bevel=0.0005))
    model.add("camera_kinect", "dark", rounded_box((0.064, 0.249, 0.055), 0.006, (-0.0345, 0, 0.0055)))
    model.add(
        "camera_kinect",
        "black",
        box((0.004, 0.240, 0.046), (-0.002, 0, 0.0055), bevel=0.002),
        box((0.050, 0.08, 0.012), (-0.035, 0, -0.027)),
    )
    model.add(
        "camera_kinect",
        "lens",
        *[tube((-0.001, y, 0.006), (0.0006, y, 0.006), 0.011, bevel=0.0005, segments=16) for y in (0.095, 0.02, -0.03)],
    )
    model.add("camera_tiny", "dark", box((0.012, 0.02, 0.02), (-0.006, 0, 0), bevel=0.002))
    model.add("camera_tiny", "lens", tube((-0.001, 0, 0), (0.0005, 0, 0), 0.006, bevel=0.0005, segments=16))
    return (model,)
