# SPDX-License-Identifier: Apache-2.0
"""What an action did to the table: by the simulator's own knowledge where there is one, else by looking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from grasp_core.actions import Grasp
from grasp_core.cell import Cell, Outcome
from grasp_core.config import ConfigError
from grasp_core.observation import Observation
from grasp_policies.heightmaps.settings import MapSettings
from grasp_policies.heightmaps.state import State, changed, look


@dataclass(frozen=True)
class Change:
    """Since the action before.

    Attributes:
        picked: objects taken away in the hand.
        lost: objects gone without having been picked: pushed or dropped off the table.
        changed: an object was picked or lost, or moved.
        left: objects on the table; none where nobody knows.
    """

    picked: int
    lost: int
    changed: bool
    left: int | None


class Judge(Protocol):
    """Watches a run."""

    def begin(self, observation: Observation) -> int | None:
        """A new scene; returns how many objects it has, none where nobody knows."""
        ...

    def after(self, outcome: Outcome) -> Change:
        """What the last action did."""
        ...


class Truth(Protocol):
    """What a simulated cell knows (``SimCell.truth``)."""

    def poses(self) -> Mapping[int, NDArray[np.float64]]:
        """``T_base_object`` [4, 4] of the objects on the table."""
        ...


class TruthJudge:
    """By the objects' poses.

    Args:
        truth: of the cell.
        moved_m: an object whose origin moved less has not moved.
        turned_rad: an object that turned less has not moved either.
    """

    def __init__(self, truth: Truth, moved_m: float, turned_rad: float = 0.35) -> None:
        self._truth, self._moved_m, self._turned_rad = truth, moved_m, turned_rad
        self._before: dict[int, NDArray[np.float64]] = {}

    def begin(self, observation: Observation) -> int | None:
        """Remember where everything lies."""
        self._before = dict(self._truth.poses())
        return len(self._before)

    def after(self, outcome: Outcome) -> Change:
        """Compare with where everything lay."""
        now = dict(self._truth.poses())
        gone = set(self._before) - set(now)
        picked = gone & set(outcome.info.get("held_ids", ())) if isinstance(outcome.requested, Grasp) else set()
        moved = any(self._has_moved(self._before[i], T) for i, T in now.items() if i in self._before)
        self._before = now
        return Change(len(picked), len(gone) - len(picked), bool(gone) or moved, len(now))

    def _has_moved(self, T_before: NDArray[np.float64], T_now: NDArray[np.float64]) -> bool:
        cosine = 0.5 * (float(np.trace(T_before[:3, :3].T @ T_now[:3, :3])) - 1.0)
        turned = float(np.arccos(np.clip(cosine, -1.0, 1.0)))
        return float(np.linalg.norm(T_now[:3, 3] - T_before[:3, 3])) > self._moved_m or turned > self._turned_rad


class LookJudge:
    """By the heightmap (more than 300 pixels changed by 1 to 30 cm) and by what the gripper felt.

    Args:
        objects: on the table at the beginning; none for unknown, and then only the policy knows when it is empty.
        map_settings: of the heightmap.
    """

    def __init__(self, objects: int | None, map_settings: MapSettings | None = None) -> None:
        self._objects, self._map = objects, map_settings or MapSettings()
        self._left: int | None = objects
        self._state: State | None = None

    def begin(self, observation: Observation) -> int | None:
        """Remember what it looks like.

        Raises:
            ConfigError: there is no picture of the map's camera.
        """
        if self._map.camera not in observation.frames:
            there = ", ".join(observation.frames) or "none"
            raise ConfigError(
                f"a cell that does not know the truth is judged by the map of camera {self._map.camera!r}; "
                f"its observations carry {there}"
            )
        self._left, self._state = self._objects, look(observation, self._map)
        return self._objects

    def after(self, outcome: Outcome) -> Change:
        """Compare with what it looked like."""
        if self._state is None:
            raise RuntimeError("begin comes before after")
        now = look(outcome.observation, self._map)
        picked = int(isinstance(outcome.requested, Grasp) and bool(outcome.success))
        different = bool(picked) or changed(self._state, now)
        self._state = now
        if self._left is not None:
            self._left -= picked
        return Change(picked, 0, different, self._left)


def judge_of(cell: Cell, moved_m: float, objects: int | None) -> Judge:
    """The better judge that a cell allows."""
    truth: Any = getattr(cell, "truth", None)
    return LookJudge(objects) if truth is None else TruthJudge(truth, moved_m)
