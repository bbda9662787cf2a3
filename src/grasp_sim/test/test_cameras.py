# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_core.camera import Intrinsics
from grasp_core.cell_config import DepthNoise
from grasp_core.geometry import look_at, transform
from grasp_sim.cameras import render
from grasp_sim.depth import add_noise, metres_from_buffer
from grasp_sim.engine import Engine, PhysicsSettings


@given(st.floats(0.2, 2.9), st.floats(0.01, 0.15), st.floats(3.0, 10.0))
def test_buffer_gives_back_the_distance(z, near, far):
    # What OpenGL's projection makes of a distance z.
    buffer = np.array([[(far * z - far * near) / ((far - near) * z)]], np.float32)
    assert metres_from_buffer(buffer, near, far)[0, 0] == pytest.approx(z, rel=0.01 * z / near * 1e-3 + 1e-3)


def test_background_is_not_a_number():
    assert np.isnan(metres_from_buffer(np.ones((1, 1), np.float32), 0.1, 3.0)[0, 0])


@pytest.fixture(params=["tiny", "egl"])
def engine(request):
    try:
        engine = Engine(PhysicsSettings(), request.param)
    except RuntimeError as error:
        pytest.skip(str(error))
    yield engine
    engine.close()


def box(engine, size, position):
    api = engine.api
    half = [0.5 * v for v in size]
    shape = api.createCollisionShape(api.GEOM_BOX, halfExtents=half)
    look = api.createVisualShape(api.GEOM_BOX, halfExtents=half, rgbaColor=[1, 0, 0, 1])
    return api.createMultiBody(0, shape, look, position)


def test_plane_and_box_at_known_distances(engine):
    box(engine, (4, 4, 0.1), (0, 0, -0.05))
    body = box(engine, (0.2, 0.2, 0.1), (0.1, 0, 0.05))
    camera = Intrinsics.from_fov(160, 120, 0.8)
    T = look_at((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), up=(0.0, 1.0, 0.0))
    picture = render(engine, camera, T, 0.1, 3.0, segmentation=True)
    # The optical axis looks down: depth is height, everywhere in the picture.
    u, v = camera.project(np.array([[0.1, 0.0, 0.9]]) * [1, -1, 1])[0].round().astype(int)
    assert picture.depth_m[v, u] == pytest.approx(0.9, abs=0.002)
    assert picture.depth_m[5, 5] == pytest.approx(1.0, abs=0.002)
    assert picture.bodies[v, u] == body
    red = picture.rgb[v, u].astype(int)
    assert red[0] > red[1] + 50


def test_slanted_view_measures_the_optical_axis(engine):
    box(engine, (4, 4, 0.1), (0, 0, -0.05))
    camera = Intrinsics(160, 120, 150.0, 150.0, 70.0, 66.0)
    T = look_at((-0.5, 0.1, 0.7), (0.1, 0.0, 0.0))
    points = camera.deproject(render(engine, camera, T, 0.1, 5.0).depth_m)
    heights = (points @ T[:3, :3].T + T[:3, 3])[..., 2]
    # Every pixel lies on the table top, for an off-centre principal point as well.
    assert np.nanmax(np.abs(heights)) < 0.002
    assert np.isfinite(heights).mean() > 0.9


def test_noise_grows_with_distance_and_drops_edges():
    rng = np.random.default_rng(0)
    near, far = np.full((100, 100), 1.0, np.float32), np.full((100, 100), 2.0, np.float32)
    noise = DepthNoise(sigma_m=0.002)
    assert add_noise(near, noise, rng).std() == pytest.approx(0.002, rel=0.1)
    assert add_noise(far, noise, rng).std() == pytest.approx(0.008, rel=0.1)
    step = np.concatenate([near, far], axis=1)
    dropped = np.isnan(add_noise(step, DepthNoise(edge_dropout=1.0), rng))
    assert dropped[:, 99:101].all()
    assert not dropped[:, :98].any()
    steps = add_noise(near + 0.0013, DepthNoise(quantisation_m=0.005), rng)
    assert np.allclose(steps, 1.0)


def test_no_noise_changes_nothing():
    depth = np.full((8, 8), 1.5, np.float32)
    assert np.array_equal(add_noise(depth, DepthNoise(), np.random.default_rng(0)), depth)


def test_camera_moves_with_the_arm(ur5):
    ur5.reset("single", 0)
    before = ur5.world.cameras["wrist_camera"].pose_only().T_base_camera
    joints = ur5.world.robot.positions()
    ur5.world.take_over({"shoulder_pan_joint": joints["shoulder_pan_joint"] + 0.3})
    after = ur5.world.cameras["wrist_camera"].pose_only().T_base_camera
    turned = transform(rotation=np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]]))
    assert np.allclose(after, turned @ before, atol=1e-6)
