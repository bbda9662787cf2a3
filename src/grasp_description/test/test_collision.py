# SPDX-License-Identifier: Apache-2.0
"""Known collisions, obstacles of each kind, the computed SRDF."""

import numpy as np
import pytest

from grasp_core.cell_config import CellConfig
from grasp_core.geometry import top_down, transform
from grasp_core.planning import Box, Mesh, VoxelGrid
from grasp_core.resources import find
from grasp_description import RobotModel, cells
from grasp_description.make_srdf import compute, touching_counts

CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
CUBE_TRIANGLES = np.array(
    [
        [0, 1, 3],
        [0, 3, 2],
        [4, 6, 7],
        [4, 7, 5],
        [0, 4, 5],
        [0, 5, 1],
        [2, 3, 7],
        [2, 7, 6],
        [0, 2, 6],
        [0, 6, 4],
        [1, 5, 7],
        [1, 7, 3],
    ]
)


@pytest.fixture(scope="module")
def models():
    return {cell: RobotModel.from_cell(cell) for cell in cells()}


@pytest.fixture
def ur5(models):
    model = models["ur5"]
    yield model
    model.collision.set_obstacles([])


@pytest.mark.parametrize("cell", cells())
@pytest.mark.parametrize("state", ["ready", "home"])
@pytest.mark.parametrize("gripper", ["open", "closed"])
def test_named_states_are_free(models, cell, state, gripper):
    model = models[cell]
    q = model.state(state)
    for name, group in model.groups.items():
        if name.endswith("gripper"):
            q[group.indices] = group.states[gripper]
    assert str(model.collision.check(q, first_only=False)) == "free"


@pytest.mark.parametrize(("cell", "variant"), [*((name, {}) for name in cells()), ("iiwa", {"model": "14"})])
def test_every_arm_with_a_gripper_has_a_free_drop_state(cell, variant):
    """With the fingers open and closed, the other arms ready."""
    model = RobotModel.from_cell(cell, **variant)
    config = CellConfig.from_yaml(find("config", f"cells/{cell}.yaml"))
    for arm in config.arms.values():
        group = model.group(arm.group)
        q = model.state("ready")
        q[group.indices] = group.states[arm.drop]
        assert str(model.collision.check(q, first_only=False)) == "free"
        T = model.fk(q, arm.tcp_frame)
        assert config.limits.motion_box.contains(T[:3, 3])
        assert T[2, 2] < -0.99, "what is held hangs below the hand"


def test_baxter_elbow_folds_to_its_published_stop(models):
    """The fuller shapes touch there, which depends on e1 alone; its stop keeps the parts apart."""
    model = models["baxter"]
    rng = np.random.default_rng(0)
    for side in ("right", "left"):
        pair = (f"{side}_upper_elbow", f"{side}_upper_forearm")
        for e1, touches in ((1.9, False), (2.1, True), (2.6, True)):
            for w0 in rng.uniform(-3.0, 3.0, 5):
                q = model.vector({f"{side}_e1": e1, f"{side}_w0": w0}, model.state("ready"))
                assert (pair in model.collision.colliding_pairs(q)) is touches
                assert pair not in model.collision.check(q, first_only=False).pairs


@pytest.mark.parametrize("variant", ["7", "14"])
def test_both_iiwa_models_are_free_at_ready(variant):
    model = RobotModel.from_cell("iiwa", model=variant)
    assert not model.collision.check(model.state("ready"))


def test_arm_folded_into_itself_and_into_the_table(ur5):
    q = ur5.vector({"shoulder_lift_joint": -1.57, "elbow_joint": 3.1})
    pairs = ur5.collision.check(q, first_only=False).pairs
    assert any("upper_arm_link" in pair for pair in pairs)
    down = ur5.collision.check(ur5.vector({"shoulder_lift_joint": 0.3, "elbow_joint": 0.0}), first_only=False)
    assert any("table" in pair for pair in down.pairs)
    assert "touches" in str(down)


def test_baxter_arms_meet_in_the_middle(models):
    model = models["baxter"]
    q = model.state("ready")
    target = top_down((0.68, 0.0, 0.95))
    q = model.ik(target, q, "right_arm").q
    q = model.ik(target, q, "left_arm").q
    pairs = model.collision.check(q, first_only=False).pairs
    assert any(a.startswith("left_") and b.startswith("right_") for a, b in pairs)


@pytest.mark.parametrize("kind", ["box", "mesh", "voxels"])
def test_an_obstacle_around_the_tool_is_hit_and_one_beside_it_is_not(ur5, kind):
    q = ur5.vector({"finger_joint": 0.849}, ur5.state("ready"))
    tool = ur5.fk(q, "grasp_tcp")[:3, 3]

    def obstacle(centre):
        if kind == "box":
            return Box("thing", transform(centre), (0.06, 0.06, 0.06))
        if kind == "mesh":
            return Mesh("thing", transform(centre), CUBE * 0.06, CUBE_TRIANGLES)
        return VoxelGrid("thing", transform(np.asarray(centre) - 0.03), 0.02, np.ones((3, 3, 3), bool))

    ur5.collision.set_obstacles([obstacle(tool)])
    hit = ur5.collision.check(q, first_only=False)
    assert hit
    assert all("thing" in pair for pair in hit.pairs)
    assert not ur5.collision.check(q, environment=False)
    assert not ur5.collision.check(q, allowed=frozenset({"thing"}))
    ur5.collision.set_obstacles([obstacle(tool + np.array([0.15, 0.2, 0]))])
    assert not ur5.collision.check(q)


