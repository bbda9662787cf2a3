# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import trimesh

from grasp_fusion.analytic_scene import photograph
from grasp_fusion.surface import mesh, point_cloud, write_ply


def distance_to_scene(points: np.ndarray) -> np.ndarray:
    """Distance of points to the nearest surface of the table, ball and box of conftest."""
    ball = np.abs(np.linalg.norm(points - [0.04, 0.05, 0.05], axis=1) - 0.05)
    outside = np.abs(points - [-0.09, -0.05, 0.04]) - [0.05, 0.05, 0.04]
    box = np.abs(np.linalg.norm(np.maximum(outside, 0.0), axis=1) + np.minimum(outside.max(axis=1), 0.0))
    return np.minimum(np.minimum(ball, box), np.abs(points[:, 2]))


@pytest.fixture
def fused(make_volume, camera, scene, ring):
    volume = make_volume()
    for n, T in enumerate(ring(10)):
        volume.integrate(photograph(scene, T, camera, n).frame)
    return volume


def test_points_lie_on_the_scene(fused):
    cloud = point_cloud(fused)
    assert len(cloud) > 5000
    off_m = distance_to_scene(cloud.points_m.astype(np.float64))
    assert np.median(off_m) < 0.001
    assert np.percentile(off_m, 95) < 0.005
    table = np.abs(cloud.points_m[:, 2]) < 0.001
    assert np.median(cloud.normals[table][:, 2]) > 0.99
    assert np.median(cloud.rgb[table], axis=0) == pytest.approx([120, 110, 100], abs=1)


def test_the_mesh_lies_on_the_scene_and_faces_outward(fused):
    found = mesh(fused)
    assert len(found.triangles) > 10_000
    assert np.median(distance_to_scene(found.vertices_m.astype(np.float64))) < 0.001
    a, b, c = (found.vertices_m[found.triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    flat = np.abs(found.vertices_m[found.triangles, 2]).max(axis=1) < 0.002
    assert (faces[flat][:, 2] > 0.0).mean() > 0.99
    assert np.median(found.normals[np.abs(found.vertices_m[:, 2]) < 0.001][:, 2]) > 0.99
    assert len(mesh(fused, step_voxels=2).triangles) < 0.4 * len(found.triangles)
    with pytest.raises(ValueError, match="step_voxels"):
        mesh(fused, step_voxels=0)


def test_ply_files_read_back(fused, tmp_path):
    for thing, name in ((mesh(fused), "mesh.ply"), (point_cloud(fused), "cloud.ply")):
        write_ply(thing, tmp_path / name)
        read = trimesh.load(tmp_path / name, process=False)
        wanted = thing.vertices_m if name == "mesh.ply" else thing.points_m
        np.testing.assert_allclose(np.asarray(read.vertices), wanted, atol=1e-6)
        colours = read.visual.vertex_colors if name == "mesh.ply" else read.colors
        np.testing.assert_array_equal(np.asarray(colours)[:, :3], thing.rgb)


def test_an_empty_volume_has_no_surface(make_volume, tmp_path):
    volume = make_volume(colour=False)
    assert len(point_cloud(volume)) == 0
    assert len(mesh(volume).triangles) == 0
    with pytest.raises(ValueError, match="no surface has been observed"):
        write_ply(point_cloud(volume), tmp_path / "nothing.ply")
