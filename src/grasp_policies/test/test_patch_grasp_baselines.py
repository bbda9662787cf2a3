# SPDX-License-Identifier: Apache-2.0
"""The baselines of ``patch_grasp`` on bars whose good angle is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grasp_policies.patch_grasp.baselines import (
    Heuristic,
    OptimisticHeuristic,
    StrokeRule,
    balanced,
    balanced_index,
    shape_of,
    widths_m,
)
from grasp_policies.patch_grasp.dataset import Patches, build
from grasp_policies.patch_grasp.hog_classifiers import LinearMachines, NearestNeighbours
from grasp_policies.patch_grasp.learner import balanced_accuracy, best_threshold
from grasp_policies.patch_grasp.offline import compare, row_of, table

from .patch_grasp_toy import HALF_PX, ToyEpisodes, bar, toy_config

CONFIG = toy_config()


@pytest.fixture(scope="module")
def tries() -> Patches:
    """Tries to learn from."""
    return build(ToyEpisodes(CONFIG, 20), CONFIG)


@pytest.fixture(scope="module")
def others() -> Patches:
    """Tries to tell apart."""
    return build(ToyEpisodes(CONFIG, 8, seed=5), CONFIG)


@pytest.mark.parametrize("turn", [0.0, 0.5, 1.3, 2.6])
def test_the_thinnest_direction_of_a_bar(turn: float) -> None:
    height = bar(CONFIG, turn).height[52:109, 52:109]
    angles, spreads = shape_of(height[None], 20.0, 0.006)
    off = (angles[0] - turn) % np.pi
    assert off == pytest.approx(np.pi / 2, abs=0.05)
    # A uniform strip of half width w has a standard deviation of w / sqrt(3).
    assert spreads[0, 0] == pytest.approx((HALF_PX[1] + 0.5) / np.sqrt(3.0), rel=0.12)
    assert spreads[0, 1] > 1.2 * spreads[0, 0]


def test_an_empty_patch_does_not_hold(tries: Patches) -> None:
    empty = tries.part(np.arange(4))
    empty.height[:] = 0
    assert not Heuristic(CONFIG.map.pixel_m).says(empty).any()


def test_heuristics_know_bars(others: Patches) -> None:
    said = Heuristic(CONFIG.map.pixel_m, tolerance=np.radians(25.0)).says(others)
    assert balanced(said, others.success) > 0.9
    assert np.array_equal(Heuristic(CONFIG.map.pixel_m, limit_m=0.001).says(others), said)
    assert not Heuristic(CONFIG.map.pixel_m, limit_m=0.1).says(others).any(), "all of it is too thin"
    best = balanced(OptimisticHeuristic(CONFIG.map.pixel_m).says(others), others.success)
    assert best >= balanced(said, others.success) - 1e-9


def test_the_width_between_the_fingers(others: Patches) -> None:
    pixel_m = CONFIG.map.pixel_m
    across = widths_m(others.part(np.flatnonzero(others.success)), 0.002)
    assert across == pytest.approx((2 * HALF_PX[1] + 1) * pixel_m, abs=2.5 * pixel_m)
    empty = others.part(np.arange(3))
    empty.height[:] = 0
    assert (widths_m(empty, 0.002) == 0.0).all()
    fits = StrokeRule(closed_m=0.02, open_m=(2 * HALF_PX[1] + 2.2) * pixel_m, above_m=0.002)
    assert balanced(fits.says(others), others.success) > 0.9
    assert not StrokeRule(closed_m=(2 * HALF_PX[1] + 5) * pixel_m, open_m=1.0).says(others)[others.success].any()


@pytest.mark.parametrize(
    ("method", "least"),
    [
        (NearestNeighbours(), 0.8),
        (NearestNeighbours("heights"), 0.8),
        (LinearMachines(), 0.6),
        (LinearMachines("heights", turned=True), 0.9),
    ],
)
def test_classifiers_on_gradients_learn_bars(
    tries: Patches, others: Patches, method: NearestNeighbours | LinearMachines, least: float
) -> None:
    method.fit(tries)
    assert balanced(method.says(others), others.success) > least


def test_as_many_failures_as_successes(tries: Patches) -> None:
    index = balanced_index(tries.success, np.random.default_rng(0))
    assert tries.success[index].mean() == 0.5
    assert len(np.unique(index)) == len(index)


def test_the_table_has_a_row_for_every_method(tries: Patches, others: Patches) -> None:
    rows = compare(tries, others, {}, CONFIG, 0.02, 200)
    assert [row["method"] for row in rows][3:5] == ["fits the stroke", "kNN on HoG"]
    assert len(table(rows).splitlines()) == 2 + len(rows) == 11
    row = row_of("all wrong", ~others.success, others)
    assert (row["accuracy"], row["low"], row["high"]) == (0.0, 0.0, 0.0)
    first = others.episode == others.episode[0]
    row = row_of("one table wrong", others.success ^ first, others)
    right = [1.0 - first[others.success == answer].mean() for answer in (True, False)]
    assert row["accuracy"] == pytest.approx(np.mean(right))
    assert row["low"] < row["accuracy"] < row["high"] == 1.0
    always = row_of("always", np.ones(len(others), bool), others)
    assert (always["accuracy"], always["low"], always["high"]) == (0.5, 0.5, 0.5)
    plain = row_of("always", np.ones(len(others), bool), others, balanced=False)
    assert plain["accuracy"] == pytest.approx(others.success.mean())
    alone = others.part(np.flatnonzero(first))
    one = row_of("of one table", ~alone.success, alone, balanced=False)
    assert (one["low"], one["high"]) == (0.0, 1.0)
    both = replace(others, stage=np.where(first, 1, 0), episode=np.zeros(len(others), np.int64))
    assert np.isfinite(row_of("two tables of one number", others.success ^ first, both)["low"])


def test_the_threshold_does_not_depend_on_the_rate_of_success() -> None:
    rng = np.random.default_rng(0)
    for rate in (0.05, 0.5, 0.9):
        success = rng.random(4000) < rate
        scores = rng.normal(np.where(success, 0.7, 0.3), 0.1).astype(np.float32)
        threshold = best_threshold(scores, success)
        assert balanced_accuracy(scores, success, threshold) > 0.97
        assert 0.4 < threshold < 0.6
    with pytest.raises(ValueError, match="both answers"):
        best_threshold(scores, np.ones(4000, bool))
