# SPDX-License-Identifier: Apache-2.0
"""Weighing many patches, drawing among them, and looking at the neighbourhoods of the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from grasp_policies.devices import torch_device
from grasp_policies.heightmaps.state import State
from grasp_policies.patch_grasp.dataset import shown
from grasp_policies.patch_grasp.network import PatchNetwork, fused
from grasp_policies.patch_grasp.settings import BINS, ActingSettings, PatchGraspConfig
from grasp_policies.patch_grasp.table import Choice, angle_of, tips_m, windows

BATCH = 256
# Angles on either side of a grasp's own at which its neighbours are looked at.
BESIDE = 2


@dataclass(frozen=True)
class Weighed:
    """Patches and what the network says of them.

    Attributes:
        pixels: int64 [n, 2], rows and columns.
        chances: float32 [n, 18], of success.
    """

    pixels: NDArray[np.int64]
    chances: NDArray[np.float32]


class Scorer:
    """A network with the maps that it reads.

    Args:
        network: of which a copy is kept.
        config: what it was trained with.
        device: torch device.
        coarse_angles: angles at which ``sample`` looks at every patch, for a network that is shown aligned patches.
        fine_share: share of the patches that it then looks at from all 18 angles.
    """

    def __init__(
        self,
        network: PatchNetwork,
        config: PatchGraspConfig,
        device: str = "cpu",
        coarse_angles: int = 6,
        fine_share: float = 0.05,
    ) -> None:
        self._device = torch_device(device)
        self.network, self.config = fused(network).to(self._device), config
        self._coarse, self._fine = coarse_angles, fine_share

    def chances(self, state: State, pixels: NDArray[np.int64], views: int | None = None) -> NDArray[np.float32]:
        """Chance of a grasp at pixels [n, 2] and all angles, [n, 18]; ``views`` as in ``PatchNetwork.chances``."""
        return self._at(state, pixels, None if self.config.network.head == "bins" else evenly(BINS), views)

    def near(self, state: State, pixels: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Chances at pixels [n, 2] around an angle each: [n, 5], at angle ``numbers`` [n] and two on either side.

        A network that is shown patches as they lie tells all 18 at once: then [n, 18]. One view.
        """
        if self.config.network.head == "bins":
            return self.chances(state, pixels, views=1)
        beside = np.asarray(numbers)[:, None] + np.arange(-BESIDE, BESIDE + 1)
        turns = torch.from_numpy((beside * (np.pi / BINS)).astype(np.float32))
        return self._at(state, pixels, turns, 1)

    def sample(self, state: State, mask: NDArray[np.bool_], count: int, rng: np.random.Generator) -> Weighed:
        """Weigh ``count`` random pixels of a region (all of them where it has fewer).

        One view has to do: the others tell tries apart a little better and take four times as long.
        """
        places = np.argwhere(mask)
        if len(places) > count:
            places = places[rng.choice(len(places), count, replace=False)]
        if self.config.network.head == "bins" or self._coarse == BINS:
            return Weighed(places, self.chances(state, places, views=1))
        coarse = self._at(state, places, evenly(self._coarse), 1)
        found = between(coarse)
        best = np.argsort(-coarse.max(axis=1, initial=0.0), kind="stable")[: int(np.ceil(self._fine * len(places)))]
        found[best] = self.chances(state, places[best], views=1)
        return Weighed(places, found)

    @torch.no_grad()
    def _at(
        self, state: State, pixels: NDArray[np.int64], turns: Tensor | None, views: int | None
    ) -> NDArray[np.float32]:
        """Chances [n, angles] of pixels [n, 2] at angles as for ``aligned_patches``, or upright patches at all 18."""
        each = BINS if turns is None else turns.shape[-1]
        found = [np.zeros((0, each), np.float32)]
        size = BATCH if turns is None else max(1, BATCH // each)
        for begin in range(0, len(pixels), size):
            part = slice(begin, begin + size)
            images = around(state, pixels[part], self.config)[:, self.network.channels].to(self._device)
            if turns is not None:
                some = turns if turns.ndim == 1 else turns[part]
                images = aligned_patches(images, some, (self.config.rows_px, self.config.patch_px))
            found.append(self.network.chances(images, views).cpu().numpy().reshape(-1, each))
        return np.concatenate(found)


def around(state: State, pixels: NDArray[np.int64], config: PatchGraspConfig) -> Tensor:
    """What a network is shown of pixels [n, 2], float32 [n, 5, w, w]: a patch as it lies, or room to turn it in."""
    height, rgb = windows(state, pixels, config.window_px if config.network.head == "aligned" else config.patch_px)
    return shown(height, rgb, tips_m(height, config.grasp), config)


def evenly(angles: int) -> Tensor:
    """So many angles over half a circle, from 0, float32 [angles]."""
    return torch.arange(angles, dtype=torch.float32) * (np.pi / angles)


def aligned_patches(images: Tensor, turns: Tensor, shape: tuple[int, int]) -> Tensor:
    """Patches from the middle of images [n, c, w, w], turned to each of k angles: [n * k, c, *shape].

    Args:
        images: with room to turn in.
        turns: angles in rad, [k] for all images, whose one grid is what makes thousands of patches affordable; or
            [n, k] for each its own.
        shape: rows and columns of a patch.
    """
    count, channels, edge = images.shape[:3]
    (rows, columns), device, angles = shape, images.device, turns.shape[-1]
    across, along = (torch.arange(n, device=device, dtype=torch.float32) - 0.5 * (n - 1) for n in shape)
    v, u = torch.meshgrid(across, along, indexing="ij")
    turns = turns.to(device).reshape(-1, angles, 1, 1)
    cos, sin = torch.cos(turns), torch.sin(turns)
    grid = torch.stack([cos * u - sin * v, sin * u + cos * v], dim=-1) * (2.0 / edge)
    grid = grid.reshape(-1, angles * rows, columns, 2).expand(count, -1, -1, -1)
    found = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    found = found.view(count, channels, angles, rows, columns).transpose(1, 2)
    return found.reshape(count * angles, channels, rows, columns)


def between(coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chances at few angles [n, k] to chances at all, [n, 18]: linear between neighbours, around the half circle."""
    k = coarse.shape[1]
    where = np.arange(BINS) * k / BINS
    low = where.astype(int)
    part = (where - low).astype(np.float32)
    return coarse[:, low % k] * (1.0 - part) + coarse[:, (low + 1) % k] * part


def importance(
    weighed: Weighed, rng: np.random.Generator, exponent: float = 1.0, keep: int | None = None
) -> tuple[Choice, float]:
    """Draw a patch and an angle with a chance that grows with its score: p ~ score ** exponent (section III-D).

    Args:
        weighed: patches, at least one.
        rng: for the draw.
        exponent: 0 draws uniformly, large ones take the best.
        keep: draw among so many of the best alone; none for all.

    Returns:
        The grasp and its score.
    """
    scores = weighed.chances.ravel().astype(np.float64)
    logs = exponent * np.log(np.maximum(scores, 1e-12))
    if keep is not None and keep < len(logs):
        logs[np.argsort(-logs, kind="stable")[keep:]] = -np.inf
    weights = np.exp(logs - logs.max())
    pick = int(rng.choice(len(weights), p=weights / weights.sum()))
    patch, number = divmod(pick, BINS)
    row, column = weighed.pixels[patch]
    return Choice(int(row), int(column), angle_of(number)), float(scores[pick])


def ranked(weighed: Weighed) -> list[tuple[Choice, float]]:
    """Each patch at its best angle, best first."""
    best = weighed.chances.argmax(axis=1)
    values = weighed.chances.max(axis=1)
    return [
        (Choice(int(weighed.pixels[i, 0]), int(weighed.pixels[i, 1]), angle_of(int(best[i]))), float(values[i]))
        for i in np.argsort(-values, kind="stable")
    ]


def reranked(
    best: list[tuple[Choice, float]],
    state: State,
    scorer: Scorer,
    settings: ActingSettings,
    rng: np.random.Generator,
) -> list[tuple[Choice, float]]:
    """The best grasps by the mean of their neighbours' best scores: a plateau before a spike (section IV-F).

    The arm is a few millimetres off; a grasp that is good only where it is, is not good. A neighbour's best is that of
    the grasp's own angle and of two on either side, up to 20 degrees off: what would hold there only the other way
    round says nothing of this grasp. A network with an output for each of 18 angles tells the best of them all.
    """
    chosen = best[: settings.rerank_best]
    radius = settings.neighbour_m / scorer.config.map.pixel_m
    offsets = neighbours(len(chosen) * settings.rerank_neighbours, radius, rng)
    centres = np.array([(c.row, c.column) for c, _ in chosen])
    places = np.repeat(centres, settings.rerank_neighbours, axis=0) + offsets
    places = np.clip(places, 0, scorer.config.map.pixels - 1)
    numbers = np.repeat([c.bin for c, _ in chosen], settings.rerank_neighbours)
    scores = scorer.near(state, places, numbers).max(axis=1).reshape(len(chosen), -1).mean(axis=1)
    return [(chosen[i][0], float(scores[i])) for i in np.argsort(-scores, kind="stable")]


def neighbours(count: int, radius_px: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Offsets [count, 2] uniform over a disc."""
    distance = radius_px * np.sqrt(rng.random(count))
    turn = rng.uniform(0.0, 2.0 * np.pi, count)
    return np.round(np.stack([distance * np.sin(turn), distance * np.cos(turn)], axis=1)).astype(np.int64)
