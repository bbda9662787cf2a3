# SPDX-License-Identifier: Apache-2.0
"""Forward kinematics against published chains and check points, Jacobian, inverse kinematics."""

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial.transform import Rotation

from grasp_core.geometry import difference, invert, transform
from grasp_description import RobotModel, load_cell, load_gripper

HALF = np.pi / 2


@pytest.fixture(scope="module")
def models():
    return {cell: RobotModel.from_cell(cell) for cell in ("ur5", "iiwa", "baxter", "hsr", "staubli")}


def set_joints(model, names, values):
    return model.vector(dict(zip(names, values, strict=True)))


def arm_joints(cell, group="arm"):
    return load_cell(cell).robot_spec().groups[group].joints


# cell, group, joints, reference frame, frame, position, tool z (None: not published)
CHECK_POINTS = [
    ("ur5", "arm", [0, 0, 0, 0, 0, 0], "base", "tool0", (-0.81725, -0.19145, -0.00549), None),
    ("ur5", "arm", [0, -1.57, 1.57, -1.57, -1.57, 0], "base_link", "tool0", (0.487, 0.109, 0.432), (0, 0, -1)),
    ("iiwa", "arm", [0] * 7, "lbr_link_0", "lbr_link_ee", (0, 0, 1.266), (0, 0, 1)),
    (
        "iiwa",
        "arm",
        [0, 0.5236, 0, -1.5708, 0, 1.0472, 0],
        "lbr_link_0",
        "lbr_link_ee",
        (0.5464, 0, 0.3604),
        (0, 0, -1),
    ),
    ("staubli", "arm", [0] * 6, "base_link", "tool0", (0, 0.02, 1.045), (0, 0, 1)),
    ("staubli", "arm", [0, 0, HALF, 0, HALF, 0], "base_link", "tool0", (0.31, 0.02, 0.595), (0, 0, -1)),
    (
        "baxter",
        "right_arm",
        [0, -0.55, 0, 0.75, 0, 1.26, 0],
        "torso",
        "right_hand",
        (0.6339, -0.8289, 0.2194),
        (0.078, -0.078, -0.994),
    ),
    ("hsr", "arm", [0, 0, 0, -1.57, 0], "base_link", "hand_palm_link", (0.2865, 0.078, 0.6731), (1, 0, 0)),
    ("hsr", "arm", [0, 0, -1.57, -1.57, 0], "base_link", "hand_palm_link", (0.1461, -0.0625, 0.6731), (0, -1, 0)),
    ("hsr", "arm", [0.2, -1.57, 0, 0, 0], "base_link", "hand_palm_link", (0.6265, 0.078, 0.5234), (1, 0, 0)),
]


@pytest.mark.parametrize(("cell", "group", "values", "reference", "frame", "position", "tool_z"), CHECK_POINTS)
def test_fk_meets_the_check_points(models, cell, group, values, reference, frame, position, tool_z):
    model = models[cell]
    q = set_joints(model, arm_joints(cell, group), values)
    T = invert(model.fk(q, reference)) @ model.fk(q, frame)
    np.testing.assert_allclose(T[:3, 3], position, atol=6e-4)
    if tool_z is not None:
        np.testing.assert_allclose(T[:3, 2], tool_z, atol=2e-3)


def test_iiwa14_flange_height():
    model = RobotModel.from_cell("iiwa", model="14")
    np.testing.assert_allclose(model.fk(model.state("home"), "lbr_link_ee")[:3, 3], (0, 0, 1.306), atol=1e-9)


def ur5_dh(q):
    """Standard DH of the UR5 in the controller's base frame."""
    table = zip(
        (0.089159, 0, 0, 0.10915, 0.09465, 0.0823),
        (0, -0.425, -0.39225, 0, 0, 0),
        (HALF, 0, 0, HALF, -HALF, 0),
        q,
        strict=True,
    )
    T = np.eye(4)
    for d, a, alpha, theta in table:
        T = (
            T
            @ transform((0, 0, d), Rotation.from_euler("z", theta))
            @ transform((a, 0, 0), Rotation.from_euler("x", alpha))
        )
    return T


def test_ur5_equals_its_dh_table(models):
    model, rng = models["ur5"], np.random.default_rng(0)
    for _ in range(20):
        values = rng.uniform(-np.pi, np.pi, 6)
        q = set_joints(model, arm_joints("ur5"), values)
        far, turned = difference(invert(model.fk(q, "base")) @ model.fk(q, "tool0"), ur5_dh(values))
        assert far < 1e-9
        assert turned < 1e-7


