# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grasp_core.camera import CameraFrame, FrameError, Intrinsics, depth_to_metres
from grasp_core.config import ConfigError
from grasp_core.geometry import NotRigidError, look_at, transform
from grasp_fusion.analytic_scene import Plane, Sphere, photograph
from grasp_fusion.config import TsdfConfig
from grasp_fusion.render import ViewStatus, render_views
from grasp_fusion.volume import InvalidFrameError, PoseJumpError, StaleFrameError, TsdfVolume

fresh = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def down(z_m: float = 0.5) -> np.ndarray:
    return look_at((0.0, 0.0, z_m), (0.0, 0.0, 0.0), up=(0.0, 1.0, 0.0))


def voxel(volume: TsdfVolume, point_m: tuple[float, float, float]) -> tuple[int, ...]:
    return tuple(np.rint((np.array(point_m) - volume.T_base_volume[:3, 3]) / volume.config.voxel_m).astype(int))


def test_one_picture_of_a_table(make_volume, camera):
    volume = make_volume()
    volume.integrate(photograph((Plane(rgb=(10, 200, 90)),), down(), camera).frame)
    tsdf = volume.tsdf()
    assert tsdf.shape == volume.config.shape == (80, 80, 48)
    # Over the table's centre the distance along the optical axis is the height itself.
    column = tsdf[40, 40]
    heights = volume.T_base_volume[2, 3] + 0.005 * np.arange(48)
    expected = np.where(heights >= -0.02, np.minimum(heights / 0.02, 1.0), np.nan)
    np.testing.assert_allclose(column, expected, atol=1e-5)
    colours = volume.colours()
    assert colours[40, 40, voxel(volume, (0, 0, 0))[2]].tolist() == [10, 200, 90]
    assert colours[40, 40, -1].tolist() == [0, 0, 0], "free space has no colour"


def test_outside_the_view_nothing_changes(make_volume, camera, scene, ring):
    volume = make_volume()
    volume.integrate(photograph(scene, ring(1)[0], camera, 0).frame)
    before = volume.tsdf()
    narrow = replace(camera, fx=10 * camera.fx, fy=10 * camera.fy)
    picture = photograph(scene, down(), narrow, 1).frame
    volume.integrate(picture)
    changed = (volume.tsdf() != before) & ~(np.isnan(volume.tsdf()) & np.isnan(before))
    where = np.argwhere(changed) * 0.005 + volume.T_base_volume[:3, 3]
    assert len(where) > 50
    half_width_m = np.array([0.5 * narrow.width / narrow.fx, 0.5 * narrow.height / narrow.fy]) * (0.5 + 0.02)
    assert (np.abs(where[:, :2]) <= half_width_m).all()


def test_moving_average_forgets_and_mean_remembers(make_volume, camera):
    frames = [photograph((Plane(offset_m=h),), down(), camera, n).frame for n, h in enumerate((0.0, 0.01))]
    for mode, settled in (("ema", 0.2 * 0.1 + 0.8 * -0.4), ("mean", 0.5 * (0.1 - 0.4))):
        volume = make_volume(mode=mode)
        for frame in frames:
            volume.integrate(frame)
        at = voxel(volume, (0.0025, 0.0025, 0.0025))
        assert volume.T_base_volume[2, 3] + 0.005 * at[2] == pytest.approx(0.0025)
        first, second = (0.0025 - 0.0) / 0.02, (0.0025 - 0.01) / 0.02
        settled = 0.2 * first + 0.8 * second if mode == "ema" else 0.5 * (first + second)
        assert volume.tsdf()[at] == pytest.approx(settled, abs=1e-5)


@fresh
@given(order=st.permutations(range(5)))
def test_mean_does_not_depend_on_the_order(make_volume, camera, scene, ring, order):
    pictures = [photograph(scene, T, camera).frame for T in ring(5)]
    volumes = [make_volume(mode="mean", voxel_m=0.01), make_volume(mode="mean", voxel_m=0.01)]
    for volume, sequence in zip(volumes, (range(5), order), strict=True):
        for index in sequence:
            volume.integrate(pictures[index])
    one, other = (volume.tsdf() for volume in volumes)
    np.testing.assert_allclose(one, other, atol=1e-6)
    colours = [volume.colours().astype(int) for volume in volumes]
    assert np.abs(colours[0] - colours[1]).max() <= 1


@fresh
@given(
    eye=st.tuples(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15), st.floats(0.3, 0.6)),
    roll=st.floats(-np.pi, np.pi),
)
def test_a_plane_stays_a_plane_from_any_pose(make_volume, camera, eye, roll):
    volume = make_volume(colour=False)
    T = look_at(eye, (0.0, 0.0, 0.0), up=(np.cos(roll), np.sin(roll), 0.1))
    volume.integrate(photograph((Plane(),), T, camera).frame)
    view = render_views(volume, [down(0.3)], camera.scaled(40, 30), normals_frame="base")
    seen = view.status[0] == ViewStatus.SURFACE
    assert seen.mean() > 0.5
    np.testing.assert_allclose(view.depth_m[0][seen], 0.3, atol=0.0015)
    assert np.median(view.normals[0][seen][:, 2]) > 0.999


