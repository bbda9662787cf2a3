# SPDX-License-Identifier: Apache-2.0
"""Weighing many patches, drawing among them, and looking at the neighbourhoods of the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from grasp_policies.heightmaps.state import State
from grasp_policies.patch_grasp.dataset import shown
from grasp_policies.patch_grasp.network import PatchNetwork, fused
from grasp_policies.patch_grasp.settings import BINS, ActingSettings, PatchGraspConfig
from grasp_policies.patch_grasp.table import Choice, angle_of, tips_m, windows

BATCH = 256


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
        self.network, self.config = fused(network).to(torch.device(device)), config
        self._device = torch.device(device)
        self._coarse, self._fine = coarse_angles, fine_share

    def chances(self, state: State, pixels: NDArray[np.int64], views: int | None = None) -> NDArray[np.float32]:
        """Chance of a grasp at pixels [n, 2] and all angles, [n, 18]; ``views`` as in ``PatchNetwork.chances``."""
        return self._at(state, pixels, BINS, views)

    def sample(self, state: State, mask: NDArray[np.bool_], count: int, rng: np.random.Generator) -> Weighed:
        """Weigh ``count`` random pixels of a region (all of them where it has fewer).

        One view has to do: the others tell tries apart a little better and take four times as long.
        """
        places = np.argwhere(mask)
        if len(places) > count:
            places = places[rng.choice(len(places), count, replace=False)]
        if self.config.network.head == "bins" or self._coarse == BINS:
            return Weighed(places, self.chances(state, places, views=1))
        coarse = self._at(state, places, self._coarse, 1)
        found = between(coarse)
        best = np.argsort(-coarse.max(axis=1, initial=0.0), kind="stable")[: int(np.ceil(self._fine * len(places)))]
        found[best] = self.chances(state, places[best], views=1)
        return Weighed(places, found)

    @torch.no_grad()
    def _at(self, state: State, pixels: NDArray[np.int64], angles: int, views: int | None) -> NDArray[np.float32]:
        """Chances [n, angles] at so many angles, evenly over half a circle; an upright patch tells all 18 at once."""
        aligned = self.config.network.head == "aligned"
        each = angles if aligned else 1
        found = [np.zeros((0, angles), np.float32)]
        size = max(1, BATCH // each)
        for begin in range(0, len(pixels), size):
            images = around(state, pixels[begin : begin + size], self.config)[:, self.network.channels]
            if aligned:
                images = aligned_patches(images.to(self._device), angles, (self.config.rows_px, self.config.patch_px))
            chances = self.network.chances(images.to(self._device), views)
            found.append(chances.cpu().numpy().reshape(-1, angles))
        return np.concatenate(found)


def around(state: State, pixels: NDArray[np.int64], config: PatchGraspConfig) -> Tensor:
    """What a network is shown of pixels [n, 2], float32 [n, 5, w, w]: a patch as it lies, or room to turn it in."""
    height, rgb = windows(state, pixels, config.window_px if config.network.head == "aligned" else config.patch_px)
    return shown(height, rgb, tips_m(height, config.grasp), config)


def aligned_patches(images: Tensor, angles: int, shape: tuple[int, int]) -> Tensor:
    """Patches from the middle of images [n, c, w, w], turned to each of so many angles: [n * angles, c, *shape].

    One grid serves all images, which is what makes thousands of patches affordable.
    """
    count, channels, edge = images.shape[:3]
    (rows, columns), device = shape, images.device
    turn = torch.arange(angles, device=device, dtype=torch.float32) * (np.pi / angles)
    across, along = (torch.arange(n, device=device, dtype=torch.float32) - 0.5 * (n - 1) for n in shape)
    v, u = torch.meshgrid(across, along, indexing="ij")
    cos, sin = torch.cos(turn)[:, None, None], torch.sin(turn)[:, None, None]
    grid = torch.stack([cos * u - sin * v, sin * u + cos * v], dim=-1) * (2.0 / edge)
    grid = grid.reshape(1, angles * rows, columns, 2).expand(count, -1, -1, -1)
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

    The arm is a few millimetres off; a grasp that is good only where it is, is not good.
    """
    chosen = best[: settings.rerank_best]
    radius = settings.neighbour_m / scorer.config.map.pixel_m
    offsets = neighbours(len(chosen) * settings.rerank_neighbours, radius, rng)
    centres = np.array([(c.row, c.column) for c, _ in chosen])
    places = np.repeat(centres, settings.rerank_neighbours, axis=0) + offsets
    places = np.clip(places, 0, scorer.config.map.pixels - 1)
    scores = scorer.chances(state, places, views=1).max(axis=1).reshape(len(chosen), -1).mean(axis=1)
    return [(chosen[i][0], float(scores[i])) for i in np.argsort(-scores, kind="stable")]


def neighbours(count: int, radius_px: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Offsets [count, 2] uniform over a disc."""
    distance = radius_px * np.sqrt(rng.random(count))
    turn = rng.uniform(0.0, 2.0 * np.pi, count)
    return np.round(np.stack([distance * np.sin(turn), distance * np.cos(turn)], axis=1)).astype(np.int64)
