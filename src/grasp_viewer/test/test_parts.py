# SPDX-License-Identifier: Apache-2.0
"""The viewer's parts without a browser: shapes, pictures, glyphs, counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.actions import Grasp, Push, Stop
from grasp_core.geometry import top_down
from grasp_description import RobotModel, cell_urdf
from grasp_viewer import glyphs, pictures
from grasp_viewer.panels import Counts, _age, _plain
from grasp_viewer.robot import Robot


@pytest.fixture(scope="module")
def robot():
    return Robot(cell_urdf("ur5"))


def test_a_robot_stands_where_the_model_of_the_planner_has_it(robot):
    model = RobotModel.from_cell("ur5")
    joints = {"shoulder_pan_joint": 0.4, "shoulder_lift_joint": -1.2, "elbow_joint": 1.3, "wrist_2_joint": -1.1}
    driver = {**dict.fromkeys(model.joint_names, 0.0), **joints, "finger_joint": 0.3}
    robot.set_joints(driver)
    q = model.vector(driver)
    for frame in ("grasp_tcp", "left_inner_finger", "fixed_camera_optical_frame"):
        np.testing.assert_allclose(robot.frame(frame), model.fk(q, frame), atol=1e-6)
    assert robot.frame("no_such_link") is None


def test_every_visual_of_the_description_has_a_shape_with_a_colour(robot):
    assert len(robot.shapes) == len(robot.poses()) == cell_urdf("ur5").count("<visual>")
    assert all(len(shape.mesh.faces) > 0 for shape in robot.shapes)
    assert len({shape.colour for shape in robot.shapes}) > 4


def test_joints_that_are_unknown_or_not_numbers_change_nothing(robot):
    robot.set_joints({"elbow_joint": 0.5})
    before = robot.poses()
    robot.set_joints({"nobody": 1.0, "elbow_joint": float("nan")})
    np.testing.assert_array_equal(before, robot.poses())


@given(st.integers(1, 70), st.integers(1, 900), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_pictures_keep_their_shape_and_fit(height, width, low, spread):
    values = low + spread * np.linspace(0.0, 1.0, height * width).reshape(height, width)
    shown = pictures.colours(values, 480)
    assert shown.dtype == np.uint8
    assert shown.shape[1] <= 480
    if width <= 480:
        times = shown.shape[1] // width
        assert shown.shape[:2] == (times * height, times * width)
        assert times <= pictures.LARGEST
    assert shown.shape[2] == 3


def test_maps_go_from_blue_to_red_and_unknown_is_grey():
    shown = pictures.colours(np.array([[0.0, 1.0, np.nan]], dtype=np.float32), 480)
    low, high, unknown = shown[0, :: pictures.LARGEST].astype(int)
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert tuple(unknown) == pictures.UNKNOWN
    assert pictures.span(np.array([[0.25, 1.0, np.nan]])) == "0.25 to 1"
    assert pictures.span(np.full((1, 2), np.nan)) == ""
    with pytest.raises(ValueError, match="no picture"):
        pictures.colours(np.zeros((2, 2, 5)), 480)


def test_a_gripper_is_as_wide_as_the_grasp_and_points_down():
    grasp = Grasp(top_down((0.5, 0.1, 0.03), 0.0), 0.06)
    lines = glyphs.gripper_lines(grasp)
    tips = lines[:2, 1]
    assert np.linalg.norm(tips[0] - tips[1]) == pytest.approx(0.06)
    np.testing.assert_allclose(tips.mean(axis=0), (0.5, 0.1, 0.03), atol=1e-9)
    assert lines[3, 0, 2] > lines[3, 1, 2] > 0.03


def test_actions_are_drawn_by_kind():
    push = Push(np.array((0.4, 0.0, 0.02)), np.array((0.0, 1.0, 0.0)), 0.1)
    grasp = Grasp(top_down((0.5, 0.0, 0.03)))
    drawn = glyphs.draw([(push, (1, 2, 3)), (grasp, glyphs.CHOSEN), (Stop(), (0, 0, 0))])
    assert drawn.lines.shape == drawn.line_colours.shape == (4, 2, 3)
    np.testing.assert_allclose(drawn.arrows[0, 1], (0.4, 0.1, 0.02))
    assert drawn.arrow_colours.tolist() == [[1, 2, 3]]
    assert glyphs.draw([]).lines.shape == (0, 2, 3)
    assert sum(glyphs.value_colour(1.0, 0.0, 1.0)) > sum(glyphs.value_colour(0.0, 0.0, 1.0))
    assert glyphs.value_colour(float("nan"), 0.0, 1.0) == glyphs.value_colour(0.0, 0.0, 1.0)


def test_counts_and_foreign_text():
    counts = Counts()
    counts.add_action("0: grasp 0.90 succeeded", attempted=True, succeeded=True)
    counts.add_action("1: push <b>", attempted=False, succeeded=False)
    assert "**2** actions" in counts.text()
    assert "**1** of **1** grasps held (100 %)" in counts.text()
    assert counts.list().splitlines()[1] == "- 0: grasp 0.90 succeeded"
    assert "<b>" not in counts.list()
    assert _plain("a*b\nc") == "a\\*b c"
    assert [_age(None), _age(0.2), _age(30.0), _age(600.0)] == ["nothing yet", "now", "30 s ago", "10 min ago"]
