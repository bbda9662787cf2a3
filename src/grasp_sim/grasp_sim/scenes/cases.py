# SPDX-License-Identifier: Apache-2.0
"""Arrangements from files, in the format of the Visual Pushing for Grasping test cases.

A line is ``mesh r g b x y z alpha beta gamma``: a mesh file of the blocks folder beside it (or the name of one of our
blocks), a colour in 0..1, a position in metres in the frame of that paper's simulation, and V-REP's angles
(R_x(alpha) R_y(beta) R_z(gamma)). Lines outside of that workspace are parked objects and no part of the case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.cell import SceneError
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import Array, transform

# The paper's workspace: 0.448 m square, table at z = 0 (metres).
CASE_MIN = np.array([-0.724, -0.224, -0.01])
CASE_MAX = np.array([-0.276, 0.224, 0.4])


@dataclass(frozen=True)
class CaseObject:
    """One line of a case, its pose in the case's frame."""

    mesh: str
    colour: tuple[float, float, float, float]
    T_case_object: Array


def read_case(path: Path) -> list[CaseObject]:
    """The objects of a case, parked ones left out.

    Raises:
        SceneError: the file cannot be read, a line is no object, or nothing remains.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"{path}: cannot be read ({error})") from error
    objects = []
    for number, line in enumerate(lines, start=1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        entry = _parse(text, f"{path}:{number}")
        position = entry.T_case_object[:3, 3]
        if np.all(position >= CASE_MIN) and np.all(position <= CASE_MAX):
            objects.append(entry)
    if not objects:
        raise SceneError(f"{path}: no object lies inside of the workspace x -0.724..-0.276, y -0.224..0.224")
    return objects


def T_base_case(workspace: BoxRegion, support_z_m: float) -> Array:
    """Where the case's frame stands: turned by half a turn about z, the centres of both workspaces on each other."""
    centre_case = 0.5 * (CASE_MIN + CASE_MAX)
    centre = 0.5 * (np.array(workspace.min_m) + np.array(workspace.max_m))
    half_turn = Rotation.from_euler("z", math.pi)
    shift = np.array([*centre[:2], support_z_m]) - half_turn.apply([centre_case[0], centre_case[1], 0.0])
    return transform(shift, half_turn)


def write_case(path: Path, objects: list[CaseObject]) -> None:
    """Write an arrangement in the same format."""
    rows = []
    for entry in objects:
        angles = Rotation.from_matrix(entry.T_case_object[:3, :3]).as_euler("XYZ")
        numbers = [*entry.colour[:3], *entry.T_case_object[:3, 3], *angles]
        rows.append(" ".join([entry.mesh, *(f"{value:.6f}" for value in numbers)]))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _parse(text: str, where: str) -> CaseObject:
    parts = text.split()
    try:
        values = [float(part) for part in parts[1:]]
    except ValueError as error:
        raise SceneError(f"{where}: {error}") from error
    if len(values) != 9 or not np.isfinite(values).all():
        raise SceneError(f"{where}: expected a mesh and nine numbers (colour, position, angles), got {text[:60]!r}")
    rotation = Rotation.from_euler("XYZ", values[6:9])
    r, g, b = np.clip(values[:3], 0.0, 1.0).tolist()
    return CaseObject(parts[0], (r, g, b, 1.0), transform(values[3:6], rotation))
