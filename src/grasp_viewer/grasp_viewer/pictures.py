# SPDX-License-Identifier: Apache-2.0
"""Pictures for the side panel: colours, depth and maps of values as uint8 colours."""

from __future__ import annotations

from typing import Any

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

UNKNOWN = (70, 70, 74)
# How many times small pictures are enlarged at most.
LARGEST = 4
_MAP = (255 * np.asarray(matplotlib.colormaps["turbo"](np.linspace(0.0, 1.0, 256)))[:, :3]).astype(np.uint8)


def colours(values: NDArray[Any], width: int) -> NDArray[np.uint8]:
    """A picture to look at, at most ``width`` wide; a small one is enlarged by a whole number, its pixels kept apart.

    Args:
        values: uint8 [H, W, 3] as it is; otherwise [H, W] from the least (blue) to the greatest (red), what is not
            finite in grey.
        width: [pixel].

    Raises:
        ValueError: another shape, or nothing in it.
    """
    if values.size == 0 or values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise ValueError(f"an array of shape {values.shape} is no picture")
    if values.ndim == 2:
        values = _mapped(values.astype(np.float64))
    if values.shape[1] <= width:
        times = min(LARGEST, max(1, width // max(values.shape[:2])))
        return np.ascontiguousarray(values.repeat(times, axis=0).repeat(times, axis=1), dtype=np.uint8)
    height = max(1, round(values.shape[0] * width / values.shape[1]))
    small = cv2.resize(np.ascontiguousarray(values, dtype=np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def span(values: NDArray[Any]) -> str:
    """Least and greatest value in words; empty for colours and where nothing is finite."""
    known = values[np.isfinite(values)] if values.ndim == 2 else np.zeros(0)
    return f"{known.min():.3g} to {known.max():.3g}" if known.size else ""


def _mapped(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    known = np.isfinite(values)
    out = np.empty((*values.shape, 3), dtype=np.uint8)
    out[~known] = UNKNOWN
    if known.any():
        low, high = values[known].min(), values[known].max()
        share = (values[known] - low) / (high - low) if high > low else np.zeros(int(known.sum()))
        out[known] = _MAP[np.rint(255 * share).astype(np.intp)]
    return out
