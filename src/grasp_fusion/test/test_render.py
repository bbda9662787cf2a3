# SPDX-License-Identifier: Apache-2.0
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.camera import Intrinsics
from grasp_core.geometry import NotRigidError, look_at
from grasp_fusion.analytic_scene import Box, Plane, photograph
from grasp_fusion.raycast_kernels import (
    CLEAR_BITS,
    FREE,
    KIND_BITS,
    KIND_MASK,
    MAX_REACH,
    PARTLY,
    SURFACE,
    UNOBSERVED,
    add_reach,
)
from grasp_fusion.render import ViewStatus, render_views


@pytest.fixture
def fused(make_volume, camera, scene, ring):
    volume = make_volume()
    for n, T in enumerate(ring(10)):
        volume.integrate(photograph(scene, T, camera, n).frame)
    return volume


def test_unseen_views_match_the_closed_form(fused, scene, ring):
    small = Intrinsics.from_fov(80, 45, 0.6)
    poses = ring(8, 0.25, 0.35, phase=0.4)
    views = render_views(fused, poses, small, normals_frame="base")
    truth = [photograph(scene, T, small) for T in poses]
    assert views.depth_m.shape == views.status.shape == (8, 45, 80)
    assert views.rgb.shape == views.normals.shape == (8, 45, 80, 3)
    hit = views.status == ViewStatus.SURFACE
    assert hit.mean() > 0.6
    np.testing.assert_array_equal(np.isfinite(views.depth_m), hit)
    off_m = np.abs(views.depth_m - np.stack([p.frame.depth_m for p in truth]))[hit]
    assert np.median(off_m) < 0.0005
    assert np.percentile(off_m, 95) < 0.005
    cosine = np.einsum("nhwi,nhwi->nhw", views.normals, np.stack([p.normals for p in truth]))[hit]
    assert np.degrees(np.arccos(np.clip(np.median(cosine), -1, 1))) < 5.0
    lengths = np.linalg.norm(views.normals[hit], axis=-1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-5)
    colour_off = np.abs(views.rgb.astype(int) - np.stack([p.frame.rgb for p in truth]))[hit].max(axis=-1)
    assert np.median(colour_off) <= 1


def test_normals_in_the_cameras_frame_are_the_base_ones_turned(fused, camera, ring):
    poses = ring(2)
    base, own = (render_views(fused, poses, camera, normals_frame=f).normals for f in ("base", "camera"))
    for T, n_base, n_own in zip(poses, base, own, strict=True):
        np.testing.assert_allclose(n_own @ T[:3, :3].T, n_base, atol=1e-5)
    seen = own[np.isfinite(own[..., 2])]
    assert (seen[:, 2] < 0.0).mean() > 0.99, "surfaces face the camera"


def test_hits_lie_between_voxels(make_volume, camera):
    """A table at heights between voxel centres is found where it is, not at the nearest voxel."""
    down = look_at((0, 0, 0.5), (0, 0, 0), up=(0, 1, 0))
    for height_m in (0.0007, 0.0021, 0.0038):
        volume = make_volume(colour=False)
        volume.integrate(photograph((Plane(offset_m=height_m),), down, camera).frame)
        depth = render_views(volume, [down], camera.scaled(16, 12)).depth_m
        np.testing.assert_allclose(depth[0, 4:8, 6:10], 0.5 - height_m, atol=2e-5)


def test_free_occluded_and_outside_are_told_apart(make_volume, camera):
    """A wall seen from the front: before it is free, behind it nobody knows, beside the volume is outside."""
    volume = make_volume(colour=False)
    wall = (Box((0.0, -1.0, -1.0), (0.01, 1.0, 1.0)),)
    front = look_at((-0.6, 0.0, 0.08), (0.0, 0.0, 0.08))
    volume.integrate(photograph(wall, front, Intrinsics.from_fov(160, 160, 1.2)).frame)
    tiny = Intrinsics.from_fov(5, 5, 0.02)
    cases = {
        ViewStatus.SURFACE: look_at((-0.15, 0.0, 0.08), (0.0, 0.0, 0.08)),
        ViewStatus.FREE: look_at((-0.1, -0.5, 0.08), (-0.1, 0.0, 0.08)),
        ViewStatus.UNOBSERVED: look_at((0.15, -0.5, 0.08), (0.15, 0.0, 0.08)),
        ViewStatus.OUTSIDE: look_at((0.0, 0.0, 1.0), (0.0, 1.0, 1.0)),
    }
    views = render_views(volume, list(cases.values()), tiny)
    for status, found in zip(cases, views.status, strict=True):
        assert (found == status).all(), status.name
    behind = render_views(volume, [look_at((0.15, 0.0, 0.08), (0.0, 0.0, 0.08))], tiny)
    assert (behind.status == ViewStatus.UNOBSERVED).all(), "the back of a surface is no surface"


