# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.camera import FrameError, Intrinsics
from grasp_core.geometry import look_at
from grasp_fusion.analytic_scene import Box, Plane, photograph
from grasp_fusion.heightmap import HeightmapConfig, heightmap, pixel_to_base

CONFIG = HeightmapConfig(corner_m=(-0.724, -0.224, 0.0))
CAMERA = Intrinsics.from_fov(640, 480, 0.8)
TILTED = look_at((-0.1, 0.1, 0.6), (-0.5, 0.0, 0.0))
BOX = Box((-0.55, -0.05, 0.0), (-0.45, 0.03, 0.07), rgb=(250, 0, 0))


def test_the_papers_map_has_224_pixels_of_2_mm():
    assert (CONFIG.rows, CONFIG.columns, CONFIG.pixel_m) == (224, 224, 0.002)
    assert CONFIG.rows * CONFIG.pixel_m == pytest.approx(0.448)


def test_a_known_box_has_its_height_and_place():
    found = heightmap(photograph((Plane(), BOX), TILTED, CAMERA).frame, CONFIG)
    assert found.height_m.shape == (224, 224)
    row, column = found.to_pixel((-0.5, -0.01, 0.0))
    inside = found.height_m[row - 15 : row + 15, column - 20 : column + 20]
    assert np.isfinite(inside).mean() > 0.95
    np.testing.assert_allclose(inside[np.isfinite(inside)], 0.07, atol=0.002)
    top = found.height_m > 0.06
    rows, columns = np.nonzero(top)
    edges = found.to_base(rows.min(), columns.min()), found.to_base(rows.max(), columns.max())
    np.testing.assert_allclose(edges[0][:2], [-0.55, -0.05], atol=0.003)
    np.testing.assert_allclose(edges[1][:2], [-0.45, 0.03], atol=0.003)
    assert (found.rgb[top] == [250, 0, 0]).all()
    table = found.height_m[:40, :40]
    assert np.nanmax(np.abs(table)) < 0.002


def test_a_second_camera_fills_what_the_first_cannot_see():
    frames = [
        photograph((Plane(), BOX), look_at((-0.5 + x, 0.0, 0.6), (-0.5, 0, 0)), CAMERA).frame for x in (0.3, -0.3)
    ]
    one, both = heightmap(frames[:1], CONFIG), heightmap(frames, CONFIG)
    assert np.isnan(both.height_m).sum() < np.isnan(one.height_m).sum()
    seen = np.isfinite(one.height_m)
    assert (both.height_m[seen] >= one.height_m[seen]).all()


def test_what_was_not_seen_is_nan_until_it_is_filled():
    frame = photograph((Plane(),), TILTED, CAMERA).frame
    blind = replace(frame, depth_m=np.full_like(frame.depth_m, np.nan))
    found = heightmap(blind, CONFIG)
    assert np.isnan(found.height_m).all()
    assert (found.filled() == 0.0).all()
    assert np.isnan(found.to_base(3, 4)[2])


def test_pixels_and_points_correspond():
    found = heightmap(photograph((Plane(),), TILTED, CAMERA).frame, CONFIG)
    for row, column in ((0, 0), (10, 200), (223, 223)):
        assert found.to_pixel(found.to_base(row, column)) == (row, column)


@settings(deadline=None, max_examples=25)
@given(
    u=st.floats(0, 159),
    v=st.floats(0, 119),
    tilt=st.floats(-0.4, 0.4),
    offset_m=st.floats(-0.05, 0.05),
    radius=st.integers(1, 4),
)
def test_a_pixel_of_a_slanted_plane_is_where_the_plane_is(u, v, tilt, offset_m, radius):
    plane = Plane((float(np.sin(tilt)), 0.0, float(np.cos(tilt))), offset_m)
    small = CAMERA.scaled(160, 120)
    frame = photograph((plane,), look_at((0.1, 0.2, 0.7), (0, 0, 0)), small).frame
    point = pixel_to_base(frame, u, v, radius)
    ray = frame.T_base_camera[:3, :3] @ [(u - small.cx) / small.fx, (v - small.cy) / small.fy, 1.0]
    s, _ = plane.meet(frame.T_base_camera[:3, 3], ray[None])
    expected = frame.T_base_camera[:3, 3] + s[0] * ray
    assert np.linalg.norm(point - expected) < 0.002


def test_a_pixel_with_noise_and_holes_beside_an_edge():
    frame = photograph((Plane(), BOX), look_at((-0.5, 0, 0.7), (-0.5, 0.001, 0)), CAMERA).frame
    generator = np.random.default_rng(1)
    depth = frame.depth_m + generator.normal(0, 0.001, frame.depth_m.shape).astype(np.float32)
    depth[generator.random(depth.shape) < 0.3] = np.nan
    u, v = CAMERA.project(np.linalg.inv(frame.T_base_camera)[:3] @ [-0.45 - 0.004, 0.0, 0.07, 1.0])
    point = pixel_to_base(replace(frame, depth_m=depth), u, v, radius_px=4)
    np.testing.assert_allclose(point, [-0.454, 0.0, 0.07], atol=0.002)


def test_bad_input_is_refused():
    frame = photograph((Plane(),), TILTED, CAMERA).frame
    with pytest.raises(FrameError, match="no depth"):
        heightmap(replace(frame, depth_m=None), CONFIG)
    with pytest.raises(FrameError, match="outside the image"):
        pixel_to_base(frame, 640.0, 3.0)
    with pytest.raises(FrameError, match="has a depth"):
        pixel_to_base(replace(frame, depth_m=np.full_like(frame.depth_m, np.nan)), 4, 4)
    with pytest.raises(FrameError, match="rectify"):
        heightmap(replace(frame, intrinsics=replace(CAMERA, distortion=(0.1, 0, 0, 0))), CONFIG)
