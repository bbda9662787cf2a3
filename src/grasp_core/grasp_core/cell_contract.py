# SPDX-License-Identifier: Apache-2.0
"""What every ``Cell`` must do, whatever stands behind it: call these from the tests of each implementation.

Each function takes a cell and the name of a scene that it has, and raises ``AssertionError`` with a sentence.
"""

from __future__ import annotations

import numpy as np

from grasp_core.actions import Grasp, GripperMotion, Push, Step, Stop
from grasp_core.cell import FELT, Cell, Outcome, Reason, SceneError
from grasp_core.cell_config import CellConfig
from grasp_core.geometry import check_rigid, difference, top_down, transform
from grasp_core.observation import Observation


def check_observation(observation: Observation, config: CellConfig, cameras: tuple[str, ...]) -> None:
    """An observation is complete: every arm, every joint of the arms, the promised cameras, finite, in one frame."""
    assert set(observation.arms) == set(config.arms), f"arms are {set(observation.arms)}, not {set(config.arms)}"
    for name, arm in observation.arms.items():
        check_rigid(arm.T_base_tcp, f"T_base_tcp of {name}")
        assert np.isfinite(arm.gripper.width_m), f"opening of {name}'s gripper is {arm.gripper.width_m}"
    for settings in config.arms.values():
        missing = [joint for joint in settings.joints if joint not in observation.joint_positions]
        assert not missing, f"joints without a position: {missing}"
    values = np.array(list(observation.joint_positions.values()))
    assert np.isfinite(values).all(), "a joint position is not finite"
    assert set(observation.frames) == set(cameras), f"pictures of {set(observation.frames)}, expected {set(cameras)}"
    for name, frame in observation.frames.items():
        wanted = config.cameras[name]
        assert (frame.rgb is not None) == wanted.rgb, f"colour of {name} is there: {frame.rgb is not None}"
        assert (frame.depth_m is not None) == wanted.depth, f"depth of {name} is there: {frame.depth_m is not None}"


def check_reset(cell: Cell, scene: str, config: CellConfig, cameras: tuple[str, ...]) -> None:
    """``reset`` gives a complete first observation with the step at 0; an unknown scene is refused by name."""
    observation = cell.reset(scene, 1)
    check_observation(observation, config, cameras)
    assert observation.step == 0, f"the step after reset is {observation.step}"
    refusal = ""
    try:
        cell.reset("no_such_scene", 1)
    except SceneError as error:
        refusal = str(error)
    assert "no_such_scene" in refusal, f"an unknown scene was not refused by name: {refusal or 'nothing was raised'}"
    cell.reset(scene, 1)


def check_step(cell: Cell, scene: str, config: CellConfig, tolerance_m: float = 0.005) -> None:
    """A step moves the tool by what it says and counts; the gripper does as told."""
    before = cell.reset(scene, 2)
    T_delta = transform((0.0, 0.0, -0.02))
    outcome = cell.execute(Step(T_delta, GripperMotion.KEEP))
    _check_outcome(outcome)
    assert outcome.success, f"a step of 2 cm backwards failed: {outcome.reason}: {outcome.message}"
    # From a ready pose outside of the workspace the guard leads back: what was commanded counts.
    assert isinstance(outcome.commanded, Step), f"what was commanded is {outcome.commanded}"
    goal = before.arm().T_base_tcp @ outcome.commanded.T_delta
    off_m, off_rad = difference(goal, outcome.observation.arm().T_base_tcp)
    assert off_m < tolerance_m, f"the tool is {1000 * off_m:.1f} mm off"
    assert off_rad < 0.02, f"the tool is {off_rad:.3f} rad off"
    assert outcome.observation.step == 1, f"the step is {outcome.observation.step} after one action"
    closed = cell.execute(Step(np.eye(4), GripperMotion.CLOSE))
    opened = cell.execute(Step(np.eye(4), GripperMotion.OPEN))
    widths_m = [outcome.observation.arm().gripper.width_m for outcome in (closed, opened)]
    assert widths_m[0] < widths_m[1], f"closing left {widths_m[0]:.3f} m, opening {widths_m[1]:.3f} m"
    for outcome, width_m in zip((closed, opened), widths_m, strict=True):
        _check_outcome(outcome)
        felt = outcome.info["finger_width_m"]
        assert abs(felt - width_m) < 0.002, f"fingers {felt:.3f} m apart were felt, {width_m:.3f} m are observed"
    told = [outcome.info["gripper_closed"] for outcome in (closed, opened)]
    assert told == [True, False], f"gripper_closed tells {told} of a closed and of an open gripper"


