# SPDX-License-Identifier: Apache-2.0
"""Calibration without a hand on the robot: drive over a grid of poses, look at the board at each, solve.

A fixed camera is calibrated with the board on the tool, moved over a 3D grid as in Zeng et al., Learning Synergies
between Pushing and Grasping (2018), section V-D; here the board is tilted from point to point as well, which also gives
its place on the tool. A camera on the hand moves over the grid and looks at a board that lies still.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from grasp_cameras.calibration.board import BoardConfig
from grasp_cameras.calibration.diversity import DegenerateError
from grasp_cameras.calibration.session import CalibrationSession, SessionConfig
from grasp_cameras.calibration_file import CameraCalibration
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import Array, apply, invert, look_at, transform
from grasp_core.planning import MotionPlanner, PlanOptions
from grasp_core.ports import Arm, Camera, Cancel, Kinematics, StateError

_LOG = logging.getLogger(__name__)

# Turns of the board (about x, y of the viewer) and roll, in units of the tilt; neighbours differ in every one.
_TURNS = ((0, 0, 0), (1, 0, 1), (0, 1, -1), (-1, 0, 1), (0, -1, -1), (1, 1, 0), (-1, 1, 1), (1, -1, -1), (-1, -1, 0))


def board_grid(
    region: BoxRegion,
    counts: tuple[int, int, int],
    T_base_camera: Array,
    T_tool_board: Array,
    board: BoardConfig,
    tilt_rad: float = 0.4,
) -> list[Array]:
    """Tool poses ``T_base_tool`` that put the middle of a board on the tool onto a grid, facing a fixed camera.

    Args:
        region: where the board's middle goes, base frame.
        counts: grid points along x, y and z.
        T_base_camera: roughly where the camera is; a few centimetres and degrees do.
        T_tool_board: roughly where the board is on the tool.
        board: its size.
        tilt_rad: how far it is turned away from the camera.
    """
    middle = np.array([*board.size_m, 0.0]) / 2.0
    poses = []
    for point, turn in zip(_grid(region, counts), itertools.cycle(_TURNS)):
        facing = look_at(T_base_camera[:3, 3], point, up=-T_base_camera[:3, 1])
        R = facing[:3, :3] @ _turn(turn, tilt_rad).as_matrix()
        T_base_board = transform(point - R @ middle, R)
        poses.append(T_base_board @ invert(T_tool_board))
    return poses


def camera_grid(
    region: BoxRegion,
    counts: tuple[int, int, int],
    T_base_board: Array,
    T_tool_camera: Array,
    board: BoardConfig,
    tilt_rad: float = 0.2,
) -> list[Array]:
    """Tool poses that put a camera on the hand onto a grid, looking at a board that lies still.

    ``region`` is where the camera goes, base frame. ``T_base_board`` and ``T_tool_camera`` are wanted only roughly.
    """
    middle = apply(T_base_board, np.array([*board.size_m, 0.0]) / 2.0)
    poses = []
    for point, turn in zip(_grid(region, counts), itertools.cycle(_TURNS)):
        up = -T_base_board[:3, 1]
        T_base_camera = look_at(point, middle, up)
        T_base_camera[:3, :3] @= _turn((0.3 * turn[0], 0.3 * turn[1], 2 * turn[2]), tilt_rad).as_matrix()
        poses.append(T_base_camera @ invert(T_tool_camera))
    return poses


@dataclass(frozen=True)
class GridResult:
    """What a drive over the grid gave: the calibration, and the poses left out with the reason of each."""

    calibration: CameraCalibration
    session: CalibrationSession
    skipped: tuple[tuple[int, str], ...] = field(default=())


def calibrate_on_grid(
    config: SessionConfig,
    poses: Sequence[Array],
    arm: Arm,
    planner: MotionPlanner,
    kinematics: Kinematics,
    camera: Camera,
    *,
    options: PlanOptions | None = None,
    frame_timeout_s: float = 2.0,
    cancel: Cancel | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    clock_ns: Callable[[], int] = time.time_ns,
) -> GridResult:
    """Drive the arm over the poses, capture at each and calibrate.

    A pose that cannot be reached, or from which the board is not seen, is left out. The tool's pose is computed from
    the joints measured after each motion, and only pictures taken after its end count.

    Args:
        config: what is calibrated.
        poses: tool poses ``T_base_tool``, as ``board_grid`` and ``camera_grid`` make them.
        arm, planner, kinematics, camera: the cell's ports.
        options: how motions are planned.
        frame_timeout_s: longest wait for a picture after a motion.
        cancel: ends the drive; what was captured is solved if it suffices.
        progress: called with the pose's number, their count and a sentence.
        clock_ns: the clock of the camera's stamps.

    Raises:
        DegenerateError: too few poses were usable, or they determine nothing.
    """
    session = CalibrationSession(config)
    options = options or PlanOptions()
    skipped: list[tuple[int, str]] = []
    for number, T_base_tool in enumerate(poses):
        if cancel is not None and cancel.is_set():
            break
        try:
            said = _capture_at(
                session, T_base_tool, arm, planner, kinematics, camera, options, frame_timeout_s, cancel, clock_ns
            )
        except (_SkippedError, DegenerateError, StateError) as error:
            said = str(error)
            skipped.append((number, said))
        _LOG.info("pose %d of %d: %s", number + 1, len(poses), said)
        if progress is not None:
            progress(number + 1, len(poses), said)
    return GridResult(session.solve(), session, tuple(skipped))


class _SkippedError(RuntimeError):
    """A pose was not reached."""


def _capture_at(
    session: CalibrationSession,
    T_base_tool: Array,
    arm: Arm,
    planner: MotionPlanner,
    kinematics: Kinematics,
    camera: Camera,
    options: PlanOptions,
    frame_timeout_s: float,
    cancel: Cancel | None,
    clock_ns: Callable[[], int],
) -> str:
    plan = planner.plan_to_pose(arm.name, arm.state(), T_base_tool, options)
    if plan.trajectory is None:
        raise _SkippedError(f"no motion: {plan.status}: {plan.message}")
    result = arm.execute(plan.trajectory, cancel)
    if not result.ok:
        raise _SkippedError(f"the motion ended as {result.status}: {result.message}")
    arrived_ns = clock_ns()
    end = time.monotonic() + frame_timeout_s
    # The picture's age when it is asked for must be less than the time since the arm stood still.
    while True:
        left_s = end - time.monotonic()
        if left_s <= 0.0:
            raise StateError(f"camera {camera.name} took no picture in {frame_timeout_s:g} s after the motion")
        frame = camera.frame(max(1e-3, min(left_s, (clock_ns() - arrived_ns) * 1e-9 + 0.05)))
        if frame.stamp_ns >= arrived_ns:
            break
    if frame.rgb is None:
        raise StateError(f"camera {camera.name} gives no colour")
    return session.capture(frame.rgb, frame.intrinsics, kinematics.fk(arm.state().as_dict(), arm.name))


def _grid(region: BoxRegion, counts: tuple[int, int, int]) -> list[Array]:
    if min(counts) < 1:
        raise ValueError(f"counts are {counts}; at least one point an axis is needed")
    low, high = np.array(region.min_m), np.array(region.max_m)
    axes = [
        np.linspace(a, b, n) if n > 1 else np.array([0.5 * (a + b)]) for a, b, n in zip(low, high, counts, strict=True)
    ]
    return [np.array(p) for p in itertools.product(*axes)]


def _turn(turn: ArrayLike, tilt_rad: float) -> Rotation:
    x, y, roll = np.asarray(turn, dtype=np.float64) * tilt_rad
    return Rotation.from_euler("xyz", [x, y, roll])
