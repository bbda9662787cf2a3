# SPDX-License-Identifier: Apache-2.0
"""Obstacles say what is wrong with them, before a planner is given them."""

import numpy as np
import pytest

from grasp_core.planning import Box, Mesh, PlanOptions, VoxelGrid

NAN, INF = float("nan"), float("inf")
CORNERS = np.eye(3)
FACE = np.array([[0, 1, 2]])


@pytest.mark.parametrize("edge", [0.0, -0.1, NAN, INF])
def test_a_box_has_edges(edge):
    with pytest.raises(ValueError, match=r"box table has size .*positive and finite"):
        Box("table", np.eye(4), (1.0, edge, 1.0))


def test_a_box_has_three_edges():
    with pytest.raises(ValueError, match="three edges"):
        Box("table", np.eye(4), (1.0, 1.0))


@pytest.mark.parametrize(
    ("vertices", "triangles", "said"),
    [
        (CORNERS[:, :2], FACE, r"vertices \(3, 2\)"),
        (np.where(np.eye(3) > 0, NAN, 0.0), FACE, "finite"),
        (CORNERS, FACE[0], r"triangles \(3,\)"),
        (CORNERS, np.array([[0, 1, 3]]), "beyond its 3"),
        (CORNERS, np.array([[0, 1, -1]]), "beyond its 3"),
    ],
)
def test_a_mesh_is_one(vertices, triangles, said):
    with pytest.raises(ValueError, match=said):
        Mesh("cup", np.eye(4), vertices, triangles)


@pytest.mark.parametrize("voxel_m", [0.0, -0.01, NAN, INF])
def test_voxels_have_an_edge(voxel_m):
    with pytest.raises(ValueError, match=r"voxel_m of seen is .*positive and finite"):
        VoxelGrid("seen", np.eye(4), voxel_m, np.zeros((2, 2, 2), bool))


@pytest.mark.parametrize("occupied", [np.zeros((2, 2), bool), np.zeros((2, 2, 2))])
def test_voxels_fill_a_grid(occupied):
    with pytest.raises(ValueError, match=r"voxel grid seen is .*bool \[nx, ny, nz\]"):
        VoxelGrid("seen", np.eye(4), 0.01, occupied)


@pytest.mark.parametrize("values", [{"speed_scale": NAN}, {"speed_scale": 1.1}, {"timeout_s": NAN}, {"timeout_s": INF}])
def test_plan_options_are_numbers(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        PlanOptions(**values)


def test_what_is_right_is_taken():
    Box("table", np.eye(4), (1.0, 0.5, 0.02))
    Mesh("cup", np.eye(4), CORNERS, FACE)
    Mesh("nothing", np.eye(4), np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    VoxelGrid("seen", np.eye(4), 0.01, np.zeros((2, 2, 2), bool))
