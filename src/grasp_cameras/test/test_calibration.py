# SPDX-License-Identifier: Apache-2.0
"""Calibration on boards whose place is known: accuracy, refusals by name, files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp_cameras.calibration.board import Board, BoardConfig
from grasp_cameras.calibration.diversity import Degeneracy, DegenerateError, Diversity
from grasp_cameras.calibration.hand_eye import METHODS, HandEyeView, calibrate_hand_eye
from grasp_cameras.calibration.intrinsics import board_pose, calibrate_intrinsics
from grasp_cameras.calibration.pose_grid import board_grid, camera_grid
from grasp_cameras.calibration.session import CalibrationSession, SessionConfig
from grasp_cameras.calibration.synthetic import render_board, view_corners
from grasp_cameras.calibration_file import CameraCalibration
from grasp_core.camera import Intrinsics
from grasp_core.cell_config import BoxRegion
from grasp_core.config import ConfigError
from grasp_core.geometry import difference, invert, look_at, transform

BOARD = BoardConfig()
CAMERA = Intrinsics(640, 480, 615.0, 612.0, 322.5, 238.2, (0.1, -0.2, 0.001, -0.001, 0.05))
NOISE_PX = 0.3
MOUNTS = ("hand", "fixed")


def scene(mount: str, seed: int, count: tuple[int, int, int] = (3, 3, 2)):
    """The true X and Y, and tool poses that look at the board, with a random error of the first guess of both."""
    rng = np.random.default_rng(seed)
    if mount == "hand":
        X = transform(
            rng.uniform(-0.08, 0.08, 3), Rotation.from_euler("xyz", rng.uniform([-0.3, -0.3, -3], [0.3, 0.3, 3]))
        )
        Y = transform((0.4, 0.05, 0.0), Rotation.from_euler("xyz", [np.pi, 0.0, rng.uniform(-1, 1)]))
        region = BoxRegion(min_m=(0.25, -0.2, 0.3), max_m=(0.65, 0.2, 0.5))
        return X, Y, camera_grid(region, count, Y, X, BOARD)
    X = look_at(np.array([0.6, 0.8, 0.6]) + rng.uniform(-0.1, 0.1, 3), (0.5, 0.0, 0.2))
    Y = transform(rng.uniform(-0.1, 0.1, 3), Rotation.from_euler("xyz", rng.uniform(-1.0, 1.0, 3)))
    region = BoxRegion(min_m=(0.35, -0.1, 0.1), max_m=(0.65, 0.2, 0.35))
    return X, Y, board_grid(region, count, X, Y, BOARD)


def T_camera_board(mount: str, X, Y, T_base_tool):
    robot = invert(T_base_tool) if mount == "hand" else T_base_tool
    return invert(X) @ robot @ Y


def synthetic_views(mount: str, seed: int, noise_px: float = NOISE_PX):
    X, Y, poses = scene(mount, seed)
    rng = np.random.default_rng(100 + seed)
    seen = [(T, view_corners(BOARD, CAMERA, T_camera_board(mount, X, Y, T), noise_px, rng)) for T in poses]
    return X, Y, [HandEyeView(T, d) for T, d in seen if d is not None]


@pytest.mark.parametrize("mount", MOUNTS)
def test_hand_eye_recovers_a_known_transform_to_1_mm_and_a_tenth_of_a_degree(mount):
    errors = []
    for seed in range(8):
        X, Y, views = synthetic_views(mount, seed)
        assert len(views) >= 15
        result = calibrate_hand_eye(views, CAMERA, mount)
        metres, radians = difference(result.T_parent_camera, X)
        errors.append((1e3 * metres, np.rad2deg(radians)))
        assert set(result.method_px) == set(METHODS)
        # Two coordinates of 0.3 px each; the refinement may not be worse than any closed form.
        assert result.residuals.reprojection_px == pytest.approx(NOISE_PX * np.sqrt(2.0), rel=0.15)
        assert result.residuals.reprojection_px <= min(result.method_px.values()) + 1e-9
        assert result.residuals.sigma_translation_mm < 1.0
        assert difference(result.T_carrier_board, Y)[0] < 2e-3
    print(f"{mount}: mm and deg of each seed {np.round(errors, 3).tolist()}")
    assert max(mm for mm, _ in errors) < 1.0
    assert max(deg for _, deg in errors) < 0.1


@pytest.mark.parametrize("mount", MOUNTS)
def test_the_expected_error_is_honest(mount):
    ratios = []
    for seed in range(6):
        X, _, views = synthetic_views(mount, seed)
        result = calibrate_hand_eye(views, CAMERA, mount)
        ratios.append(1e3 * difference(result.T_parent_camera, X)[0] / result.residuals.sigma_translation_mm)
    assert 0.2 < np.sqrt(np.mean(np.square(ratios))) < 2.5


def test_without_noise_it_is_exact():
    X, _, views = synthetic_views("hand", 3, noise_px=0.0)
    metres, radians = difference(calibrate_hand_eye(views, CAMERA, "hand").T_parent_camera, X)
    assert metres < 1e-6
    assert radians < 1e-6


def test_one_wrong_view_does_not_bend_the_rest():
    X, _, views = synthetic_views("hand", 1)
    moved = HandEyeView(views[4].T_base_tool @ transform((0.01, 0.0, 0.0)), views[4].detection)
    result = calibrate_hand_eye([*views[:4], moved, *views[5:]], CAMERA, "hand")
    assert int(np.argmax(result.view_px)) == 4
    assert difference(result.T_parent_camera, X)[0] < 2e-3


def turned(axis_turns, spread_m=0.1, count=10):
    """Tool poses turned by rotation vectors, at places ``spread_m`` apart."""
    rng = np.random.default_rng(0)
    return [transform(spread_m * rng.normal(size=3), Rotation.from_rotvec(axis_turns(i))) for i in range(count)]


DEGENERATE = {
    Degeneracy.TOO_FEW: turned(lambda i: [0.3 * i, 0.2, 0.1], count=3),
    Degeneracy.NO_ROTATION: turned(lambda i: [0.0, 0.0, 0.0]),
    Degeneracy.SINGLE_AXIS: turned(lambda i: [0.0, 0.0, 0.1 * i]),
    Degeneracy.ONE_PLACE: turned(lambda i: [0.3 * (i % 3), 0.3 * (i % 2), 0.1], spread_m=0.001),
}


@pytest.mark.parametrize("reason", DEGENERATE)
def test_degenerate_poses_are_refused_by_name(reason):
    _, _, views = synthetic_views("hand", 0)
    poses = DEGENERATE[reason]
    bad = [HandEyeView(T, view.detection) for T, view in zip(poses, views, strict=False)]
    with pytest.raises(DegenerateError, match=f"{reason}: ") as caught:
        calibrate_hand_eye(bad, CAMERA, "hand")
    assert caught.value.reason is reason


def test_a_single_axis_is_found_whatever_pose_it_starts_from():
    start = Rotation.from_rotvec([0.4, -1.0, 2.0])
    poses = [transform((0.05 * i, 0.0, 0.0), start * Rotation.from_rotvec([0.0, 0.15 * i, 0.0])) for i in range(8)]
    reason, message = Diversity.of(poses).problem()
    assert reason is Degeneracy.SINGLE_AXIS
    assert "1.00" in message  # the tool's y


def test_no_view_of_the_board_is_refused_by_name():
    with pytest.raises(DegenerateError, match="board_not_seen"):
        calibrate_hand_eye([], CAMERA, "hand")


def lens_views(tilt_rad: float, offset_m: float, count: int = 15):
    rng = np.random.default_rng(5)
    views = []
    for _ in range(count):
        R = Rotation.from_euler("xyz", [*rng.uniform(-tilt_rad, tilt_rad, 2), rng.uniform(-0.5, 0.5)])
        middle = np.array([*rng.uniform(-offset_m, offset_m, 2) * (1.0, 0.7), rng.uniform(0.28, 0.5)])
        T = transform(middle - R.apply([0.105, 0.075, 0.0]), R)
        views.append(view_corners(BOARD, CAMERA, T, 0.1, rng))
    return [v for v in views if v is not None]


def test_intrinsics_are_recovered():
    result = calibrate_intrinsics(lens_views(0.6, 0.08, 30))
    assert abs(result.intrinsics.fx - CAMERA.fx) < 1.0
    assert abs(result.intrinsics.fy - CAMERA.fy) < 1.0
    assert abs(result.intrinsics.cx - CAMERA.cx) < 1.5
    assert abs(result.intrinsics.cy - CAMERA.cy) < 1.5
    assert result.intrinsics.distortion[:2] == pytest.approx(CAMERA.distortion[:2], abs=0.06)
    assert result.reprojection_px < 0.2
    assert result.sigma_f_px < 1.0


@pytest.mark.parametrize(
    ("views", "reason"),
    [
        (lens_views(0.6, 0.08, 4), Degeneracy.TOO_FEW),
        (lens_views(0.0, 0.08), Degeneracy.NO_TILT),
        ([view_corners(BOARD, CAMERA, transform((-0.1, -0.07, 1.5)), 0.1, np.random.default_rng(i)) for i in range(9)],
         Degeneracy.LOW_COVERAGE),
    ],
)  # fmt: skip
def test_degenerate_views_are_refused_by_name(views, reason):
    with pytest.raises(DegenerateError, match=f"{reason}: "):
        calibrate_intrinsics(views)


def test_a_rendered_board_is_found_where_it_is():
    board = Board(BOARD)
    camera = Intrinsics(640, 480, 615.0, 615.0, 320.5, 238.2)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        T = transform((-0.1, -0.07, 0.4), Rotation.from_euler("xyz", rng.uniform(-0.4, 0.4, 3)))
        found = board.detect(render_board(board, camera, T))
        truth = view_corners(BOARD, camera, T, 0.0, rng)
        assert len(found) == len(truth) == 24
        error = found.pixels - truth.pixels[[truth.ids.tolist().index(i) for i in found.ids]]
        assert np.abs(error.mean(axis=0)).max() < 0.05  # OpenCV's own result is off by half a pixel
        assert np.sqrt(np.mean(error**2)) < 0.1
        seen, px = board_pose(found, camera)
        assert difference(seen, T)[0] < 1e-3
        assert px < 0.15


def test_a_part_of_the_board_is_enough_and_none_is_none():
    board = Board(BOARD)
    camera = Intrinsics(640, 480, 615.0, 615.0, 320.5, 238.2)
    part = board.detect(render_board(board, camera, transform((-0.25, -0.07, 0.4))))
    assert 6 <= len(part) < 24
    assert board.detect(np.full((480, 640, 3), 90, np.uint8)) is None
    with pytest.raises(ValueError, match="picture is empty"):
        board.detect(np.zeros((0, 0, 3), np.uint8))


@pytest.mark.parametrize("mount", MOUNTS)
def test_session_from_rendered_pictures_to_the_file(mount, tmp_path):
    camera = Intrinsics(640, 480, 615.0, 615.0, 320.5, 238.2)
    board = Board(BOARD)
    X, Y, poses = scene(mount, 11, (3, 2, 2))
    frames = ("tool0", "base_link")
    config = SessionConfig(
        camera="wrist", mount=mount, parent_frame=frames[MOUNTS.index(mount)], camera_frame="wrist_optical", board=BOARD
    )
    session = CalibrationSession(config)
    with pytest.raises(DegenerateError, match="board_not_seen"):
        session.capture(np.zeros((480, 640, 3), np.uint8), camera, poses[0])
    with pytest.raises(DegenerateError, match="board_not_seen: none of 1 captures"):
        session.solve()
    said = []
    for T in poses:
        said.append(session.capture(render_board(board, camera, T_camera_board(mount, X, Y, T)), camera, T))
    assert "Missing: 1 poses, at least 6" in said[0]
    assert "Enough to solve" in said[-1]
    with pytest.raises(DegenerateError, match="the tool is where capture 1 was taken"):
        session.capture(render_board(board, camera, T_camera_board(mount, X, Y, poses[0])), camera, poses[0])
    calibration = session.solve()
    assert "closed forms, px: tsai" in str(session.hand_eye)
    path = tmp_path / "deep" / "wrist.yaml"
    calibration.save(path)
    back = CameraCalibration.from_yaml(path)
    assert back == calibration
    metres, radians = difference(back.T_parent_camera, X)
    assert metres < 1e-3
    assert np.rad2deg(radians) < 0.1
    assert (back.mount, back.pose.parent_frame, back.poses) == (mount, config.parent_frame, len(poses))
    assert back.intrinsics == camera


def test_session_refuses_wrong_input():
    config = SessionConfig(camera="c", mount="hand", parent_frame="t", camera_frame="o")
    session = CalibrationSession(config)
    picture = np.zeros((480, 640, 3), np.uint8)
    with pytest.raises(ValueError, match="camera_info missing or empty"):
        session.capture(picture, None, np.eye(4))
    with pytest.raises(ValueError, match="T_base_tool: the rotation is off"):
        session.capture(picture, CAMERA, np.diag([1.0, 1.0, 2.0, 1.0]))
    with pytest.raises(ValueError, match="picture is empty"):
        session.capture(np.zeros((0, 0, 3), np.uint8), CAMERA, np.eye(4))


def test_a_board_of_other_lengths_is_noticed():
    camera = Intrinsics(640, 480, 615.0, 615.0, 320.5, 238.2)
    stretched = Intrinsics(640, 480, 615.0, 750.0, 320.5, 238.2)
    session = CalibrationSession(SessionConfig(camera="c", mount="hand", parent_frame="t", camera_frame="o"))
    T = transform((-0.1, -0.07, 0.35), Rotation.from_euler("xyz", [0.5, 0.4, 0.0]))
    with pytest.raises(ValueError, match="lengths or the intrinsics are wrong"):
        session.capture(render_board(Board(BOARD), stretched, T), camera, np.eye(4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"marker_m": 0.03}, "leaves no border"),
        ({"squares_x": 20, "squares_y": 20, "dictionary": "DICT_4X4_50"}, "needs 200 markers, DICT_4X4_50 has 50"),
        ({"squarex": 3}, "no setting 'squarex'"),
    ],
)
def test_wrong_boards_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        BoardConfig.from_mapping(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mount": "hand"}, "mount and pose belong together"),
        ({"fx": -1.0}, "fx is -1.0"),
        ({"distortion": [1.0, 2.0]}, "2 distortion values"),
        ({"pose": {"parent_frame": "a", "camera_frame": "b", "translation": [0, 0, 0], "rotation": [1, 1, 0, 0]}},
         "has length 1.4142"),
    ],
)  # fmt: skip
def test_wrong_calibration_files_are_refused(values, message):
    base = {"camera": "c", "width": 64, "height": 48, "fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0}
    with pytest.raises(ConfigError, match=message):
        CameraCalibration.from_mapping({**base, **values})
