# SPDX-License-Identifier: Apache-2.0
"""Mesh files made fit for simulation: read, checked, weighed, cut into convex parts, and cached by content."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import coacd
import numpy as np
import trimesh
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection

from grasp_core.geometry import Array
from grasp_sim.objects.models import BrokenModelError

SUFFIXES = (".obj", ".stl", ".ply")
# A mesh whose convex hull has at most this share more volume is taken as convex.
CONVEX_EXCESS = 0.03
# Part of the cache key: raise it when what is cached changes.
CACHE_VERSION = 3
# The simulator meets a convex mesh this far outside of its surface (m); boxes, cylinders and spheres exactly at theirs.
CONTACT_MARGIN_M = 0.001
# A part keeps at least this share of its half thickness when it is made smaller.
KEPT_SHARE = 0.3


@dataclass(frozen=True)
class MeshData:
    """What is known of a mesh file, in the file's own units and axes.

    Attributes:
        visual: file to show.
        convex_parts: files of convex parts that fill it.
        low, high: corners of the bounding box [3].
        volume: enclosed by the convex parts.
        com: centre of mass at uniform density [3].
        inertia_per_mass: diagonal about the centre of mass, divided by the mass [3], units squared.
    """

    visual: Path
    convex_parts: tuple[Path, ...]
    low: Array
    high: Array
    volume: float
    com: Array
    inertia_per_mass: Array


def cache_folder() -> Path:
    """Where prepared meshes are kept: ``GRASP_CACHE_DIR``, else ``~/.cache/grasp``."""
    return Path(os.environ.get("GRASP_CACHE_DIR") or Path.home() / ".cache" / "grasp").expanduser()


def read_mesh(path: Path) -> trimesh.Trimesh:
    """A mesh file as one triangle mesh.

    Raises:
        BrokenModelError: unreadable, empty, flat, or with NaN; the message names the file.
    """
    try:
        mesh = trimesh.load(path, force="mesh", process=True)
    except Exception as error:
        raise BrokenModelError(f"{path}: cannot be read as a mesh ({type(error).__name__}: {error})") from error
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0:
        raise BrokenModelError(f"{path}: holds no triangles")
    # Files with normals or texture coordinates list a corner once a face; geometry wants it once.
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    if not mesh.is_volume:
        mesh = _without_slivers(mesh)
    if not np.isfinite(mesh.vertices).all():
        raise BrokenModelError(f"{path}: has vertices that are not finite")
    if float(mesh.extents.min()) <= 1e-6 * float(mesh.extents.max()):
        raise BrokenModelError(f"{path}: is flat; its bounding box is {mesh.extents.tolist()}")
    return mesh


def _without_slivers(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh without loose pieces of fewer than four triangles, which enclose nothing, where a solid is left."""
    pieces = mesh.split(only_watertight=False)
    solid = [piece for piece in pieces if len(piece.faces) >= 4]
    return trimesh.util.concatenate(solid) if solid and len(solid) < len(pieces) else mesh


def inset(part: trimesh.Trimesh, distance: float) -> trimesh.Trimesh:
    """A convex part with every face moved inwards by ``distance`` (units of the mesh); less where it is too thin."""
    hull = part.convex_hull
    normals = hull.face_normals
    offsets = -np.einsum("ij,ij->i", normals, hull.triangles[:, 0])
    # The largest ball inside: its middle, its radius.
    rows = np.c_[normals, np.ones(len(normals))]
    ball = linprog([0, 0, 0, -1], A_ub=rows, b_ub=-offsets, bounds=[(None, None)] * 3 + [(0, None)])
    if not ball.success or ball.x[3] <= 0.0:
        return hull
    distance = min(distance, (1.0 - KEPT_SHARE) * float(ball.x[3]))
    points = HalfspaceIntersection(np.c_[normals, offsets + distance], ball.x[:3]).intersections
    return trimesh.Trimesh(points).convex_hull


def mass_properties(parts: list[trimesh.Trimesh]) -> tuple[float, Array, Array]:
    """Volume, centre of mass [3] and inertia per mass [3] (diagonal, about the centre) of convex parts together."""
    hulls = [part if part.is_volume else part.convex_hull for part in parts]
    # Slivers between parts enclose nothing.
    hulls = [hull for hull in hulls if abs(hull.volume) > 0.0]
    volumes = np.array([abs(hull.volume) for hull in hulls])
    centres = np.array([hull.center_mass for hull in hulls])
    volume = float(volumes.sum())
    com = (volumes[:, None] * centres).sum(axis=0) / volume
    inertia = np.zeros(3)
    for hull, part_volume, centre in zip(hulls, volumes, centres, strict=True):
        r = centre - com
        inertia += np.abs(np.diag(hull.moment_inertia)) / max(float(hull.density), 1e-12)
        inertia += part_volume * (r @ r - r**2)
    return volume, com, inertia / volume


