# SPDX-License-Identifier: Apache-2.0
"""What the nodes of cameras and of the fusion are told about a cell; nothing here needs the launch system."""

from __future__ import annotations

from pathlib import Path

from grasp_core import resources
from grasp_core.cell_config import CameraConfig, CellConfig

# The volume reaches this far beyond the workspace: what stands around it must not be taken for free space.
MARGIN_M = 0.1

Parameters = dict[str, str | float | bool | list[float]]


def camera_files(cell: CellConfig, text: str) -> dict[str, str]:
    """Camera files by the cell's names of cameras.

    Args:
        cell: whose cameras these are.
        text: ``name=file,name=file``; the file alone where the cell has one camera; empty for none. A file is a name
            in config/cameras or a path ending in .yaml.

    Raises:
        ValueError: a camera or a file that is not there, or it is not said which camera is meant.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, file = part.rpartition("=")
        if not name and len(cell.cameras) == 1:
            name = next(iter(cell.cameras))
        if name not in cell.cameras:
            which = f"there is no camera {name!r} in the cell {cell.name}" if name else "it is not said which camera"
            example = ",".join(f"{camera}={file}" for camera in cell.cameras)
            raise ValueError(f"{which}; for example camera:={example}")
        if name in found:
            raise ValueError(f"the camera {name} is named twice")
        known = resources.names("config", "cameras")
        if Path(file).suffix not in (".yaml", ".yml") and file not in known:
            raise ValueError(
                f"there is no camera file {file!r}; there is {', '.join(known)}, or a path ending in .yaml"
            )
        if Path(file).suffix in (".yaml", ".yml") and not Path(file).is_file():
            raise ValueError(f"the camera file {file} does not exist")
        found[name] = file
    return found


def camera_parameters(camera: CameraConfig, name: str, file: str) -> Parameters:
    """Parameters of a camera's node.

    The robot's description holds where the camera was built in. Where the cell names a calibration its pictures get a
    frame of their own, which the node puts where the calibration says, so that no frame has two parents.
    """
    told: Parameters = {"camera_name": name, "config": file, "frame_id": camera.frame, "publish_mount_tf": False}
    if camera.calibration is None:
        return told
    path = Path(camera.calibration)
    found = path if path.is_absolute() else resources.find("config", camera.calibration)
    return {**told, "calibration": str(found), "frame_id": f"{camera.frame}_calibrated", "publish_mount_tf": True}


def fusion_parameters(cell: CellConfig, is_sim: bool) -> Parameters:
    """Parameters of the fusion node: a volume over the cell's workspace, seen by its arm's camera.

    A cell whose arm has no camera uses the first with depth.

    Raises:
        ValueError: the cell has no camera with depth.
    """
    cameras = [name for name, camera in cell.cameras.items() if camera.depth]
    if not cameras:
        raise ValueError(f"the cell {cell.name} has no camera with depth, so there is nothing to fuse")
    on_arms = [arm.camera for arm in cell.arms.values() if arm.camera in cameras]
    name = [*on_arms, *cameras][0]
    camera, box = cell.cameras[name], cell.limits.workspace
    return {
        "camera": name,
        "base_frame": cell.base_frame,
        "origin_m": [low - MARGIN_M for low in box.min_m],
        "size_m": [high - low + 2 * MARGIN_M for low, high in zip(box.min_m, box.max_m, strict=True)],
        "colour": camera.rgb,
        "min_depth_m": camera.near_m,
        "max_depth_m": camera.far_m,
        # Simulated depth is in colour's pixels already; a real camera's is where the driver registers it.
        "depth_topic": "depth/image_rect_raw" if is_sim else "aligned_depth_to_color/image_raw",
    }
