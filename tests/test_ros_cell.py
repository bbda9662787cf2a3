# SPDX-License-Identifier: Apache-2.0
"""``RosCell`` on a whole graph: the contract of a cell, a grasp that the truth confirms, cancelling, silence."""

import os
import threading
import time

import numpy as np
import pytest
from graph import Launch, wait_until

pytestmark = [pytest.mark.graph, pytest.mark.timeout(240)]
pytest.importorskip("grasp_interfaces.action", reason="grasp_interfaces is not built; run the tests through ./ws test")

from domain_coordinator import domain_id  # noqa: E402

from grasp_core import cell_contract as contract  # noqa: E402
from grasp_core import registry  # noqa: E402
from grasp_core.actions import Step  # noqa: E402
from grasp_core.cell import Reason  # noqa: E402
from grasp_core.geometry import transform  # noqa: E402
from grasp_core.planning import Box, PlanOptions, PlanStatus  # noqa: E402
from grasp_core.ports import StateError  # noqa: E402
from grasp_description.grippers import load_gripper  # noqa: E402
from grasp_sim.cell import load_cell_config  # noqa: E402
from grasp_sim.pick_check import run_check  # noqa: E402
from grasp_sim.ros_pick import RosTruth, connect  # noqa: E402
from grasp_sim.scripted_grasps import candidate_grasps  # noqa: E402

CAMERAS = ("fixed_camera", "wrist_camera")
SCENE = "single"


@pytest.fixture(scope="module")
def graph():
    with domain_id() as domain:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        command = ("ros2", "launch", "grasp_bringup", "sim_ur5.launch.py", "headless_mode:=true", f"scene:={SCENE}")
        with Launch(environment, *command, "speed_scale:=0.4", "policy:=none") as launch:
            launch.wait_for("is ready")
            yield domain
        assert wait_until(lambda: launch.descendants() == [])


@pytest.fixture(scope="module")
def config():
    return load_cell_config("ur5")


@pytest.fixture(scope="module")
def cell(graph, config):
    cell = connect(config, graph, cameras=CAMERAS, after_grasp="keep", return_to_ready=False)
    yield cell
    cell.close()
    cell.close()


def test_it_is_found_by_name():
    assert "ros" in registry.names("grasp.cells")


def test_reset_and_observation(cell, config):
    contract.check_reset(cell, SCENE, config, CAMERAS)


def test_steps(cell, config):
    contract.check_step(cell, SCENE, config)


def test_limits(cell, config):
    contract.check_clipping(cell, SCENE, config)
    contract.check_refusals(cell, SCENE, config)


def test_stop(cell):
    contract.check_stop(cell, SCENE)


def test_the_same_seed_makes_the_same_scene(cell):
    contract.check_same_seed(cell, SCENE, joint_tolerance=2e-3, pixel_share=0.01)


def test_pictures_show_where_the_object_is(cell, graph):
    observation = cell.reset(SCENE, 7)
    truth = RosTruth(graph)
    try:
        (target,) = truth.targets()
    finally:
        truth.close()
    frame = observation.frame("fixed_camera")
    points = frame.points_base().reshape(-1, 3)
    on_top = points[points[:, 2] > 0.5 * target.extents_m[2]]
    near = on_top[np.linalg.norm(on_top[:, :2] - target.T_base_object[:2, 3], axis=1) < 0.04]
    assert len(near) > 50, "the depth image, placed through TF, does not show the object where it is"


def test_a_grasp_lifts_what_the_truth_says_it_lifts(cell, config, graph):
    truth = RosTruth(graph)
    try:
        summary = run_check(cell, truth, config, SCENE, 1, 0, progress=False)
    finally:
        truth.close()
    assert summary.successes == 1, summary.runs
    assert summary.runs[0].gripper_says


