# SPDX-License-Identifier: Apache-2.0
"""A model is a set of links, each made of coloured solids; this module collects and writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import trimesh

# name: red green blue alpha; vendor-like colours, no logos
COLOURS = {
    "aluminium": "0.72 0.73 0.75 1",
    "steel": "0.55 0.57 0.60 1",
    "dark": "0.17 0.18 0.19 1",
    "black": "0.06 0.06 0.07 1",
    "graphite": "0.29 0.30 0.32 1",
    "ur_grey": "0.70 0.72 0.74 1",
    "ur_blue": "0.36 0.62 0.80 1",
    "kuka_white": "0.90 0.90 0.89 1",
    "kuka_orange": "0.93 0.42 0.10 1",
    "kuka_grey": "0.62 0.63 0.65 1",
    "baxter_red": "0.68 0.09 0.11 1",
    "baxter_grey": "0.24 0.25 0.27 1",
    "screen_blue": "0.42 0.62 0.84 1",
    "white": "0.93 0.93 0.92 1",
    "hsr_grey": "0.40 0.42 0.45 1",
    "hsr_blue": "0.20 0.32 0.62 1",
    "staubli_yellow": "0.96 0.76 0.07 1",
    "staubli_grey": "0.35 0.36 0.38 1",
    "lens": "0.03 0.05 0.12 1",
    "rubber": "0.10 0.10 0.11 1",
    "green_light": "0.25 0.80 0.35 1",
}
CREASE_DEG = 34.0


@dataclass
class Model:
    """Coloured solids by link, in link coordinates."""

    name: str
    parts: dict[tuple[str, str], list[trimesh.Trimesh]] = field(default_factory=dict)
    # links that look like the link of the same name of another model, which must be written before
    shared: dict[str, str] = field(default_factory=dict)

    def add(self, link: str, colour: str, *solids: trimesh.Trimesh) -> None:
        """Add solids of one colour to a link."""
        if colour not in COLOURS:
            raise KeyError(f"colour {colour} is not in the table; it has {', '.join(COLOURS)}")
        for solid in solids:
            if not solid.is_watertight:
                raise ValueError(f"{self.name}/{link}: a {colour} solid is not watertight")
        self.parts.setdefault((link, colour), []).extend(solids)

    def copy_link(self, source: str, target: str, transform: np.ndarray | None = None) -> None:
        """Give `target` the solids of `source`, moved by a 4x4 transform (mirroring allowed)."""
        for (link, colour), solids in list(self.parts.items()):
            if link == source:
                copies = [solid.copy() for solid in solids]
                if transform is not None:
                    for copy in copies:
                        copy.apply_transform(transform)
                        if copy.volume < 0:
                            copy.invert()
                self.parts[(target, colour)] = copies


def obj_text(solids: list[trimesh.Trimesh]) -> str:
    """Wavefront text; normals are smooth across edges below the crease angle, coordinates rounded to 0.1 mm."""
    lines = ["# made by scripts/make_meshes.py"]
    vertex_lines: list[str] = []
    normal_lines: list[str] = []
    face_lines: list[str] = []
    vertex_ids: dict[str, int] = {}
    normal_ids: dict[str, int] = {}
    for solid in solids:
        normals = solid.face_normals
        areas = solid.area_faces
        touching: list[list[int]] = [[] for _ in range(len(solid.vertices))]
        for face, corners in enumerate(solid.faces):
            for corner in corners:
                touching[corner].append(face)
        limit = np.cos(np.deg2rad(CREASE_DEG))
        for face, corners in enumerate(solid.faces):
            if areas[face] < 1e-9:
                continue
            tokens = []
            for corner in corners:
                around = touching[corner]
                near = [f for f in around if normals[f] @ normals[face] > limit]
                normal = (normals[near] * areas[near, None]).sum(axis=0) if near else normals[face]
                normal = normal / np.linalg.norm(normal)
                vertex_text = "v " + " ".join(_short(value, 4) for value in solid.vertices[corner])
                normal_text = "vn " + " ".join(_short(value, 2) for value in normal)
                if vertex_text not in vertex_ids:
                    vertex_ids[vertex_text] = len(vertex_ids) + 1
                    vertex_lines.append(vertex_text)
                if normal_text not in normal_ids:
                    normal_ids[normal_text] = len(normal_ids) + 1
                    normal_lines.append(normal_text)
                tokens.append(f"{vertex_ids[vertex_text]}//{normal_ids[normal_text]}")
            face_lines.append("f " + " ".join(tokens))
    return "\n".join(lines + vertex_lines + normal_lines + face_lines) + "\n"


def _short(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def write_model(model: Model, folder: Path) -> None:
    """Write `<folder>/<model>/<link>.<colour>.obj` and `visuals.yaml`, which lists them for the xacro files."""
    target = folder / model.name
    target.mkdir(parents=True, exist_ok=True)
    for stale in [*target.glob("*.obj"), *target.glob("visuals.yaml")]:
        stale.unlink()
    listing: dict[str, list[str]] = {}
    for (link, colour), solids in model.parts.items():
        name = f"{link}.{colour}.obj"
        (target / name).write_text(obj_text(solids), encoding="utf-8")
        listing.setdefault(link, []).append(
            f'  - {{mesh: {model.name}/{name}, material: {colour}, rgba: "{COLOURS[colour]}"}}'
        )
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# made by scripts/make_meshes.py: the meshes of each link, without the name prefix",
    ]
    for link, entries in listing.items():
        lines += [f"{link}:", *entries]
    (target / "visuals.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
