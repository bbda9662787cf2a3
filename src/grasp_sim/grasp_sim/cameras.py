# SPDX-License-Identifier: Apache-2.0
"""Simulated cameras: what a policy may see, and apart from it the segmentation that only judges may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.cell_config import CameraConfig
from grasp_core.geometry import Array, invert
from grasp_sim.depth import add_noise, metres_from_buffer, projection
from grasp_sim.engine import Engine

# From the optical frame (z forward, y down) to OpenGL's eye frame (z backward, y up).
T_GL_OPTICAL = np.diag([1.0, -1.0, -1.0, 1.0])

TINY_OFFSET_PX = 0.5


@dataclass(frozen=True)
class Look:
    """Light and background of a picture; the direction points to the light."""

    light: tuple[float, float, float] = (0.6, -0.4, 1.4)
    light_colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ambient: float = 0.55
    diffuse: float = 0.55
    specular: float = 0.08
    shadow: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture: ``rgb`` uint8 [H, W, 3], ``depth_m`` float32 [H, W], ``bodies`` int32 [H, W] (-1: nothing)."""

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    bodies: NDArray[np.int32]


def render(
    engine: Engine,
    intrinsics: Intrinsics,
    T_base_camera: Array,
    near_m: float,
    far_m: float,
    look: Look | None = None,
    segmentation: bool = False,
) -> Picture:
    """Render from a pose of the optical frame; without ``segmentation`` the body image is empty (all -1)."""
    look = look or Look()
    api = engine.api
    view = (T_GL_OPTICAL @ invert(T_base_camera)).T.ravel().tolist()
    size = (intrinsics.height, intrinsics.width)
    _, _, rgba, buffer, bodies = api.getCameraImage(
        intrinsics.width,
        intrinsics.height,
        viewMatrix=view,
        projectionMatrix=projection(_as_rendered(engine, intrinsics), near_m, far_m),
        lightDirection=look.light,
        lightColor=look.light_colour,
        lightAmbientCoeff=look.ambient,
        lightDiffuseCoeff=look.diffuse,
        lightSpecularCoeff=look.specular,
        shadow=int(look.shadow),
        renderer=engine.renderer_flag,
        flags=0 if segmentation else api.ER_NO_SEGMENTATION_MASK,
    )
    rgb = np.ascontiguousarray(np.asarray(rgba, dtype=np.uint8).reshape(*size, 4)[..., :3])
    depth_m = metres_from_buffer(np.asarray(buffer, dtype=np.float32).reshape(size), near_m, far_m)
    if segmentation:
        ids = np.asarray(bodies, dtype=np.int32).reshape(size)
    else:
        ids = np.full(size, -1, dtype=np.int32)
    return Picture(rgb, depth_m, ids)


def _as_rendered(engine: Engine, intrinsics: Intrinsics) -> Intrinsics:
    # TinyRenderer samples half a pixel right of and above a pixel's centre (found with planes seen at a slant).
    if engine.renderer != "tiny":
        return intrinsics
    return replace(intrinsics, cx=intrinsics.cx - TINY_OFFSET_PX, cy=intrinsics.cy + TINY_OFFSET_PX)


class SimCamera:
    """A camera of the cell.

    Args:
        name: the cell's name of it.
        config: size, optics, noise.
        engine: what is rendered.
        pose: gives ``T_base_camera`` of the optical frame now.
        rng: source of the noise.
        intrinsics: of a calibration; none for those of ``config``.
    """

    def __init__(
        self,
        name: str,
        config: CameraConfig,
        engine: Engine,
        pose: Callable[[], Array],
        rng: np.random.Generator,
        intrinsics: Intrinsics | None = None,
    ) -> None:
        self._name = name
        self.config = config
        self._engine = engine
        self._pose = pose
        self.rng = rng
        self.intrinsics = intrinsics or config.intrinsics
        self.look = Look()
        self._last: CameraFrame | None = None

    @property
    def name(self) -> str:
        """The cell's name of the camera."""
        return self._name

    def forget(self) -> None:
        """Render anew next time even if no simulated time has passed (the scene was changed)."""
        self._last = None

    def frame(self, max_age_s: float = 0.0) -> CameraFrame:
        """A picture not older than ``max_age_s`` of simulated time; rendered now where the last one is older."""
        now_ns = round(self._engine.time_s * 1e9)
        if self._last is not None and 0 <= now_ns - self._last.stamp_ns <= max_age_s * 1e9:
            return self._last
        config = self.config
        T_base_camera = self._pose()
        picture = render(self._engine, self.intrinsics, T_base_camera, config.near_m, config.far_m, self.look)
        depth = add_noise(picture.depth_m, config.noise, self.rng) if config.depth else None
        rgb = picture.rgb if config.rgb else None
        self._last = CameraFrame(self.intrinsics, T_base_camera, now_ns, rgb, depth)
        return self._last

    def pose_only(self) -> CameraFrame:
        """Where the camera is, without a picture."""
        return CameraFrame(self.intrinsics, self._pose(), round(self._engine.time_s * 1e9))

    def segmentation(self) -> NDArray[np.int32]:
        """Body id of every pixel [H, W], -1 for nothing. Ground truth: for judges and tests, never for a policy."""
        config = self.config
        picture = render(
            self._engine, self.intrinsics, self._pose(), config.near_m, config.far_m, self.look, segmentation=True
        )
        return picture.bodies