def test_a_moved_object_is_gone_within_three_frames(make_volume, camera):
    volume = make_volume()
    before = (Plane(), Sphere((-0.08, 0.0, 0.05), 0.05))
    after = (Plane(), Sphere((0.08, 0.0, 0.05), 0.05))
    for n in range(10):
        volume.integrate(photograph(before, down(), camera, n).frame)
    top, free = voxel(volume, (-0.08, 0.0, 0.09)), voxel(volume, (0.08, 0.0, 0.09))
    assert volume.tsdf()[top] < 0.0 < volume.tsdf()[free]
    for n in range(3):
        volume.integrate(photograph(after, down(), camera, 10 + n).frame)
    truth = photograph(after, down(), camera).frame
    view = render_views(volume, [down()], camera)
    off = np.abs(view.depth_m[0] - truth.depth_m) > 0.01
    # What is left are pixels at the ball's rim, where one voxel sees both the ball and the table.
    assert off.mean() < 0.02
    assert volume.tsdf()[top] > 0.9
    assert volume.tsdf()[free] < 0.0


INVALID = [np.nan, np.inf, -np.inf, 0.0, -1.0, 0.01, 50.0]


@pytest.mark.parametrize("value", INVALID)
def test_an_invalid_depth_is_skipped(make_volume, camera, scene, value):
    picture = photograph(scene, down(), camera).frame
    expected = make_volume()
    expected.integrate(replace(picture, depth_m=np.where(np.arange(160) < 80, picture.depth_m, np.float32(np.nan))))
    spoilt = make_volume()
    spoilt.integrate(replace(picture, depth_m=np.where(np.arange(160) < 80, picture.depth_m, np.float32(value))))
    np.testing.assert_array_equal(spoilt.tsdf(), expected.tsdf())
    assert (~np.isnan(spoilt.tsdf())).sum() > 0


def test_a_picture_without_any_valid_depth_changes_nothing(make_volume, camera):
    volume = make_volume()
    nothing = np.full((120, 160), np.nan, np.float32)
    volume.integrate(CameraFrame(camera, down(), 5, np.zeros((120, 160, 3), np.uint8), nothing))
    assert np.isnan(volume.tsdf()).all()
    assert (volume.frames, volume.newest_ns) == (1, 5)


def bent(T: np.ndarray, **entries: float) -> np.ndarray:
    T = T.copy()
    for name, value in entries.items():
        T[int(name[1]), int(name[2])] = value
    return T


