# SPDX-License-Identifier: Apache-2.0
"""Makes the toy blocks, nine shapes as light OBJ meshes with their convex parts, and two larger tiles.

Run it again after changing a shape: ``python scripts/make_blocks.py`` (with ``env.sh`` sourced). Blocks are prisms
along z, in metres, their frame at the centre of the bounding box. The arch, the only one that is not convex, gets one
part a segment. Parts are smaller than what is seen by the margin that the simulator adds around a convex mesh.

Sizes follow a module of 48 mm, so that each block fits between fingers that open by 110 mm, three side by side do not,
and the long ones not from end to end either. They also fit each other without a gap for a finger: two wedges and a cube
are as long as a brick, two triangles fill the square in a ring of four bricks, a half cylinder closes an arch, and a
cylinder or a hexagon stands in the hole of two. What is packed so leaves no room for a finger.

A hand that straddles the corner of such a pack may still turn a block out of it as it closes. Tiles are too large for
that, two of them side by side too, but each alone fits between the fingers: a slab as long as a brick and a quarter of
a disc.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from grasp_sim.objects.meshes import CONTACT_MARGIN_M, inset

TARGET = Path(__file__).resolve().parents[1] / "src" / "grasp_sim" / "grasp_sim" / "data"
ARC_POINTS = 24
ARCH_SEGMENTS = 8


def prism(outline: np.ndarray, depth_m: float) -> trimesh.Trimesh:
    """Convex prism over an outline [n, 2], centred in z."""
    z = 0.5 * depth_m
    points = np.concatenate([np.c_[outline, np.full(len(outline), s)] for s in (-z, z)])
    return trimesh.convex.convex_hull(points)


def box(x_m: float, y_m: float, z_m: float) -> trimesh.Trimesh:
    """A box."""
    return trimesh.creation.box((x_m, y_m, z_m))


def arc(radius_m: float, start: float, end: float, count: int = ARC_POINTS) -> np.ndarray:
    """Points [count, 2] on a circle about the origin."""
    angles = np.linspace(start, end, count)
    return radius_m * np.c_[np.cos(angles), np.sin(angles)]


def arch(width_m: float, height_m: float, depth_m: float, hole_radius_m: float) -> tuple[trimesh.Trimesh, list]:
    """A block with a half-round passage below: the whole mesh and its convex parts."""
    inner = arc(hole_radius_m, 0.0, np.pi, ARCH_SEGMENTS + 1)
    # Where the ray through each inner point leaves the block.
    half = 0.5 * width_m
    with np.errstate(divide="ignore"):
        reach = np.minimum(half / np.abs(inner[:, 0]), height_m / np.maximum(inner[:, 1], 1e-12))
    outer = inner * reach[:, None]
    corners = [np.array([half, height_m]), np.array([-half, height_m])]
    parts = []
    for k in range(ARCH_SEGMENTS):
        outline = [inner[k], inner[k + 1], outer[k + 1], outer[k]]
        for corner in corners:
            angles = [np.arctan2(p[1], p[0]) for p in (outer[k], corner, outer[k + 1])]
            if angles[0] < angles[1] < angles[2]:
                outline.append(corner)
        parts.append(prism(np.array(outline), depth_m))
    whole = trimesh.util.concatenate(parts)
    shift = -whole.bounds.mean(axis=0)
    for mesh in [whole, *parts]:
        mesh.apply_translation(shift)
    return whole, parts


def shapes() -> dict[str, tuple[trimesh.Trimesh, list[trimesh.Trimesh]]]:
    """Every block with its convex parts (none: it is convex itself)."""
    hexagon = arc(0.0252, 0.0, 2.0 * np.pi, 7)[:6]
    triangle = np.array([[-0.0478, 0.0], [0.0478, 0.0], [0.0, 0.0478]])
    wedge = np.array([[0.0, 0.0], [0.068, 0.0], [0.0, 0.048]])
    half_disc = arc(0.0252, 0.0, np.pi)
    convex = {
        "brick": box(0.116, 0.048, 0.048),
        "cube": box(0.048, 0.048, 0.048),
        "cylinder": prism(arc(0.025, 0.0, 2.0 * np.pi, ARC_POINTS + 1)[:-1], 0.048),
        "half_cylinder": prism(half_disc, 0.048),
        "hexagon": prism(hexagon, 0.048),
        "plank": box(0.116, 0.048, 0.020),
        "triangle": prism(triangle, 0.048),
        "wedge": prism(wedge, 0.048),
    }
    made: dict[str, tuple[trimesh.Trimesh, list[trimesh.Trimesh]]] = {}
    for name, mesh in convex.items():
        mesh.apply_translation(-mesh.bounds.mean(axis=0))
        made[name] = (mesh, [])
    made["arch"] = arch(0.116, 0.052, 0.048, 0.026)
    return dict(sorted(made.items()))


def tiles() -> dict[str, tuple[trimesh.Trimesh, list[trimesh.Trimesh]]]:
    """Every tile; all are convex."""
    quarter = np.concatenate([[[0.0, 0.0]], arc(0.075, 0.0, 0.5 * np.pi, ARC_POINTS // 2)])
    made = {"quarter": prism(quarter, 0.048), "slab": box(0.116, 0.084, 0.048)}
    for mesh in made.values():
        mesh.apply_translation(-mesh.bounds.mean(axis=0))
    return {name: (mesh, []) for name, mesh in made.items()}


def write(mesh: trimesh.Trimesh, path: Path, comment: str) -> None:
    """One OBJ file: flat-shaded triangles, micrometre precision."""
    lines = [f"# {comment}", f"o {path.stem}"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.vertices]
    lines += [f"vn {x:.5f} {y:.5f} {z:.5f}" for x, y, z in mesh.face_normals]
    lines += ["f " + " ".join(f"{v + 1}//{k + 1}" for v in face) for k, face in enumerate(mesh.faces)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write all blocks and tiles."""
    for folder, made in (("blocks", shapes()), ("tiles", tiles())):
        target = TARGET / folder
        target.mkdir(parents=True, exist_ok=True)
        for old in target.glob("*.obj"):
            old.unlink()
        for name, (mesh, parts) in made.items():
            write(mesh, target / f"{name}.obj", "SPDX-License-Identifier: Apache-2.0; made by scripts/make_blocks.py")
            for index, part in enumerate(parts or [mesh]):
                part = inset(part, CONTACT_MARGIN_M)
                write(part, target / f"{name}.part{index}.obj", "SPDX-License-Identifier: Apache-2.0; a convex part")
            size = 1000.0 * mesh.extents
            print(
                f"{name:14s} {size[0]:5.1f} x {size[1]:5.1f} x {size[2]:5.1f} mm  {max(1, len(parts))} convex part(s)"
            )


if __name__ == "__main__":
    main()
