# SPDX-License-Identifier: Apache-2.0
"""Tried patches held in memory, and batches of them as a network is shown them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasp_core.config import ConfigError
from grasp_policies.heightmaps.cutouts import HEIGHT_SCALE_M, batch_channels, turned
from grasp_policies.patch_grasp.settings import PatchGraspConfig
from grasp_policies.patch_grasp.table import bin_of, tips_m

# What makes another grasp at the same place; where grasps may be, and which arm makes them, does not.
MOTION = ("depth_m", "floor_m", "tip_beyond_m", "approach_m")


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
    """What is done to patches while learning; an aligned patch is turned by half a circle alone."""

    rotate: bool = True
    mirror: bool = True
    colour: bool = True
    height_noise_m: float = 0.001
    tip_noise_m: float = 0.0
    shift_px: float = 0.0
    turn_rad: float = 0.0


@dataclass
class Patches:
    """All tries.

    Attributes:
        height, rgb: windows, uint16 [n, w, w] and uint8 [n, w, w, 3].
        angle: float32 [n], closing direction, rad.
        success: bool [n].
        stage: int64 [n], 0 for the first.
        episode: int64 [n], counted within its stage, so that later tries of another stage leave it as it is.
        config: how a network is shown them.
    """

    height: NDArray[np.uint16]
    rgb: NDArray[np.uint8]
    angle: NDArray[np.float32]
    success: NDArray[np.bool_]
    stage: NDArray[np.int64]
    episode: NDArray[np.int64]
    config: PatchGraspConfig

    def __len__(self) -> int:
        return len(self.angle)

    @property
    def patch_px(self) -> int:
        """Edge of a patch."""
        return self.config.patch_px

    def batch(
        self, index: NDArray[np.int64], rng: np.random.Generator | None = None, how: Augmentation | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Patches float32 [n, 5, rows, columns], the outputs that are meant int64 [n] and successes int64 [n].

        Patches are shown as they are without ``how``.

        For 18 outputs a patch is turned anyhow: turned by phi it shows its grasp at angle theta - phi, a mirrored one
        at the opposite angle, and the label follows, modulo 180 degrees (section III-C). For one output a patch is
        turned into its grasp, which looks the same from behind and in a mirror.
        """
        count, aligned = len(index), self.config.network.head == "aligned"
        height, angle = self.height[index], self.angle[index].astype(np.float64)
        tips = tips_m(height, self.config.grasp)
        turn, mirror, shift = np.zeros(count), np.zeros(count, bool), np.zeros((count, 2))
        if how is not None and rng is not None:
            half = np.pi * rng.integers(2, size=count)
            any_turn = half if aligned else rng.uniform(0.0, 2.0 * np.pi, count)
            turn = any_turn if how.rotate else turn
            mirror = rng.random(count) < 0.5 if how.mirror else mirror
            tips = tips + (how.tip_noise_m * rng.standard_normal(count)).astype(np.float32)
            shift = how.shift_px * rng.standard_normal((count, 2))
            angle = angle + how.turn_rad * rng.standard_normal(count) * aligned
        images = shown(height, self.rgb[index], tips, self.config)
        if how is not None and rng is not None:
            images = other_look(images, rng, how)
        patches = turned(
            images,
            torch.from_numpy((0.5 * (images.shape[-1] - 1) + shift).astype(np.float32)),
            torch.from_numpy((turn + angle if aligned else turn).astype(np.float32)),
            self.patch_px,
            torch.from_numpy(mirror),
        )
        margin = (self.patch_px - self.config.rows_px) // 2
        patches = patches[:, :, margin : margin + self.config.rows_px]
        outputs = np.zeros(count, np.int64) if aligned else bin_of(np.where(mirror, turn - angle, angle - turn))
        return patches, torch.from_numpy(outputs), torch.from_numpy(self.success[index].astype(np.int64))

    def shown_to(self, config: PatchGraspConfig) -> Patches:
        """The same tries for a network of another configuration.

        Raises:
            ConfigError: its patches do not fit into the windows that were kept, its pixels have another size, or its
                grasps are other grasps than those that were tried.
        """
        made, asked = self.config, config
        pairs = {"map.pixel_m": (made.map.pixel_m, asked.map.pixel_m)}
        pairs |= {f"grasp.{n}": (getattr(made.grasp, n), getattr(asked.grasp, n)) for n in MOTION}
        for name, (then, now) in pairs.items():
            if then != now:
                raise ConfigError(f"{name} is {now}: the tries were made with {then}")
        if config.window_px > self.height.shape[-1]:
            raise ConfigError(
                f"patch_px is {config.patch_px}: needs windows of {config.window_px} pixels, "
                f"{self.height.shape[-1]} were kept"
            )
        return replace(self, config=config)

    def part(self, index: NDArray[np.int64]) -> Patches:
        """Some of the tries."""
        names = ("height", "rgb", "angle", "success", "stage", "episode")
        return Patches(**{name: getattr(self, name)[index] for name in names}, config=self.config)


def build(episodes: Episodes, config: PatchGraspConfig) -> Patches:
    """All tries of a store, in its order.

    Raises:
        ValueError: it holds none.
    """
    parts: dict[str, list[Any]] = {name: [] for name in ("height", "rgb", "angle", "success")}
    stages: list[int] = []
    numbers: list[int] = []
    names: list[str] = []
    counts: Counter[str] = Counter()
    for index in range(len(episodes)):
        fields = episodes.episode(index)
        name = str(episodes.info(index).get("stage", ""))
        if name not in names:
            names.append(name)
        count = len(fields["angle"])
        for key, values in parts.items():
            values.append(fields[key])
        stages += [names.index(name)] * count
        numbers += [counts[name]] * count
        counts[name] += 1
    if not stages:
        raise ValueError(f"no tries in the {len(episodes)} episodes to learn from")
    columns = {key: np.concatenate(values) for key, values in parts.items()}
    columns["success"] = columns["success"].astype(bool)
    return Patches(**columns, stage=np.array(stages), episode=np.array(numbers), config=config)


def shown(
    height: NDArray[np.uint16], rgb: NDArray[np.uint8], tips: NDArray[np.float32], config: PatchGraspConfig
) -> Tensor:
    """Windows as a network reads them, float32 [n, 5, w, w]: height, seen, red, green, blue.

    Args:
        height, rgb: windows [n, w, w] and [n, w, w, 3].
        tips: how high the fingertips come to rest, m [n].
        config: what heights are told from.
    """
    images = batch_channels(height, rgb)
    if config.network.heights == "fingertips":
        limit = config.network.height_limit_m / HEIGHT_SCALE_M
        above = images[:, 0] - torch.from_numpy(tips / np.float32(HEIGHT_SCALE_M))[:, None, None]
        images[:, 0] = above.clamp(-limit, limit) * images[:, 1]
    return images


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
