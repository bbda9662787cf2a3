# SPDX-License-Identifier: Apache-2.0
"""Time of fusing and rendering: our back ends and Open3D's VoxelBlockGrid, on the same frames in the same run.

The frames are of a closed-form scene, 640 x 360; the volume has 120 x 120 x 100 voxels of 5 mm (1.44 million); the
views are 35 of 80 x 45 with colour, depth and normals. Contestants take turns, twelve frames each, so that a busy
machine disturbs all of them; values are medians. Open3D fuses only blocks near the surface, ours also the free space in
front; Open3D with the blocks of the whole box does comparable work.

Usage: python benchmarks/fusion.py [--json FILE] [--repeats N]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.geometry import invert, look_at
from grasp_fusion.analytic_scene import Box, Plane, Sphere, photograph
from grasp_fusion.config import TsdfConfig
from grasp_fusion.jit import CORES
from grasp_fusion.render import render_views
from grasp_fusion.surface import mesh, point_cloud
from grasp_fusion.volume import TsdfVolume

INTEGRATE_BUDGET_MS = 5.0
RENDER_BUDGET_MS = 40.0
OPEN3D_RATIO_BUDGET = 2.5
GPU_RENDER_BUDGET_MS = 100.0
OPEN3D_TIMEOUT_S = 30.0
SCENE = (Plane(), Sphere((0.08, 0.05, 0.08), 0.08), Box((-0.2, -0.15, 0.0), (-0.06, 0.0, 0.12)))
CAMERA = Intrinsics.from_fov(640, 360, 0.73)
VIEW = Intrinsics.from_fov(80, 45, 0.73)
BOX = {"origin_m": (-0.3, -0.3, -0.05), "size_m": (0.6, 0.6, 0.5),
       "max_camera_speed_m_s": None, "max_camera_turn_rad_s": None}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    json: Path | None = None
    """File that the rows are written to."""
    repeats: int = 5
    """Rounds over the frames."""


@dataclass(frozen=True)
class Row:
    """One measurement; ``budget`` is the most that it should be (the least for a ratio), if there is one."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


class Open3d:
    """Open3D's block grid on the CPU; ``whole_box`` fuses into every block of the box, not only those near surfaces."""

    def __init__(self, voxel_m: float, truncation_voxels: float, whole_box: bool) -> None:
        import open3d as o3d

        self._o3d = o3d
        self._truncation = truncation_voxels
        f32 = o3d.core.float32
        self._grid = o3d.t.geometry.VoxelBlockGrid(
            ("tsdf", "weight", "color"), (f32, f32, f32), ((1,), (1,), (3,)), voxel_m, 16, 20_000
        )
        self._blocks = None
        if whole_box:
            low = np.floor(np.array(BOX["origin_m"]) / (16 * voxel_m))
            high = np.ceil((np.array(BOX["origin_m"]) + BOX["size_m"]) / (16 * voxel_m))
            axes = [np.arange(a, b, dtype=np.int32) for a, b in zip(low, high, strict=True)]
            blocks = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
            self._blocks = o3d.core.Tensor(np.ascontiguousarray(blocks, dtype=np.int32))
            self._grid.hashmap().activate(self._blocks)

    def prepared(self, frame: CameraFrame) -> tuple[object, ...]:
        """Its own types of a frame, made outside of the measured time."""
        o3d = self._o3d
        depth = o3d.t.geometry.Image(np.nan_to_num(frame.depth_m))
        rgb = o3d.t.geometry.Image(frame.rgb.astype(np.float32) / 255.0)
        return depth, rgb, o3d.core.Tensor(frame.K), o3d.core.Tensor(invert(frame.T_base_camera))

    def integrate(self, prepared: tuple[object, ...]) -> None:
        """Fuse a frame."""
        depth, rgb, K, T = prepared
        blocks = self._blocks
        if blocks is None:
            blocks = self._grid.compute_unique_block_coordinates(depth, K, T, 1.0, 4.0, self._truncation)
        self._grid.integrate(blocks, depth, rgb, K, T, 1.0, 4.0, self._truncation)

    def render(self, T_base_cameras: np.ndarray, camera: Intrinsics) -> None:
        """Cast the rays of every view, one view a call, as its interface has it."""
        blocks = self._grid.hashmap().key_tensor()
        K = self._o3d.core.Tensor(camera.K)
        for T in T_base_cameras:
            self._grid.ray_cast(
                blocks, K, self._o3d.core.Tensor(invert(T)), camera.width, camera.height,
                ["depth", "color", "normal"], 1.0, 0.05, 4.0, 1.0, self._truncation, 8,
            )  # fmt: skip


def ring(count: int, radius_m: float = 0.45, height_m: float = 0.45) -> np.ndarray:
    """Camera poses on a circle, looking at the scene [N, 4, 4]."""
    angles = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return np.stack([look_at((radius_m * np.cos(a), radius_m * np.sin(a), height_m), (0.0, 0.0, 0.05)) for a in angles])


