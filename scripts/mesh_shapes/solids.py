# SPDX-License-Identifier: Apache-2.0
"""Watertight solids to build robot links from: turned parts, tubes, rounded boxes, hulls; in metres, along z."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import trimesh

Vector = Sequence[float]
SEGMENTS = 20


def _frame_to(direction: np.ndarray) -> np.ndarray:
    """Rotation whose z axis is `direction`."""
    z = direction / np.linalg.norm(direction)
    helper = np.array([1.0, 0.0, 0.0]) if abs(z[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    return np.column_stack([x, np.cross(z, x), z])


def placed(mesh: trimesh.Trimesh, at: Vector = (0, 0, 0), rpy: Vector = (0, 0, 0)) -> trimesh.Trimesh:
    """Copy of a mesh, rotated by fixed-axis roll, pitch, yaw and then moved."""
    transform = trimesh.transformations.euler_matrix(*rpy, axes="sxyz")
    transform[:3, 3] = at
    copy = mesh.copy()
    copy.apply_transform(transform)
    return copy


def lathe(
    profile: Iterable[tuple[float, float]], at: Vector = (0, 0, 0), axis: Vector = (0, 0, 1), segments: int = SEGMENTS
) -> trimesh.Trimesh:
    """Turn (radius, height) pairs around `axis` through `at`; open ends are closed with a disc."""
    points = [(float(r), float(z)) for r, z in profile]
    if points[0][0] > 0:
        points.insert(0, (0.0, points[0][1]))
    if points[-1][0] > 0:
        points.append((0.0, points[-1][1]))
    angles = np.arange(segments) * 2 * np.pi / segments
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    vertices = [np.array([[0.0, 0.0, points[0][1]]])]
    vertices += [np.column_stack([r * circle, np.full(segments, z)]) for r, z in points[1:-1]]
    vertices.append(np.array([[0.0, 0.0, points[-1][1]]]))
    rings = len(points) - 2
    last = 1 + rings * segments
    here = np.arange(segments)
    after = (here + 1) % segments
    faces = [np.column_stack([np.zeros(segments, int), 1 + after, 1 + here])]
    for ring in range(rings - 1):
        low, high = 1 + ring * segments, 1 + (ring + 1) * segments
        faces.append(np.column_stack([low + here, low + after, high + after]))
        faces.append(np.column_stack([low + here, high + after, high + here]))
    top = 1 + (rings - 1) * segments
    faces.append(np.column_stack([np.full(segments, last), top + here, top + after]))
    mesh = trimesh.Trimesh(np.vstack(vertices), np.vstack(faces), process=False)
    if mesh.volume < 0:
        mesh.invert()
    transform = np.eye(4)
    transform[:3, :3] = _frame_to(np.asarray(axis, float))
    transform[:3, 3] = at
    mesh.apply_transform(transform)
    return mesh


def tube(
    start: Vector,
    end: Vector,
    radius: float,
    end_radius: float | None = None,
    bevel: float = 0.004,
    segments: int = SEGMENTS,
) -> trimesh.Trimesh:
    """Cylinder or cone from `start` to `end` with bevelled edges."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(end - start))
    r0, r1 = radius, radius if end_radius is None else end_radius
    b = min(bevel, length / 3, min(r0, r1) / 2)
    c = b * 0.3
    profile = [(r0 - b, 0), (r0 - c, c), (r0, b), (r1, length - b), (r1 - c, length - c), (r1 - b, length)]
    return lathe(profile, start, end - start, segments)


