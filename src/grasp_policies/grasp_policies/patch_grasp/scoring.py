# SPDX-License-Identifier: Apache-2.0
"""Weighing many patches, drawing among them, and looking at the neighbourhoods of the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasp_policies.heightmaps.cutouts import batch_channels
from grasp_policies.heightmaps.state import State
from grasp_policies.patch_grasp.network import PatchNetwork
from grasp_policies.patch_grasp.settings import BINS, ActingSettings, PatchGraspConfig
from grasp_policies.patch_grasp.table import Choice, angle_of, windows

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
        network: in evaluation mode.
        config: what it was trained with.
        device: torch device.
    """

    def __init__(self, network: PatchNetwork, config: PatchGraspConfig, device: str = "cpu") -> None:
        self.network, self.config = network.to(torch.device(device)).eval(), config
        self._device = torch.device(device)

    @torch.no_grad()
    def chances(self, state: State, pixels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Chance of a grasp at pixels [n, 2] and all angles, [n, 18]."""
        if not len(pixels):
            return np.zeros((0, BINS), np.float32)
        found = []
        for begin in range(0, len(pixels), BATCH):
            patches = upright(state, pixels[begin : begin + BATCH], self.config)
            found.append(self.network.chances(patches.to(self._device)).cpu().numpy())
        return np.concatenate(found)

    def sample(self, state: State, mask: NDArray[np.bool_], count: int, rng: np.random.Generator) -> Weighed:
        """Weigh ``count`` random pixels of a region (all of them where it has fewer)."""
        places = np.argwhere(mask)
        if len(places) > count:
            places = places[rng.choice(len(places), count, replace=False)]
        return Weighed(places, self.chances(state, places))


def upright(state: State, pixels: NDArray[np.int64], config: PatchGraspConfig) -> Tensor:
    """Patches float32 [n, 5, s, s] around pixels, not turned."""
    return batch_channels(*windows(state, pixels, config.patch_px))


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
    around = neighbours(len(chosen) * settings.rerank_neighbours, radius, rng)
    centres = np.array([(c.row, c.column) for c, _ in chosen])
    places = np.repeat(centres, settings.rerank_neighbours, axis=0) + around
    places = np.clip(places, 0, scorer.config.map.pixels - 1)
    scores = scorer.chances(state, places).max(axis=1).reshape(len(chosen), -1).mean(axis=1)
    return [(chosen[i][0], float(scores[i])) for i in np.argsort(-scores, kind="stable")]


def neighbours(count: int, radius_px: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Offsets [count, 2] uniform over a disc."""
    distance = radius_px * np.sqrt(rng.random(count))
    turn = rng.uniform(0.0, 2.0 * np.pi, count)
    return np.round(np.stack([distance * np.sin(turn), distance * np.cos(turn)], axis=1)).astype(np.int64)
