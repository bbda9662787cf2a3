# SPDX-License-Identifier: Apache-2.0
"""Calibration by driving over a grid of poses (checklist F81): with a free-flying robot and rendered pictures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp_cameras.calibration.board import Board, BoardConfig
from grasp_cameras.calibration.diversity import DegenerateError
from grasp_cameras.calibration.pose_grid import board_grid, calibrate_on_grid, camera_grid
from grasp_cameras.calibration.session import SessionConfig
from grasp_cameras.calibration.synthetic import render_board
from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import difference, invert, look_at, transform
from grasp_core.planning import PlanOptions, PlanResult, PlanStatus
from grasp_core.ports import JointState, JointTrajectory, MotionResult, MotionStatus

JOINTS = ("x", "y", "z", "rx", "ry", "rz")
CAMERA = Intrinsics(640, 480, 615.0, 615.0, 320.5, 238.2)
BOARD = BoardConfig()


class Flyer:
    """An arm, its planner and its kinematics: a tool that floats; a pose right of x = 0.6 is out of its reach."""

    name = "flyer"
    joint_names = JOINTS

    def __init__(self, clock) -> None:
        self.joints = np.array([0.4, 0.0, 0.5, 0.0, 0.0, 0.0])
        self.clock = clock

    def state(self) -> JointState:
        return JointState(JOINTS, self.joints.copy(), np.zeros(6), self.clock())

    def execute(self, trajectory, cancel=None) -> MotionResult:
        # It stops a little beside where it was told to: measured joints count, not commanded ones.
        self.joints = trajectory.positions[-1] + np.array([0.003, -0.002, 0.004, 0.01, 0.0, -0.01])
        return MotionResult(MotionStatus.SUCCEEDED, self.state())

    def stop(self) -> None: ...

    def fk(self, joints, arm=None):
        values = np.array([joints[name] for name in JOINTS])
        return transform(values[:3], Rotation.from_rotvec(values[3:]))

    def ik(self, T_base_tcp, seed, arm=None): ...

    def set_obstacles(self, obstacles) -> None: ...

    def plan_to_joints(self, arm, start, goal, options): ...

    def plan_line(self, arm, start, T_base_tcp, options): ...

    def plan_to_pose(self, arm, start, T_base_tcp, options: PlanOptions) -> PlanResult:
        if T_base_tcp[0, 3] > 0.6:
            return PlanResult(PlanStatus.UNREACHABLE, message="too far right")
        goal = np.concatenate([T_base_tcp[:3, 3], Rotation.from_matrix(T_base_tcp[:3, :3]).as_rotvec()])
        trajectory = JointTrajectory(JOINTS, np.array([0.0, 1.0]), np.stack([start.positions, goal]))
        return PlanResult(PlanStatus.SUCCEEDED, trajectory)


class Looker:
    """Renders the board with noise of sensor and robot; every other picture is stale and shows the place before."""

    name = "camera"

    def __init__(self, flyer, mount, X, Y, clock) -> None:
        self.flyer, self.mount, self.X, self.Y, self.clock = flyer, mount, X, Y, clock
        self.stale, self.rng, self.board = None, np.random.default_rng(0), Board(BOARD)

    def frame(self, max_age_s: float) -> CameraFrame:
        if self.stale is not None:
            frame, self.stale = self.stale, None
            return frame
        # The robot is not quite where its joints say: 0.3 mm and 0.03 degrees in every direction.
        error = transform(3e-4 * self.rng.normal(size=3), Rotation.from_rotvec(5e-4 * self.rng.normal(size=3)))
        T_base_tool = self.flyer.fk(self.flyer.state().as_dict()) @ error
        robot = invert(T_base_tool) if self.mount == "hand" else T_base_tool
        rgb = render_board(self.board, CAMERA, invert(self.X) @ robot @ self.Y)
        noisy = np.clip(rgb + self.rng.normal(0.0, 5.0, rgb.shape), 0, 255).astype(np.uint8)
        frame = CameraFrame(CAMERA, np.eye(4), self.clock(), noisy)
        self.stale = frame
        return frame


class Clock:
    def __init__(self) -> None:
        self.ns = 10**9

    def __call__(self) -> int:
        self.ns += 1_000_000
        return self.ns


def drive(mount: str, poses_of, X, Y):
    clock = Clock()
    flyer = Flyer(clock)
    config = SessionConfig(camera="camera", mount=mount, parent_frame="base_link", camera_frame="optical", board=BOARD)
    camera = Looker(flyer, mount, X, Y, clock)
    said = []
    result = calibrate_on_grid(
        config, poses_of, flyer, flyer, flyer, camera, progress=lambda *step: said.append(step), clock_ns=clock
    )
    assert len(said) == len(poses_of)
    return result


# What is known beforehand is only rough: 3 cm and 4 degrees off.
ROUGH = transform((0.03, -0.02, 0.01), Rotation.from_rotvec([0.05, -0.04, 0.03]))


def test_fixed_camera_on_a_grid_to_2_mm():
    X = look_at((0.5, 0.75, 0.6), (0.45, 0.0, 0.25))
    Y = transform((-0.1, -0.07, 0.06), Rotation.from_euler("xyz", [0.1, -0.2, 0.3]))
    region = BoxRegion(min_m=(0.3, -0.1, 0.15), max_m=(0.65, 0.15, 0.4))
    poses = board_grid(region, (4, 3, 3), X @ ROUGH, Y @ ROUGH, BOARD)
    result = drive("fixed", poses, X, Y)
    metres, radians = difference(result.calibration.T_parent_camera, X)
    print(f"fixed: {1e3 * metres:.2f} mm, {np.rad2deg(radians):.3f} deg from {result.calibration.poses} poses")
    assert metres < 2e-3
    assert np.rad2deg(radians) < 0.2
    # Those it cannot reach are left out, with the reason.
    assert any("too far right" in why for _, why in result.skipped)
    assert result.calibration.poses + len(result.skipped) == len(poses)


def test_camera_on_the_hand_on_a_grid_to_2_mm():
    X = transform((0.02, -0.06, 0.03), Rotation.from_euler("xyz", [0.05, 0.1, 1.6]))
    Y = transform((0.35, 0.1, 0.0), Rotation.from_euler("x", np.pi))
    region = BoxRegion(min_m=(0.25, -0.15, 0.3), max_m=(0.55, 0.2, 0.45))
    poses = camera_grid(region, (3, 3, 2), Y @ ROUGH, X @ ROUGH, BOARD)
    result = drive("hand", poses, X, Y)
    metres, radians = difference(result.calibration.T_parent_camera, X)
    print(f"hand: {1e3 * metres:.2f} mm, {np.rad2deg(radians):.3f} deg from {result.calibration.poses} poses")
    assert metres < 2e-3
    assert np.rad2deg(radians) < 0.2


def test_a_drive_that_sees_nothing_is_refused_by_name():
    X = look_at((0.5, 0.75, 0.6), (0.45, 2.0, 0.25))  # looks away
    poses = [transform((0.4, 0.0, 0.1 * i)) for i in range(3)]
    with pytest.raises(DegenerateError, match="board_not_seen: none of 3 captures"):
        drive("fixed", poses, X, np.eye(4))


def test_a_cancelled_drive_moves_no_more():
    import threading

    cancel = threading.Event()
    cancel.set()
    clock = Clock()
    flyer = Flyer(clock)
    before = flyer.joints.copy()
    config = SessionConfig(camera="c", mount="hand", parent_frame="t", camera_frame="o")
    camera = Looker(flyer, "hand", np.eye(4), np.eye(4), clock)
    with pytest.raises(DegenerateError, match="board_not_seen"):
        calibrate_on_grid(config, [np.eye(4)], flyer, flyer, flyer, camera, cancel=cancel, clock_ns=clock)
    assert (flyer.joints == before).all()


def test_grid_poses_face_the_camera_and_differ():
    X = look_at((0.5, 0.75, 0.6), (0.45, 0.0, 0.25))
    region = BoxRegion(min_m=(0.3, -0.1, 0.15), max_m=(0.6, 0.15, 0.4))
    poses = board_grid(region, (3, 2, 2), X, np.eye(4), BOARD)
    assert len(poses) == 12
    for T in poses:
        middle = T[:3, 3] + T[:3, :3] @ np.array([*BOARD.size_m, 0.0]) / 2.0
        assert region.contains(middle, 1e-9)
        view = middle - X[:3, 3]
        assert T[:3, 2] @ view / np.linalg.norm(view) > np.cos(0.7)
    with pytest.raises(ValueError, match="at least one point"):
        board_grid(region, (0, 2, 2), X, np.eye(4), BOARD)