GOOD = {"stamp_ns": 2_000_000_000}
BAD_FRAMES = {
    "no depth": ({"depth_m": None}, InvalidFrameError, "no depth"),
    "no colour": ({"rgb": None}, InvalidFrameError, "no colour"),
    "depth in millimetres": ({"depth_m": np.zeros((120, 160), np.uint16)}, FrameError, "uint16"),
    "depth of another size": ({"depth_m": np.zeros((60, 80), np.float32)}, FrameError, "expected float32"),
    "colour as float": ({"rgb": np.zeros((120, 160, 3), np.float32)}, FrameError, "expected uint8"),
    "grey picture": ({"rgb": np.zeros((120, 160), np.uint8)}, FrameError, "expected uint8"),
    "zero-size picture": ({"depth_m": np.zeros((0, 0), np.float32)}, FrameError, "expected float32"),
    "scaled pose": ({"T_base_camera": np.diag([1.1, 1.1, 1.1, 1.0])}, NotRigidError, "orthonormal"),
    "mirrored pose": ({"T_base_camera": np.diag([1.0, 1.0, -1.0, 1.0])}, NotRigidError, "reflection"),
    "pose with NaN": ({"T_base_camera": bent(np.eye(4), _03=np.nan)}, NotRigidError, "NaN"),
    "pose [3, 4]": ({"T_base_camera": np.eye(4)[:3]}, NotRigidError, "shape"),
    "older frame": ({"stamp_ns": 999_999_999}, StaleFrameError, "older than the newest"),
    "jump": ({"T_base_camera": transform((0.0, 0.0, 0.1)) @ down(2.8)}, PoseJumpError, "jumped by"),
    "turn": ({"T_base_camera": down() @ transform(rotation=[0, 0, 1, 0]), "stamp_ns": 1_000_000_100},
             PoseJumpError, "rad"),
    "distorted": ({"intrinsics": "distorted"}, InvalidFrameError, "rectify"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_gives_one_error_and_leaves_the_volume(make_volume, camera, scene, name):
    values, error, sentence = BAD_FRAMES[name]
    volume = make_volume(max_camera_speed_m_s=2.0, max_camera_turn_rad_s=3.0)
    good = photograph(scene, down(), camera, 1_000_000_000).frame
    volume.integrate(good)
    before, colours = volume.tsdf(), volume.colours()
    if values.get("intrinsics") == "distorted":
        values = {"intrinsics": replace(camera, distortion=(0.1, 0.0, 0.0, 0.0, 0.0))}
    with pytest.raises(error, match=sentence):
        volume.integrate(replace(good, **{**GOOD, **values}))
    np.testing.assert_array_equal(volume.tsdf(), before)
    np.testing.assert_array_equal(volume.colours(), colours)
    assert (volume.frames, volume.newest_ns) == (1, 1_000_000_000)
    volume.integrate(replace(good, **GOOD))
    assert volume.frames == 2


def test_an_image_of_another_encoding_is_told_before_it_gets_here():
    with pytest.raises(FrameError, match="complex"):
        depth_to_metres(np.zeros((4, 4), complex))
    with pytest.raises(FrameError, match="empty"):
        Intrinsics(0, 0, 1.0, 1.0, 0.0, 0.0)


def test_a_jump_is_forgiven_when_time_has_passed_and_another_camera_is_no_jump(make_volume, camera, scene, ring):
    volume = make_volume(max_camera_speed_m_s=1.0, max_camera_turn_rad_s=3.0)
    here, there = ring(2)
    volume.integrate(photograph(scene, here, camera, 0).frame, "wrist")
    volume.integrate(photograph(scene, there, camera, 0).frame, "head")
    with pytest.raises(PoseJumpError, match="pose of wrist jumped"):
        volume.integrate(photograph(scene, there, camera, 33_000_000).frame, "wrist")
    volume.integrate(photograph(scene, there, camera, 2_000_000_000).frame, "wrist")
    assert volume.frames == 3


def test_reset_forgets_everything(make_volume, camera, scene):
    volume = make_volume()
    volume.integrate(photograph(scene, down(), camera, 7).frame)
    volume.reset()
    assert np.isnan(volume.tsdf()).all()
    assert (volume.frames, volume.newest_ns) == (0, None)
    volume.integrate(photograph(scene, down(), camera, 3).frame)
    assert volume.colours().any()


def test_waiting_for_a_stamp(make_volume, camera, scene):
    volume = make_volume()
    assert not volume.wait_for(1, timeout_s=0.01)
    volume.integrate(photograph(scene, down(), camera, 5).frame)
    assert volume.wait_for(5, timeout_s=0.0)
    assert not volume.wait_for(6, timeout_s=0.01)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"voxel_m": 0.0}, "voxel_m"),
        ({"voxel_m": 5}, "voxel_m"),
        ({"size_m": (1.0, 0.0, 1.0)}, "size_m"),
        ({"size_m": (400, 400, 300)}, "voxels, at most"),
        ({"alpha": 1.5}, "alpha"),
        ({"mode": "median"}, "mode"),
        ({"truncation_m": 0.004}, "at least two voxels"),
        ({"min_depth_m": 2.0, "max_depth_m": 1.0}, "must be less than"),
        ({"voxels": 5}, "no setting 'voxels'"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        TsdfConfig.from_mapping({"origin_m": (0, 0, 0), "size_m": (0.4, 0.4, 0.4), **values})


def test_an_unusable_device_is_refused_by_name():
    pytest.importorskip("torch")
    values = {"origin_m": (0, 0, 0), "size_m": (0.1, 0.1, 0.1), "backend": "torch", "device": "tpu"}
    with pytest.raises(ValueError, match="device 'tpu' cannot be used"):
        TsdfVolume(TsdfConfig.from_mapping(values))


@pytest.mark.parametrize("mode", ["ema", "mean"])
@pytest.mark.parametrize("colour", [True, False])
def test_back_ends_agree(scene, ring, mode, colour):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    camera = Intrinsics.from_fov(161, 119, 0.8)
    generator = np.random.default_rng(3)
    base = {"origin_m": (-0.2, -0.2, -0.04), "size_m": (0.4, 0.37, 0.21), "mode": mode, "colour": colour,
            "max_camera_speed_m_s": None, "max_camera_turn_rad_s": None, "max_weight": 4, "threads": 2}  # fmt: skip
    volumes = [
        TsdfVolume(TsdfConfig.from_mapping({**base, **extra})) for extra in ({}, {"backend": "torch", "device": "cpu"})
    ]
    for n, T in enumerate(ring(7, phase=0.3)):
        frame = photograph(scene, T, camera, n).frame
        noisy = frame.depth_m + generator.normal(0.0, 0.002, frame.depth_m.shape).astype(np.float32)
        noisy[generator.random(noisy.shape) < 0.05] = np.nan
        rgb = generator.integers(0, 256, frame.rgb.shape, dtype=np.uint8)
        for volume in volumes:
            volume.integrate(replace(frame, depth_m=noisy, rgb=rgb))
    one, other = (volume.tsdf() for volume in volumes)
    np.testing.assert_allclose(one, other, atol=1e-4, equal_nan=True)
    if colour:
        assert np.abs(volumes[0].colours().astype(int) - volumes[1].colours()).max() <= 1
    views = [render_views(v, ring(4, 0.3, 0.3), camera.scaled(40, 30)) for v in volumes]
    np.testing.assert_array_equal(views[0].status, views[1].status)
    np.testing.assert_allclose(views[0].depth_m, views[1].depth_m, atol=1e-4)
    np.testing.assert_allclose(views[0].normals, views[1].normals, atol=1e-4)