def test_cancel_ends_a_running_action_at_once(cell, config):
    observation = cell.reset(SCENE, 8)
    ready = observation.arm().T_base_tcp
    gripper = load_gripper("rg2")
    truth = RosTruth(cell._node.context.get_domain_id())
    try:
        action = candidate_grasps(truth.targets()[0], config, gripper, "top")[0]
    finally:
        truth.close()
    asked = []

    def interrupt():
        asked.append(wait_until(moves, 60.0))
        cell.cancel()

    def moves():
        try:
            return np.abs(cell.arms["arm"].state().velocities).max() > 0.1
        except StateError:
            return False  # on a machine at its limit a joint state may be late

    thread = threading.Thread(target=interrupt)
    thread.start()
    outcome = cell.execute(action)
    thread.join()
    assert asked == [True], "the arm did not begin to move"
    assert outcome.reason is Reason.CANCELLED, outcome.message
    assert outcome.success is False
    since = cell._now_ns()
    assert wait_until(lambda: cell._now_ns() > since + 300_000_000)
    assert np.abs(cell.arms["arm"].state().velocities).max() < 0.02, "the arm still moves after the cancelled action"
    assert not np.allclose(ready, cell.observe().arm().T_base_tcp, atol=1e-3), "the arm had not begun to move"


def test_cancel_ends_a_reset(cell):
    cell.reset(SCENE, 8)
    over = threading.Event()

    def interrupt():
        # Again and again, as the episode manager does: a reset begins by forgetting an older cancel.
        while not over.wait(0.01):
            cell.cancel()

    thread = threading.Thread(target=interrupt)
    thread.start()
    begin = time.monotonic()
    try:
        with pytest.raises(StateError):
            cell.reset(SCENE, 9)
    finally:
        over.set()
        thread.join()
    assert time.monotonic() - begin < 0.8 * cell.options.answer_timeout_s, "it waited to its time-out"
    contract.check_reset(cell, SCENE, cell.config, CAMERAS)


def test_the_planner_keeps_away_from_obstacles_that_it_is_told(cell):
    cell.reset(SCENE, 9)
    planner, arm = cell.ports.planner, cell.arms["arm"]
    goal = cell.observe().arm().T_base_tcp
    planner.set_obstacles((Box("wall", transform(goal[:3, 3]), (0.3, 0.3, 0.1)),))
    try:
        result = planner.plan_line("arm", arm.state(), transform((0.0, 0.0, -0.02)) @ goal, PlanOptions())
        assert result.status in (PlanStatus.START_IN_COLLISION, PlanStatus.GOAL_IN_COLLISION), result
        assert any("wall" in pair for pair in result.contacts), result
        with pytest.raises(ValueError, match="same"):
            planner.set_obstacles(tuple(Box("same", np.eye(4), (1.0, 1.0, 1.0)) for _ in range(2)))
    finally:
        planner.set_obstacles(())


def test_what_is_held_is_kept_off_the_table(cell):
    cell.reset(SCENE, 9)
    planner, arm = cell.ports.planner, cell.arms["arm"]
    height_m = cell.observe().arm().T_base_tcp[2, 3]
    held = Box("held", transform((0.0, 0.0, 0.5 * height_m)), (0.02, 0.02, height_m))
    down = transform((0.0, 0.0, -0.05)) @ cell.observe().arm().T_base_tcp
    planner.set_held("arm", (held,))
    try:
        result = planner.plan_line("arm", arm.state(), down, PlanOptions())
        assert any({"held", "table"} == set(pair) for pair in result.contacts), result
    finally:
        planner.set_held("arm", ())
    assert planner.plan_line("arm", arm.state(), down, PlanOptions()).ok


def test_a_silent_graph_is_told_in_time(config):
    with domain_id() as domain:
        begin = time.monotonic()
        with pytest.raises(StateError, match="shoulder_pan_joint"):
            connect(config, int(domain), connect_timeout_s=1.0)
        assert time.monotonic() - begin < 20.0


def test_a_camera_that_falls_silent_fails_the_outcome_and_not_the_caller(cell):
    cell.reset(SCENE, 10)
    camera = cell.cameras["fixed_camera"]
    cell.cameras["fixed_camera"] = type("Silent", (), {"frame": _silent, "pose_only": camera.pose_only})()
    try:
        outcome = cell.execute(Step(transform((0.0, 0.0, -0.01))))
    finally:
        cell.cameras["fixed_camera"] = camera
    assert outcome.reason is Reason.STALE_STATE
    assert "lens cap" in outcome.message
    assert outcome.commanded is not None, "what was commanded is lost"


def _silent(*_):
    raise StateError("camera fixed_camera: lens cap")
