# SPDX-License-Identifier: Apache-2.0
"""On real pictures; skipped where the data set that they come from is not beside the repository."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from grasp_core.camera import CameraFrame, Intrinsics, depth_to_metres
from grasp_core.geometry import transform
from grasp_fusion.config import TsdfConfig
from grasp_fusion.render import ViewStatus, render_views
from grasp_fusion.surface import point_cloud
from grasp_fusion.volume import TsdfVolume

SEQUENCE = Path(__file__).resolve().parents[4] / "shared" / "data" / "rgbd_sequence"
FRAME_NS = 33_333_333


def load(number: int) -> CameraFrame:
    stem = SEQUENCE / f"frame-{number:06d}"
    rgb = cv2.cvtColor(cv2.imread(f"{stem}.color.jpg"), cv2.COLOR_BGR2RGB)
    depth = depth_to_metres(cv2.imread(f"{stem}.depth.png", cv2.IMREAD_UNCHANGED))
    K = np.loadtxt(SEQUENCE / "camera-intrinsics.txt")
    pose = np.loadtxt(f"{stem}.pose.txt")
    # The poses carry float32 noise; a rotation is wanted.
    U, _, Vt = np.linalg.svd(pose[:3, :3])
    return CameraFrame(
        Intrinsics.from_matrix(K, 640, 480), transform(pose[:3, 3], U @ Vt), number * FRAME_NS, rgb, depth
    )


@pytest.mark.skipif(not SEQUENCE.is_dir(), reason=f"{SEQUENCE} is absent")
def test_the_fused_surface_meets_a_picture_that_was_held_out():
    """At 1 cm the median distance between surface and held-out depth is below half a voxel."""
    held_out = load(25)
    near = held_out.points_base()[np.isfinite(held_out.depth_m) & (held_out.depth_m < 3.0)]
    low, high = np.percentile(near, [2, 98], axis=0)
    volume = TsdfVolume(
        TsdfConfig.from_mapping(
            {"origin_m": tuple(low), "size_m": tuple(high - low), "voxel_m": 0.01, "max_depth_m": 3.5, "threads": 2}
        )
    )
    for number in range(10, 41, 2):
        if number != 25:
            volume.integrate(load(number))
    assert volume.frames == 16
    view = render_views(volume, [held_out.T_base_camera], held_out.intrinsics)
    hit = (view.status[0] == ViewStatus.SURFACE) & np.isfinite(held_out.depth_m)
    assert hit.mean() > 0.4
    rays = held_out.intrinsics.deproject(np.ones((480, 640)))
    square_on = np.abs(np.einsum("hwi,hwi->hw", rays, view.normals[0]))
    assert np.median((np.abs(view.depth_m[0] - held_out.depth_m) * square_on)[hit]) < 0.005
    assert np.median(np.abs(view.rgb[0].astype(int) - held_out.rgb)[hit]) < 20
    assert len(point_cloud(volume)) > 20_000
