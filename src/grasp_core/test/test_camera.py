# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.camera import CameraFrame, FrameError, Intrinsics, depth_to_metres
from grasp_core.geometry import look_at

cameras = st.builds(
    Intrinsics,
    width=st.integers(2, 60),
    height=st.integers(2, 60),
    fx=st.floats(10, 900),
    fy=st.floats(10, 900),
    cx=st.floats(0, 60),
    cy=st.floats(0, 60),
)


@given(cameras, st.integers(0, 1000))
def test_deproject_then_project_gives_the_pixels(camera, seed):
    depth = np.random.default_rng(seed).uniform(0.2, 3.0, (camera.height, camera.width))
    pixels = camera.project(camera.deproject(depth))
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    np.testing.assert_allclose(pixels, np.stack([u, v], axis=-1), atol=1e-6)


@given(st.floats(0.2, 2.5), st.integers(8, 400), st.integers(8, 400))
def test_field_of_view_round_trip(fov_y, width, height):
    assert Intrinsics.from_fov(width, height, fov_y).fov_y == pytest.approx(fov_y)


@given(cameras)
def test_scaling_keeps_rays(camera):
    double = camera.scaled(2 * camera.width, 2 * camera.height)
    corner, far = np.array([[-0.5, -0.5]]), np.array([[camera.width - 0.5, camera.height - 0.5]])
    for pixel in (corner, far):
        ray = [(pixel[0, 0] - camera.cx) / camera.fx, (pixel[0, 1] - camera.cy) / camera.fy, 1.0]
        np.testing.assert_allclose(double.project(np.array([ray]))[0], 2.0 * pixel[0] + 0.5, rtol=1e-9, atol=1e-6)


def test_points_behind_the_camera_have_no_pixel():
    camera = Intrinsics.from_fov(64, 48, 1.0)
    assert np.isnan(camera.project(np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 0.0]]))).all()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (np.array([[0, 1500, 65535]], np.uint16), [[np.nan, 1.5, np.nan]]),
        (np.array([[0.0, 1.5, -1.0, np.inf, np.nan]], np.float64), [[np.nan, 1.5, np.nan, np.nan, np.nan]]),
    ],
)
def test_raw_depth_becomes_metres_with_nan(raw, expected):
    depth = depth_to_metres(raw)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, expected)


@pytest.mark.parametrize("raw", [np.zeros((2, 2, 3), np.uint16), np.zeros((2, 2), bool)])
def test_other_depth_images_are_refused(raw):
    with pytest.raises(FrameError):
        depth_to_metres(raw)


def test_a_frame_checks_its_images():
    camera = Intrinsics.from_fov(8, 6, 1.0)
    T = look_at((0, 0, 1), (1, 0, 0))
    frame = CameraFrame(camera, T, 0, depth_m=np.full((6, 8), 0.5, np.float32))
    np.testing.assert_allclose(frame.points_base()[..., 0].mean(), 0.5 * T[0, 2], atol=0.2)
    with pytest.raises(FrameError, match="no depth"):
        CameraFrame(camera, T, 0).points_base()
    with pytest.raises(FrameError, match="rgb is float64"):
        CameraFrame(camera, T, 0, rgb=np.zeros((6, 8, 3)))
    with pytest.raises(FrameError, match="expected float32"):
        CameraFrame(camera, T, 0, depth_m=np.zeros((8, 6), np.float32))
    with pytest.raises(FrameError, match="focal length"):
        Intrinsics(8, 6, -1.0, 1.0, 0.0, 0.0)
