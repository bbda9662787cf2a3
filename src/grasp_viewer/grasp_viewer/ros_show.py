# SPDX-License-Identifier: Apache-2.0
"""Brings what topics tell to the page: which topics are wanted, and how each message is shown, as often as wanted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from grasp_core.camera import CameraFrame
from grasp_core.cell_config import CellConfig
from grasp_episodes.ros_conversions import depth_image, intrinsics, nanoseconds, rgb_image
from grasp_episodes.ros_episode_messages import decision_of
from grasp_viewer import pictures, ros_conversions
from grasp_viewer import ros_inputs as inputs
from grasp_viewer.config import ViewerConfig
from grasp_viewer.robot import Robot
from grasp_viewer.viewer import Viewer

# How far around the workspace the cameras' clouds are shown [m].
MARGIN_M = 0.12
# How often the graph is looked at for new maps [s].
LOOK_S = 1.0
# A picture that is further behind the joints is said to be so [s].
BEHIND_S = 0.5


class Show:
    """Moves messages from the inputs to the page while somebody looks; the only one that converts anything."""

    def __init__(self, config: ViewerConfig, cell: CellConfig, viewer: Viewer, source: inputs.Inputs) -> None:
        self._config, self._cell, self._viewer, self._inputs = config, cell, viewer, source
        self._due_s: dict[str, float] = {}
        self._was_watched = False
        self._urdf, self._surface, self._shows_actions = "", "", True

    def tick(self, others: tuple[str, ...]) -> None:
        """Show what is new and due; ``others``: topics that are heard elsewhere."""
        if not self._viewer.watched:
            if self._was_watched:
                self._inputs.want(set())
            self._was_watched = False
            return
        self._was_watched = True
        panels, c = self._viewer.panels, self._config
        if self._due("look", LOOK_S):
            panels.offer_maps(self._inputs.maps())
            panels.tell_topics(self._inputs.ages_s(others))
        self._inputs.want(self._wanted())
        self._guarded("robot", self._robot)
        if self._due("decision", 1.0 / c.picture_hz):
            self._guarded("decision", self._decision)
        if self._due("pictures", 1.0 / c.picture_hz):
            self._guarded("picture", self._picture)
            self._guarded("map", self._map)
        if self._surface != panels.surface or self._due("surface", 1.0 / c.surface_hz):
            self._guarded("surface", self._show_surface)

    def _due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due_s.get(what, 0.0):
            return False
        self._due_s[what] = now + every_s
        return True

    def _guarded(self, what: str, show: Callable[[], None]) -> None:
        """A message that makes no sense must not end the viewer, nor hide the others."""
        try:
            show()
        except Exception as error:  # noqa: BLE001 # told on the page and in the log, whatever a library raises
            self._viewer.panels.tell_answer(f"the {what} cannot be shown: {error}")
            logging.getLogger(__name__).warning("the %s cannot be shown: %s", what, error)

    def _wanted(self) -> set[inputs.Source]:
        panels = self._viewer.panels
        wanted = {inputs.ROBOT, inputs.JOINTS, inputs.DECISION}
        camera = panels.camera
        if camera:
            wanted.add(inputs.colour_source(camera) if panels.kind == "color" else inputs.depth_source(camera))
        if camera and panels.surface == "camera cloud":
            wanted |= {inputs.colour_source(camera), inputs.depth_source(camera), inputs.info_source(camera)}
        if panels.map:
            wanted.add(inputs.map_source(panels.map))
        if panels.surface == "fused cloud":
            wanted.add(inputs.FUSED_CLOUD)
        if panels.surface == "fused mesh":
            wanted.add(inputs.FUSED_MESH)
        return wanted

    def _robot(self) -> None:
        scene = self._viewer.scene
        description = self._inputs.take(inputs.ROBOT)
        if description is not None and description.data != self._urdf:
            self._urdf = description.data
            scene.show_robot(Robot(description.data), self._cell.base_frame)
        joints = self._inputs.take(inputs.JOINTS)
        if joints is not None and self._due("joints", 0.9 / self._config.motion_hz):
            scene.move_robot(dict(zip(joints.name, joints.position, strict=False)))

    def _decision(self) -> None:
        message = self._inputs.take(inputs.DECISION)
        shows = self._viewer.panels.shows_actions
        if message is None and shows == self._shows_actions:
            return
        self._shows_actions = shows
        message = message or self._inputs.latest(inputs.DECISION)
        self._viewer.scene.show_decision(decision_of(message) if message is not None and shows else None)

    def _picture(self) -> None:
        panels = self._viewer.panels
        camera, kind = panels.camera, panels.kind
        if not camera:
            return panels.clear_picture("no camera chosen")
        image = self._inputs.latest(inputs.colour_source(camera) if kind == "color" else inputs.depth_source(camera))
        if image is None:
            return panels.clear_picture(f"nothing comes from {camera}")
        values = ros_conversions.values_of(image) if kind == "color" else depth_image(image)
        label = _label(camera, kind, values) + self._lag(image)
        return panels.show_picture(pictures.colours(values, self._config.picture_width), label)

    def _lag(self, image: Image) -> str:
        """In words, how far a picture is behind the joints where that is worth a word."""
        joints = self._inputs.latest(inputs.JOINTS)
        if joints is None:
            return ""
        behind_s = 1e-9 * (nanoseconds(joints.header.stamp) - nanoseconds(image.header.stamp))
        return f", {behind_s:.1f} s behind the robot" if behind_s > BEHIND_S else ""

    def _map(self) -> None:
        panels = self._viewer.panels
        if not panels.map:
            return panels.clear_map("no map chosen" if len(self._inputs.maps()) else "the policy shows no maps yet")
        image: Image | None = self._inputs.take(inputs.map_source(panels.map))
        if image is None:
            return None
        values = ros_conversions.values_of(image)
        return panels.show_map(pictures.colours(values, self._config.picture_width), _label(panels.map, "", values))

    def _show_surface(self) -> None:
        panels, scene = self._viewer.panels, self._viewer.scene
        if panels.surface != self._surface:
            self._surface = panels.surface
            scene.clear_surface()
        if panels.surface == "camera cloud" and panels.camera:
            self._camera_cloud(panels.camera)
        elif panels.surface == "fused cloud":
            if (cloud := self._inputs.take(inputs.FUSED_CLOUD)) is not None:
                scene.show_cloud(*self._thinned(*ros_conversions.cloud_of(cloud)))
        elif panels.surface == "fused mesh" and (mesh := self._inputs.take(inputs.FUSED_MESH)) is not None:
            scene.show_mesh(*ros_conversions.mesh_of(mesh))

    def _camera_cloud(self, camera: str) -> None:
        depth, info = (self._inputs.latest(s(camera)) for s in (inputs.depth_source, inputs.info_source))
        colour = self._inputs.latest(inputs.colour_source(camera))
        settings = self._cell.cameras[camera]
        prefix = self._config.tf_prefix if settings.mount == "hand" else ""
        T = self._viewer.scene.T_base_frame(prefix + settings.frame)
        if depth is None or info is None or T is None:
            return
        rgb = None
        if colour is not None and (colour.width, colour.height) == (depth.width, depth.height):
            rgb = rgb_image(colour)
        frame = CameraFrame(intrinsics(info), T, nanoseconds(depth.header.stamp), rgb, depth_image(depth))
        points = frame.points_base().reshape(-1, 3)
        box = self._cell.limits.workspace
        low, high = np.array(box.min_m) - MARGIN_M, np.array(box.max_m) + MARGIN_M
        with np.errstate(invalid="ignore"):
            inside = ((points >= low) & (points <= high)).all(axis=1)
        shade = np.full((len(points), 3), ros_conversions.GREY, np.uint8) if rgb is None else rgb.reshape(-1, 3)
        self._viewer.scene.show_cloud(*self._thinned(points[inside], shade[inside]))

    def _thinned(
        self, points: NDArray[np.floating], rgb: NDArray[np.uint8]
    ) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
        every = -(-len(points) // self._config.cloud_points) or 1
        return points[::every], rgb[::every]


def _label(name: str, kind: str, values: NDArray) -> str:
    parts = (name, kind, pictures.span(values) + (" m" if kind == "depth" and values.ndim == 2 else ""))
    return " ".join(part for part in parts if part)
