# SPDX-License-Identifier: Apache-2.0
"""Frames that lie in a folder. Three layouts are told apart by what is there:

- 7-scenes: ``frame-000000.color.png``, ``frame-000000.depth.png``, ``frame-000000.pose.txt`` (camera to world);
- subfolders: ``color/<name>.png``, ``depth/<name>.png``, ``pose/<name>.txt``;
- a single frame: ``color.png``, ``depth.png``, ``pose.txt``.

Pictures are PNG or JPEG, depth 16-bit PNG or float32 metres as .npy. Depth and colour share one optical frame. The
camera matrix is read from ``camera-intrinsics.txt`` (3 x 3), ``camera_info.yaml`` or ``meta.mat``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import cv2
import numpy as np
from pydantic import Field
from scipy.io import loadmat

from grasp_cameras.driver import CameraError, Capabilities, Clock, EndOfRecordingError, RawFrame, ReadTimeoutError
from grasp_cameras.pacing import Pacer
from grasp_core.camera import FrameError, Intrinsics
from grasp_core.config import Config, read_yaml
from grasp_core.geometry import Array, NotRigidError, check_rigid

# 7-scenes poses, chained in float32, are off orthonormal by a few 1e-4.
ROUNDING = 1e-2

_PICTURES = (".png", ".jpg", ".jpeg")


class FolderOptions(Config):
    """Which frames, and how fast they are shown."""

    path: str
    """The folder."""
    rate_hz: Annotated[float, Field(gt=0.0, le=1000.0)] = 30.0
    """Frames a second; the folder has no stamps, so frame i was taken i / rate after the first."""
    loop: bool = True
    """Start anew at the end."""
    real_time: bool = True
    """Keep that rate rather than give frames as fast as they are read."""
    depth_scale_m: Annotated[float, Field(gt=0.0)] = 0.001
    """Metres a unit of 16-bit depth."""


@dataclass(frozen=True)
class _Files:
    color: Path | None
    depth: Path | None
    pose: Path | None


class Folder:
    """Shows a folder of frames."""

    Options: ClassVar[type[Config]] = FolderOptions

    def __init__(self, options: FolderOptions) -> None:
        self._options = options
        self._pacer = Pacer()
        self._frames: list[_Files] = []
        self._next = 0
        self._K: Array | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the folder holds (all of it until it is opened)."""
        some = self._frames or [_Files(Path(), Path(), Path())]
        return Capabilities(
            any(f.color for f in some),
            any(f.depth for f in some),
            True,
            False,
            pose=any(f.pose for f in some),
            rate_hz=self._options.rate_hz,
        )

    def open(self) -> None:
        """List the frames and read the camera matrix."""
        root = Path(self._options.path)
        if not root.is_dir():
            raise CameraError(f"the folder {root} does not exist")
        self._frames = _list_frames(root)
        if not self._frames:
            raise CameraError(
                f"{root} holds no frames: neither *.color.png beside *.depth.png, nor color/ and depth/, nor color.png"
            )
        self._K = _read_matrix(root)
        self._next = 0
        self._pacer.restart()

    def close(self) -> None:
        """Forget the frames."""
        self._pacer.close()
        self._frames = []

    def read(self, timeout_s: float) -> RawFrame:
        """The next frame, when it is due."""
        if not self._frames:
            raise CameraError(f"the folder {self._options.path} is not open")
        if self._next >= len(self._frames) and not self._options.loop:
            raise EndOfRecordingError(f"all {len(self._frames)} frames of {self._options.path} were shown")
        recorded_ns = round(self._next * 1e9 / self._options.rate_hz)
        if self._options.real_time and not self._pacer.wait(recorded_ns, timeout_s):
            raise ReadTimeoutError(f"the next frame of {self._options.path} is due later than in {timeout_s:g} s")
        index = self._next
        self._next += 1  # a broken frame is passed over, not met again
        return self._load(self._frames[index % len(self._frames)], index, recorded_ns)

    def _load(self, files: _Files, index: int, recorded_ns: int) -> RawFrame:
        rgb = None if files.color is None else _read_color(files.color)
        depth = None if files.depth is None else _read_depth(files.depth)
        shape = (depth if rgb is None else rgb).shape[:2]  # type: ignore[union-attr]
        if rgb is not None and depth is not None and depth.shape != shape:
            raise FrameError(f"{files.depth} is {depth.shape}, {files.color} {shape} (rows, columns)")
        camera = None if self._K is None else Intrinsics.from_matrix(self._K, shape[1], shape[0])
        return RawFrame(
            stamp_ns=recorded_ns,
            clock=Clock.DEVICE,
            rgb=rgb,
            depth=depth,
            depth_scale_m=self._options.depth_scale_m,
            color_intrinsics=camera if rgb is not None else None,
            depth_intrinsics=camera if depth is not None else None,
            T_color_depth=np.eye(4),
            aligned_depth=depth if rgb is not None else None,
            T_base_camera=None if files.pose is None else _read_pose(files.pose),
            sequence=index,
        )