def test_distance_to_a_block_under_the_fingers(ur5):
    q = ur5.vector({"finger_joint": 0.849061}, ur5.state("ready"))
    tool = ur5.fk(q, "grasp_tcp")[:3, 3]
    tip = 0.0148  # the fingers reach that far beyond the pads' centre
    free, own_pair = ur5.collision.distance(q, environment=False)
    assert "block" not in own_pair
    for gap in (0.008, 0.002):
        ur5.collision.set_obstacles([Box("block", transform(tool - (0, 0, 0.05 + tip + gap)), (0.4, 0.4, 0.1))])
        distance, pair = ur5.collision.distance(q)
        # the finger boxes of the linkage end within 1 mm of the tips
        assert distance == pytest.approx(min(gap, free), abs=1e-3)
        assert ("block" in pair) == (distance < free)
    assert "block" in pair


def test_attached_box_collides_in_place_of_the_tool(ur5):
    q = ur5.state("ready")
    tool = ur5.fk(q, "grasp_tcp")[:3, 3]
    ur5.collision.set_obstacles([Box("shelf", transform(tool - np.array([0, 0, 0.20])), (0.3, 0.3, 0.02))])
    assert not ur5.collision.check(q)
    ur5.collision.attach(
        "held", (0.04, 0.04, 0.3), transform((0, 0, 0.1)), "grasp_tcp", ["left_inner_finger", "right_inner_finger"]
    )
    try:
        assert ("held", "shelf") in ur5.collision.check(q, first_only=False).pairs
    finally:
        ur5.collision.detach("held")
    assert not ur5.collision.check(q)
    with pytest.raises(KeyError, match="nothing named held"):
        ur5.collision.detach("held")


def test_obstacle_names_must_differ(ur5):
    box = Box("table", transform((3, 0, 0)), (0.1, 0.1, 0.1))
    with pytest.raises(ValueError, match="taken"):
        ur5.collision.set_obstacles([box])


def test_what_is_refused_leaves_the_obstacles_that_were_there(ur5):
    q = ur5.state("ready")
    tool = ur5.fk(q, "grasp_tcp")[:3, 3]
    crate = Box("crate", transform(tool), (0.3, 0.3, 0.1))
    ur5.collision.set_obstacles([crate])
    empty = VoxelGrid("fog", np.eye(4), 0.02, np.zeros((3, 3, 3), bool))
    with pytest.raises(ValueError, match="fog"):
        ur5.collision.set_obstacles([crate, empty])
    assert list(ur5.collision.obstacles) == ["crate"]
    ur5.collision.attach("held", (0.02, 0.02, 0.02), transform((0, 0, 0.3)), "grasp_tcp", [])
    try:
        assert "crate" in ur5.collision.check(q).pairs[0]
        with pytest.raises(ValueError, match="taken"):
            ur5.collision.set_obstacles([Box("held", transform((3, 0, 0)), (0.1, 0.1, 0.1))])
    finally:
        ur5.collision.detach("held")


def test_the_first_pair_that_touches_is_no_pair_of_an_earlier_check(ur5):
    """A check that stops at the first pair leaves the results of the others as they were."""
    folded = ur5.vector({"shoulder_lift_joint": -1.57, "elbow_joint": 3.1})
    down = ur5.vector({"shoulder_lift_joint": 0.3, "elbow_joint": 0.0})
    for before, now in ((folded, down), (down, folded)):
        ur5.collision.check(before, first_only=False)
        first = ur5.collision.check(now).pairs
        assert len(first) == 1
        assert first[0] in ur5.collision.check(now, first_only=False).pairs


def test_prefixed_cell_disables_the_same_pairs(models):
    plain, prefixed = models["ur5"], RobotModel.from_cell("ur5", prefix="cell_")
    assert len(plain.srdf.disabled) == len(prefixed.srdf.disabled)
    assert ("cell_forearm_link", "cell_upper_arm_link") in prefixed.srdf.disabled
    assert not prefixed.collision.check(prefixed.state("ready"))
    T = plain.fk(plain.state("ready"), "grasp_tcp")
    np.testing.assert_allclose(prefixed.fk(prefixed.state("ready"), "cell_grasp_tcp"), T)


@pytest.mark.parametrize("cell", cells())
def test_srdf_names_exist_and_never_pairs_never_touch(models, cell):
    model = models[cell]
    for pair in model.srdf.disabled:
        assert set(pair) <= set(model.collision.links), pair
    assert set(model.srdf.disabled.values()) <= {"Adjacent", "Default", "Fixed", "Gripper", "Never", "User"}
    for group in model.srdf.groups.values():
        assert model.groups[group.name].joints
    samples = 400
    counts = touching_counts(model, samples, seed=12345)
    never = [pair for pair, reason in model.srdf.disabled.items() if reason == "Never"]
    touched = {pair: counts[pair] for pair in never if counts[pair]}
    assert len(touched) <= 0.05 * len(never), touched
    assert sum(touched.values()) <= 0.001 * samples * max(1, len(never)), touched


def test_committed_srdf_agrees_with_a_new_computation(models):
    fresh = compute("ur5", samples=300, seed=99)
    committed = models["ur5"].srdf
    assert fresh.groups == committed.groups
    assert fresh.end_effectors == committed.end_effectors
    certain = {pair for pair, reason in committed.disabled.items() if reason != "Never"}
    assert certain == {pair for pair, reason in fresh.disabled.items() if reason != "Never"}
    # fewer samples miss collisions, so they can only disable more
    assert set(committed.disabled) <= set(fresh.disabled)
