# SPDX-License-Identifier: Apache-2.0
"""The frame that a block of a published arrangement has in its file: not the axes of its mesh.

The simulator those files come from (V-REP) gives an imported mesh a frame of its own: in the middle of the most compact
box around it, with the axes of that box. Which axis became which is not written anywhere; with x along the shortest and
z along the longest edge every block of the published files stands on the table and every two neighbours are 1.8 to
2.3 mm apart, twice the margin of that simulator. The axes of the meshes would have them overlap by up to 47 mm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from grasp_core.geometry import Array
from grasp_sim.objects.meshes import read_mesh

# A box that is turned against the mesh's axes counts only if it is smaller by this factor.
MORE_COMPACT = 0.95
# Mesh axes along x, y, z where the edges do not tell: the round block lies along x.
KNOWN_AXES = {"8.obj": (2, 1, 0)}


def R_mesh_case(path: Path) -> Array:
    """Rotation [3, 3] from the frame that a case file means to the axes of the mesh file."""
    mesh = read_mesh(path)
    axes = np.eye(3)
    T_box_mesh, edges = trimesh.bounds.oriented_bounds(mesh)
    if float(np.prod(edges)) < MORE_COMPACT * float(np.prod(mesh.extents)):
        axes = np.asarray(T_box_mesh)[:3, :3].T
    else:
        edges = mesh.extents
    order = KNOWN_AXES.get(path.name) or tuple(np.argsort(edges, kind="stable"))
    x, y = axes[:, order[0]], axes[:, order[1]]
    return np.column_stack([x, y, np.cross(x, y)])
