# SPDX-License-Identifier: Apache-2.0
"""LBR iiwa 7 and 14: white rounded elbows, orange lids and rings, grey base."""

from __future__ import annotations

from mesh_shapes.model import Model
from mesh_shapes.solids import ball, hull, lathe, rounded_box, tube

# per link: tube radius, joint axis height z, end of the lid along y, middle of the bevel ball (y, z), its radius,
# tube's y, tube from z to z
ELBOWS = {
    "7": {
        1: (0.068, 0.1925, -0.1146, (-0.045, 0.147), 0.074, 0.0, 0.000, 0.120),
        2: (0.068, 0.0000, 0.1251, (0.058, 0.048), 0.077, 0.0105, 0.070, 0.1840),
        3: (0.068, 0.1925, 0.1146, (0.045, 0.147), 0.074, 0.0, -0.0225, 0.120),
        4: (0.068, 0.0000, -0.1251, (-0.058, 0.048), 0.077, -0.0105, 0.070, 0.1840),
    },
    "14": {
        1: (0.0855, 0.2125, -0.1157, (-0.040, 0.155), 0.086, 0.0, 0.000, 0.130),
        2: (0.0855, 0.0000, 0.1422, (0.058, 0.055), 0.086, 0.010, 0.080, 0.2040),
    },
}


def _elbow(model: Model, link: str, shape: tuple) -> None:
    """Two tubes at right angles, joined by a soft bevel; a domed orange lid closes the y end."""
    radius, height, lid, (ball_y, ball_z), ball_r, tube_y, z0, z1 = shape
    side = 1 if lid > 0 else -1
    inner = -side * 0.045
    rim = lid - side * 0.026
    model.add(link, "kuka_white", tube((0, tube_y, z0), (0, tube_y, z1), radius - 0.001, bevel=0.003))
    model.add(link, "kuka_white", tube((0, inner, height), (0, rim, height), radius))
    # the bevel must not swallow the lid
    ball_y = side * min(abs(ball_y), abs(rim) - 0.93 * ball_r)
    near = z1 if height > z1 else z0
    far = (z0 + z1) / 2
    soft = hull(
        ball((0, ball_y, ball_z), ball_r),
        tube((0, tube_y, near), (0, tube_y, far), radius - 0.001, bevel=0.002),
        tube((0, 0, height), (0, rim, height), radius, bevel=0.002),
    )
    model.add(link, "kuka_white", soft)
    cap = [
        (radius - 0.0005, 0),
        (radius - 0.001, 0.006),
        (radius * 0.93, 0.014),
        (radius * 0.75, 0.0215),
        (radius * 0.4, 0.025),
        (0, 0.026),
    ]
    model.add(link, "kuka_orange", lathe(cap, (0, rim, height), (0, side, 0)))
    model.add(
        link,
        "kuka_grey",
        tube((0, rim - side * 0.004, height), (0, rim + side * 0.001, height), radius + 0.0006, bevel=0.0004),
    )
    ring = z0 if height > z1 else z1
    step = 0.010 if height > z1 else -0.010
    model.add(link, "kuka_grey", tube((0, tube_y, ring), (0, tube_y, ring + step), radius + 0.0004, bevel=0.0004))


def _build(name: str) -> Model:
    model = Model(f"iiwa{name}")
    big = name == "14"
    r, neck = (0.124, 0.0855) if big else (0.1035, 0.068)
    foot = [
        (r, 0),
        (r, 0.018),
        (r * 0.97, 0.030),
        (r * 0.86, 0.060),
        (neck + 0.008, 0.110),
        (neck + 0.002, 0.140),
        (neck, 0.1575),
    ]
    model.add("lbr_link_0", "kuka_grey", lathe(foot), rounded_box((0.10, 0.13, 0.06), 0.012, (-r * 0.62, 0, 0.031)))
    model.add("lbr_link_0", "kuka_orange", tube((0, 0, 0.1475), (0, 0, 0.1572), neck + 0.0012, bevel=0.0004))
    for number, shape in ELBOWS[name].items():
        _elbow(model, f"lbr_link_{number}", shape)
    if big:
        # from link 3 on the two arms look alike
        model.shared.update({f"lbr_link_{number}": "iiwa7" for number in range(3, 8)})
        return model

    # link 5: tube whose back runs up as a plate that holds axis 6
    model.add("lbr_link_5", "kuka_white", tube((0, 0, -0.0325), (0, 0, 0.085), 0.0675, bevel=0.003))
    plate = hull(
        tube((0, 0, 0.050), (0, 0, 0.075), 0.067, bevel=0.002),
        tube((0, -0.0980, 0.1925), (0, -0.0690, 0.1925), 0.050, bevel=0.005),
    )
    model.add("lbr_link_5", "kuka_white", plate)
    model.add(
        "lbr_link_5",
        "kuka_orange",
        lathe([(0.044, 0), (0.042, 0.004), (0.03, 0.007)], (0, -0.0975, 0.1925), (0, -1, 0)),
    )
    model.add("lbr_link_5", "kuka_grey", tube((0, 0, -0.0325), (0, 0, -0.0225), 0.0679, bevel=0.0004))
    # link 6: drum with a short neck towards the flange
    model.add("lbr_link_6", "kuka_white", tube((0, 0.003, 0), (0, 0.118, 0), 0.0655, bevel=0.010))
    model.add(
        "lbr_link_6",
        "kuka_white",
        hull(tube((0, 0.0707, 0.0), (0, 0.0707, 0.06), 0.064), ball((0, 0.0707, -0.020), 0.062)),
    )
    model.add(
        "lbr_link_6",
        "kuka_orange",
        lathe([(0.060, 0), (0.059, 0.006), (0.050, 0.014), (0.03, 0.019)], (0, 0.1175, 0), (0, 1, 0)),
    )
    model.add("lbr_link_6", "kuka_grey", tube((0, 0.0707, 0.058), (0, 0.0707, 0.080), 0.0600, 0.0535))
    model.add("lbr_link_7", "kuka_grey", tube((0, 0, -0.0095), (0, 0, 0.018), 0.0515))
    model.add("lbr_link_7", "screen_blue", tube((0, 0, 0.016), (0, 0, 0.0215), 0.0520, bevel=0.0005))
    model.add("lbr_link_7", "aluminium", tube((0, 0, 0.020), (0, 0, 0.0352), 0.0505, bevel=0.002))
    return model


def build() -> tuple[Model, ...]:
    """Return both models; links as in urdf/robots/iiwa.urdf.xacro."""
    return _build("7"), _build("14")
