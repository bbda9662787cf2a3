# SPDX-License-Identifier: Apache-2.0
"""How far labels repeat, on labels whose answer is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grasp_core.actions import Grasp
from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.geometry import top_down
from grasp_core.observation import Observation
from grasp_learning.patch_grasp_repeats import (
    RepeatsArguments,
    interval,
    known_chance_accuracy,
    moved,
    repeated,
    run,
    summary,
)
from grasp_learning.plan import CollectionError
from grasp_policies.patch_grasp.settings import PatchGraspConfig


def test_labels_that_repeat_can_all_be_told() -> None:
    first = np.arange(40) % 4 == 0
    told = summary(np.repeat(first[:, None], 4, axis=1))
    assert told["disagree"] == told["successes_lost"] == told["failures_held"] == 0.0
    assert told["best_balanced_accuracy"] == 1.0
    assert told["rate"] == 0.25
    assert "best_balanced_accuracy" not in summary(np.zeros((3, 4), bool))


def test_labels_by_chance_cannot_be_told() -> None:
    told = summary(np.random.default_rng(0).random((4000, 6)) < 0.3)
    assert told["disagree"] == pytest.approx(2 * 0.3 * 0.7, abs=0.02)
    assert told["successes_lost"] == pytest.approx(0.7, abs=0.03)
    assert told["failures_held"] == pytest.approx(0.3, abs=0.03)
    assert told["best_balanced_accuracy"] == pytest.approx(0.5, abs=0.02)


def test_the_interval_is_as_wide_as_few_tries_are() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((150, 6)) < rng.choice([0.1, 0.7], 150, p=[0.75, 0.25])[:, None]
    low, high = interval(labels, rng, 200) or (0.0, 0.0)
    assert low < summary(labels)["best_balanced_accuracy"] < high
    assert 0.03 < high - low < 0.2
    assert interval(np.zeros((3, 4), bool), rng, 5) is None


def test_tables_without_a_try_end_in_words() -> None:
    config = PatchGraspConfig()
    T = np.eye(4)
    T[:3, :3] = np.diag([1.0, -1.0, -1.0])
    T[:3, 3] = (0.645, 0.0, 1.74)
    rgb, depth = np.full((60, 60, 3), 200, np.uint8), np.ones((60, 60), np.float32)
    frame = CameraFrame(Intrinsics(60, 60, 60.0, 60.0, 29.5, 29.5), T, 0, rgb, depth)
    empty = Observation({config.map.camera: frame}, {}, {}, 0)
    seeds: list[int] = []

    def reset(_scene: str, seed: int) -> Observation:
        seeds.append(seed)
        assert len(seeds) < 100, "it would go on for ever"
        return empty

    with pytest.raises(CollectionError, match="20 tables of scene wide_ten in a row gave no try"):
        run(RepeatsArguments(tries=2), SimpleNamespace(reset=reset))
    assert len(set(seeds)) == 20


def test_a_moved_grasp_is_as_far_off_as_it_says() -> None:
    action = Grasp(top_down(np.array([0.6, 0.1, 0.8]), 0.4))
    other = moved(action, np.array([0.001, -0.002]), 0.1)
    np.testing.assert_allclose(other.T_base_tcp[:3, 3] - action.T_base_tcp[:3, 3], (0.001, -0.002, 0.0), atol=1e-12)
    np.testing.assert_allclose(other.T_base_tcp[:3, :3], top_down(np.zeros(3), 0.5)[:3, :3], atol=1e-9)


class Saved:
    """A cell whose world counts what was done since it was restored."""

    def __init__(self, reason: str) -> None:
        self.done, self.reason = 0, reason
        self.executed: list[Any] = []

    def save(self) -> int:
        return self.done

    def restore(self, state: int) -> None:
        self.done = state

    def execute(self, action: Any) -> Any:
        assert self.done == 0, "every repetition begins in the saved world"
        self.done += 1
        self.executed.append(action)
        return SimpleNamespace(success=True, reason=self.reason)


def test_every_repetition_begins_in_the_same_world() -> None:
    action, args = Grasp(top_down(np.array([0.6, 0.1, 0.8]), 0.4)), RepeatsArguments(repeats=3)
    cell = Saved("held")
    assert repeated(cell, action, args, np.random.default_rng(0)) == [True] * 4
    assert cell.executed[0] is action
    assert not np.array_equal(cell.executed[1].T_base_tcp, cell.executed[2].T_base_tcp)
    assert repeated(Saved("unreachable"), action, args, np.random.default_rng(0)) is None


def test_who_knows_the_chance_is_right_more_often_than_a_vote() -> None:
    rng = np.random.default_rng(1)
    chance = rng.beta(0.3, 0.9, 4000)
    labels = rng.random((4000, 6)) < chance[:, None]
    said = chance > chance.mean()
    right = 0.5 * (said[labels[:, 0]].mean() + (~said[~labels[:, 0]]).mean())
    found = known_chance_accuracy(labels)
    assert found == pytest.approx(right, abs=0.02)
    assert found is not None
    assert found > summary(labels)["best_balanced_accuracy"]
    assert known_chance_accuracy(np.zeros((3, 4), bool)) is None
