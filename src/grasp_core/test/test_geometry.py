# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from grasp_core import geometry as g

numbers = st.floats(-3.0, 3.0)


@st.composite
def transforms(draw):
    vector = [draw(numbers) for _ in range(3)]
    return g.transform([draw(numbers) for _ in range(3)], Rotation.from_rotvec(vector))


@given(transforms(), transforms())
def test_inverse_of_a_product(T_a_b, T_b_c):
    np.testing.assert_allclose(g.invert(T_a_b @ T_b_c), g.invert(T_b_c) @ g.invert(T_a_b), atol=1e-9)
    np.testing.assert_allclose(g.invert(T_a_b) @ T_a_b, np.eye(4), atol=1e-9)


@given(transforms(), st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5))
def test_apply_and_back(T_a_b, points):
    p = np.array(points)
    np.testing.assert_allclose(g.apply(g.invert(T_a_b), g.apply(T_a_b, p)), p, atol=1e-9)


@given(transforms(), transforms())
def test_difference_is_symmetric_and_interpolation_is_even(T_w_a, T_w_b):
    distance, angle = g.difference(T_w_a, T_w_b)
    np.testing.assert_allclose(g.difference(T_w_b, T_w_a), (distance, angle), atol=1e-6)
    steps = list(g.interpolate(T_w_a, T_w_b, 5))
    np.testing.assert_allclose(steps[0], T_w_a, atol=1e-9)
    np.testing.assert_allclose(steps[-1], T_w_b, atol=1e-6)
    if angle < np.pi - 1e-3:
        for one, two in itertools.pairwise(steps):
            np.testing.assert_allclose(g.difference(one, two), (distance / 4, angle / 4), atol=1e-6)


@given(transforms())
def test_quaternion_round_trip_has_positive_w(T):
    q = g.quaternion_of(T)
    assert q[3] >= 0.0
    np.testing.assert_allclose(g.transform(T[:3, 3], q), T, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda T: T[:3], "shape"),
        (lambda T: T * np.nan, "NaN"),
        (lambda T: T * 2.0, "last row"),
        (lambda T: T @ np.diag([1.0, 1.0, 1.1, 1.0]), "orthonormal"),
        (lambda T: T @ np.diag([1.0, 1.0, -1.0, 1.0]), "reflection"),
    ],
)
def test_what_is_not_rigid_is_refused_by_name(change, words):
    with pytest.raises(g.NotRigidError, match=words) as error:
        g.check_rigid(change(g.transform((1, 2, 3), Rotation.from_euler("xyz", (0.1, 0.2, 0.3)))), "T_base_cup")
    assert "T_base_cup" in str(error.value)


def test_look_at_is_an_optical_frame():
    T = g.look_at((1.0, 0.0, 1.0), (0.0, 0.0, 1.0))
    np.testing.assert_allclose(T[:3, 2], (-1.0, 0.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(T[:3, 1], (0.0, 0.0, -1.0), atol=1e-12)
    g.check_rigid(T, "T")
    with pytest.raises(ValueError, match="parallel"):
        g.look_at((0, 0, 1), (0, 0, 0))


@given(st.floats(-np.pi, np.pi))
def test_top_down_points_down_and_closes_along_yaw(yaw):
    T = g.top_down((0.1, 0.2, 0.3), yaw)
    np.testing.assert_allclose(T[:3, 2], (0, 0, -1), atol=1e-12)
    np.testing.assert_allclose(T[:3, 0], (np.cos(yaw), np.sin(yaw), 0), atol=1e-12)