def _list_frames(root: Path) -> list[_Files]:
    seven = sorted({p.name.split(".")[0] for kind in ("color", "depth") for p in root.glob(f"*.{kind}.*")})
    if seven:
        return [_Files(*(_one(root, f"{stem}.{kind}") for kind in ("color", "depth", "pose"))) for stem in seven]
    folders = [root / kind for kind in ("color", "depth", "pose")]
    stems = sorted({p.stem for folder in folders[:2] if folder.is_dir() for p in folder.iterdir() if not p.is_dir()})
    if stems:
        return [_Files(*(_one(folder, stem) for folder in folders)) for stem in stems]
    single = _Files(*(_one(root, kind) for kind in ("color", "depth", "pose")))
    return [single] if single.color or single.depth else []


def _one(folder: Path, stem: str) -> Path | None:
    for suffix in (*_PICTURES, ".npy", ".txt"):
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    return None


def _read_color(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FrameError(f"{path} is no picture")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _read_depth(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        try:
            return np.load(path, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError) as error:
            raise FrameError(f"{path} is no depth image: {error}") from error
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        found = "no picture" if image is None else f"{image.dtype} {image.shape}"
        raise FrameError(f"{path} is {found}; depth is a 16-bit grey PNG")
    return image


def _read_pose(path: Path) -> Array:
    try:
        T = np.loadtxt(path)
    except (OSError, ValueError) as error:
        raise FrameError(f"{path} holds no 4 x 4 matrix: {error}") from error
    try:
        if T.shape == (4, 4) and np.isfinite(T).all():
            T = _made_orthonormal(T)
        return check_rigid(T, f"the pose in {path}")
    except NotRigidError as error:
        raise FrameError(str(error)) from error


def _made_orthonormal(T: Array) -> Array:
    """The nearest rotation in place of one that is off by rounding, as tracked poses are; others unchanged."""
    U, stretch, Vt = np.linalg.svd(T[:3, :3])
    if np.abs(stretch - 1.0).max() > ROUNDING:
        return T
    out = T.copy()
    out[:3, :3] = U @ Vt
    return out


def _read_matrix(root: Path) -> Array | None:
    try:
        if (path := root / "camera-intrinsics.txt").is_file():
            K = np.loadtxt(path)
        elif (path := root / "camera_info.yaml").is_file():
            K = np.array(read_yaml(path)["camera_matrix"]["data"], dtype=np.float64).reshape(3, 3)
        elif (path := root / "meta.mat").is_file():
            K = np.asarray(loadmat(path)["intrinsic_matrix"], dtype=np.float64)
        else:
            return None
    except (KeyError, ValueError, TypeError) as error:
        raise CameraError(f"{path} holds no camera matrix: {error!r}") from error
    if K.shape != (3, 3):
        raise CameraError(f"{path} holds a matrix {K.shape}; a camera matrix is 3 x 3")
    return np.asarray(K, dtype=np.float64)