def iiwa_by_distances(q, shoulder, upper, fore, wrist):
    """The iiwa as a spherical shoulder, an elbow and a spherical wrist, from the data sheet's distances."""
    T = transform((0, 0, shoulder))
    for k, angle in enumerate(q):
        axis = "z" if k % 2 == 0 else "y"
        T = T @ transform(rotation=Rotation.from_euler(axis, -angle if k == 3 else angle))
        T = T @ transform((0, 0, {1: upper, 3: fore, 5: wrist}.get(k, 0.0)))
    return T


@pytest.mark.parametrize(
    ("variant", "distances"), [("7", (0.34, 0.40, 0.40, 0.126)), ("14", (0.36, 0.42, 0.40, 0.126))]
)
def test_iiwa_equals_its_data_sheet_distances(variant, distances):
    model, rng = RobotModel.from_cell("iiwa", model=variant), np.random.default_rng(1)
    for _ in range(20):
        values = rng.uniform(-1.9, 1.9, 7)
        q = set_joints(model, arm_joints("iiwa"), values)
        far, turned = difference(model.fk(q, "lbr_link_ee"), iiwa_by_distances(values, *distances))
        # iiwa 14: the table gives elbow-wrist as 0.192 + 0.2075, half a millimetre less than the sheet
        assert far < 1.5e-3
        assert turned < 1e-7


def tx60_by_lengths(q):
    T = transform((0, 0, 0.375), Rotation.from_euler("z", q[0])) @ transform(rotation=Rotation.from_euler("y", q[1]))
    T = (
        T
        @ transform((0, 0.02, 0.290), Rotation.from_euler("y", q[2]))
        @ transform(rotation=Rotation.from_euler("z", q[3]))
    )
    return (
        T
        @ transform((0, 0, 0.310), Rotation.from_euler("y", q[4]))
        @ transform((0, 0, 0.07), Rotation.from_euler("z", q[5]))
    )


def test_tx60_equals_its_lengths(models):
    model, rng = models["staubli"], np.random.default_rng(2)
    for _ in range(20):
        values = rng.uniform(-1.9, 1.9, 6)
        far, turned = difference(
            model.fk(set_joints(model, arm_joints("staubli"), values), "tool0"), tx60_by_lengths(values)
        )
        assert far < 1e-9
        assert turned < 1e-7


def test_baxter_arms_are_mirror_images(models):
    model, rng = models["baxter"], np.random.default_rng(3)
    mirror = np.diag([1.0, -1.0, 1.0])
    signs = np.array([-1, 1, -1, 1, -1, 1, -1])
    for _ in range(10):
        right = rng.uniform(-0.9, 0.9, 7)
        q = model.vector(
            dict(zip(arm_joints("baxter", "right_arm"), right, strict=True))
            | dict(zip(arm_joints("baxter", "left_arm"), signs * right, strict=True))
        )
        at_right, at_left = model.fk(q, "right_hand"), model.fk(q, "left_hand")
        np.testing.assert_allclose(mirror @ at_right[:3, 3], at_left[:3, 3], atol=1e-5)
        np.testing.assert_allclose(mirror @ at_right[:3, 2], at_left[:3, 2], atol=1e-5)


@pytest.mark.parametrize("cell", ["ur5", "iiwa", "baxter", "hsr", "staubli"])
def test_compiled_fk_equals_pinocchio_for_every_frame(models, cell):
    model, rng = models[cell], np.random.default_rng(4)
    data = model.pin_model.createData()
    for _ in range(5):
        q = rng.uniform(model.lower, model.upper)
        pin.framesForwardKinematics(model.pin_model, data, model.pin_q(q))
        for frame in model.links:
            expected = data.oMf[model.pin_model.getFrameId(frame, pin.FrameType.BODY)].homogeneous
            np.testing.assert_allclose(model.fk(q, frame), expected, atol=1e-9)


@pytest.mark.parametrize("cell", ["ur5", "iiwa", "baxter", "hsr", "staubli"])
def test_jacobian_equals_finite_differences(models, cell):
    model, rng, step = models[cell], np.random.default_rng(5), 1e-6
    frames = {group.tcp for group in model.groups.values() if group.tcp} | set(
        load_gripper(load_cell(cell).end_effectors[0].gripper).finger_links if cell != "baxter" else ()
    )
    for frame in sorted(frames):
        q = rng.uniform(model.lower, model.upper)
        J = model.jacobian(q, frame)
        assert J.shape == (6, len(model.joint_names))
        for i in range(len(q)):
            ahead, behind = q.copy(), q.copy()
            ahead[i] += step
            behind[i] -= step
            A, B = model.fk(ahead, frame), model.fk(behind, frame)
            np.testing.assert_allclose(J[:3, i], (A[:3, 3] - B[:3, 3]) / (2 * step), atol=1e-6)
            np.testing.assert_allclose(
                J[3:, i], Rotation.from_matrix(A[:3, :3] @ B[:3, :3].T).as_rotvec() / (2 * step), atol=1e-6
            )


