# SPDX-License-Identifier: Apache-2.0
"""Frames against Pinocchio's forward kinematics, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_state_publisher.robot_tree import MOVING, PublishGate, RobotTree, UrdfError
from scipy.spatial.transform import Rotation

INERTIA = '<inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial>'


def random_urdf(seed: int, size: int) -> str:
    """A tree of links with random joints, some of which mimic an earlier one."""
    rng = np.random.default_rng(seed)

    def three() -> str:
        return " ".join(f"{x:.17g}" for x in rng.uniform(-2, 2, 3))

    parts = ['<robot name="random">', f'<link name="l0">{INERTIA}</link>']
    free: list[str] = []
    for number in range(1, size):
        kind = str(rng.choice(["revolute", "continuous", "prismatic", "fixed"]))
        mimic = ""
        if kind in MOVING:
            if free and rng.random() < 0.3:
                multiplier, offset = rng.uniform(-2, 2, 2)
                mimic = f'<mimic joint="{rng.choice(free)}" multiplier="{multiplier:.17g}" offset="{offset:.17g}"/>'
            else:
                free.append(f"j{number}")
        limit = "" if kind in ("continuous", "fixed") else '<limit lower="-9" upper="9" effort="1" velocity="1"/>'
        parts.append(
            f'<link name="l{number}">{INERTIA}</link><joint name="j{number}" type="{kind}">'
            f'<parent link="l{rng.integers(number)}"/><child link="l{number}"/>'
            f'<origin xyz="{three()}" rpy="{three()}"/><axis xyz="{three()}"/>{limit}{mimic}</joint>'
        )
    return "".join([*parts, "</robot>"])


def frames_of(tree: RobotTree, positions: dict[str, float]) -> dict[str, np.ndarray]:
    """``T_root_link`` of every link, from the transforms that the node would publish."""
    poses = {pose.child: pose for pose in tree.static_poses() + tree.moving_poses(positions)}

    def climb(link: str) -> np.ndarray:
        if link == tree.root:
            return np.eye(4)
        T = np.eye(4)
        T[:3, :3] = Rotation.from_quat(poses[link].rotation).as_matrix()
        T[:3, 3] = poses[link].translation
        return climb(poses[link].parent) @ T

    return {link: climb(link) for link in [tree.root, *poses]}


def pinocchio_frames(xml: str, tree: RobotTree, positions: dict[str, float]) -> dict[str, np.ndarray]:
    pin = pytest.importorskip("pinocchio", reason="the reference for the kinematics, pinocchio, is not installed")
    model = pin.buildModelFromXML(xml)
    q = pin.neutral(model)
    for joint, index, size in zip(model.joints[1:], range(1, model.njoints), model.nqs[1:], strict=True):
        value = positions[model.names[index]]
        q[joint.idx_q : joint.idx_q + size] = [np.cos(value), np.sin(value)] if size == 2 else [value]
    data = model.createData()
    pin.framesForwardKinematics(model, data, q)
    return {
        frame.name: data.oMf[number].homogeneous
        for number, frame in enumerate(model.frames)
        if frame.type == pin.FrameType.BODY
    }


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_frames_equal_pinocchios(seed, size):
    xml = random_urdf(seed, size)
    tree = RobotTree.from_urdf(xml)
    rng = np.random.default_rng(seed + 1)
    given_positions, everything = {}, {}
    for joint in tree.joints.values():
        if joint.kind not in MOVING:
            continue
        if joint.mimic is None:
            given_positions[joint.name] = everything[joint.name] = float(rng.uniform(-3, 3))
        else:
            everything[joint.name] = joint.mimic.multiplier * everything[joint.mimic.joint] + joint.mimic.offset
    expected = pinocchio_frames(xml, tree, everything)
    found = frames_of(tree, given_positions)
    assert len(found) == size
    for link, T in found.items():
        np.testing.assert_allclose(T, expected[link], atol=1e-9, err_msg=link)


def joint(name: str, kind: str, parent: str, child: str, inside: str = "") -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{inside}</joint>'


def robot(*parts: str, links: str = "abc") -> str:
    return "<robot name='r'>" + "".join(f'<link name="{link}"/>' for link in links) + "".join(parts) + "</robot>"


GRIPPER = robot(
    joint("finger", "prismatic", "a", "b", '<origin xyz="0 0 1"/><axis xyz="0 2 0"/>'),
    joint("other", "prismatic", "a", "c", '<axis xyz="0 1 0"/><mimic joint="finger" multiplier="-1" offset="0.5"/>'),
)


def test_a_mimicking_joint_follows_unless_its_own_position_is_given():
    tree = RobotTree.from_urdf(GRIPPER)
    assert [pose.translation for pose in tree.moving_poses({"finger": 0.2})] == [(0, 0.2, 1), (0, 0.3, 0)]
    assert [pose.translation for pose in tree.moving_poses({"other": 0.1})] == [(0, 0.1, 0)]
    assert tree.with_mimics({"finger": 0.2, "other": 9.0}) == {"finger": 0.2, "other": 9.0}
    assert tree.moving_poses({"joint of another robot": 1.0}) == []


def test_mimics_of_mimics_follow_too():
    tree = RobotTree.from_urdf(
        robot(
            joint("first", "revolute", "a", "b"),
            joint("second", "revolute", "b", "c", '<mimic joint="first" multiplier="2" offset="1"/>'),
            joint("third", "revolute", "c", "d", '<mimic joint="second" multiplier="3" offset="1"/>'),
            links="abcd",
        )
    )
    assert tree.with_mimics({"first": 1.0}) == {"first": 1.0, "second": 3.0, "third": 10.0}


def test_planar_joints_stand_still_and_floating_ones_are_left_to_others():
    tree = RobotTree.from_urdf(robot(joint("table", "planar", "a", "b"), joint("cup", "floating", "b", "c")))
    assert [pose.child for pose in tree.static_poses()] == ["b"]
    assert tree.moving_poses({"table": 1.0, "cup": 1.0}) == []
    assert [joint.name for joint in tree.without_position()] == ["table", "cup"]


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "no XML"),
        ("<robot>", "no XML"),
        ("<sdf/>", "begins with <sdf>"),
        ("<robot name='r'/>", "one root link, this one has 0"),
        (robot(joint("j", "fixed", "a", "b")), "one root link, this one has 2: a, c"),
        (robot(joint("j", "fixed", "a", "x")), "joint 'j': the link 'x' is not defined"),
        (robot(joint("j", "fixed", "a", "b"), joint("j", "fixed", "b", "c")), "the joint 'j' is defined twice"),
        (robot(links="aa"), "the link 'a' is defined twice"),
        (robot(joint("j", "fixed", "a", "b"), joint("k", "fixed", "c", "b")), "'k': the link 'b' hangs on another"),
        (robot(joint("j", "fixed", "b", "c"), joint("k", "fixed", "c", "b")), "in a loop"),
        (robot(joint("j", "ball", "a", "b")), "joint 'j': unknown type 'ball'"),
        (robot(joint("j", "revolute", "a", "b", '<axis xyz="0 0 0"/>')), "'j': the axis has no direction"),
        (robot(joint("j", "revolute", "a", "b", '<origin xyz="0 0"/>')), "'j': xyz='0 0' must hold 3 finite numbers"),
        (robot(joint("j", "revolute", "a", "b", '<origin rpy="0 0 x"/>')), "'j': rpy='0 0 x' holds something"),
        (
            robot(joint("j", "revolute", "a", "b", '<mimic joint="k"/>'), links="ab"),
            "'j' mimics 'k', which is no moving joint",
        ),
        (
            robot(
                joint("j", "revolute", "a", "b", '<mimic joint="k"/>'),
                joint("k", "revolute", "b", "c", '<mimic joint="j"/>'),
            ),
            "mimic each other in a loop",
        ),
        ("<robot name='r'><link name='a'/><joint type='fixed'/></robot>", "a joint: the attribute 'name' is missing"),
    ],
)
def test_bad_descriptions_are_refused(xml, message):
    with pytest.raises(UrdfError, match=message):
        RobotTree.from_urdf(xml)


def test_the_gate_keeps_to_the_frequency_for_each_joint():
    gate = PublishGate()
    admitted = [stamp for stamp in range(0, 100, 3) if gate.admit(["a"], stamp, 10)]
    assert admitted == [0, 12, 24, 36, 48, 60, 72, 84, 96]
    assert gate.admit(["a", "new"], 97, 10)
    assert not gate.admit(["a"], 50, 10)
    gate.reset()
    assert gate.admit(["a"], 50, 10)
