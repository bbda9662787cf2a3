# SPDX-License-Identifier: Apache-2.0
"""The three-dimensional part of the page: robot, surface, and what the policy considers and chooses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import trimesh
import viser
from numpy.typing import NDArray

from grasp_core.actions import Grasp, Push, kind_of
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import Array
from grasp_core.policy import Decision
from grasp_viewer import glyphs
from grasp_viewer.robot import Robot

# How far the camera stands away from what it looks at, in lengths of the workspace's diagonal.
DISTANCE = 2.3
FIELD_OF_VIEW = 0.62  # rad, upwards
AHEAD = np.array((0.75, -0.85, 0.65))
POINT_M = 0.0035
LIFTED_M = 0.002
OUTLINE = (90, 120, 170)


class Scene:
    """What is drawn; everything but the robot is in the cell's base frame.

    Args:
        server: where it is drawn.
        workspace: box whose outline is shown and on which a new visitor looks.
    """

    def __init__(self, server: viser.ViserServer, workspace: BoxRegion) -> None:
        self._scene = server.scene
        self._robot: Robot | None = None
        self._shapes: list[viser.MeshHandle] = []
        self._moved: list[Array] = []
        low, high = np.asarray(workspace.min_m), np.asarray(workspace.max_m)
        self._scene.set_up_direction("+z")
        # Shadows cost a browser without a graphics card most of its time.
        self._scene.configure_default_lights(cast_shadow=False)
        self._base = self._scene.add_frame("/base", show_axes=False)
        self._scene.add_line_segments("/base/workspace", _edges(low, high), OUTLINE, thickness=0.0015)
        target = np.array([*(0.5 * (low + high))[:2], low[2] + 0.12])
        server.initial_camera.look_at = target
        server.initial_camera.position = target + DISTANCE * float(np.linalg.norm(high - low)) * AHEAD
        server.initial_camera.fov = FIELD_OF_VIEW
        server.initial_camera.up = (0.0, 0.0, 1.0)

    def show_robot(self, robot: Robot, base_frame: str) -> None:
        """Draw another robot in place of the one that is there; ``base_frame`` is where everything else hangs."""
        for shape in self._shapes:
            shape.remove()
        self._robot, self._base_frame = robot, base_frame
        self._shapes = [
            self._scene.add_mesh_simple(
                f"/robot/{shape.name}", np.asarray(shape.mesh.vertices, np.float32),
                np.asarray(shape.mesh.faces, np.uint32), color=shape.colour, flat_shading=True,
                opacity=None if shape.opacity >= 1.0 else shape.opacity,
            )
            for shape in robot.shapes
        ]  # fmt: skip
        self._moved = [np.full((4, 4), np.nan) for _ in self._shapes]
        self.move_robot({})

    def move_robot(self, joints: Mapping[str, float]) -> None:
        """Move the robot; only the shapes that have moved are sent."""
        if self._robot is None:
            return
        self._robot.set_joints(joints)
        for number, (handle, T) in enumerate(zip(self._shapes, self._robot.poses(), strict=True)):
            if not np.allclose(T, self._moved[number], rtol=0.0, atol=1e-5):
                self._moved[number] = T
                _place(handle, T)
        T_root_base = self._robot.frame(self._base_frame)
        if T_root_base is not None:
            _place(self._base, T_root_base)

    def T_base_frame(self, frame: str) -> Array | None:
        """Pose of a link in the base frame [4, 4]; none without a robot or such a link."""
        if self._robot is None:
            return None
        T_root_base, T_root_frame = self._robot.frame(self._base_frame), self._robot.frame(frame)
        if T_root_base is None or T_root_frame is None:
            return None
        return np.asarray(np.linalg.solve(T_root_base, T_root_frame))

    def show_cloud(self, points_m: NDArray[np.floating], rgb: NDArray[np.uint8]) -> None:
        """Points [N, 3] in the base frame [m] with colours [N, 3] in place of the surface that is there."""
        self.clear_surface()
        if len(points_m):
            self._scene.add_point_cloud(
                "/base/cloud", np.asarray(points_m, np.float32), rgb, point_size=POINT_M,
                point_shape="circle", precision="float32", point_shading="flat",
            )  # fmt: skip

    def show_mesh(self, vertices_m: NDArray[np.floating], faces: NDArray[np.integer], rgb: NDArray[np.uint8]) -> None:
        """Triangles in the base frame, with colours [V, 3] at the corners, in place of the surface that is there."""
        self.clear_surface()
        if len(faces):
            # Seen from both sides: a browser leaves away what is turned from it.
            both = np.vstack([faces, faces[:, ::-1]])
            mesh = trimesh.Trimesh(vertices_m, both, vertex_colors=_linear(rgb), process=False)
            # The drawn table lies where the fused one does: lifted, so that they do not shine through each other.
            self._scene.add_mesh_trimesh("/base/mesh", mesh, position=(0.0, 0.0, LIFTED_M))

    def clear_surface(self) -> None:
        """Show neither cloud nor mesh."""
        for name in ("/base/cloud", "/base/mesh"):
            self._scene.remove_by_name(name)

    def show_decision(self, decision: Decision | None) -> None:
        """The chosen action in green, with its value, the others the brighter the better; none clears them."""
        for name in ("lines", "arrows", "chosen_lines", "chosen_arrows", "label", "tool"):
            self._scene.remove_by_name(f"/base/actions/{name}")
        if decision is None:
            return
        values = [c.value for c in decision.candidates]
        low, high = (min(values), max(values)) if values else (0.0, 0.0)
        others = [(c.action, glyphs.value_colour(c.value, low, high)) for c in decision.candidates]
        self._draw("", glyphs.draw(others), 0.003)
        self._draw("chosen_", glyphs.draw([(decision.action, glyphs.CHOSEN)]), 0.008)
        place = _place_of(decision.action)
        if place is None:
            return
        text = f"{kind_of(decision.action)} {decision.value:.2f}"
        above = place[:3, 3] + np.array((0.0, 0.0, 0.14))
        self._scene.add_label(
            "/base/actions/label", text, position=above, anchor="bottom-center", font_screen_scale=1.1
        )
        if isinstance(decision.action, Grasp):
            tool = self._scene.add_frame("/base/actions/tool", axes_length=0.035, axes_radius=0.0015)
            _place(tool, place)

    def _draw(self, prefix: str, drawn: glyphs.Drawn, thick_m: float) -> None:
        if len(drawn.lines):
            self._scene.add_line_segments(
                f"/base/actions/{prefix}lines", drawn.lines, drawn.line_colours, thickness=thick_m
            )
        if len(drawn.arrows):
            self._scene.add_arrows(
                f"/base/actions/{prefix}arrows", drawn.arrows, drawn.arrow_colours,
                shaft_radius=0.6 * thick_m, head_radius=1.8 * thick_m, head_length=5.0 * thick_m,
            )  # fmt: skip


def _linear(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours of a picture (sRGB) as glTF wants them at corners: linear."""
    share = rgb / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.rint(255.0 * linear).astype(np.uint8)


def _place_of(action: object) -> Array | None:
    if isinstance(action, Grasp):
        return action.T_base_tcp
    if isinstance(action, Push):
        T = np.eye(4)
        T[:3, 3] = action.start
        return T
    return None


def _place(handle: viser.SceneNodeHandle, T: Array) -> None:
    handle.wxyz = viser.transforms.SO3.from_matrix(T[:3, :3]).wxyz
    handle.position = T[:3, 3]


def _edges(low: Array, high: Array) -> Array:
    """The twelve edges [12, 2, 3] of a box."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(corners[a] - corners[b]).sum() == 1]
    return np.array([[low + corners[a] * (high - low), low + corners[b] * (high - low)] for a, b in pairs])
