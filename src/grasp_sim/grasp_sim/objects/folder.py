# SPDX-License-Identifier: Apache-2.0
"""Finds the models in a folder laid out as YCB, KIT, BigBIRD, ShapeNet or simply as files.

One model a folder where folders hold several resolutions or formats of the same thing; else one model a file.
"""

from __future__ import annotations

import os
from pathlib import Path

from grasp_core.config import ConfigError
from grasp_sim.objects.meshes import SUFFIXES

# Inside of one object's folder, best first: YCB (google_16k, poisson), ShapeNet (models), KIT (800 faces), BigBIRD.
PREFERRED = (
    "google_16k/nontextured.ply",
    "google_16k/nontextured.stl",
    "google_16k/textured.obj",
    "poisson/nontextured.ply",
    "poisson/textured.obj",
    "tsdf/nontextured.ply",
    "tsdf/textured.obj",
    "clouds/nontextured.ply",
    "models/model_normalized.obj",
    "meshes/poisson.ply",
    "textured_meshes/optimized_tsdf_texture_mapped_mesh.obj",
)
RESOLUTION_MARKS = ("_800_tex", "_5k_tex", "_25k_tex", "_800", "_5k", "_25k", "_Orig_tex")
DEPTH = 4


def find_models(folder: str) -> dict[str, Path]:
    """Model files by object name.

    Raises:
        ConfigError: there is no such folder, or nothing usable is in it.
    """
    root = Path(os.path.expandvars(folder)).expanduser()
    if not root.is_dir():
        raise ConfigError(f"there is no folder of models at {folder} (looked at {root})")
    found: dict[str, Path] = {}
    _collect(root, root, found, 0)
    if not found:
        raise ConfigError(f"{root} holds no model; known are {', '.join(SUFFIXES)} and .urdf")
    return dict(sorted(found.items()))


def _collect(root: Path, folder: Path, found: dict[str, Path], depth: int) -> None:
    chosen = next((folder / name for name in PREFERRED if (folder / name).is_file()), None)
    if chosen is not None:
        found[_name(root, folder)] = chosen
        return
    files = sorted(p for p in folder.iterdir() if p.is_file())
    urdfs = [p for p in files if p.suffix.lower() == ".urdf"]
    # A URDF says which of the meshes beside it belong together; without one every mesh is an object of its own.
    for path in urdfs or _one_resolution([p for p in files if p.suffix.lower() in SUFFIXES]):
        found[_name(root, _unmarked(path))] = path
    if depth < DEPTH:
        for child in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
            _collect(root, child, found, depth + 1)


def _one_resolution(files: list[Path]) -> list[Path]:
    best: dict[Path, Path] = {}
    for path in files:
        base = _unmarked(path)
        rank = [mark in path.stem for mark in RESOLUTION_MARKS]
        if base not in best or rank > [mark in best[base].stem for mark in RESOLUTION_MARKS]:
            best[base] = path
    return list(best.values())


def _unmarked(path: Path) -> Path:
    stem = path.stem
    for mark in RESOLUTION_MARKS:
        stem = stem.removesuffix(mark)
    return path.with_name(stem)


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else root.name
