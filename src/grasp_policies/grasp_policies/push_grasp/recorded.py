# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes as the tries that ``push_grasp`` learns from: from a motion back to primitive, pixel and angle."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from grasp_core.actions import Action, Grasp, Push
from grasp_core.recording import RecordedEpisode
from grasp_policies.heightmaps.state import changed, look
from grasp_policies.push_grasp.behaviour import CLOSING, Episode, columns_of, row_of, summary_of
from grasp_policies.push_grasp.primitives import Choice
from grasp_policies.push_grasp.settings import GRASP, PRIMITIVES, PUSH, PushGraspConfig


def choice_of(action: Action, config: PushGraspConfig) -> Choice | None:
    """The choice whose motion an action is: its pixel, and the nearest angle; none for what this policy cannot do.

    Of symmetric grasps the one of the first half turn is meant, as when they are weighed.
    """
    if isinstance(action, Grasp):
        place, primitive = action.T_base_tcp[:3, 3], GRASP
        angle = float(np.arctan2(action.T_base_tcp[1, 0], action.T_base_tcp[0, 0]))
    elif isinstance(action, Push):
        place, primitive = action.start, PUSH
        angle = float(np.arctan2(action.direction[1], action.direction[0]))
    else:
        return None
    area = config.map
    column, row = np.floor((place[:2] - np.asarray(area.corner_m)[:2]) / area.pixel_m).astype(int)
    if not (0 <= row < area.pixels and 0 <= column < area.pixels):
        return None
    rotations = config.primitive.rotations
    rotation = round(angle / (2.0 * np.pi) * rotations) % rotations
    return Choice(primitive, int(row), int(column), rotation % config.primitive.rotations_of(primitive))


def tries_of(recorded: RecordedEpisode, config: PushGraspConfig) -> Episode:
    """What was tried in a recorded episode, as if it had been collected directly.

    Steps that commanded nothing, were not judged, or are no action of this policy are left out.

    Raises:
        KeyError: the recording lacks the camera.
        FrameError: its pictures have no depth.
    """
    rows: list[dict[str, Any]] = []
    reasons: Counter[str] = Counter()
    states = [look(step.observation, config.map) for step in recorded.steps]
    last = look(recorded.last, config.map) if recorded.last is not None else None
    for k, step in enumerate(recorded.steps):
        choice = choice_of(step.action, config)
        if choice is None or not step.executed or (choice.primitive == GRASP and step.success is None):
            continue
        after = states[k + 1] if k + 1 < len(states) else last
        success = choice.primitive == GRASP and bool(step.success)
        different = success or (changed(states[k], after) if after is not None else bool(step.changed))
        reasons[f"{PRIMITIVES[choice.primitive]}:{step.reason}"] += 1
        rows.append(row_of(states[k], choice, success, different, False, step.value))
    info = summary_of(rows, reasons)
    if rows:
        rows.append(row_of(last or states[-1], Choice(CLOSING, 0, 0, 0), False, False, False, float("nan")))
    return Episode(columns_of(rows, config), info)
