# SPDX-License-Identifier: Apache-2.0
"""The core of tf2_ros against plain matrix products."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp
from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
)
from tf2_ros.transform_tree import TransformTree

SECOND = 1_000_000_000
untimed = settings(deadline=None)  # a loaded machine is no failure
IDENTITY = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def random_pose(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(-2, 2, 3), Rotation.random(rng=rng).as_quat()


def matrix(translation: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(rotation).as_matrix()
    T[:3, 3] = translation
    return T


def random_tree(seed: int, size: int) -> tuple[TransformTree, dict[str, np.ndarray]]:
    """A tree of moving and static frames, each with a parent of smaller number, and ``T_root_frame`` at 5 s of each."""
    rng = np.random.default_rng(seed)
    tree = TransformTree()
    T_root = {"f0": np.eye(4)}
    for number in range(1, size):
        parent, child = f"f{rng.integers(number)}", f"f{number}"
        pose = random_pose(rng)
        if rng.random() < 0.3:
            tree.set(parent, child, 0, *pose, is_static=True)
        else:
            tree.set(parent, child, 5 * SECOND, *pose)
            for stamp_s in (4, 6):
                tree.set(parent, child, stamp_s * SECOND, *random_pose(rng))
        T_root[child] = T_root[parent] @ matrix(*pose)
    return tree, T_root


trees = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 15))
picks = st.integers(0, 2**16)


@untimed
@given(trees, picks, picks)
def test_lookup_equals_the_product_of_the_matrices(spec, a, b):
    tree, T_root = random_tree(*spec)
    target, source = f"f{a % spec[1]}", f"f{b % spec[1]}"
    T, stamp_ns = tree.lookup(target, source, 5 * SECOND)
    np.testing.assert_allclose(T, np.linalg.inv(T_root[target]) @ T_root[source], atol=1e-9)
    assert stamp_ns == 5 * SECOND


@untimed
@given(trees, picks, picks, picks, st.integers(4 * SECOND, 6 * SECOND))
def test_lookups_compose_and_invert_at_any_time(spec, a, b, c, time_ns):
    tree, _ = random_tree(*spec)
    a, b, c = (f"f{pick % spec[1]}" for pick in (a, b, c))
    T_a_b, T_b_c, T_a_c = (tree.lookup(x, y, time_ns)[0] for x, y in ((a, b), (b, c), (a, c)))
    np.testing.assert_allclose(T_a_b @ T_b_c, T_a_c, atol=1e-9)
    np.testing.assert_allclose(tree.lookup(b, a, time_ns)[0] @ T_a_b, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(T_a_b[:3, :3] @ T_a_b[:3, :3].T, np.eye(3), atol=1e-9)


@untimed
@given(st.integers(0, 2**32 - 1), st.integers(1, SECOND - 1))
def test_between_two_stamps_it_follows_the_geodesic(seed, time_ns):
    rng = np.random.default_rng(seed)
    (t0, q0), (t1, q1) = random_pose(rng), random_pose(rng)
    tree = TransformTree()
    tree.set("a", "b", 1 * SECOND, t0, q0)
    tree.set("a", "b", 2 * SECOND, t1, q1)
    share = time_ns / SECOND
    T, _ = tree.lookup("a", "b", SECOND + time_ns)
    np.testing.assert_allclose(T[:3, 3], (1 - share) * t0 + share * t1, atol=1e-9)
    expected = Slerp([0, 1], Rotation.from_quat([q0, q1]))(share)
    np.testing.assert_allclose(T[:3, :3], expected.as_matrix(), atol=1e-9)
    ends = Rotation.from_quat(q0), Rotation.from_quat(q1)
    here = Rotation.from_matrix(T[:3, :3])
    total, first, second = ((x.inv() * y).magnitude() for x, y in (ends, (ends[0], here), (here, ends[1])))
    assert first + second == pytest.approx(total, abs=1e-6)
    assert first == pytest.approx(share * total, abs=1e-6)


@untimed
@given(st.permutations(list(range(1, 9))))
def test_the_order_of_arrival_does_not_matter(order):
    tree = TransformTree()
    for stamp_s in order:
        tree.set("a", "b", stamp_s * SECOND, (float(stamp_s), 0, 0), IDENTITY[1])
    for time_s in (1.0, 2.5, 7.75, 8.0):
        assert tree.lookup("a", "b", int(time_s * SECOND))[0][0, 3] == pytest.approx(time_s)


def test_time_zero_is_the_latest_common_time():
    tree = TransformTree()
    tree.set("world", "arm", 0, *IDENTITY, is_static=True)
    for stamp_s in (1, 2, 3):
        tree.set("arm", "tool", stamp_s * SECOND, (float(stamp_s), 0, 0), IDENTITY[1])
    for stamp_s in (1, 2):
        tree.set("tool", "camera", stamp_s * SECOND, *IDENTITY)
    T, stamp_ns = tree.lookup("world", "camera", 0)
    assert stamp_ns == 2 * SECOND == tree.latest_common_time_ns("camera", "world")
    assert T[0, 3] == 2.0
    assert tree.lookup("world", "tool", 0)[1] == 3 * SECOND


def test_static_transforms_hold_at_all_times_and_moving_ones_for_the_cache():
    tree = TransformTree(cache_time_ns=2 * SECOND)
    tree.set("a", "fixed", 7 * SECOND, *IDENTITY, is_static=True)
    for tick in range(5000):
        tree.set("a", "moving", tick * SECOND // 500 + SECOND, *IDENTITY)
    assert tree.lookup("a", "fixed", 1)[1] == 1
    assert tree.lookup("a", "fixed", 0)[1] == 0
    edge = next(edge for edge in tree.edges() if edge.child == "moving")
    assert edge.stamps_ns[-1] - edge.stamps_ns[0] == 2 * SECOND
    assert not tree.set("a", "moving", SECOND, *IDENTITY), "older than the cache"
    assert not tree.set("a", "moving", edge.stamps_ns[-1], *IDENTITY), "there already"


def test_full_lookup_sees_each_frame_at_its_own_time():
    tree = TransformTree()
    for stamp_s in (1, 2, 3):
        tree.set("world", "base", stamp_s * SECOND, (float(stamp_s), 0, 0), IDENTITY[1])
    T, stamp_ns = tree.lookup_full("base", 3 * SECOND, "base", 1 * SECOND, "world")
    assert T[0, 3] == pytest.approx(-2.0)
    assert stamp_ns == 3 * SECOND


def test_a_frame_may_be_hung_elsewhere():
    tree = TransformTree()
    tree.set("table", "cup", 1 * SECOND, *IDENTITY)
    tree.set("hand", "cup", 2 * SECOND, *IDENTITY)
    assert tree.chain("table", "cup", SECOND + 1) == ["cup", "table"]
    assert tree.chain("hand", "cup", 2 * SECOND) == ["cup", "hand"]
    with pytest.raises(ConnectivityException):
        tree.lookup("table", "cup", 2 * SECOND)


def test_unknown_frames_are_named():
    tree = TransformTree()
    tree.set("a", "b", SECOND, *IDENTITY)
    with pytest.raises(LookupException, match="'camera' does not exist"):
        tree.lookup("a", "camera", 0)
    with pytest.raises(LookupException, match="'camera' does not exist"):
        tree.lookup("camera", "camera", 0)


@pytest.mark.parametrize(
    ("time_s", "message"),
    [
        (4, r"into the future: time 4\.0+ s was requested.*'b' to 'a'.*from 1\.0+ s to 3\.0+ s.*1\.000 s away"),
        (0.5, r"into the past: time 0\.50+ s was requested.*'b' to 'a'.*from 1\.0+ s.*0\.500 s away"),
    ],
)
def test_extrapolation_names_what_was_asked_and_what_is_there(time_s, message):
    tree = TransformTree()
    for stamp_s in (1, 3):
        tree.set("a", "b", stamp_s * SECOND, *IDENTITY)
    with pytest.raises(ExtrapolationException, match=message):
        tree.lookup("a", "b", int(time_s * SECOND))
    tree.set("a", "c", 0, *IDENTITY, is_static=True)
    tree.lookup("a", "c", int(time_s * SECOND))


def test_disconnected_trees_name_both_frames():
    tree = TransformTree()
    tree.set("world", "arm", SECOND, *IDENTITY)
    tree.set("cart", "camera", SECOND, *IDENTITY)
    with pytest.raises(ConnectivityException, match=r"'camera' and 'arm'.*'cart'.*'world'"):
        tree.lookup("arm", "camera", SECOND)


def test_a_loop_is_reported_and_not_followed_for_ever():
    tree = TransformTree()
    tree.set("a", "b", SECOND, *IDENTITY)
    tree.set("b", "c", SECOND, *IDENTITY)
    tree.set("c", "a", SECOND, *IDENTITY)
    with pytest.raises(LookupException, match="loop"):
        tree.lookup("a", "c", SECOND)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "b", 0, *IDENTITY), "empty"),
        (("a", "a", 0, *IDENTITY), "its own parent"),
        (("a", "b", 0, (float("nan"), 0, 0), IDENTITY[1]), "not finite"),
        (("a", "b", 0, IDENTITY[0], (0, 0, 0, 0)), "length 0"),
        (("a", "b", 0, IDENTITY[0], (0, 0, 0, 2)), "length 2"),
    ],
)
def test_malformed_transforms_are_refused(arguments, message):
    tree = TransformTree()
    with pytest.raises(InvalidArgumentException, match=message):
        tree.set(*arguments)
    assert tree.frames() == set()


def test_leading_slashes_are_dropped_on_writing_and_refused_on_reading():
    tree = TransformTree()
    tree.set("/a", "/b", SECOND, *IDENTITY)
    assert tree.frames() == {"a", "b"}
    with pytest.raises(InvalidArgumentException, match="slash"):
        tree.lookup("/a", "b", 0)


def test_clear_forgets_what_moves_and_keeps_what_does_not():
    tree = TransformTree()
    tree.set("a", "b", SECOND, *IDENTITY)
    tree.set("a", "c", 0, *IDENTITY, is_static=True)
    tree.clear()
    assert tree.frames() == {"a", "c"}
    with pytest.raises(LookupException, match="'b'"):
        tree.lookup("a", "b", 0)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_readers_and_writers_do_not_disturb_each_other(seed):
    rng = np.random.default_rng(seed)
    poses = [random_pose(rng) for _ in range(400)]
    tree = TransformTree(cache_time_ns=SECOND // 10)
    tree.set("a", "b", 1, *poses[0])
    tree.set("b", "c", 1, *poses[0])
    failures: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                T, _ = tree.lookup("a", "c", 0)
                np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
            except Exception as error:  # noqa: BLE001  (whatever it is, the test must see it)
                failures.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    for tick, pose in enumerate(poses):
        tree.set("a", "b", 2 + tick * SECOND // 500, *pose)
        tree.set("b", "c", 2 + tick * SECOND // 500, *pose)
    done.set()
    reader.join()
    assert failures == []


def test_waiting_ends_when_the_transform_arrives():
    tree = TransformTree()

    def is_known() -> bool:
        return {"a", "b"} <= tree.frames()

    assert not tree.wait_until(is_known, 0.01)
    threading.Timer(0.05, tree.set, ("a", "b", SECOND, *IDENTITY)).start()
    assert tree.wait_until(is_known, 10.0)
