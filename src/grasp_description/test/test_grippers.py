# SPDX-License-Identifier: Apache-2.0
"""Width maps against the URDF's geometry, their inverses, couplings and preshapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_description import RobotModel, load_cell, load_gripper
from grasp_description.grippers import WidthMap

CELL_OF = {"rg2": "ur5", "wsg50": "iiwa", "baxter_electric": "baxter", "hsr_hand": "hsr", "bh280": "staubli"}
GRIPPERS = sorted(CELL_OF)


@pytest.mark.parametrize("name", GRIPPERS)
@given(share=st.floats(0.0, 1.0))
def test_width_inverse_round_trip(name, share):
    gripper = load_gripper(name)
    low, high = gripper.stroke_m
    width = low + share * (high - low)
    q = gripper.driver_position(width)
    limit = gripper.joints[gripper.driver]
    assert limit.lower <= q <= limit.upper
    assert gripper.width_m(q) == pytest.approx(width, abs=2e-5)


@pytest.mark.parametrize("name", GRIPPERS)
@given(share=st.floats(0.01, 0.99))
def test_slope_is_the_derivative(name, share):
    gripper, step = load_gripper(name), 1e-6
    closed, opened = (gripper.states[state][gripper.driver] for state in ("closed", "open"))
    q = closed + share * (opened - closed)
    numeric = (gripper.width_m(q + step) - gripper.width_m(q - step)) / (2 * step)
    assert gripper.width.slope(q) == pytest.approx(numeric, rel=1e-4, abs=1e-7)
    # virtual work: what the driver does equals what the pads do
    assert gripper.driver_effort(10.0, q) == pytest.approx(10.0 * abs(numeric), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", GRIPPERS)
def test_open_and_closed_span_the_stroke(name):
    gripper = load_gripper(name)
    assert gripper.width_m(gripper.states["open"][gripper.driver]) == pytest.approx(gripper.stroke_m[1], abs=2e-4)
    if name != "bh280":  # its closed state presses the tips past each other
        assert gripper.width_m(gripper.states["closed"][gripper.driver]) == pytest.approx(gripper.stroke_m[0], abs=2e-4)
    assert gripper.driver_position(10.0) == gripper.driver_position(gripper.stroke_m[1])
    assert gripper.driver_position(-1.0) == gripper.driver_position(gripper.stroke_m[0])


# pad centre in the finger link's frame, both fingers
PADS = {
    "rg2": (("left_inner_finger", (0, 0.014678, 0.038)), ("right_inner_finger", (0, 0.014678, 0.038))),
    "wsg50": (("left_finger", (0, 0, 0.150)), ("right_finger", (0, 0, 0.150))),
    "baxter_electric": (
        ("right_gripper_l_finger", (0, 0.0105, 0.065)),
        ("right_gripper_r_finger", (0, -0.0105, 0.065)),
    ),
    "hsr_hand": (
        ("hand_l_distal_link", (0.01675, 0.01865, 0.04289)),
        ("hand_r_distal_link", (0.01675, -0.01865, 0.04289)),
    ),
    "bh280": (("bh_finger_13_link", (-0.0353553, 0.0353553, 0)), ("bh_finger_33_link", (-0.0353553, 0.0353553, 0))),
}
# the fingertips of the Barrett hand are measured from their centre line
PAD_THICKNESS = {"bh280": 0.0115}


@pytest.mark.parametrize("name", GRIPPERS)
def test_width_and_pad_height_agree_with_the_linkage_in_the_urdf(name):
    cell = CELL_OF[name]
    model, gripper = RobotModel.from_cell(cell), load_gripper(name)
    effector = load_cell(cell).end_effectors[0]
    tcp = f"{effector.prefix}{gripper.tcp_frame}"
    for share in np.linspace(0.0, 1.0, 7):
        closed, opened = (gripper.states[state][gripper.driver] for state in ("closed", "open"))
        driver = closed + share * (opened - closed)
        joints = {f"{effector.prefix}{joint}": driver for joint in (gripper.driver, *gripper.together)}
        q = model.vector(joints)
        T_tcp_world = np.linalg.inv(model.fk(q, tcp))
        (one, at_one), (other, at_other) = PADS[name]
        first = (T_tcp_world @ model.fk(q, one) @ (*at_one, 1.0))[:3]
        second = (T_tcp_world @ model.fk(q, other) @ (*at_other, 1.0))[:3]
        # x is the closing direction, the pads meet in the middle of it
        if gripper.width_m(driver) >= 0.0:
            clear = abs(first[0] - second[0]) - 2 * PAD_THICKNESS.get(name, 0.0)
            assert clear == pytest.approx(gripper.width_m(driver), abs=3e-5)
        assert first[0] == pytest.approx(-second[0], abs=2e-5)
        if gripper.stroke_m[0] <= gripper.width_m(driver) <= gripper.stroke_m[1]:
            height = first[2] - gripper.pad_offset_m(gripper.width_m(driver))
            assert height == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("name", GRIPPERS)
def test_couplings_are_those_of_the_urdf(name):
    cell = CELL_OF[name]
    model, gripper = RobotModel.from_cell(cell), load_gripper(name)
    prefix = load_cell(cell).end_effectors[0].prefix
    rng = np.random.default_rng(0)
    active = {joint: rng.uniform(gripper.joints[joint].lower, gripper.joints[joint].upper) for joint in gripper.active}
    expected = gripper.all_joints(active)
    found = model.positions(model.vector({f"{prefix}{joint}": value for joint, value in active.items()}))
    assert set(expected) == set(gripper.joints)
    for joint, value in expected.items():
        assert found[f"{prefix}{joint}"] == pytest.approx(value, abs=1e-9)


def test_rated_ranges():
    assert load_gripper("rg2").stroke_m == (0.0, 0.110)
    assert load_gripper("rg2").force_n == (3.0, 40.0)
    assert load_gripper("wsg50").stroke_m == (0.0, 0.110)
    low, high = load_gripper("baxter_electric").stroke_m
    assert low == pytest.approx(0.037, abs=1e-3)
    assert high == pytest.approx(0.0787, abs=1e-4)
    assert load_gripper("hsr_hand").stroke_m[1] == pytest.approx(0.1368, abs=1e-4)
    hand = load_gripper("bh280")
    assert len(hand.active) == 4
    assert len(hand.joints) == 8
    assert hand.all_joints({"bh_j12_joint": 2.4})["bh_j13_joint"] == pytest.approx(0.8)


def test_driver_speed_is_bounded_by_the_joint():
    gripper = load_gripper("rg2")
    q = gripper.driver_position(0.05)
    assert gripper.driver_speed(10.0, q) == gripper.joints["finger_joint"].velocity
    assert gripper.driver_speed(0.05, q) * abs(gripper.width.slope(q)) == pytest.approx(0.05)


def test_width_map_refuses_nonsense():
    with pytest.raises(ValueError, match="linear, crank or linkage"):
        WidthMap(form="magic", rest_m=0.0)
    with pytest.raises(ValueError, match="scale"):
        WidthMap(form="linear", rest_m=0.0)
    with pytest.raises(ValueError, match="arm_m"):
        WidthMap(form="crank", rest_m=0.0)
    with pytest.raises(ValueError, match="terms"):
        WidthMap(form="linkage", rest_m=0.0)


def test_unknown_gripper_lists_the_known_ones():
    with pytest.raises(FileNotFoundError, match=r"baxter_electric, bh280, hsr_hand, rg2, wsg50"):
        load_gripper("claw")