@functools.lru_cache(maxsize=4096)
def prepare(path: Path, ready_parts: tuple[Path, ...] = (), exact: bool = False) -> MeshData:
    """Everything needed to simulate a mesh file.

    Args:
        path: OBJ, STL or PLY, or a URDF with one mesh.
        ready_parts: convex parts that are at hand; empty to have them computed and cached.
        exact: for a file in metres: make its parts smaller by what the simulator adds around them, so that contact
            happens at the surface and blocks that touch in the file touch in the simulation.

    Raises:
        BrokenModelError: the file, or one of the parts, cannot be used.
    """
    visual = path
    if path.suffix.lower() == ".urdf":
        visual, collisions = _meshes_of_urdf(path)
        ready_parts = ready_parts or tuple(c for c in collisions if c != visual)
    mesh = read_mesh(visual)
    part_files = ready_parts or _convex_parts(visual, mesh)
    bodies = [body for part in part_files for body in _split(read_mesh(part))]
    volume, com, inertia = mass_properties([mesh] if mesh.is_volume else bodies)
    if exact:
        part_files = _cached(visual, "exact", lambda folder: _write_inset(part_files, folder))
    if visual.suffix.lower() != ".obj":
        visual = _cached(visual, "visual", lambda folder: _write_visual(mesh, folder))[0]
    low, high = np.asarray(mesh.bounds, dtype=np.float64)
    return MeshData(visual, part_files, low, high, volume, com, inertia)


def _split(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    parts = mesh.split(only_watertight=False)
    return [p for p in parts if len(p.vertices) >= 4] or [mesh]


def _write_visual(mesh: trimesh.Trimesh, folder: Path) -> None:
    mesh.export(folder / "visual.obj", include_texture=False)


def _write_inset(parts: tuple[Path, ...], folder: Path) -> None:
    for index, part in enumerate(parts):
        smaller = inset(read_mesh(part), CONTACT_MARGIN_M)
        smaller.export(folder / f"part_{index:02d}.obj", include_texture=False)


def _convex_parts(path: Path, mesh: trimesh.Trimesh) -> tuple[Path, ...]:
    def write(folder: Path) -> None:
        for index, part in enumerate(_decompose(mesh)):
            part.export(folder / f"part_{index:02d}.obj", include_texture=False)

    return _cached(path, "convex", write)


def _decompose(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    hull = mesh.convex_hull
    if mesh.is_volume and hull.volume <= (1.0 + CONVEX_EXCESS) * abs(mesh.volume):
        return [hull]
    coacd.set_log_level("error")
    # A sound mesh is cut as it is; one with holes is wrapped first, which thickens it, so that finer cuts are in vain.
    parts = coacd.run_coacd(
        coacd.Mesh(mesh.vertices, mesh.faces),
        threshold=0.02 if mesh.is_volume else 0.04,
        max_convex_hull=16,
        preprocess_mode="off" if mesh.is_volume else "auto",
        preprocess_resolution=50,
        decimate=True,
        max_ch_vertex=64,
        seed=0,
    )
    return [trimesh.Trimesh(vertices, faces).convex_hull for vertices, faces in parts]


def _cached(path: Path, kind: str, write: Callable[[Path], None]) -> tuple[Path, ...]:
    """Files made from a mesh file, from the cache or made now; safe against two processes doing so at once."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    folder = cache_folder() / "meshes" / f"{digest}_{kind}_{CACHE_VERSION}"
    if not (folder / "done.json").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            write(made)
            (made / "done.json").write_text(json.dumps({"source": path.name}), encoding="utf-8")
            try:
                made.rename(folder)
            except OSError:
                if not (folder / "done.json").exists():
                    raise
    return tuple(sorted(folder.glob("*.obj")))


def _meshes_of_urdf(path: Path) -> tuple[Path, tuple[Path, ...]]:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise BrokenModelError(f"{path}: is no valid URDF ({error})") from error

    def files(kind: str) -> list[Path]:
        tags = root.findall(f"link/{kind}/geometry/mesh")
        return [(path.parent / tag.get("filename", "").removeprefix("package://")).resolve() for tag in tags]

    visuals, collisions = files("visual"), files("collision")
    if not visuals:
        raise BrokenModelError(f"{path}: has no mesh to show")
    for file in [*visuals, *collisions]:
        if not file.is_file():
            raise BrokenModelError(f"{path}: names the mesh {file.name}, which is not there")
    return visuals[0], tuple(collisions)
