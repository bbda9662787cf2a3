# SPDX-License-Identifier: Apache-2.0
"""Which action is taken: the best, one drawn by value, or one at random; and what is passed over for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from grasp_policies.heightmaps.state import State
from grasp_policies.push_grasp.primitives import Choice, angle_of, grasp_mask, push_mask
from grasp_policies.push_grasp.settings import GRASP, PUSH, ActingSettings, PushGraspConfig
from grasp_policies.push_grasp.values import Values

# Pixels around a futile action that are passed over.
PASSED_RADIUS_PX = 8
# How many of the best actions of one primitive are looked at for candidates that lie apart.
LOOKED_AT = 4000
# Candidates of one primitive lie at least this far apart.
CANDIDATE_DISTANCE_PX = 10


@dataclass(frozen=True)
class Passed:
    """An action that changed nothing; ``left`` decisions long its surroundings are passed over."""

    choice: Choice
    left: int

    def later(self) -> Passed:
        """One decision later."""
        return replace(self, left=self.left - 1)


def without(values: Values, passed: Sequence[Passed]) -> Values:
    """The values without the surroundings of futile actions (all angles of a grasp, the same angle of a push)."""
    q = values.q
    for entry in passed:
        choice = entry.choice
        if choice.primitive != values.primitive:
            continue
        distance = np.abs(values.pixels - np.array([choice.row, choice.column], dtype=np.int16)).max(axis=-1)
        near = distance <= PASSED_RADIUS_PX
        if choice.primitive == PUSH:
            other = np.arange(len(q)) != choice.rotation
            near[other] = False
        q = np.where(near, -np.inf, q)
    return replace(values, q=q)


def choose(
    values: Mapping[int, Values], config: PushGraspConfig, acting: ActingSettings, rng: np.random.Generator
) -> tuple[Choice, float] | None:
    """The action to take and its value; none where no action is considered."""
    open_ = {p: v for p, v in values.items() if np.isfinite(v.best)}
    if not open_:
        return None
    if acting.epsilon > 0.0 and rng.random() < acting.epsilon:
        primitive = int(rng.choice(sorted(open_)))
    else:
        primitive = _greedy_primitive({p: v.best for p, v in open_.items()}, config)
    chosen = open_[primitive]
    flat = chosen.q.ravel()
    if acting.temperature > 0.0:
        weights = np.exp((flat - chosen.best) / acting.temperature)
        index = int(rng.choice(flat.size, p=weights / weights.sum()))
    else:
        index = int(flat.argmax())
    return chosen.choice(index), float(flat[index])


def _greedy_primitive(best: Mapping[int, float], config: PushGraspConfig) -> int:
    if config.method == "reactive" and GRASP in best and PUSH in best:
        return PUSH if best[PUSH] > config.reactive_push_factor * best[GRASP] else GRASP
    return max(best, key=lambda primitive: best[primitive])


def runners_up(values: Mapping[int, Values], count: int) -> list[tuple[Choice, float]]:
    """The best actions of all primitives that lie apart from each other, best first."""
    found: list[tuple[Choice, float]] = []
    for value in values.values():
        flat = value.q.ravel()
        if not np.isfinite(value.best):
            continue
        order = np.flatnonzero(np.isfinite(flat))
        top = min(order.size, LOOKED_AT)
        order = order[np.argpartition(-flat[order], top - 1)[:top]]
        order = order[np.argsort(-flat[order], kind="stable")]
        places = value.pixels.reshape(-1, 2)[order].astype(np.int64)
        apart = np.ones(len(order), dtype=bool)
        for _ in range(count):
            if not apart.any():
                break
            next_ = int(apart.argmax())
            found.append((value.choice(int(order[next_])), float(flat[order[next_]])))
            apart &= np.abs(places - places[next_]).max(axis=1) >= CANDIDATE_DISTANCE_PX
    return sorted(found, key=lambda pair: -pair[1])[:count]


def at_random(state: State, config: PushGraspConfig, push_share: float, rng: np.random.Generator) -> Choice | None:
    """A random action: a grasp on an object, or a push that has an object ahead; none on an empty table."""
    settings = config.primitive
    rotation = int(rng.integers(settings.rotations))
    wants_push = PUSH in config.primitives and rng.random() < push_share
    if wants_push:
        mask = push_mask(state, angle_of(rotation, settings.rotations), config.map, settings)
        places = np.argwhere(mask)
        if len(places):
            row, column = places[rng.integers(len(places))]
            return Choice(PUSH, int(row), int(column), rotation)
    places = np.argwhere(grasp_mask(state, settings))
    if not len(places):
        return None
    row, column = places[rng.integers(len(places))]
    return Choice(GRASP, int(row), int(column), rotation)
