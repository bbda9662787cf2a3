# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp_core.actions import ActionError, Grasp, GripperMotion, Push, Step, Stop
from grasp_core.cell import Reason
from grasp_core.geometry import top_down, transform
from grasp_core.ports import MotionStatus
from grasp_core.skills import drop, execute_action, go_to_state

OBJECT = (0.1, -0.05)
GRASP = Grasp(top_down((*OBJECT, 0.02), 0.3))


def run(cell, action):
    return execute_action(cell.ports, cell.guard, action, cell.observe())


def test_a_grasp_on_the_object_holds_it(gantry):
    cell = gantry(object_at=OBJECT)
    result, interventions = run(cell, GRASP)
    assert (result.success, result.reason) == (True, Reason.HELD)
    assert cell.arm.position[2] == pytest.approx(0.02 + 0.1)
    assert cell.gripper.commands == [0.11, 0.0, 0.0]
    heights = [trajectory.positions[-1, 2] for trajectory in cell.arm.executed]
    assert heights == pytest.approx([0.12, 0.02, 0.12])
    assert interventions == ()


def test_what_is_clipped_on_any_level_is_told(gantry):
    cell = gantry(object_at=OBJECT)
    result, interventions = run(cell, Grasp(GRASP.T_base_tcp, width_m=5.0))
    assert result.success
    assert [(i.limit, i.asked, i.unit) for i in interventions] == [("gripper_width", 5.0, "m")]


def test_a_grasp_beside_the_object_misses(gantry):
    cell = gantry(object_at=(0.15, 0.1))
    result, _ = run(cell, GRASP)
    assert (result.success, result.reason) == (False, Reason.MISSED)


def test_an_object_lost_on_the_way_up_slipped(gantry):
    cell = gantry(object_at=OBJECT)
    move = cell.gripper.move

    def lose_after_closing(*args):
        state = move(*args)
        cell.world.lost = args[0] == 0.0
        return state

    cell.gripper.move = lose_after_closing
    result, _ = run(cell, GRASP)
    assert (result.success, result.reason) == (False, Reason.SLIPPED)


def test_contact_on_the_way_down_does_not_end_the_grasp(gantry):
    cell = gantry(object_at=OBJECT)
    cell.arm.stop_at_z = 0.03
    result, _ = run(cell, GRASP)
    assert result.success


def test_what_goes_wrong_is_told_by_reason(gantry):
    tilted = Grasp(top_down((0.1, 0.0, 0.1)) @ transform(rotation=Rotation.from_euler("x", 0.5)))
    cases = [
        (gantry(), tilted, Reason.UNREACHABLE),
        (gantry(), Grasp(top_down((0.5, 0.0, 0.1))), Reason.REFUSED_BY_GUARD),
    ]
    broken = gantry()
    broken.arm.fails_with = MotionStatus.TIMED_OUT
    cases.append((broken, GRASP, Reason.MOTION_FAILED))
    cancelled = gantry()
    cancelled.cancel.set()
    cases.append((cancelled, GRASP, Reason.CANCELLED))
    hand = gantry()
    cases.append((hand, Grasp(GRASP.T_base_tcp, preshape={"spread": 0.1}), Reason.GRIPPER_FAILED))
    for cell, action, reason in cases:
        result, _ = run(cell, action)
        assert (result.success, result.reason) == (False, reason), result.message
        assert result.message


def test_arms_and_frames_that_are_not_there_are_results_not_crashes(gantry):
    for action in (Grasp(GRASP.T_base_tcp, arm="third"), Step(np.eye(4), frame="no_camera")):
        result, _ = run(gantry(), action)
        assert (result.success, result.reason) == (False, Reason.INVALID_ACTION)


def test_pushes_without_a_way_to_go_are_refused(gantry):
    down = Push(np.array([0.0, 0.0, 0.1]), np.array([0.0, 0.0, -1.0]))
    at_the_border = Push(np.array([0.2, 0.0, 0.1]), np.array([1.0, 0.0, 0.0]))
    for action in (down, at_the_border):
        cell = gantry()
        result, _ = run(cell, action)
        assert result.success is False
        assert cell.arm.executed == []


def test_a_silent_arm_is_a_stale_state(gantry):
    cell = gantry()
    observation = cell.observe()
    cell.arm.silent = True
    result, _ = execute_action(cell.ports, cell.guard, GRASP, observation)
    assert result.reason is Reason.STALE_STATE


def test_a_push_goes_straight_and_stops_at_the_border(gantry):
    cell = gantry()
    result, interventions = run(cell, Push(np.array([0.15, 0.0, 0.02]), np.array([1.0, 0.0, 0.0])))
    assert result.reason is Reason.PUSHED
    assert result.commanded.length_m == pytest.approx(0.05)
    assert [i.limit for i in interventions] == ["workspace"]
    ends = [trajectory.positions[-1, :3] for trajectory in cell.arm.executed]
    np.testing.assert_allclose(ends, [[0.15, 0, 0.12], [0.15, 0, 0.02], [0.2, 0, 0.02], [0.2, 0, 0.12]], atol=1e-9)
    assert abs(cell.arm.position[3]) == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("frame", ["base", "tcp"])
def test_a_step_moves_along_the_axes_of_its_frame(gantry, frame):
    cell = gantry()
    cell.arm.position[:] = (0.0, 0.0, 0.2, 0.5)
    before = cell.observe().arm().T_base_tcp
    delta = transform((0.01, 0.02, 0.03), Rotation.from_euler("z", 0.1))
    result, _ = run(cell, Step(delta, GripperMotion.CLOSE, frame=frame))
    after = cell.observe().arm().T_base_tcp
    if frame == "tcp":
        expected = before @ delta
    else:
        expected = transform(before[:3, 3] + delta[:3, 3], delta[:3, :3] @ before[:3, :3])
    np.testing.assert_allclose(after, expected, atol=1e-9)
    assert result.reason is Reason.MOVED
    assert cell.gripper.commands == [0.0]


def test_stop_moves_nothing(gantry):
    cell = gantry()
    result, _ = run(cell, Stop("table empty"))
    assert (result.reason, result.success, result.message) == (Reason.STOPPED_BY_POLICY, None, "table empty")
    assert cell.arm.executed == []


def test_states_and_drop(gantry):
    cell = gantry()
    assert go_to_state(cell.ports, "ready").success
    assert drop(cell.ports).success
    (held,), released = cell.ports.planner.carried
    assert held.size_m[2] > cell.ports.settings.held_reach_m
    assert released == ()
    np.testing.assert_allclose(cell.arm.position[:3], (0.3, 0.3, 0.5))
    with pytest.raises(KeyError, match="no state 'home'"):
        go_to_state(cell.ports, "home")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Grasp(np.eye(4) * np.nan),
        lambda: Grasp(np.eye(4), width_m=-0.1),
        lambda: Grasp(np.eye(4), preshape={"spread": np.nan}),
        lambda: Push(np.zeros(3), np.array([2.0, 0.0, 0.0])),
        lambda: Push(np.full(3, np.nan), np.array([1.0, 0.0, 0.0])),
        lambda: Step(np.zeros((4, 4))),
        lambda: Step(np.eye(4), frame=""),
    ],
)
def test_senseless_actions_cannot_be_made(make):
    with pytest.raises(ActionError):
        make()
