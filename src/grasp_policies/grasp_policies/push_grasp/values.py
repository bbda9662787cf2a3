# SPDX-License-Identifier: Apache-2.0
"""All values of a state: both networks over all rotations, and the best of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from grasp_policies.devices import torch_device
from grasp_policies.heightmaps.cutouts import channels, full_size, turned
from grasp_policies.heightmaps.state import State
from grasp_policies.push_grasp.network import LIGHT_REACH_PX, OUTPUT_STRIDE, QNetwork
from grasp_policies.push_grasp.primitives import Choice, angle_of, free_mask, grasp_mask, push_mask
from grasp_policies.push_grasp.settings import GRASP, PushGraspConfig

# A push is looked at from a point this far ahead of its start, in the middle of what it will touch.
PUSH_LOOK_AHEAD_PX = 20
# Turned maps that go through a network at once.
BATCH = 4


@dataclass(frozen=True)
class Values:
    """The values of one primitive over all rotations, on the turned lattices.

    Attributes:
        primitive: which.
        q: float32 [rotations, h, w]; -inf where the action is not considered.
        pixels: int16 [rotations, h, w, 2], row and column in the state that each value belongs to.
    """

    primitive: int
    q: NDArray[np.float32]
    pixels: NDArray[np.int16]

    def choice(self, index: int) -> Choice:
        """The action at a flat index into ``q``."""
        rotation, i, j = np.unravel_index(index, self.q.shape)
        row, column = self.pixels[rotation, i, j]
        return Choice(self.primitive, int(row), int(column), int(rotation))

    @property
    def best(self) -> float:
        """Largest value; -inf where there is no action."""
        return float(self.q.max())


class Evaluator:
    """Evaluates networks over whole maps.

    Args:
        networks: by primitive, in evaluation mode; copied, so that later training does not reach them.
        config: what they were trained with.
        device: torch device.
    """

    def __init__(self, networks: Mapping[int, QNetwork], config: PushGraspConfig, device: str = "cpu") -> None:
        self._config = config
        self._device = torch_device(device)
        self.networks = {p: _folded(n).to(self._device) for p, n in networks.items()}

    @torch.inference_mode()
    def values(self, state: State, primitive: int, rotations: NDArray[np.int64] | None = None) -> Values:
        """Values of one primitive; ``rotations`` restricts which angles are looked at (others stay -inf)."""
        config = self._config
        count = config.primitive.rotations_of(primitive)
        todo = np.arange(count) if rotations is None else np.asarray(rotations)
        centre, size = self._region(state, primitive)
        pixels = self._lattice(primitive, centre, size)
        q = np.full(pixels.shape[:3], -np.inf, dtype=np.float32)
        masks = self._masks(state, primitive, todo, pixels)
        # An angle without a single action worth a thought needs no look.
        todo = np.array([r for r in todo if masks[int(r)].any()], dtype=np.int64)
        image = channels(state).to(self._device)
        network = self.networks[primitive]
        for begin in range(0, len(todo), BATCH):
            part = todo[begin : begin + BATCH]
            angles = torch.tensor(
                [angle_of(int(r), config.primitive.rotations) for r in part], dtype=torch.float32, device=self._device
            )
            centres = torch.tensor(centre, dtype=torch.float32, device=self._device).expand(len(part), 2)
            logits = network(turned(image.expand(len(part), -1, -1, -1), centres, angles, size))
            values = (config.q_max * torch.sigmoid(logits)).cpu().numpy()
            for value, r in zip(values, part, strict=True):
                q[r] = np.where(masks[int(r)], value, -np.inf)
        return Values(primitive, q, pixels)

    def _region(self, state: State, primitive: int) -> tuple[tuple[float, float], int]:
        """Middle and edge of the square that must be looked at: the objects, what a push reaches, what a pixel sees."""
        config = self._config
        whole = full_size(config.map.pixels)
        places = np.argwhere(state.occupied(config.primitive.object_height_m))
        if not len(places):
            return (0.0, 0.0), 9
        centre = 0.5 * (places.min(axis=0) + places.max(axis=0))
        radius = float(np.sqrt(np.square(places - centre).sum(axis=1).max())) + LIGHT_REACH_PX + 4
        if primitive != GRASP:
            radius += config.primitive.push_reach_m / config.map.pixel_m
        if config.network.trunk != "light" or 2.0 * radius >= whole:
            middle = 0.5 * (config.map.pixels - 1)
            return (middle, middle), whole
        return (float(centre[0]), float(centre[1])), 4 * int(np.ceil(radius / 2.0)) + 1

    def _masks(
        self, state: State, primitive: int, rotations: NDArray[np.int64], pixels: NDArray[np.int16]
    ) -> dict[int, NDArray[np.bool_]]:
        config = self._config
        size = config.map.pixels
        found = {}
        grasps = grasp_mask(state, config.primitive) if primitive == GRASP else None
        free = None if primitive == GRASP else free_mask(state, config.map, config.primitive)
        for r in rotations:
            mask = grasps
            if mask is None:
                angle = angle_of(int(r), config.primitive.rotations)
                mask = push_mask(state, angle, config.map, config.primitive, free)
            rows, columns = pixels[r, ..., 0], pixels[r, ..., 1]
            inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
            found[int(r)] = inside & mask[np.clip(rows, 0, size - 1), np.clip(columns, 0, size - 1)]
        return found

    def _lattice(self, primitive: int, centre: tuple[float, float], size: int) -> NDArray[np.int16]:
        """Pixel of the state that each output of each turned map belongs to, int16 [rotations, h, w, 2]."""
        primitives = self._config.primitive
        offsets = np.arange(0, size, OUTPUT_STRIDE) - 0.5 * (size - 1)
        v, u = np.meshgrid(offsets, offsets, indexing="ij")
        u = u - look_ahead_px(primitive)
        count = primitives.rotations_of(primitive)
        angles = np.array([angle_of(r, primitives.rotations) for r in range(count)])[:, None, None]
        rows = centre[0] + np.sin(angles) * u + np.cos(angles) * v
        columns = centre[1] + np.cos(angles) * u - np.sin(angles) * v
        return np.round(np.stack([rows, columns], axis=-1)).astype(np.int16)


def look_ahead_px(primitive: int) -> int:
    """How far ahead of an action's pixel, along its angle, its network looks from."""
    return 0 if primitive == GRASP else PUSH_LOOK_AHEAD_PX


def _folded(network: QNetwork) -> QNetwork:
    """A copy with each convolution and the normalisation behind it made one convolution."""
    copied = copy.deepcopy(network).eval()
    for module in copied.modules():
        if isinstance(module, nn.Sequential) and len(module) > 1:
            for index in range(len(module) - 1):
                layer, after = module[index], module[index + 1]
                if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                    module[index] = fuse_conv_bn_eval(layer, after)
                    module[index + 1] = nn.Identity()
    return copied
