# SPDX-License-Identifier: Apache-2.0
"""Pictures of fusion at work, and how far the fused surface is from what a camera saw.

Usage: fusion_pictures.py --out DIR [--data DIR]. Without data the simulated UR5 cell is shown; with data also real
pictures, where DIR holds rgbd_sequence/ (frame-NNNNNN.color.jpg, .depth.png in
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
from grasp_core.geometry import Array, apply, invert, look_at, transform
from grasp_fusion.config import TsdfConfig
from grasp_fusion.heightmap import HeightmapConfig, heightmap
from grasp_fusion.render import ViewStatus, render_views
from grasp_fusion.surface import PointCloud, mesh, point_cloud, write_ply
from grasp_fusion.volume import TsdfVolume

log = logging.getLogger("fusion_pictures")
FRAME_NS = 33_333_333
# Colours of the four values of ViewStatus: surface, free, unobserved, outside.
STATUS_RGB = np.array([[90, 160, 90], [235, 235, 255], [60, 60, 60], [0, 0, 0]], np.uint8)


@dataclass(frozen=True)
class Arguments:
    """What to read, what to write."""

    out: Path
    """Folder that the pictures are written to."""
    data: Path | None = None
    """Folder with rgbd_sequence/ and tabletop_frame/; none for the simulation only."""
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


def grid(rows: list[list[np.ndarray]], titles: list[list[str]], path: Path, scale: float = 1.0) -> None:
    """Write pictures of one height side by side, a title over each."""
    height = round(scale * rows[0][0].shape[0])
    drawn = []
    for pictures, names in zip(rows, titles, strict=True):
        line = []
        for picture, name in zip(pictures, names, strict=True):
            width = round(picture.shape[1] * height / picture.shape[0])
            cell = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
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


def side_view(cloud: PointCloud, T_base_side: Array, camera: Intrinsics, splat: int) -> np.ndarray:
    """A cloud as squares of ``splat`` pixels seen from a pose, the farther first, so that the nearer cover them."""
    local = apply(invert(T_base_side), cloud.points_m)
    order = np.argsort(-local[:, 2])
    order = order[local[order, 2] > 0.05]
    u, v = np.rint(camera.project(local[order])).astype(int).T
    inside = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    border = splat // 2
    drawn = np.full((camera.height + 2 * border, camera.width + 2 * border, 3), 255, np.uint8)
    # Point by point, not offset by offset: where squares overlap the last one written stays.
    dv, du = np.indices((splat, splat)).reshape(2, 1, -1)
    drawn[v[inside][:, None] + dv, u[inside][:, None] + du] = cloud.rgb[order][inside][:, None]
    return drawn[border : border + camera.height, border : border + camera.width]


def simulated(arguments: Arguments) -> None:
    """The UR5 cell's scene seen by a camera on its way around; what it would look like from where none has been."""
    from grasp_sim.cameras import render
    from grasp_sim.cell import SimCell

    camera, far_m = Intrinsics.from_fov(640, 360, 0.73), 2.5
    cell = SimCell("ur5", cameras=(), renderer="auto")
    try:
        cell.reset("blocks", seed=3)
        box = cell.config.limits.workspace
        middle = 0.5 * (np.array(box.min_m) + box.max_m) * [1, 1, 0]

        def shoot(T: Array, n: int) -> CameraFrame:
            picture = render(cell.world.engine, camera, T, 0.05, far_m)
            depth = np.where(picture.depth_m < far_m - 0.01, picture.depth_m, np.float32(np.nan))
            return CameraFrame(camera, T, n * FRAME_NS, picture.rgb, depth)

        def pose(angle: float, radius_m: float = 0.42, height_m: float = 0.42) -> Array:
            around = np.array([radius_m * np.cos(angle), radius_m * np.sin(angle), height_m])
            return look_at(middle + around, middle)

        low = np.array(box.min_m) - [0.05, 0.05, 0.02]
        volume = TsdfVolume(TsdfConfig(origin_m=tuple(low), size_m=(0.55, 0.55, 0.3)))
        # Half a round: what lies behind the objects stays unobserved.
        for n, angle in enumerate(tqdm(np.linspace(-0.9, 0.9, 25), desc="simulate")):
            volume.integrate(shoot(pose(angle), n))
        frame = shoot(pose(0.0), 0)
        unseen = [shoot(pose(angle, 0.3, 0.5), 0) for angle in (-0.6, 0.45)]
    finally:
        cell.close()
    views = render_views(volume, [f.T_base_camera for f in unseen], camera)
    truth = np.stack([f.depth_m for f in unseen])
    hit = views.status == ViewStatus.SURFACE
    off_mm = 1e3 * np.abs(views.depth_m - truth)[hit]
    log.info(
        "simulated: unseen views are off by %.2f mm (median), 90 %% within %.1f mm", *np.percentile(off_mm, [50, 90])
    )
    cloud = point_cloud(volume)
    config = HeightmapConfig(corner_m=(*low[:2], 0.0), rows=183, columns=183, pixel_m=0.003)
    found = heightmap(frame, config)
    span = np.nanpercentile(views.depth_m[1], [5, 99.9])
    rows = [
        [unseen[1].rgb, depth_picture(truth[1], *span), side_view(cloud, pose(0.9, 0.5, 0.42), camera, 9)],
        [views.rgb[1], depth_picture(views.depth_m[1], *span), normal_picture(views.normals[1])],
        [STATUS_RGB[views.status[1]], depth_picture(found.height_m, 0.0, 0.12)[::-1], found.rgb[::-1]],
    ]
    titles = [
        ["simulator, from where no camera was", "its depth", "cloud from the side"],
        ["rendered from the volume", "rendered depth", "rendered normals"],
        ["status", "heightmap", "from above"],
    ]
    grid(rows, titles, arguments.out / "fusion.png", scale=0.66)


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
    cloud = point_cloud(volume)
    # A step back and to the left of where the picture was taken.
    T_base_beside = real.T_base_camera @ transform((-0.8, -0.5, -0.9), Rotation.from_euler("yx", [0.2, -0.12]))
    rows = [
        [
            real.rgb,
            depth_picture(real.depth_m, *span),
            depth_picture(error, 0.0, 0.05),
            side_view(cloud, T_base_beside, real.intrinsics, 5),
        ],
        [
            view.rgb[0],
            depth_picture(view.depth_m[0], *span),
            normal_picture(view.normals[0]),
            STATUS_RGB[view.status[0]],
        ],
    ]
    titles = [
        ["real colour", "real depth", "difference, 0 to 50 mm", "cloud from beside"],
        ["rendered colour", "rendered depth", "rendered normals", "green surface, pale free, grey unobserved"],
    ]
    grid(rows, titles, arguments.out / "sequence_held_out.png", scale=0.75)
    write_ply(mesh(volume), arguments.out / "sequence_mesh.ply")
    write_ply(cloud, arguments.out / "sequence_cloud.ply")


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
    T_base_side = frame.T_base_camera @ transform((-0.45, 0.0, 0.1), Rotation.from_euler("y", 0.55))
    scattered = side_view(cloud, T_base_side, Intrinsics.from_fov(1280, 720, 0.9), 9)
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
    grid(rows, titles, arguments.out / "tabletop.png", scale=0.5)


def main(arguments: Arguments) -> None:
    """Make all pictures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.out.mkdir(parents=True, exist_ok=True)
    simulated(arguments)
    if arguments.data is not None:
        sequence(arguments)
        tabletop(arguments)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