def frames(camera: Intrinsics, count: int = 12) -> list[CameraFrame]:
    """Pictures of the scene from a circle."""
    return [photograph(SCENE, T, camera, n).frame for n, T in enumerate(ring(count))]


def cut_to_box(frame: CameraFrame) -> CameraFrame:
    """The frame without the depth of what lies outside the box, which Open3D's unbounded grid would fuse too."""
    points, low = frame.points_base(), np.array(BOX["origin_m"])
    inside = ((points > low) & (points < low + BOX["size_m"])).all(axis=-1)
    return replace(frame, depth_m=np.where(inside, frame.depth_m, np.float32(np.nan)))


def measure(contestants: dict[str, list[Callable[[], object]]], repeats: int) -> dict[str, float]:
    """Median milliseconds of every contestant's jobs, one contestant after the other, without the first round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for n in range(repeats + 1):
        for name, jobs in contestants.items():
            for job in jobs:
                started = time.perf_counter()
                job()
                if n:
                    times[name].append(1e3 * (time.perf_counter() - started))
    return {name: float(np.median(values)) for name, values in times.items()}


def make(**settings: object) -> TsdfVolume:
    """A volume over the box."""
    return TsdfVolume(TsdfConfig.from_mapping({**BOX, **settings}))


def fuse(volume: TsdfVolume, pictures: list[CameraFrame]) -> list[Callable[[], object]]:
    """One job a picture; stamps do not go back from round to round."""

    def job(frame: CameraFrame) -> None:
        stamp = (volume.newest_ns or 0) + 1
        volume.integrate(CameraFrame(frame.intrinsics, frame.T_base_camera, stamp, frame.rgb, frame.depth_m))

    return [lambda frame=frame: job(frame) for frame in pictures]


def contenders() -> dict[str, TsdfVolume]:
    """Our volumes by back end: the CPU, and a GPU where torch sees one."""
    volumes = {"numba": make()}
    try:
        import torch
    except ImportError:
        return volumes
    if torch.cuda.is_available():
        volumes["torch cuda"] = make(backend="torch", device="cuda")
    return volumes


def contest(repeats: int) -> list[Row]:
    """Fusing and rendering by everybody."""
    pictures, poses = frames(CAMERA), ring(35, 0.4, 0.5)
    volumes = contenders()
    # Before Open3D loads the OpenMP that both use: whoever comes first says how its threads wait.
    volumes["numba"].warm_up()
    rows: list[Row] = []
    for kind, shown in (("", pictures), (", cut to the box", [cut_to_box(frame) for frame in pictures])):
        jobs = {name: fuse(volume, shown) for name, volume in volumes.items()}
        for name, grid in open3d_grids().items():
            jobs[name] = [partial(grid.integrate, grid.prepared(frame)) for frame in shown]
        fused = measure(jobs, repeats)
        title = f"integrate 640x360{kind} into 1.44 M voxels"
        rows += [Row(title, name, value, "ms", INTEGRATE_BUDGET_MS) for name, value in fused.items()]
        for name in [name for name in jobs if name.startswith("Open3D")]:
            budget = OPEN3D_RATIO_BUDGET if name == "Open3D" and not kind else None
            ratio = fused[name] / fused["numba"]
            rows.append(Row(f"integrate{kind}: {name} / numba", "numba", ratio, "x (at least)", budget))
    views = {name: [lambda v=v: render_views(v, poses, VIEW)] * 4 for name, v in volumes.items()}
    for name, value in measure(views, repeats).items():
        budget = GPU_RENDER_BUDGET_MS if "cuda" in name else RENDER_BUDGET_MS
        rows.append(Row("35 views 80x45, colour, depth, normals", name, value, "ms", budget))
    if open3d_grids():
        rows += open3d_views()
    volume = volumes["numba"]
    rows += floor(pictures, repeats)
    outputs = {"point cloud": [lambda: point_cloud(volume)], "mesh": [lambda: mesh(volume)]}
    rows += [Row(name, "numba", value, "ms") for name, value in measure(outputs, repeats).items()]
    return rows


def open3d_grids() -> dict[str, Open3d]:
    """Fresh grids of Open3D, or none where it is not installed."""
    try:
        return {"Open3D": Open3d(0.005, 4.0, False), "Open3D, whole box": Open3d(0.005, 4.0, True)}
    except ImportError:
        print("Open3D is not installed; its rows are left out", file=sys.stderr)
        return {}


def print_open3d_views() -> None:
    """Print the milliseconds of each of the 35 views by Open3D, as they end."""
    grid = Open3d(0.005, 4.0, False)
    for frame in frames(CAMERA):
        grid.integrate(grid.prepared(frame))
    for T in ring(35, 0.4, 0.5):
        started = time.perf_counter()
        grid.render(T[None], VIEW)
        print("view", 1e3 * (time.perf_counter() - started), flush=True)


def open3d_views() -> list[Row]:
    """Its 35 views, in a process with a time limit: ray_cast of Open3D 0.20 on the CPU never returns for some poses."""
    script = f"from {Path(__file__).stem} import print_open3d_views as go; go()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", script]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=OPEN3D_TIMEOUT_S)
        output = done.stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
    times = [float(line.split()[1]) for line in output.decode().splitlines() if line.startswith("view ")]
    rows = [Row(f"views that ended within {OPEN3D_TIMEOUT_S:.0f} s, of 35", "Open3D", float(len(times)), "views")]
    if times:
        rows.append(Row("35 times its median view", "Open3D", 35.0 * float(np.median(times)), "ms", RENDER_BUDGET_MS))
    return rows


def floor(pictures: list[CameraFrame], repeats: int) -> list[Row]:
    """What one frame must move through memory at least, and how long a copy of that many bytes takes here."""
    fresh, frame = make(), pictures[0]
    fresh.integrate(frame)
    tsdf = fresh.tsdf()
    band = int((np.abs(tsdf) < 1.0).sum())
    touched = int(np.isfinite(tsdf).sum())
    # Free space that is settled is only read (4 bytes), the band is read and written with its colour (2 * 12 bytes).
    moved = 4 * touched + 20 * band + frame.depth_m.nbytes + frame.rgb.nbytes
    took_ms = measure({"one": fuse(make(threads=1), [frame] * 6)}, repeats)["one"]
    source = np.zeros(moved // 2, np.uint8)
    target = np.ones_like(source)
    copy_ms = measure({"copy": [lambda: np.copyto(target, source)] * 20}, 3)["copy"]
    return [
        Row("voxels touched by a frame", "numba", touched / 1e6, "million"),
        Row("least bytes moved by a frame", "numba", moved / 1e6, "MB"),
        Row("the same bytes copied by one core", "memory", copy_ms, "ms"),
        Row("core time per voxel touched", "numba", 1e6 * took_ms / touched, "ns"),
    ]


def growth(repeats: int) -> list[Row]:
    """How time grows with pixels, voxels, views and cores."""
    rows = []
    for width, height in ((320, 180), (640, 360), (1280, 720)):
        pictures = frames(CAMERA.scaled(width, height), 6)
        value = measure({"numba": fuse(make(), pictures)}, repeats)["numba"]
        rows.append(Row(f"integrate {width}x{height} into 1.44 M voxels", "numba", value, "ms"))
    pictures = frames(CAMERA, 6)
    for voxel_m in (0.01, 0.005, 0.003, 0.002):
        volume = make(voxel_m=voxel_m)
        count = np.prod(volume.config.shape) / 1e6
        value = measure({"numba": fuse(volume, pictures)}, repeats)["numba"]
        rows.append(Row(f"integrate 640x360 into {count:.2f} M voxels", "numba", value, "ms"))
        job = [lambda v=volume: render_views(v, ring(35, 0.4, 0.5), VIEW)]
        rows.append(Row(f"35 views of {count:.2f} M voxels", "numba", measure({"": job}, repeats)[""], "ms"))
    volume = make()
    measure({"": fuse(volume, pictures)}, 1)
    for count in (1, 8, 35, 140):
        job = [lambda n=count: render_views(volume, ring(n, 0.4, 0.5), VIEW)]
        rows.append(Row(f"{count} views 80x45", "numba", measure({"": job}, repeats)[""], "ms"))
    cores = [n for n in (1, 2, 4, 8, 16) if n <= CORES]
    volumes = {f"{n} cores": make(threads=n) for n in cores}
    for name, value in measure({name: fuse(v, pictures) for name, v in volumes.items()}, repeats).items():
        rows.append(Row(f"integrate 640x360 into 1.44 M voxels, {name}", "numba", value, "ms"))
    jobs = {name: [lambda v=v: render_views(v, ring(35, 0.4, 0.5), VIEW)] * 2 for name, v in volumes.items()}
    for name, value in measure(jobs, repeats).items():
        rows.append(Row(f"35 views 80x45, {name}", "numba", value, "ms"))
    return rows


def compilation() -> list[Row]:
    """Seconds until kernels are ready: the first process of a machine, and the second."""
    script = f"from {Path(__file__).stem} import make; print(make().warm_up())"
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": paths}
        for name in ("first process of a machine", "later process"):
            done = subprocess.run(
                [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=300
            )
            rows.append(Row(f"kernels ready, {name}", "numba", float(done.stdout.split()[-1]), "s"))
    return rows


def main(arguments: Arguments) -> None:
    """Measure, print, write."""
    rows: list[Row] = []
    for part in tqdm((lambda: contest(arguments.repeats), lambda: growth(arguments.repeats), compilation)):
        rows += part()
    load = os.getloadavg()[0]
    print(f"{CORES} cores, load {load:.1f}")
    for row in rows:
        budget = "" if row.budget is None else f"{row.budget:g}"
        print(f"{row.name:<48} {row.backend:<18} {row.value:10.3f} {row.unit:<14} {budget}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"cores": CORES, "load": load, "rows": [asdict(r) for r in rows]}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
