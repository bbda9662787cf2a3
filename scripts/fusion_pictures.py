# SPDX-License-Identifier: Apache-2.0
"""Pictures of fusion at work on real data, and how far the fused surface is from what a camera saw.

Usage: fusion_pictures.py --data DIR --out DIR, where DIR holds rgbd_sequence/ (frame-NNNNNN.color.jpg, .depth.png in
millimetres, .pose.txt camera to world, camera-intrinsics.txt) and tabletop_frame/ (color.png, depth.png, meta.mat).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import tyro
from scipy.io import loadmat
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from grasp_core.camera import CameraFrame, Intrinsics, depth_to_metres
from grasp_core.geometry import Array, apply, invert, transform
from grasp_fusion.config import TsdfConfig
from grasp_fusion.heightmap import HeightmapConfig, heightmap
from grasp_fusion.render import ViewStatus, render_views
from grasp_fusion.surface import mesh, point_cloud, write_ply
from grasp_fusion.volume import TsdfVolume

log = logging.getLogger("fusion_pictures")
FRAME_NS = 33_333_333
# Colours of the four values of ViewStatus: surface, free, unobserved, outside.
STATUS_RGB = np.array([[90, 160, 90], [235, 235, 255], [60, 60, 60], [0, 0, 0]], np.uint8)


@dataclass(frozen=True)
class Arguments:
    """What to read, what to write."""

    data: Path
    """Folder with rgbd_sequence/ and tabletop_frame/."""
    out: Path
    """Folder that the pictures are written to."""
    voxel_m: float = 0.01
    """Voxel edge for the sequence."""
    held_out: int = 60
    """Number of the frame that is not fused but rendered; its neighbours are not fused either."""
    neighbours: int = 2
    """How many frames to either side of it are left out."""


def load_frame(folder: Path, number: int) -> CameraFrame:
    """One frame of the sequence, its rotation made orthonormal."""
    stem = folder / f"frame-{number:06d}"
    pose = np.loadtxt(f"{stem}.pose.txt")
    return CameraFrame(
        Intrinsics.from_matrix(np.loadtxt(folder / "camera-intrinsics.txt"), 640, 480),
        transform(pose[:3, 3], Rotation.from_matrix(pose[:3, :3])),
        number * FRAME_NS,
        cv2.cvtColor(cv2.imread(f"{stem}.color.jpg"), cv2.COLOR_BGR2RGB),
        depth_to_metres(cv2.imread(f"{stem}.depth.png", cv2.IMREAD_UNCHANGED)),
    )


def depth_picture(depth_m: np.ndarray, low: float, high: float) -> np.ndarray:
    """Depth [H, W] in false colours, uint8 [H, W, 3]; black where invalid."""
    picture = mpl.colormaps["turbo"](np.nan_to_num((depth_m - low) / max(high - low, 1e-6)))[..., :3]
    picture[~np.isfinite(depth_m)] = 0.0
    return (255 * picture).astype(np.uint8)


def normal_picture(normals: np.ndarray) -> np.ndarray:
    """Normals [H, W, 3] of the camera's frame as colours; black where invalid."""
    return np.nan_to_num(127.5 * (normals * [1, -1, -1] + 1.0)).astype(np.uint8)


def grid(rows: list[list[np.ndarray]], titles: list[list[str]], path: Path) -> None:
    """Write pictures of one size side by side, a title over each."""
    height = rows[0][0].shape[0]
    drawn = []
    for pictures, names in zip(rows, titles, strict=True):
        line = []
        for picture, name in zip(pictures, names, strict=True):
            width = round(picture.shape[1] * height / picture.shape[0])
            cell = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
            cell = cv2.copyMakeBorder(cell, 24, 4, 4, 4, cv2.BORDER_CONSTANT, value=(255, 255, 255))
            line.append(cv2.putText(cell, name, (8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA))
        drawn.append(np.concatenate(line, axis=1))
    widest = max(line.shape[1] for line in drawn)
    drawn = [
        cv2.copyMakeBorder(line, 0, 0, 0, widest - line.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3)
        for line in drawn
    ]
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(drawn), cv2.COLOR_RGB2BGR))
    log.info("wrote %s", path)


def square_on(normals: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """What turns a difference of depths into a distance from the surface: the part of the ray along the normal [H, W].

    ``normals`` [H, W, 3] are in the camera's frame.
    """
    rays = camera.deproject(np.ones((camera.height, camera.width)))
    return np.abs(np.einsum("hwi,hwi->hw", rays, normals))


def share(hit: np.ndarray, real: CameraFrame) -> float:
    """Share of a picture's depths that are compared."""
    return float(hit.sum() / np.isfinite(real.depth_m).sum())


def bounds(frames: list[CameraFrame], far_m: float) -> tuple[Array, Array]:
    """Box around most of what some frames see nearer than ``far_m``."""
    points = [f.points_base()[np.isfinite(f.depth_m) & (f.depth_m < far_m)][::50] for f in frames]
    low, high = np.percentile(np.concatenate(points), [1, 99], axis=0)
    return low - 0.1, high + 0.1


def sequence(arguments: Arguments) -> None:
    """Fuse all but the held-out frame and its neighbours, render it, and say how far it is off."""
    folder = arguments.data / "rgbd_sequence"
    numbers = range(len(list(folder.glob("*.depth.png"))))
    frames = [load_frame(folder, n) for n in tqdm(numbers, desc="read")]
    low, high = bounds(frames[::10], 3.5)
    config = TsdfConfig(
        origin_m=tuple(low), size_m=tuple(high - low), voxel_m=arguments.voxel_m, mode="mean", max_depth_m=4.0
    )
    volume = TsdfVolume(config)
    volume.warm_up()
    for n in tqdm(numbers, desc=f"fuse into {np.prod(config.shape) / 1e6:.1f} M voxels"):
        if abs(n - arguments.held_out) > arguments.neighbours:
            volume.integrate(frames[n])
    real = frames[arguments.held_out]
    view = render_views(volume, [real.T_base_camera], real.intrinsics)
    hit = (view.status[0] == ViewStatus.SURFACE) & np.isfinite(real.depth_m)
    along_mm = 1e3 * np.abs(view.depth_m[0] - real.depth_m)[hit]
    off_mm = along_mm * square_on(view.normals[0], real.intrinsics)[hit]
    log.info("held-out frame %d: %.1f %% of its depths compared", real.stamp_ns // FRAME_NS, 100 * share(hit, real))
    log.info("distance to the surface: median %.2f mm, 90 %% within %.1f mm", *np.percentile(off_mm, [50, 90]))
    log.info("difference of the depths: median %.2f mm, 90 %% within %.1f mm", *np.percentile(along_mm, [50, 90]))
    log.info("half a voxel is %.1f mm", 500 * arguments.voxel_m)
    span = np.nanpercentile(real.depth_m, [1, 99])
    error = np.where(hit, np.abs(view.depth_m[0] - real.depth_m), np.nan)
    rows = [
        [real.rgb, depth_picture(real.depth_m, *span), depth_picture(error, 0.0, 0.05)],
        [view.rgb[0], depth_picture(view.depth_m[0], *span), normal_picture(view.normals[0])],
        [STATUS_RGB[view.status[0]]],
    ]
    titles = [
        ["real colour", "real depth", "difference, 0 to 50 mm"],
        ["rendered colour", "rendered depth", "rendered normals"],
        ["status: green surface, pale free, grey unobserved, black outside"],
    ]
    grid(rows, titles, arguments.out / "sequence_held_out.png")
    write_ply(mesh(volume), arguments.out / "sequence_mesh.ply")
    write_ply(point_cloud(volume), arguments.out / "sequence_cloud.ply")


def table_pose(frame: CameraFrame, seed: int = 0) -> Array:
    """``T_base_camera`` of a base whose z is the normal of the largest plane in view and whose origin lies on it."""
    points = frame.points_base()[np.isfinite(frame.depth_m) & (frame.depth_m < 2.0)]
    generator = np.random.default_rng(seed)
    best, normal, centre = 0, np.zeros(3), np.zeros(3)
    sample = points[generator.integers(0, len(points), 20_000)]
    for _ in range(300):
        a, b, c = sample[generator.integers(0, len(sample), 3)]
        n = np.cross(b - a, c - a)
        if np.linalg.norm(n) < 1e-6:
            continue
        n /= np.linalg.norm(n)
        near = np.abs((sample - a) @ n) < 0.006
        if near.sum() > best:
            best, normal, centre = int(near.sum()), n, sample[near].mean(axis=0)
    z = normal if normal @ centre < 0.0 else -normal
    x = np.cross([0.0, -1.0, 0.0], z)
    x /= np.linalg.norm(x)
    return invert(transform(centre, np.stack([x, np.cross(z, x), z], axis=1)))


def tabletop(arguments: Arguments) -> None:
    """Cloud, normals and heightmap of the single frame."""
    folder = arguments.data / "tabletop_frame"
    raw = cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED)
    meta = loadmat(folder / "meta.mat")
    camera = Intrinsics.from_matrix(meta["intrinsic_matrix"], raw.shape[1], raw.shape[0])
    rgb = cv2.cvtColor(cv2.imread(str(folder / "color.png")), cv2.COLOR_BGR2RGB)
    seen = CameraFrame(camera, np.eye(4), 0, rgb, depth_to_metres(raw, 1.0 / meta["factor_depth"].item()))
    frame = CameraFrame(camera, table_pose(seen), 0, rgb, seen.depth_m)
    volume = TsdfVolume(TsdfConfig(origin_m=(-0.5, -0.5, -0.05), size_m=(1.0, 1.0, 0.5), voxel_m=0.003))
    volume.integrate(frame)
    cloud = point_cloud(volume)
    write_ply(cloud, arguments.out / "tabletop_cloud.ply")
    view = render_views(volume, [frame.T_base_camera], camera)
    side = Intrinsics.from_fov(1280, 720, 0.9)
    # Points as a picture from another side: the farther first, so that the nearer cover them.
    T_base_side = frame.T_base_camera @ transform((-0.25, -0.1, 0.1), Rotation.from_euler("y", 0.3))
    local = apply(invert(T_base_side), cloud.points_m)
    order = np.argsort(-local[:, 2])
    order = order[local[order, 2] > 0.05]
    u, v = np.rint(side.project(local[order])).astype(int).T
    inside = (u >= 2) & (v >= 2) & (u < side.width - 2) & (v < side.height - 2)
    scattered = np.full((side.height, side.width, 3), 200, np.uint8)
    for dv, du in np.ndindex(5, 5):
        scattered[v[inside] + dv - 2, u[inside] + du - 2] = cloud.rgb[order][inside]
    config = HeightmapConfig(corner_m=(-0.448, -0.448, 0.0), rows=448, columns=448)
    found = heightmap(frame, config)
    log.info("tabletop: %d points, %.1f %% of the heightmap seen", len(cloud), 100 * np.isfinite(found.height_m).mean())
    rows = [
        [frame.rgb, view.rgb[0], normal_picture(view.normals[0])],
        [scattered, depth_picture(found.height_m, 0.0, 0.25)[::-1], found.rgb[::-1]],
    ]
    titles = [
        ["real colour", "fused colour", "fused normals"],
        ["cloud from the side", "heightmap, 0 to 250 mm", "colour from above"],
    ]
    grid(rows, titles, arguments.out / "tabletop.png")


def main(arguments: Arguments) -> None:
    """Make all pictures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.out.mkdir(parents=True, exist_ok=True)
    sequence(arguments)
    tabletop(arguments)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
