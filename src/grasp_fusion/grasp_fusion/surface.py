# SPDX-License-Identifier: Apache-2.0
"""The fused surface as points and as triangles, and PLY files of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grasp_core.geometry import apply
from grasp_fusion import surface_kernels
from grasp_fusion.jit import threads
from grasp_fusion.volume import TsdfVolume

Float32 = NDArray[np.float32]
Uint8 = NDArray[np.uint8]


@dataclass(frozen=True)
class PointCloud:
    """Points on the surface, in the base frame.

    Attributes:
        points_m: float32 [P, 3].
        normals: float32 [P, 3], unit vectors out of the surface, or zero where too little around was seen.
        rgb: uint8 [P, 3], or none for a volume without colour.
    """

    points_m: Float32
    normals: Float32
    rgb: Uint8 | None

    def __len__(self) -> int:
        return len(self.points_m)


@dataclass(frozen=True)
class Mesh:
    """Triangles of the surface, in the base frame.

    Attributes:
        vertices_m: float32 [V, 3].
        triangles: int32 [F, 3], indices of vertices, counter-clockwise seen from outside.
        normals: float32 [V, 3], unit vectors out of the surface.
        rgb: uint8 [V, 3], or none for a volume without colour.
    """

    vertices_m: Float32
    triangles: NDArray[np.int32]
    normals: Float32
    rgb: Uint8 | None


def point_cloud(volume: TsdfVolume) -> PointCloud:
    """Every point at which the surface crosses an edge of the voxel grid: about two a voxel of surface."""
    tsdf, colour, used = volume.snapshot()
    counts = np.zeros(len(tsdf), dtype=np.int64)
    with threads(used):
        surface_kernels.count_crossings(tsdf, counts)
        total = int(counts.sum())
        points = np.empty((total, 3), dtype=np.float32)
        normals = np.empty((total, 3), dtype=np.float32)
        rgb = np.empty((total if colour is not None else 0, 3), dtype=np.uint8)
        surface_kernels.fill_crossings(
            tsdf, np.zeros((2, 2, 2, 4), np.uint16) if colour is None else colour, np.cumsum(counts) - counts,
            points, normals, rgb, colour is not None,
        )  # fmt: skip
    return PointCloud(_to_base(volume, points), normals, None if colour is None else rgb)


def mesh(volume: TsdfVolume, step_voxels: int = 1) -> Mesh:
    """Triangles by marching cubes; cells with an unobserved corner have none.

    Args:
        volume: what to mesh.
        step_voxels: edge of a cube in voxels; 2 makes a quarter of the triangles.
    """
    from skimage.measure import marching_cubes

    if step_voxels < 1:
        raise ValueError(f"step_voxels is {step_voxels}; at least 1")
    tsdf, colour, _ = volume.snapshot()
    tsdf = tsdf[::step_voxels, ::step_voxels, ::step_voxels]
    seen = ~np.isnan(tsdf)
    whole = np.zeros_like(seen)
    corners = [seen[a : a - 1 or None, b : b - 1 or None, c : c - 1 or None] for a, b, c in np.ndindex(2, 2, 2)]
    whole[1:, 1:, 1:] = np.logical_and.reduce(corners)
    filled = np.where(seen, tsdf, np.float32(1.0))
    if not (whole.any() and filled[seen].min() < 0.0 < filled[seen].max()):
        empty = np.zeros((0, 3), np.float32)
        return Mesh(empty, np.zeros((0, 3), np.int32), empty, None if colour is None else np.zeros((0, 3), np.uint8))
    vertices, triangles, normals, _ = marching_cubes(filled, 0.0, mask=whole, gradient_direction="descent")
    vertices *= step_voxels
    rgb = None
    if colour is not None:
        nearest = np.minimum(np.rint(vertices).astype(np.int64), np.array(colour.shape[:3]) - 1)
        rgb = ((colour[nearest[:, 0], nearest[:, 1], nearest[:, 2], :3].astype(np.uint32) + 128) >> 8).astype(np.uint8)
    return Mesh(_to_base(volume, vertices), triangles.astype(np.int32), -normals.astype(np.float32), rgb)


def write_ply(what: PointCloud | Mesh, path: Path | str) -> None:
    """Write points or triangles to a binary PLY file.

    Raises:
        ValueError: there is no surface.
    """
    import trimesh

    points = what.points_m if isinstance(what, PointCloud) else what.vertices_m
    if not len(points):
        raise ValueError(f"nothing to write to {path}: no surface has been observed")
    if isinstance(what, Mesh):
        thing: trimesh.Trimesh | trimesh.PointCloud = trimesh.Trimesh(
            points, what.triangles, vertex_normals=what.normals, vertex_colors=what.rgb, process=False
        )
    else:
        thing = trimesh.PointCloud(points, colors=what.rgb)
    thing.export(Path(path), file_type="ply")


def _to_base(volume: TsdfVolume, indices: Float32) -> Float32:
    return apply(volume.T_base_volume, np.asarray(indices, dtype=np.float64) * volume.config.voxel_m).astype(np.float32)