def dome(
    start: Vector, end: Vector, radius: float, height: float | None = None, segments: int = SEGMENTS
) -> trimesh.Trimesh:
    """Cylinder from `start` to `end` whose far end is an elliptic cap of `height` (default: the radius) on top."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(end - start))
    height = radius if height is None else height
    arc = [(radius * np.cos(a), length + height * np.sin(a)) for a in np.linspace(0, np.pi / 2, 7)]
    arc[-1] = (0.0, length + height)
    return lathe([(radius, 0.0), *arc], start, end - start, segments)


def ball(at: Vector, radius: float, rings: int = 8, segments: int = SEGMENTS) -> trimesh.Trimesh:
    """Sphere."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    return lathe(
        [(radius * np.cos(a) if 0 < i < rings else 0.0, radius * np.sin(a)) for i, a in enumerate(angles)],
        at,
        segments=segments,
    )


def capsule(
    start: Vector, end: Vector, radius: float, end_radius: float | None = None, segments: int = SEGMENTS
) -> trimesh.Trimesh:
    """Round-ended tube."""
    r1 = radius if end_radius is None else end_radius
    return hull(ball(start, radius, segments=segments), ball(end, r1, segments=segments))


def hull(*meshes: trimesh.Trimesh) -> trimesh.Trimesh:
    """Convex hull of all given meshes: a loft between them."""
    points = np.unique(np.round(np.vstack([mesh.vertices for mesh in meshes]), 7), axis=0)
    return trimesh.convex.convex_hull(points)


def box(size: Vector, at: Vector = (0, 0, 0), rpy: Vector = (0, 0, 0), bevel: float = 0.003) -> trimesh.Trimesh:
    """Box with bevelled edges, centred at `at`."""
    half = np.asarray(size, float) / 2
    b = min(bevel, 0.45 * float(half.min()))
    signs = np.array([[sx, sy, sz] for sx in (-1, 1) for sy in (-1, 1) for sz in (-1, 1)], float)
    points = []
    for axis in range(3):
        shrink = np.full(3, b)
        shrink[axis] = 0.0
        points.append(signs * (half - shrink))
    return placed(trimesh.convex.convex_hull(np.vstack(points)), at, rpy)


def rounded_box(
    size: Vector, radius: float, at: Vector = (0, 0, 0), rpy: Vector = (0, 0, 0), segments: int = 12
) -> trimesh.Trimesh:
    """Box whose edges and corners have a radius: the hull of eight balls."""
    half = np.asarray(size, float) / 2 - radius
    balls = [
        ball((sx * half[0], sy * half[1], sz * half[2]), radius, rings=6, segments=segments)
        for sx in (-1, 1)
        for sy in (-1, 1)
        for sz in (-1, 1)
    ]
    return placed(hull(*balls), at, rpy)


def loft(
    sections: Sequence[tuple[float, float, float, float, float]], corner: float, segments: int = 24
) -> trimesh.Trimesh:
    """Skin over rounded rectangles stacked along z, each (z, x size, y size, x centre, y centre)."""
    quarter = segments // 4
    rings = []
    for z, sx, sy, cx, cy in sections:
        r = min(corner, 0.49 * min(sx, sy))
        ring = []
        for k, (ux, uy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
            angles = k * np.pi / 2 + np.linspace(0, np.pi / 2, quarter)
            ring += [
                (cx + ux * (sx / 2 - r) + r * np.cos(a), cy + uy * (sy / 2 - r) + r * np.sin(a), z) for a in angles
            ]
        rings.append(np.asarray(ring))
    count = len(rings[0])
    low, high = rings[0].mean(axis=0), rings[-1].mean(axis=0)
    vertices = np.vstack([low[None], *rings, high[None]])
    here = np.arange(count)
    after = (here + 1) % count
    last = len(vertices) - 1
    faces = [np.column_stack([np.zeros(count, int), 1 + after, 1 + here])]
    for ring in range(len(rings) - 1):
        a, b = 1 + ring * count, 1 + (ring + 1) * count
        faces.append(np.column_stack([a + here, a + after, b + after]))
        faces.append(np.column_stack([a + here, b + after, b + here]))
    top = 1 + (len(rings) - 1) * count
    faces.append(np.column_stack([np.full(count, last), top + here, top + after]))
    mesh = trimesh.Trimesh(vertices, np.vstack(faces), process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh
