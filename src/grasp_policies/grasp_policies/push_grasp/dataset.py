# SPDX-License-Identifier: Apache-2.0
"""Tried actions held in memory as windows around their pixels, and batches of turned patches from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grasp_policies.heightmaps.cutouts import HEIGHT_SCALE_M, batch_channels, turned
from grasp_policies.heightmaps.state import UNSEEN, State
from grasp_policies.push_grasp.network import OUTPUT_STRIDE, PATCH_PX
from grasp_policies.push_grasp.primitives import angle_of
from grasp_policies.push_grasp.settings import PushGraspConfig
from grasp_policies.push_grasp.values import look_ahead_px

# A window holds a patch at any angle, moved by a lattice step.
WINDOW_PX = 2 * int(np.ceil(0.5 * PATCH_PX * np.sqrt(2.0) + 2 * OUTPUT_STRIDE)) + 1


@dataclass(frozen=True)
class Augmentation:
    """What is done to patches while learning; the answer stays the same."""

    mirror: bool = True
    half_turn: bool = True
    colour: bool = True
    height_noise_m: float = 0.001


@dataclass
class Tries:
    """The tries of one primitive.

    Attributes:
        primitive: which.
        height, rgb: windows, uint16 [n, w, w] and uint8 [n, w, w, 3].
        offset: float32 [n, 2], where in the window's middle pixel the networks look from (rows, columns).
        angle: float32 [n], rad.
        success, changed: bool [n].
        after: int64 [n], number of the state that followed, in the order in which episodes were added.
        episode: int64 [n], which episode each belongs to.
    """

    primitive: int
    height: NDArray[np.uint16]
    rgb: NDArray[np.uint8]
    offset: NDArray[np.float32]
    angle: NDArray[np.float32]
    success: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    after: NDArray[np.int64]
    episode: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.angle)

    def patches(
        self,
        index: NDArray[np.int64],
        rng: np.random.Generator,
        how: Augmentation | None = None,
        shift: NDArray[np.int64] | None = None,
    ) -> Tensor:
        """Patches of some tries.

        Args:
            index: which, int64 [n].
            rng: for the augmentation.
            how: augmentation; none leaves them as they are.
            shift: int64 [n, 2], rows and columns of the patch by which the try's pixel lies off its middle.

        Returns:
            float32 [n, 5, PATCH_PX, PATCH_PX].
        """
        images = batch_channels(self.height[index], self.rgb[index])
        middle = torch.full((len(index), 2), float(WINDOW_PX // 2)) + torch.from_numpy(self.offset[index])
        angles = torch.from_numpy(self.angle[index])
        mirror = None
        if how is not None:
            images = _changed_look(images, rng, how)
            if how.half_turn and look_ahead_px(self.primitive) == 0:
                angles = angles + np.pi * torch.from_numpy(rng.integers(0, 2, len(index)).astype(np.float32))
            if how.mirror:
                mirror = torch.from_numpy(rng.random(len(index)) < 0.5)
        if shift is not None:
            v, u = torch.from_numpy(-shift.astype(np.float32)).T
            v = v if mirror is None else torch.where(mirror, -v, v)
            cos, sin = torch.cos(angles), torch.sin(angles)
            middle = middle + torch.stack([sin * u + cos * v, cos * u - sin * v], dim=1)
        return turned(images, middle, angles, PATCH_PX, mirror)


@dataclass
class Dataset:
    """All tries of a store, and the states that followed them."""

    tries: dict[int, Tries]
    states: list[State] = field(default_factory=list, repr=False)
    episodes: int = 0


def build(episodes: Iterable[Mapping[str, NDArray[Any]]], config: PushGraspConfig) -> Dataset:
    """Cut the windows of all episodes (fields as ``behaviour.fields_of``); states are kept where a try ended."""
    rows: dict[int, list[dict[str, Any]]] = {primitive: [] for primitive in config.primitives}
    data = Dataset({})
    for episode in episodes:
        for t, (primitive, row, column, rotation) in enumerate(episode["choice"][:-1].astype(int)):
            data.states.append(State(episode["height"][t + 1], episode["rgb"][t + 1]))
            if primitive not in rows:
                continue
            angle = angle_of(rotation, config.primitive.rotations)
            ahead = look_ahead_px(primitive)
            point = np.array([row + np.sin(angle) * ahead, column + np.cos(angle) * ahead])
            middle = np.round(point).astype(int)
            rows[primitive].append(
                {
                    "height": _window(episode["height"][t], middle, UNSEEN),
                    "rgb": _window(episode["rgb"][t], middle, 0),
                    "offset": (point - middle).astype(np.float32),
                    "angle": np.float32(angle),
                    "success": bool(episode["success"][t]),
                    "changed": bool(episode["changed"][t]),
                    "after": len(data.states) - 1,
                    "episode": data.episodes,
                }
            )
        data.episodes += 1
    for primitive, mine in rows.items():
        columns = {name: np.array([row[name] for row in mine]) for name in mine[0]} if mine else {}
        if columns:
            data.tries[primitive] = Tries(primitive, **columns)
    return data


def _window(image: NDArray[Any], middle: NDArray[np.int64], fill: int) -> NDArray[Any]:
    half = WINDOW_PX // 2
    out = np.full((WINDOW_PX, WINDOW_PX, *image.shape[2:]), fill, dtype=image.dtype)
    low = middle - half
    r0, c0 = np.maximum(low, 0)
    r1, c1 = np.minimum(middle + half + 1, image.shape[:2])
    if r1 > r0 and c1 > c0:
        out[r0 - low[0] : r1 - low[0], c0 - low[1] : c1 - low[1]] = image[r0:r1, c0:c1]
    return out


def _changed_look(images: Tensor, rng: np.random.Generator, how: Augmentation) -> Tensor:
    """Other colours, and heights with a little noise, where something was seen."""
    count = len(images)
    seen = images[:, 1:2]
    parts = [images[:, :2]]
    if how.height_noise_m > 0.0:
        noise = torch.from_numpy(rng.standard_normal((count, 1, *images.shape[2:]), dtype=np.float32))
        parts = [images[:, :1] + how.height_noise_m / HEIGHT_SCALE_M * noise * seen, seen]
    colour = images[:, 2:]
    if how.colour:
        order = np.argsort(rng.random((count, 3)), axis=1)
        colour = colour[torch.arange(count)[:, None], torch.from_numpy(order)]
        gain = torch.from_numpy(rng.uniform(0.7, 1.3, (count, 3, 1, 1)).astype(np.float32))
        shift = torch.from_numpy(rng.uniform(-0.15, 0.15, (count, 3, 1, 1)).astype(np.float32))
        colour = (gain * colour + shift) * seen
    return torch.cat([*parts, colour], dim=1)
