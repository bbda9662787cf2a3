# SPDX-License-Identifier: Apache-2.0
"""SimCell: the contract of a cell, repeatability, saving, grasping, and what the gripper says against the truth."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp_core import cell_contract as contract
from grasp_core.actions import Grasp, GripperMotion, Push, Step
from grasp_core.cell import Reason
from grasp_core.geometry import top_down, transform
from grasp_description.grippers import load_gripper
from grasp_sim.cell import SimCell, load_cell_config
from grasp_sim.pick_check import SimTruth, _reachable_in, run_check
from grasp_sim.scenes.cases import CaseObject, write_case
from grasp_sim.scripted_grasps import candidate_grasps, graspable_set
from grasp_sim.truth import GroundTruth

CAMERAS = ("fixed_camera",)


def gripper_of(config, arm):
    return load_gripper(config.grippers[config.arms[arm].gripper].kind)


def test_contract(ur5):
    config = ur5.config
    contract.check_reset(ur5, "single", config, CAMERAS)
    contract.check_step(ur5, "single", config)
    contract.check_clipping(ur5, "single", config)
    contract.check_refusals(ur5, "single", config)
    contract.check_stop(ur5, "single")
    contract.check_same_seed(ur5, "primitives")


def episode(cell, seed):
    rng = np.random.default_rng(seed)
    observations = [cell.reset("primitives", seed)]
    for k in range(19):
        motion = (GripperMotion.KEEP, GripperMotion.CLOSE, GripperMotion.OPEN)[k % 3]
        T = transform(rng.uniform(-0.03, 0.03, 3))
        observations.append(cell.execute(Step(T, motion, frame="base")).observation)
    return observations


def test_same_seed_gives_identical_first_twenty_observations(ur5):
    first, second = episode(ur5, 5), episode(ur5, 5)
    for a, b in zip(first, second, strict=True):
        assert a.joint_positions == b.joint_positions
        assert np.array_equal(a.frames["fixed_camera"].rgb, b.frames["fixed_camera"].rgb)
        assert np.array_equal(a.frames["fixed_camera"].depth_m, b.frames["fixed_camera"].depth_m, equal_nan=True)


def test_depth_noise_is_an_option_and_repeats_with_the_seed():
    def depth(**options):
        cell = SimCell("ur5", renderer="tiny", cameras=CAMERAS, sizes={"fixed_camera": (320, 240)}, **options)
        try:
            return [cell.reset("single", seed).frames["fixed_camera"].depth_m for seed in (3, 4, 3)]
        finally:
            cell.close()

    clean, noisy = depth(), depth(depth_noise={"sigma_m": 0.002})
    assert np.array_equal(noisy[0], noisy[2], equal_nan=True)
    near = clean[0] < 2.0
    off = (noisy[0] - clean[0])[near] / np.square(clean[0][near])
    assert off.std() == pytest.approx(0.002, rel=0.05)
    other = (noisy[1] - clean[1])[near & (clean[1] < 2.0)]
    assert not np.allclose(other, (noisy[0] - clean[0])[near & (clean[1] < 2.0)])


@pytest.mark.parametrize(("block", "width_m", "count"), [("cube", 0.048, 2), ("plank", 0.020, 3)])
def test_all_blocks_of_one_grip_are_held(ur5, tmp_path, block, width_m, count):
    path = tmp_path / "row.txt"
    # Planks stand on their edge, 48 mm high.
    tip = Rotation.from_euler("x", 0.0 if block == "cube" else 0.5 * np.pi)
    row = [transform((-0.5, k * (width_m + 0.0004), 0.024), tip) for k in range(count)]
    write_case(path, [CaseObject(block, (1, 0, 0, 1), T) for T in row])
    ur5.reset(str(path), 0)
    places = np.array([T[:3, 3] for T in ur5.truth.poses().values()])
    along = places[-1] - places[0]
    # The fingers close along the row: only the outer ones are touched.
    outcome = ur5.execute(Grasp(top_down(places.mean(axis=0), float(np.arctan2(along[1], along[0])))))
    assert outcome.success
    assert len(outcome.info["held_ids"]) == count
    assert not ur5.truth.poses(), "what was held is taken away"


# Bodies: 0 the robot with its palm (link 0) and fingers (links 1, 2), 1 its statics, 2 the floor, objects from 10 on.
@pytest.mark.parametrize(
    ("touching", "held"),
    [
        ({(0, 10, 1), (0, 10, 2)}, {0}),
        ({(0, 10, 1), (0, 11, 2), (10, 11, None)}, {0, 1}),
        ({(0, 10, 1), (0, 11, 2)}, set()),
        ({(0, 10, 1), (10, 11, None), (11, 12, None), (0, 12, 2)}, {0, 1, 2}),
        ({(0, 10, 1), (0, 10, 2), (10, 11, None)}, {0, 1}),
        ({(0, 10, 1), (0, 10, 2), (10, 2, None)}, set()),
        ({(0, 10, 1), (0, 11, 2), (10, 12, None), (11, 12, None), (12, 2, None)}, set()),
        ({(0, 10, 1), (0, 10, 2), (10, 12, None), (12, 2, None)}, {0}),
        ({(0, 10, 0), (0, 10, 1)}, {0}),
        ({(0, 10, 0)}, set()),
    ],
)
def test_what_is_held(touching, held):
    def points(a=None, b=None, bodyA=None):
        a = a if bodyA is None else bodyA
        both = [(x, y, link, None) for x, y, link in touching] + [(y, x, None, link) for x, y, link in touching]
        return [(0, x, y, link, other, 0, 0, 0, 0, 1.0) for x, y, link, other in both if x == a and b in (None, y)]

    things = [SimpleNamespace(id=k, body=10 + k) for k in range(3)]
    world = SimpleNamespace(
        api=SimpleNamespace(getContactPoints=points),
        robot=SimpleNamespace(body=0, statics=1, links_of=lambda names: [0]),
        config=SimpleNamespace(arms={"arm": SimpleNamespace(gripper="hand", tcp_frame="palm")}),
        drives={"hand": SimpleNamespace(finger_links=(1, 2), finger_groups=((1,), (2,)))},
        floor=2,
        extra_bodies={},
        objects={thing.id: thing for thing in things},
        present=lambda: things,
    )
    assert {h.thing.id for h in GroundTruth(world).held("hand")} == held


def test_restore_goes_back_and_on_alike(ur5):
    ur5.reset("primitives", 3)
    ur5.execute(Step(transform((0, 0, 0.04))))
    state = ur5.save()
    saved = ur5.observe()
    ends = []
    for _ in range(2):
        ur5.execute(Step(transform((0.02, 0, 0.05)), GripperMotion.CLOSE))
        ur5.world.park(ur5.world.present()[0])
        ends.append((ur5.world.robot.positions(), {k: T.copy() for k, T in ur5.truth.poses().items()}))
        restored = ur5.restore(state)
        assert restored.stamp_ns == saved.stamp_ns
        assert restored.step == saved.step
        for name, value in saved.joint_positions.items():
            assert restored.joint_positions[name] == pytest.approx(value, abs=1e-9)
        assert np.array_equal(restored.frames["fixed_camera"].rgb, saved.frames["fixed_camera"].rgb)
    for name, value in ends[0][0].items():
        assert ends[1][0][name] == pytest.approx(value, abs=1e-4)
    for key, T in ends[0][1].items():
        assert np.allclose(T, ends[1][1][key], atol=1e-3)


def test_scripted_grasps_lift_and_the_gripper_agrees_with_the_truth(ur5):
    """F64: width and stall against contacts and height, for hits and for deliberate misses."""
    table = np.zeros((2, 2), dtype=int)
    for seed in range(6):
        ur5.reset("single", seed)
        target = SimTruth(ur5).targets()[0]
        grasp = candidate_grasps(target, ur5.config, load_gripper("rg2"), "top")[0]
        if seed % 2:
            box = ur5.config.limits.workspace
            away = grasp.T_base_tcp.copy()
            away[1, 3] += 0.12 if away[1, 3] < 0.5 * (box.min_m[1] + box.max_m[1]) else -0.12
            grasp = type(grasp)(away, grasp.width_m)
        outcome = ur5.execute(grasp)
        table[int(outcome.info["gripper_says"]), int(outcome.info["success"])] += 1
        assert {
            "grasped_id",
            "target_id",
            "success",
            "gripper_height",
            "gripper_closed",
            "n_contacts",
            "stop_reason",
        } <= set(outcome.info)
    assert table[0, 1] + table[1, 0] == 0, f"gripper and truth disagree: {table.tolist()}"
    assert table[1, 1] == 3
    assert table[0, 0] == 3


def test_a_grasped_object_leaves_the_scene(ur5):
    summary = run_check(ur5, SimTruth(ur5), ur5.config, "single", 1, 0, progress=False)
    assert summary.successes == 1
    assert ur5.truth.poses() == {}


class TipPath:
    """Writes down where the tool is before every physics step."""

    def __init__(self):
        self.points = []

    def before_step(self, world):
        self.points.append(world.robot.T_base("grasp_tcp")[:3, 3].copy())


def test_push_moves_ten_centimetres_and_stays_inside(ur5):
    ur5.reset("single", 1)
    thing = ur5.world.present()[0]
    ur5.world.place(thing, transform((0.5, 0.0, 0.5 * thing.model.extents_m[2])))
    ur5.world.step(60)
    tip = TipPath()
    ur5.world.events.append(tip)
    outcome = ur5.execute(Push(np.array([0.44, 0.0, 0.03]), np.array([1.0, 0.0, 0.0]), 0.1))
    ur5.world.events.remove(tip)
    assert outcome.reason is Reason.PUSHED
    low = np.array([point for point in tip.points if point[2] < 0.035])
    assert low[:, 0].min() == pytest.approx(0.44, abs=0.005)
    assert low[:, 0].max() == pytest.approx(0.54, abs=0.005)
    assert np.abs(low[:, 1]).max() < 0.005
    moved = ur5.world.pose_of(thing)[:3, 3] - (0.5, 0.0, 0.0)
    assert 0.02 < moved[0] < 0.12
    outcome = ur5.execute(Push(np.array([0.7, 0.0, 0.03]), np.array([1.0, 0.0, 0.0]), 0.1))
    assert outcome.commanded.length_m == pytest.approx(0.024, abs=1e-6)


def test_a_blocked_arm_reports_it(ur5):
    """Down into the table: the path tolerance ends the motion, as a joint trajectory controller does."""
    ur5.reset("single", 0)
    ur5.world.park(ur5.world.present()[0])
    start = ur5.observe().arm().T_base_tcp
    for _ in range(8):
        outcome = ur5.execute(Step(transform((0, 0, 0.05))))
    assert ur5.observe().arm().T_base_tcp[2, 3] < start[2, 3] - 0.1
    assert outcome.reason in (Reason.MOVED, Reason.REFUSED_BY_GUARD)
    assert ur5.observe().arm().T_base_tcp[2, 3] > -0.005


def test_fast_motion_grasps_as_well():
    cell = SimCell("ur5", renderer="tiny", cameras=(), motion="fast")
    try:
        summary = run_check(cell, SimTruth(cell), cell.config, "single", 8, 0, progress=False)
        assert summary.successes >= 7, summary.reasons
    finally:
        cell.close()


@pytest.mark.parametrize("cell_name", ["iiwa", "baxter", "hsr", "staubli"])
def test_every_cell_steps_and_grasps(cell_name):
    objects = graspable_set(load_cell_config(cell_name))
    cell = SimCell(cell_name, renderer="tiny", cameras=(), objects=objects, planner="ompl")
    try:
        if cell_name != "baxter":
            # Baxter's arms are ready beside the table, outside of the workspace: a first step only leads back in.
            contract.check_step(cell, "single", cell.config)
        summary = run_check(
            cell, SimTruth(cell), cell.config, "single", 2, 0, reachable=_reachable_in(cell), progress=False
        )
        assert summary.successes >= 1, summary.runs
    finally:
        cell.close()


@pytest.mark.parametrize("cell_name", ["ur5", "iiwa", "baxter", "hsr", "staubli"])
def test_what_is_brought_to_the_drop_place_leaves_the_scene(cell_name):
    """Every arm lets go where its object falls out of what counts as the scene; nothing is taken out by hand."""
    config = load_cell_config(cell_name)
    cell = SimCell(
        config, renderer="tiny", cameras=(), objects=graspable_set(config), planner="ompl", after_grasp="drop"
    )
    try:
        for arm in config.arms:
            for seed in range(12):
                cell.reset("single", seed)
                target = SimTruth(cell).targets()[0]
                grasps = candidate_grasps(target, config, gripper_of(config, arm), "top")
                reachable = [g for g in (replace(g, arm=arm) for g in grasps) if _reachable_in(cell)(g)]
                if reachable and (outcome := cell.execute(reachable[0])).success:
                    break
            else:
                pytest.fail(f"arm {arm} lifted nothing")
            assert outcome.info["success"]
            assert not outcome.message.startswith("after the grasp"), outcome.message
            assert cell.truth.poses() == {}, f"arm {arm} let go at its drop state, and the object is still in the scene"
    finally:
        cell.close()
