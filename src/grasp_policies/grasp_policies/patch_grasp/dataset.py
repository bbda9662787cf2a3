# SPDX-License-Identifier: Apache-2.0
"""Tried patches held in memory, and batches of turned ones with their angles relabelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasp_policies.heightmaps.cutouts import HEIGHT_SCALE_M, batch_channels, turned
from grasp_policies.patch_grasp.settings import PatchGraspConfig
from grasp_policies.patch_grasp.table import bin_of


class Episodes(Protocol):
    """What is asked of a store of episodes (``grasp_learning.recipe.Episodes``)."""

    def __len__(self) -> int:
        """Number of finished episodes."""
        ...

    def episode(self, index: int) -> Mapping[str, NDArray[Any]]:
        """Fields of an episode."""
        ...

    def info(self, index: int) -> Mapping[str, Any]:
        """Its summary, with the name of its ``stage``."""
        ...


@dataclass(frozen=True)
class Augmentation:
    """What is done to patches while learning."""

    rotate: bool = True
    mirror: bool = True
    colour: bool = True
    height_noise_m: float = 0.001


@dataclass
class Patches:
    """All tries.

    Attributes:
        height, rgb: windows, uint16 [n, w, w] and uint8 [n, w, w, 3].
        angle: float32 [n], closing direction, rad.
        success: bool [n].
        stage: int64 [n], 0 for the first.
        episode: int64 [n].
        patch_px: edge of a patch.
    """

    height: NDArray[np.uint16]
    rgb: NDArray[np.uint8]
    angle: NDArray[np.float32]
    success: NDArray[np.bool_]
    stage: NDArray[np.int64]
    episode: NDArray[np.int64]
    patch_px: int

    def __len__(self) -> int:
        return len(self.angle)

    def batch(
        self, index: NDArray[np.int64], rng: np.random.Generator | None = None, how: Augmentation | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Patches float32 [n, 5, s, s], angle bins int64 [n] and successes int64 [n]; as they are without ``how``.

        A patch turned by phi shows its grasp at angle theta - phi; a mirrored one shows it at the opposite angle. The
        label follows, modulo 180 degrees (section III-C).
        """
        images = batch_channels(self.height[index], self.rgb[index])
        count, middle = len(index), 0.5 * (images.shape[-1] - 1)
        angle = self.angle[index].astype(np.float64)
        turn, mirror = np.zeros(count), np.zeros(count, bool)
        if how is not None and rng is not None:
            turn = rng.uniform(0.0, 2.0 * np.pi, count) if how.rotate else turn
            mirror = rng.random(count) < 0.5 if how.mirror else mirror
            images = other_look(images, rng, how)
        patches = turned(
            images,
            torch.full((count, 2), middle),
            torch.from_numpy(turn.astype(np.float32)),
            self.patch_px,
            torch.from_numpy(mirror),
        )
        shown = np.where(mirror, turn - angle, angle - turn)
        success = torch.from_numpy(self.success[index].astype(np.int64))
        return patches, torch.from_numpy(bin_of(shown)), success

    def part(self, index: NDArray[np.int64]) -> Patches:
        """Some of the tries."""
        names = ("height", "rgb", "angle", "success", "stage", "episode")
        return Patches(**{name: getattr(self, name)[index] for name in names}, patch_px=self.patch_px)


def build(episodes: Episodes, config: PatchGraspConfig) -> Patches:
    """All tries of a store, in its order.

    Raises:
        ValueError: it holds none.
    """
    parts: dict[str, list[Any]] = {name: [] for name in ("height", "rgb", "angle", "success")}
    stages: list[int] = []
    numbers: list[int] = []
    names: list[str] = []
    for index in range(len(episodes)):
        fields = episodes.episode(index)
        name = str(episodes.info(index).get("stage", ""))
        if name not in names:
            names.append(name)
        count = len(fields["angle"])
        for key, values in parts.items():
            values.append(fields[key])
        stages += [names.index(name)] * count
        numbers += [index] * count
    if not stages:
        raise ValueError(f"no tries in the {len(episodes)} episodes to learn from")
    columns = {key: np.concatenate(values) for key, values in parts.items()}
    columns["success"] = columns["success"].astype(bool)
    return Patches(**columns, stage=np.array(stages), episode=np.array(numbers), patch_px=config.patch_px)


def other_look(images: Tensor, rng: np.random.Generator, how: Augmentation) -> Tensor:
    """Other colours, and heights with a little noise, where something was seen."""
    count, seen = len(images), images[:, 1:2]
    height, colour = images[:, :1], images[:, 2:]
    if how.height_noise_m > 0.0:
        noise = torch.from_numpy(rng.standard_normal(tuple(height.shape), dtype=np.float32))
        height = height + how.height_noise_m / HEIGHT_SCALE_M * noise * seen
    if how.colour:
        order = np.argsort(rng.random((count, 3)), axis=1)
        colour = colour[torch.arange(count)[:, None], torch.from_numpy(order)]
        gain = torch.from_numpy(rng.uniform(0.8, 1.2, (count, 3, 1, 1)).astype(np.float32))
        colour = gain * colour * seen
    return torch.cat([height, seen, colour], dim=1)
