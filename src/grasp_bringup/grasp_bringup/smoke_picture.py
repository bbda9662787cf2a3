# SPDX-License-Identifier: Apache-2.0
"""The picture that the smoke graph exchanges: one bright disc on a dark table, seen straight from above.

The table is as large as the picture: one pixel is ``METRES_PER_PIXEL``, the base frame is in the middle, its x points
right and its y up the picture. So both ends can check each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 480
METRES_PER_PIXEL = 0.001
RADIUS = 12


def draw(u: int, v: int) -> NDArray[np.uint8]:
    """Picture [HEIGHT, WIDTH, 3] with the disc's centre at pixel (u, v)."""
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    picture = np.full((HEIGHT, WIDTH, 3), 40, dtype=np.uint8)
    picture[(columns - u) ** 2 + (rows - v) ** 2 <= RADIUS**2] = (230, 180, 60)
    return picture


def locate(picture: NDArray[np.uint8]) -> tuple[float, float] | None:
    """Centre (u, v) of the bright pixels, or none where there are none."""
    rows, columns = np.nonzero(picture[..., 0] > 128)
    return (float(columns.mean()), float(rows.mean())) if len(rows) else None


def to_base(u: float, v: float) -> tuple[float, float]:
    """Position x, y in metres on the table of a pixel."""
    return (u - 0.5 * (WIDTH - 1)) * METRES_PER_PIXEL, (0.5 * (HEIGHT - 1) - v) * METRES_PER_PIXEL