ARMS = [
    ("ur5", "arm"),
    ("iiwa", "arm"),
    ("baxter", "right_arm"),
    ("baxter", "left_arm"),
    ("hsr", "whole_body"),
    ("hsr", "arm"),
    ("staubli", "arm"),
]


@pytest.mark.parametrize(("cell", "group"), ARMS)
@pytest.mark.parametrize("position_only", [False, True])
def test_ik_reaches_random_reachable_poses(models, cell, group, position_only):
    model, rng = models[cell], np.random.default_rng(6)
    seed, solved, count = model.state("ready"), 0, 200
    frame = model.group(group).tcp
    others = np.setdiff1d(np.arange(len(model.joint_names)), model.group(group).indices)
    for _ in range(count):
        target, _ = model.random_reachable_pose(rng, group, free=False)
        result = model.ik(target, seed, group, position_only=position_only)
        if not result.success:
            assert result.message
            continue
        solved += 1
        assert model.within_limits(result.q)
        np.testing.assert_array_equal(result.q[others], seed[others])
        far, turned = difference(model.fk(result.q, frame), target)
        assert far < 2e-6
        assert position_only or turned < 2e-6
    assert solved >= 0.99 * count


def test_ik_refuses_what_is_out_of_reach(models):
    model = models["ur5"]
    result = model.ik(transform((2.0, 0, 0.3)), model.state("ready"))
    assert not result.success
    assert "no solution" in result.message
    assert result.position_error_m > 0.5


def test_ik_stays_near_the_seed_for_a_small_move(models):
    for cell, group in ARMS:
        model = models[cell]
        q = model.state("ready")
        target = model.fk(q, model.group(group).tcp).copy()
        target[2, 3] += 0.02 if cell != "hsr" else 0.0
        result = model.ik(target, q, group)
        assert result.success, cell
        assert result.tries == 1
        assert np.abs(result.q - q).max() < 0.5, cell


def test_redundant_arm_is_pulled_towards_ready(models):
    model, rng = models["iiwa"], np.random.default_rng(7)
    ready = model.state("ready")
    nearer = 0
    for _ in range(50):
        target, q = model.random_reachable_pose(rng, free=False)
        pulled = np.linalg.norm(model.ik(target, q).q - ready)
        nearer += pulled <= np.linalg.norm(model.ik(target, q, towards_ready=False).q - ready) + 1e-9
    assert nearer >= 45


def test_ik_goes_on_until_the_solution_is_valid(models):
    model = models["ur5"]
    target = model.fk(model.state("ready"), "grasp_tcp")
    elbow = model.index("elbow_joint")
    result = model.ik(target, model.state("ready"), valid=lambda q: q[elbow] < 0)
    assert result.success
    assert result.q[elbow] < 0
    refused = model.ik(target, model.state("ready"), valid=lambda q: False, restarts=5)
    assert not refused.success
    assert "refused" in refused.message


def test_equal_calls_give_equal_answers(models):
    model = models["iiwa"]
    target, _ = model.random_reachable_pose(np.random.default_rng(8), free=False)
    first, second = (model.ik(target, model.state("home")) for _ in range(2))
    np.testing.assert_array_equal(first.q, second.q)


def test_wrong_input_is_refused(models):
    model = models["ur5"]
    with pytest.raises(KeyError, match="no frame nowhere"):
        model.fk(model.state("ready"), "nowhere")
    with pytest.raises(KeyError, match="no group tail"):
        model.group("tail")
    with pytest.raises(KeyError, match="no actuated joint knee"):
        model.vector({"knee": 0.0})
    with pytest.raises(ValueError, match="shape"):
        model.fk(np.zeros(3), "tool0")
    with pytest.raises(ValueError, match="NaN"):
        model.ik(np.full((4, 4), np.nan), model.state("ready"))
    with pytest.raises(KeyError, match="no state dancing"):
        model.state("dancing")


def test_vectors_and_limits(models):
    model = models["ur5"]
    q = model.state("ready")
    assert model.vector(model.positions(q)).tolist() == q.tolist()
    assert model.positions(q)["right_outer_knuckle_joint"] == -q[model.index("finger_joint")]
    assert model.within_limits(q)
    q[0] = 7.0
    assert list(model.outside_limits(q)) == ["shoulder_pan_joint"]
