# SPDX-License-Identifier: Apache-2.0
"""The settings of the fusion node: those of a volume, and where pictures come from and results go to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from grasp_fusion.config import TsdfConfig

Hertz = Annotated[float, Field(ge=0.0, le=30.0)]


class FusionNodeConfig(TsdfConfig):
    """Fuses a camera's depth into a volume; answers ~/render_views, publishes ~/cloud and ~/mesh for who listens."""

    base_frame: str = "base_link"
    """Frame of the volume; the robot's base."""
    camera: Annotated[str, Field(min_length=1)] = "camera"
    """Name of the camera, the first part of its topics."""
    color_topic: str = "color/image_raw"
    """Colour pictures, below the camera's name; not subscribed where colour is false."""
    depth_topic: str = "depth/image_rect_raw"
    """Depth pictures in the colour camera's view, below the camera's name; camera_info is read beside them."""
    sync_slop_s: Annotated[float, Field(ge=0.0, le=0.5)] = 0.01
    """Largest difference between the stamps of a colour and a depth picture that belong together."""
    queue_length: Annotated[int, Field(ge=1, le=30)] = 8
    """Pictures that may wait to be fused; when more come the oldest is dropped and counted."""
    transform_timeout_s: Annotated[float, Field(ge=0.0, le=2.0)] = 0.1
    """How long a picture may wait for the transform of its moment."""
    render_timeout_s: Annotated[float, Field(ge=0.0, le=10.0)] = 1.0
    """How long render_views waits for the picture that its stamp asks for."""
    cloud_rate_hz: Hertz = 1.0
    """Rate of the point cloud while somebody subscribes; 0 for never."""
    mesh_rate_hz: Hertz = 0.2
    """Rate of the mesh while somebody subscribes; 0 for never."""
    mesh_step_voxels: Annotated[int, Field(ge=1, le=8)] = 3
    """Edge of the mesh's cubes in voxels; a marker's triangles are made one by one, so few are better."""
