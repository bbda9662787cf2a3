# SPDX-License-Identifier: Apache-2.0
"""Turned cut-outs of a state: networks always see the action point along their own +column axis.

A light network reads a pixel's surroundings and no more, so learning at one executed pixel needs a patch around it, not
the whole map. Sizes are 4 n + 1 pixels, so that a patch and the full map meet the network's strides alike.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from grasp_policies.heightmaps.state import STEP_M, UNSEEN, State

# Metres of height that become 1 at the networks' input.
HEIGHT_SCALE_M = 0.05
# Channels: height, seen, red, green, blue.
CHANNELS = 5


def channels(state: State) -> Tensor:
    """float32 [5, rows, columns]: height, seen, colour around 0; all zero where nothing was seen."""
    return batch_channels(state.height[None], state.rgb[None])[0]


def batch_channels(height: NDArray[np.uint16], rgb: NDArray[np.uint8]) -> Tensor:
    """As ``channels`` for heights [n, rows, columns] and colours [n, rows, columns, 3]."""
    unseen = height == UNSEEN
    metres = np.where(unseen, np.float32(0.0), height * np.float32(STEP_M / HEIGHT_SCALE_M))
    colour = (rgb.astype(np.float32) / 255.0 - 0.5) * ~unseen[..., None]
    stack = np.concatenate([metres[:, None], ~unseen[:, None], colour.transpose(0, 3, 1, 2)], axis=1)
    return torch.from_numpy(np.ascontiguousarray(stack, dtype=np.float32))


def turned(images: Tensor, centres: Tensor, angles: Tensor, size: int, mirror: Tensor | None = None) -> Tensor:
    """Cut squares out, each turned so that its angle points along +column.

    Args:
        images: float32 [n, channels, rows, columns].
        centres: float32 [n, 2], row and column that become the middle; may be fractions or lie outside.
        angles: float32 [n], rad from +column towards +row.
        size: rows and columns of the result.
        mirror: bool [n], reflect across the angle's axis; none reflects nothing.

    Returns:
        float32 [n, channels, size, size]; zero beyond the images.
    """
    rows, columns = images.shape[-2:]
    offsets = torch.arange(size, dtype=torch.float32, device=images.device) - 0.5 * (size - 1)
    v, u = torch.meshgrid(offsets, offsets, indexing="ij")
    if mirror is not None:
        v = torch.where(mirror[:, None, None], -v, v)
    cos, sin = torch.cos(angles)[:, None, None], torch.sin(angles)[:, None, None]
    x = centres[:, 1, None, None] + cos * u - sin * v
    y = centres[:, 0, None, None] + sin * u + cos * v
    # grid_sample's own coordinates: -1 and 1 are the outer edges of the first and last pixel.
    grid = torch.stack([(2.0 * x + 1.0) / columns - 1.0, (2.0 * y + 1.0) / rows - 1.0], dim=-1)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def full_size(pixels: int) -> int:
    """Edge of the square that holds a map of ``pixels`` x ``pixels`` at any angle; 4 n + 1."""
    return 4 * int(np.ceil(pixels * np.sqrt(2.0) / 4.0)) + 1