def check_clipping(cell: Cell, scene: str, config: CellConfig) -> None:
    """A step beyond the limit is clipped: the outcome says what was really commanded, and by which limit."""
    cell.reset(scene, 3)
    asked = Step(transform((0.0, 0.0, -3.0 * config.limits.max_step_m)))
    outcome = cell.execute(asked)
    assert outcome.interventions, "a step thrice as long as allowed passed without an intervention"
    assert isinstance(outcome.commanded, Step), f"what was commanded is {outcome.commanded}"
    length = float(np.linalg.norm(outcome.commanded.T_delta[:3, 3]))
    assert length <= config.limits.max_step_m + 1e-6, f"a step of {length:.3f} m was commanded"


def check_refusals(cell: Cell, scene: str, config: CellConfig) -> None:
    """A grasp outside of the workspace is refused with a reason, and nothing moves."""
    before = cell.reset(scene, 4)
    far = np.array(config.limits.workspace.max_m) + 0.5
    for action in (Grasp(top_down(far)), Push(far, np.array([1.0, 0.0, 0.0]))):
        outcome = cell.execute(action)
        _check_outcome(outcome)
        assert outcome.reason is Reason.REFUSED_BY_GUARD, f"{type(action).__name__} far away gave {outcome.reason}"
        assert outcome.commanded is None, "something was commanded although the guard refused"
        assert outcome.interventions, "the refusal names no limit"
    off_m, _ = difference(before.arm().T_base_tcp, cell.observe().arm().T_base_tcp)
    assert off_m < 0.002, f"the tool moved {1000 * off_m:.1f} mm although everything was refused"


def check_stop(cell: Cell, scene: str) -> None:
    """``Stop`` moves nothing and is told as the policy's own doing."""
    cell.reset(scene, 5)
    outcome = cell.execute(Stop("enough"))
    assert outcome.reason is Reason.STOPPED_BY_POLICY, f"Stop gave {outcome.reason}"
    assert outcome.success is None, "a stop was judged"


def check_same_seed(cell: Cell, scene: str, joint_tolerance: float = 1e-9, pixel_share: float = 0.0) -> None:
    """The same seed makes the same scene: equal pictures and joints.

    A cell whose clock runs by itself is observed at another moment each time: it may allow joints to differ by
    ``joint_tolerance`` (rad or m) and a ``pixel_share`` of the colour values to differ visibly (by more than 8).
    """
    first = cell.reset(scene, 6)
    second = cell.reset(scene, 6)
    assert first.joint_positions.keys() == second.joint_positions.keys(), "the joints differ"
    for name, value in first.joint_positions.items():
        off = abs(value - second.joint_positions[name])
        assert off < joint_tolerance, f"joint {name} differs by {off:.2g} between equal seeds"
    for name, frame in first.frames.items():
        if frame.rgb is not None:
            again = second.frames[name].rgb
            assert again is not None, f"camera {name} has colour only the first time"
            # Exactly equal where nothing may differ; what a running clock moves by microns stays below 8 of 255.
            visible = 8 if pixel_share else 0
            share = float((np.abs(frame.rgb.astype(np.int16) - again) > visible).mean())
            assert share <= pixel_share, f"{100 * share:.2f} % of the picture of {name} differ between equal seeds"


def _check_outcome(outcome: Outcome) -> None:
    assert isinstance(outcome.reason, Reason), f"the reason is {outcome.reason!r}"
    if outcome.success is False:
        assert outcome.message, f"{outcome.reason} came without a sentence"
    missing = set(FELT) - set(outcome.info)
    assert not missing, f"the outcome does not tell {', '.join(sorted(missing))}"
    assert outcome.info["stop_reason"] == str(outcome.reason), f"stop_reason is {outcome.info['stop_reason']}"
    for name in ("finger_width_m", "finger_force_n"):
        assert isinstance(outcome.info[name], float), f"{name} is {outcome.info[name]!r}"
