# SPDX-License-Identifier: Apache-2.0
"""Fusing pictures of the simulated UR5 cell: unseen views against rays that its physics casts, and a moved thing."""

import numpy as np
import pytest

pytest.importorskip("pybullet", reason="pybullet is not installed")

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.geometry import apply, look_at, transform
from grasp_fusion.config import TsdfConfig
from grasp_fusion.render import ViewStatus, render_views
from grasp_fusion.volume import TsdfVolume
from grasp_sim.cameras import render
from grasp_sim.cell import SimCell

CAMERA = Intrinsics.from_fov(320, 180, 0.73)
VIEW = Intrinsics.from_fov(80, 45, 0.73)
FAR_M = 2.5


@pytest.fixture(scope="module")
def cell():
    cell = SimCell("ur5", cameras=(), renderer="tiny")
    cell.reset("primitives", seed=5)
    yield cell
    cell.close()


def middle(cell) -> np.ndarray:
    box = cell.config.limits.workspace
    return 0.5 * (np.array(box.min_m) + box.max_m) * [1, 1, 0]


def pose(cell, angle: float, radius_m: float = 0.4, height_m: float = 0.45) -> np.ndarray:
    around = np.array([radius_m * np.cos(angle), radius_m * np.sin(angle), height_m])
    return look_at(middle(cell) + around, middle(cell))


def volume_over(cell) -> TsdfVolume:
    low = middle(cell) - [0.25, 0.25, 0.03]
    return TsdfVolume(TsdfConfig(origin_m=tuple(low), size_m=(0.5, 0.5, 0.3), threads=2))


def shoot(cell, T: np.ndarray, n: int) -> CameraFrame:
    picture = render(cell.world.engine, CAMERA, T, 0.05, FAR_M)
    depth = np.where(picture.depth_m < FAR_M - 0.01, picture.depth_m, np.float32(np.nan))
    return CameraFrame(CAMERA, T, n * 200_000_000, picture.rgb, depth)


def ray_cast(cell, T: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """Depth [H, W] of the collision shapes by the physics engine; NaN where a ray hits nothing."""
    ends = apply(T, camera.deproject(np.full((camera.height, camera.width), FAR_M)).reshape(-1, 3))
    starts = np.broadcast_to(T[:3, 3], ends.shape)
    # The interface takes 16384 rays a call.
    hits = cell.world.engine.api.rayTestBatch(starts.tolist(), ends.tolist())
    share = np.array([hit[2] if hit[0] >= 0 else np.nan for hit in hits])
    return (share * FAR_M).reshape(camera.height, camera.width)


def test_unseen_views_are_within_two_millimetres_of_cast_rays(cell):
    volume = volume_over(cell)
    for n, angle in enumerate(np.linspace(-1.2, 1.2, 13)):
        volume.integrate(shoot(cell, pose(cell, angle), n))
    unseen = [pose(cell, angle, 0.25, 0.5) for angle in (-0.7, 0.1, 0.9)]
    views = render_views(volume, unseen, VIEW)
    truth = np.stack([ray_cast(cell, T, VIEW) for T in unseen])
    both = (views.status == ViewStatus.SURFACE) & np.isfinite(truth)
    assert both.mean() > 0.3
    off_m = np.abs(views.depth_m - truth)
    assert np.median(off_m[both]) < 0.002
    # Not only the table: where something stands on it as well.
    height_m = np.stack([apply(T, VIEW.deproject(d))[..., 2] for T, d in zip(unseen, truth, strict=True)])
    on_objects = both & (height_m > 0.01) & (height_m < 0.15)
    assert on_objects.sum() > 100
    assert np.median(off_m[on_objects]) < 0.002


def test_a_moved_object_is_gone_within_three_pictures(cell):
    volume, T = volume_over(cell), pose(cell, 0.3)
    for n in range(6):
        volume.integrate(shoot(cell, T, n))
    world = cell.world
    thing = max(world.present(), key=lambda thing: -np.linalg.norm(world.pose_of(thing)[:2, 3] - middle(cell)[:2]))
    seen_before = shoot(cell, T, 0).depth_m
    world.place(thing, transform((0.0, 0.0, 3.0)) @ world.pose_of(thing))
    for n in range(3):
        volume.integrate(shoot(cell, T, 6 + n))
    seen_after = shoot(cell, T, 0).depth_m
    was_there = seen_after - seen_before > 0.01
    assert was_there.sum() > 200
    view = render_views(volume, [T], CAMERA)
    still_there = was_there & (np.abs(view.depth_m[0] - seen_before) < 0.005)
    # Voxels at its rim see both the thing and what is behind it.
    assert still_there.sum() < 0.03 * was_there.sum()
    met = was_there & (view.status[0] == ViewStatus.SURFACE)
    assert np.median(np.abs(view.depth_m[0] - seen_after)[met]) < 0.002