def test_an_empty_volume_is_unobserved(make_volume, camera):
    views = render_views(make_volume(), [look_at((0, 0, 0.5), (0.01, 0, 0))], camera.scaled(40, 30))
    assert set(np.unique(views.status)) <= {ViewStatus.UNOBSERVED, ViewStatus.OUTSIDE}
    assert np.isnan(views.depth_m).all()
    assert np.isnan(views.normals).all()
    assert not views.rgb.any()


def test_near_and_far_bound_what_is_seen(fused, camera, ring):
    pose = ring(1, 0.3, 0.3)
    small = camera.scaled(40, 30)
    everything = render_views(fused, pose, small).depth_m
    middle = float(np.nanmedian(everything))
    assert np.nanmax(render_views(fused, pose, small, far_m=middle).depth_m) <= middle
    assert np.nanmin(render_views(fused, pose, small, near_m=middle).depth_m) >= middle


def test_what_is_not_wanted_is_not_made(fused, make_volume, camera, ring):
    assert render_views(fused, ring(1), camera, want_normals=False).normals is None
    assert render_views(make_volume(colour=False), ring(1), camera).rgb is None
    assert len(render_views(fused, np.zeros((0, 4, 4)), camera)) == 0


def test_bad_arguments_are_refused(fused, camera, ring):
    poses = np.stack(ring(2))
    with pytest.raises(ValueError, match=r"\[N, 4, 4\]"):
        render_views(fused, poses[0], camera)
    with pytest.raises(NotRigidError, match=r"T_base_cameras\[1\]"):
        render_views(fused, [poses[0], 2.0 * poses[1]], camera)
    for bad in (np.full((4, 4), np.nan), np.diag([1.0, 1.0, -1.0, 1.0]), np.full((4, 4), np.inf)):
        with pytest.raises(NotRigidError, match=r"T_base_cameras\[1\]"):
            render_views(fused, [poses[0], bad], camera)
    lost = np.array(poses[1])
    lost[0, 3] = np.nan
    with pytest.raises(NotRigidError, match=r"T_base_cameras\[1\] contains NaN"):
        render_views(fused, [poses[0], lost], camera)
    assert len(render_views(fused, np.zeros((0, 4, 4)), camera)) == 0
    with pytest.raises(ValueError, match="near < far"):
        render_views(fused, poses, camera, near_m=1.0, far_m=0.5)
    with pytest.raises(ValueError, match="pinhole"):
        render_views(fused, poses, Intrinsics(4, 4, 4.0, 4.0, 2.0, 2.0, (0.1, 0, 0, 0)))
    with pytest.raises(ValueError, match="at most"):
        render_views(fused, np.broadcast_to(np.eye(4), (5000, 4, 4)), camera)
    with pytest.raises(ValueError, match="'camera' or 'base'"):
        render_views(fused, poses, camera, normals_frame="world")


def test_threads_may_fuse_and_render_at_once(fused, camera, scene, ring):
    pictures = [photograph(scene, T, camera, 100 + n).frame for n, T in enumerate(ring(6))]
    small = camera.scaled(40, 30)
    with ThreadPoolExecutor(3) as pool:
        fusing = pool.submit(lambda: [fused.integrate(p) for p in pictures])
        rendering = [pool.submit(render_views, fused, ring(3, 0.3, 0.3), small) for _ in range(6)]
        fusing.result()
        for future in rendering:
            assert (future.result().status == ViewStatus.SURFACE).mean() > 0.5
    assert fused.frames == 16


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.6))
def test_the_reaches_of_a_block_are_distances_to_another_kind_and_to_a_surface(seed, share):
    generator = np.random.default_rng(seed)
    kinds = np.full((7, 6, 9), FREE, np.uint16)
    other = generator.random(kinds.shape) < share
    kinds[other] = generator.choice([SURFACE, UNOBSERVED, PARTLY], other.sum()).astype(np.uint16)
    blocks = kinds.copy()
    add_reach(blocks)
    np.testing.assert_array_equal(blocks & KIND_MASK, kinds)
    at = np.argwhere(np.ones_like(kinds, bool))
    apart = np.abs(at[:, None] - at[None]).max(axis=2)
    rows, columns = kinds.reshape(-1, 1), kinds.reshape(1, -1)
    clear = kinds != SURFACE
    for found, ends in (
        (blocks >> KIND_BITS & MAX_REACH, rows != columns),
        (blocks >> CLEAR_BITS, np.broadcast_to(columns == SURFACE, apart.shape)),
    ):
        nearest = np.where(ends, apart, MAX_REACH).min(axis=1).reshape(kinds.shape)
        np.testing.assert_array_equal(found[clear], nearest[clear])
