# SPDX-License-Identifier: Apache-2.0
"""UR5: aluminium tubes, joint housings with light blue lids."""

from __future__ import annotations

from mesh_shapes.model import Model
from mesh_shapes.solids import hull, lathe, tube


def _joint(model: Model, link: str, centre: tuple[float, float, float], length: float, radius: float, lid: int) -> None:
    """Joint housing along z with a blue lid at its `lid` (+1, -1) end."""
    x, y, z = centre
    h = length / 2
    rim = 0.012
    model.add(
        link, "ur_grey", tube((x, y, z - h), (x, y, z + h - rim) if lid > 0 else (x, y, z + h), radius)
    ) if lid > 0 else model.add(link, "ur_grey", tube((x, y, z - h + rim), (x, y, z + h), radius))
    if lid > 0:
        profile = [(radius - 0.003, 0), (radius - 0.001, 0.004), (radius - 0.006, rim), (radius * 0.55, rim + 0.004)]
        model.add(link, "ur_blue", lathe(profile, (x, y, z + h - rim)))
    else:
        profile = [(radius - 0.003, 0), (radius - 0.001, 0.004), (radius - 0.006, rim), (radius * 0.55, rim + 0.004)]
        model.add(link, "ur_blue", lathe(profile, (x, y, z - h + rim), (0, 0, -1)))


def _crossed(
    model: Model, link: str, along_y: tuple[float, float], along_z: tuple[float, float], radius: float, lid_y: int
) -> None:
    """Wrist housing: two crossing tubes, the lid on the y end `lid_y`."""
    y0, y1 = along_y
    z0, z1 = along_z
    model.add(link, "ur_grey", tube((0, 0, z0), (0, 0, z1), radius), tube((0, y0, 0), (0, y1, 0), radius))
    start = y1 if lid_y > 0 else y0
    profile = [(radius - 0.002, -0.001), (radius - 0.001, 0.004), (radius - 0.006, 0.009), (radius * 0.5, 0.011)]
    model.add(link, "ur_blue", lathe(profile, (0, start, 0), (0, lid_y, 0)))


def build() -> tuple[Model, ...]:
    """Return the model; links as in urdf/robots/ur5.urdf.xacro."""
    model = Model("ur5")
    base = [(0.0745, 0), (0.0745, 0.014), (0.068, 0.019), (0.060, 0.022), (0.060, 0.0245)]
    model.add("base_link_inertia", "ur_grey", lathe(base), tube((0, 0.05, 0.011), (0, 0.10, 0.011), 0.009))
    model.add("base_link_inertia", "dark", tube((0, 0, 0.0235), (0, 0, 0.0255), 0.0585, bevel=0.001))

    model.add(
        "shoulder_link", "ur_grey", tube((0, 0, -0.065), (0, 0, 0.056), 0.0595), tube((0, 0, 0), (0, -0.070, 0), 0.0595)
    )
    lid = [(0.057, 0), (0.0585, 0.003), (0.054, 0.010), (0.034, 0.0125)]
    model.add("shoulder_link", "ur_blue", lathe(lid, (0, 0, 0.056)))
    model.add("shoulder_link", "dark", tube((0, -0.0685, 0), (0, -0.0712, 0), 0.056, bevel=0.001))

    _joint(model, "upper_arm_link", (0, 0, 0.1375), 0.132, 0.0595, +1)
    _joint(model, "upper_arm_link", (-0.425, 0, 0.1375), 0.132, 0.0595, +1)
    model.add(
        "upper_arm_link",
        "ur_grey",
        tube((-0.05, 0, 0.137), (-0.375, 0, 0.137), 0.050),
        tube((-0.045, 0, 0.137), (-0.085, 0, 0.137), 0.0575, 0.0525),
        tube((-0.38, 0, 0.137), (-0.34, 0, 0.137), 0.0575, 0.0525),
    )
    model.add("upper_arm_link", "dark", tube((-0.085, 0, 0.137), (-0.088, 0, 0.137), 0.0527, bevel=0.0005))
    model.add("upper_arm_link", "dark", tube((-0.337, 0, 0.137), (-0.340, 0, 0.137), 0.0527, bevel=0.0005))

    model.add("forearm_link", "ur_grey", tube((0, 0, -0.030), (0, 0, 0.0705), 0.0575))
    model.add(
        "forearm_link",
        "ur_blue",
        lathe([(0.054, 0), (0.0565, 0.003), (0.052, 0.010), (0.030, 0.0125)], (0, 0, -0.0295), (0, 0, -1)),
    )
    elbow = hull(
        tube((-0.03, 0, 0.0165), (-0.05, 0, 0.0165), 0.053), tube((-0.10, 0, 0.0165), (-0.11, 0, 0.0165), 0.0415)
    )
    wrist = hull(
        tube((-0.36, 0, 0.0165), (-0.37, 0, 0.0165), 0.0385), tube((-0.31, 0, 0.0165), (-0.32, 0, 0.0165), 0.040)
    )
    model.add("forearm_link", "ur_grey", elbow, wrist, tube((-0.10, 0, 0.0165), (-0.33, 0, 0.0165), 0.0385))
    model.add("forearm_link", "dark", tube((-0.111, 0, 0.0165), (-0.114, 0, 0.0165), 0.041, bevel=0.0005))
    model.add("forearm_link", "ur_grey", tube((-0.39225, 0, -0.030), (-0.39225, 0, 0.0705), 0.0385))
    model.add(
        "forearm_link",
        "ur_blue",
        lathe([(0.036, 0), (0.0375, 0.003), (0.033, 0.009), (0.018, 0.011)], (-0.39225, 0, -0.0295), (0, 0, -1)),
    )

    _crossed(model, "wrist_1_link", (-0.047, 0.047), (-0.0455, 0.034), 0.0385, +1)
    _crossed(model, "wrist_2_link", (-0.047, 0.0475), (-0.0455, 0.034), 0.0385, -1)

    flange = [(0.0375, -0.0345), (0.0375, -0.010), (0.0360, -0.006), (0.0315, -0.0055), (0.0315, 0.0)]
    model.add("wrist_3_link", "ur_grey", lathe(flange))
    model.add(
        "wrist_3_link",
        "dark",
        tube((0, 0, -0.0095), (0, 0, -0.006), 0.0378, bevel=0.0005),
        tube((0, 0.03, -0.02), (0, 0.042, -0.02), 0.007),
    )
    return (model,)
