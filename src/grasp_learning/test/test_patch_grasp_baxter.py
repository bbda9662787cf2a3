# SPDX-License-Identifier: Apache-2.0
"""``patch_grasp`` collects in the simulated Baxter cell as its learning run does: motions, labels, a table's end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from grasp_core.cell import Reason
from grasp_learning.settings import load_settings
from grasp_learning.worker import make_cell
from grasp_policies.patch_grasp.behaviour import Episode
from grasp_policies.patch_grasp.recipe import RECIPE
from grasp_policies.patch_grasp.table import arm_for
from grasp_sim.cell import SimCell


class Watch:
    """An arm whose tool's way is written down, motion by motion: positions [m, 3] in the base frame."""

    def __init__(self, cell: SimCell, arm: str) -> None:
        self.ways: list[NDArray[np.float64]] = []
        self._cell, self._name, self._arm = cell, arm, cell.ports.arms[arm].arm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._arm, name)

    def execute(self, trajectory: Any, cancel: Any = None) -> Any:
        rest = self._cell.world.robot.positions()
        poses = [
            self._cell.kinematics.fk({**rest, **dict(zip(trajectory.names, q, strict=True))}, self._name)
            for q in trajectory.positions
        ]
        result = self._arm.execute(trajectory, cancel)
        # Where it came to stand, not where it was sent.
        end = self._cell.kinematics.fk(self._cell.world.robot.positions(), self._name)
        self.ways.append(np.array([T[:3, 3] for T in [*poses, end]]))
        return result


@pytest.fixture(scope="module")
def cell() -> Iterator[SimCell]:
    """As the learning run has it."""
    settings = load_settings(Path("patch_grasp.yaml"))
    made = make_cell(settings.cell_name, settings.cell_options)
    assert isinstance(made, SimCell)
    yield made
    made.close()


def collected(cell: SimCell, scene: str, seed: int, most: int) -> Episode:
    """Random tries on one table."""
    return RECIPE.behaviour(RECIPE.config_type(), {}, None, "cpu").run_episode(cell, scene, seed, most)


def test_down_25_cm_straight_and_up_20(cell: SimCell, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RECIPE.config_type().policy
    watches = {name: Watch(cell, name) for name in cell.ports.arms}
    arms = {name: replace(ports, arm=watches[name]) for name, ports in cell.ports.arms.items()}
    monkeypatch.setattr(cell, "ports", replace(cell.ports, arms=arms))
    episode = collected(cell, "wide_ten", 3, 6)
    pixels = episode.fields["pixel"]
    assert len(pixels) >= 4
    places = np.array(config.map.corner_m[:2]) + (pixels[:, ::-1] + 0.5) * config.map.pixel_m
    for place in places:
        watch = watches[arm_for(np.array([*place, 0.8]), config.grasp)]
        ways = watch.ways
        down = [
            i
            for i, way in enumerate(ways)
            if np.abs(way[:-1, :2] - place).max() < 0.002 and way[0, 2] - way[-2, 2] > 0.2
        ]
        assert down, f"nothing went down at {place}"
        first = ways[down[0]]
        assert first[0, 2] - first[-2, 2] == pytest.approx(0.25, abs=0.002)
        lift = ways[down[0] + 1]
        assert lift[-1, 2] - first[-1, 2] == pytest.approx(0.20, abs=0.01)
        assert np.abs(lift[:-1, :2] - first[-1, :2]).max() < 0.005


def test_labels_are_what_the_gripper_felt(cell: SimCell) -> None:
    episodes = [collected(cell, "wide_ten", seed, 12) for seed in (11, 12)]
    label = np.concatenate([e.fields["success"] for e in episodes]).astype(bool)
    width = np.concatenate([e.fields["width_m"] for e in episodes])
    held = np.concatenate([e.fields["held"] for e in episodes])
    assert label.any()
    assert not label.all()
    closed_m = cell.ports.arms["left"].gripper.limits.min_width_m
    assert (width[label] > closed_m).all()
    # What was felt was there; what was not felt may have been, where it is as thin as the closed fingers are apart.
    assert (held[label] == 1).all()
    assert (width[(held == 1) & ~label] < closed_m + 0.002).all()
    for episode in episodes:
        assert sum(episode.info["reasons"].values()) >= episode.info["tries"]
        assert episode.info["reasons"].get(str(Reason.HELD), 0) == episode.info["successes"]


def test_an_empty_table_ends_the_episode(cell: SimCell) -> None:
    episodes = [collected(cell, "wide_one", seed, 25) for seed in range(3)]
    ended = [e for e in episodes if e.info["tries"] < 25]
    assert any(e.fields["success"][-1] for e in ended)
    assert all(e.fields["success"].sum() <= 1 for e in episodes)
