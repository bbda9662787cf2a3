# SPDX-License-Identifier: Apache-2.0
"""What camera and fusion nodes are told about each cell."""

import numpy as np
import pytest

from grasp_bringup.cameras import camera_files, camera_parameters, fusion_parameters
from grasp_bringup.cells import load_cell
from grasp_core import resources

CELLS = resources.names("config", "cells")


def test_files_are_given_by_camera_or_alone_where_there_is_one_camera(tmp_path):
    path = tmp_path / "tripod.yaml"
    path.write_text("driver: uvc\n")
    ur5, staubli = load_cell("ur5"), load_cell("staubli")
    assert camera_files(ur5, "") == {}
    text = f"wrist_camera=realsense_d415, fixed_camera={path}"
    assert camera_files(ur5, text) == {"wrist_camera": "realsense_d415", "fixed_camera": str(path)}
    (only,) = staubli.cameras
    assert camera_files(staubli, "uvc") == {only: "uvc"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("uvc", "not said which camera; for example camera:=fixed_camera=uvc,wrist_camera=uvc"),
        ("head=uvc", "no camera 'head' in the cell ur5"),
        ("wrist_camera=uvc,wrist_camera=folder", "named twice"),
        ("wrist_camera=leica", "no camera file 'leica'; there is azure_kinect"),
        ("wrist_camera=/nowhere/x.yaml", "/nowhere/x.yaml does not exist"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        camera_files(load_cell("ur5"), text)


def test_a_calibrated_camera_gets_a_frame_of_its_own():
    camera = load_cell("ur5").cameras["wrist_camera"]
    plain = camera_parameters(camera, "wrist_camera", "realsense_d415")
    assert plain["frame_id"] == camera.frame
    assert plain["publish_mount_tf"] is False
    calibrated = camera_parameters(camera.with_values(calibration="/lab/wrist.yaml"), "wrist_camera", "realsense_d415")
    assert calibrated["frame_id"] != camera.frame
    assert calibrated["publish_mount_tf"] is True
    assert calibrated["calibration"] == "/lab/wrist.yaml"


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_with_depth_can_be_fused(cell):
    config = load_cell(cell)
    if not any(camera.depth for camera in config.cameras.values()):
        with pytest.raises(ValueError, match="no camera with depth"):
            fusion_parameters(config, is_sim=True)
        return
    told = fusion_parameters(config, is_sim=True)
    low = np.array(told["origin_m"])
    assert (low < config.limits.workspace.min_m).all()
    assert (low + told["size_m"] > config.limits.workspace.max_m).all()
    assert config.cameras[told["camera"]].depth
    # 5 mm voxels of 12 bytes: what a desktop holds.
    assert np.prod(np.array(told["size_m"]) / 0.005) < 30e6
