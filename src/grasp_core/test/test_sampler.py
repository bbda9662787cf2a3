# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.ports import JointTrajectory
from grasp_core.sampler import Sampler

VALUE = st.floats(-3.0, 3.0)


def trajectory(positions, velocities=None, first=0.0):
    times = first + 0.5 * np.arange(len(positions))
    rows = None if velocities is None else np.array(velocities)
    return JointTrajectory(("a",), times, np.array(positions), rows)


def test_it_is_held_at_both_ends_and_starts_where_the_joint_is():
    sampler = Sampler(trajectory([[1.0], [2.0]], first=1.0), np.array([0.5]))
    assert sampler.at(-1.0)[0] == pytest.approx([0.5])
    assert sampler.at(0.5)[0] == pytest.approx([0.75])
    assert sampler.at(9.0) == (pytest.approx([2.0]), pytest.approx([0.0]))
    assert sampler.peak_speed() == pytest.approx([2.0])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(VALUE, VALUE), min_size=2, max_size=6))
def test_no_sample_is_faster_than_the_peak_speed(points):
    positions, velocities = [[p] for p, _ in points], [[v] for _, v in points]
    for row in (None, velocities):
        sampler = Sampler(trajectory(positions, row), np.zeros(1))
        speeds = [abs(sampler.at(t)[1][0]) for t in np.linspace(0.0, sampler.duration_s, 200)]
        assert max(speeds) <= sampler.peak_speed()[0] + 1e-9
