# SPDX-License-Identifier: Apache-2.0
"""Actions as things to look at: lines in the shape of a gripper, arrows for pushes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_core.actions import Action, Grasp, Push
from grasp_core.geometry import apply

# Length of fingers and stem, and the opening drawn where an action leaves it open [m].
FINGER_M, STEM_M, OPENING_M = 0.05, 0.05, 0.08
CHOSEN = (25, 190, 60)
WORST, BEST = np.array((120.0, 110.0, 90.0)), np.array((255.0, 190.0, 20.0))


@dataclass(frozen=True)
class Drawn:
    """Lines and arrows in the base frame.

    Attributes:
        lines: both ends of each line, float64 [N, 2, 3] [m]; colours uint8 [N, 2, 3].
        arrows: tail and tip of each arrow, float64 [M, 2, 3] [m]; colours uint8 [M, 3].
    """

    lines: NDArray[np.float64]
    line_colours: NDArray[np.uint8]
    arrows: NDArray[np.float64]
    arrow_colours: NDArray[np.uint8]


def gripper_lines(grasp: Grasp) -> NDArray[np.float64]:
    """Two fingers, the palm between them and the stem behind it: [4, 2, 3] in the base frame [m]."""
    half = 0.5 * (OPENING_M if grasp.width_m is None else grasp.width_m)
    left, right, palm = (-half, 0.0, -FINGER_M), (half, 0.0, -FINGER_M), (0.0, 0.0, -FINGER_M)
    ends = [
        (left, (-half, 0.0, 0.0)),
        (right, (half, 0.0, 0.0)),
        (left, right),
        ((0.0, 0.0, -FINGER_M - STEM_M), palm),
    ]
    return apply(grasp.T_base_tcp, np.asarray(ends, dtype=np.float64).reshape(-1, 3)).reshape(-1, 2, 3)


def draw(actions: Sequence[tuple[Action, tuple[int, int, int]]]) -> Drawn:
    """Actions in their colours; steps and stops have no place and are left out."""
    lines, line_colours, arrows, arrow_colours = [], [], [], []
    for action, colour in actions:
        if isinstance(action, Grasp):
            lines.append(gripper_lines(action))
            line_colours.append(np.broadcast_to(np.asarray(colour, np.uint8), lines[-1].shape))
        elif isinstance(action, Push):
            start = np.asarray(action.start, dtype=np.float64)
            arrows.append(np.array([[start, start + np.asarray(action.direction) * action.length_m]]))
            arrow_colours.append(np.array([colour], dtype=np.uint8))
    return Drawn(
        _joined(lines, (2, 3), np.float64), _joined(line_colours, (2, 3), np.uint8),
        _joined(arrows, (2, 3), np.float64), _joined(arrow_colours, (3,), np.uint8),
    )  # fmt: skip


def value_colour(value: float, low: float, high: float) -> tuple[int, int, int]:
    """From dull for the least to bright for the greatest value; dull where values are not finite or all the same."""
    share = (value - low) / (high - low) if np.isfinite([value, low, high]).all() and high > low else 0.0
    r, g, b = (WORST + float(np.clip(share, 0.0, 1.0)) * (BEST - WORST)).astype(int).tolist()
    return r, g, b


def _joined(parts: list[NDArray], shape: tuple[int, ...], dtype: type) -> NDArray:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros((0, *shape), dtype=dtype)
