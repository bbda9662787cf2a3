# SPDX-License-Identifier: Apache-2.0
"""From a patch to the chance of a grasp: a trunk, and one two-way output for all angles or one for each of 18.

Which of them is ``NetworkSettings.head``. An aligned patch has the closing direction along its columns.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

from grasp_policies.patch_grasp.settings import PatchGraspConfig

# What the paper's trunk reads.
ALEXNET_PX = 227


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def small_trunk(inputs: int, channels: int, dropout: float, shape: tuple[int, int]) -> tuple[nn.Sequential, int]:
    """A trunk for patches of some 37 pixels, and the number of its outputs."""
    a, b, c = channels, 2 * channels, 3 * channels
    layers = (
        _conv(inputs, a, 5, stride=2), _conv(a, b, 3, stride=2), _conv(b, b, 3),
        _conv(b, c, 3, stride=2), _conv(c, c, 3),
    )  # fmt: skip
    return _to_hidden(nn.Sequential(*layers, nn.Flatten()), c, 6 * channels, dropout, shape)


def fine_trunk(inputs: int, channels: int, dropout: float, shape: tuple[int, int]) -> tuple[nn.Sequential, int]:
    """As ``small_trunk``, with a layer at full resolution first: a finger fits by a pixel or two, or does not."""
    a, b, c = channels, 2 * channels, 3 * channels
    layers = (
        _conv(inputs, a, 3), _conv(a, a, 3, stride=2), _conv(a, b, 3), _conv(b, b, 3, stride=2),
        _conv(b, c, 3), _conv(c, c, 3, stride=2), _conv(c, c, 3),
    )  # fmt: skip
    return _to_hidden(nn.Sequential(*layers, nn.Flatten()), c, 6 * channels, dropout, shape)


def _to_hidden(
    layers: nn.Sequential, channels: int, hidden: int, dropout: float, shape: tuple[int, int]
) -> tuple[nn.Sequential, int]:
    """Convolutions that halve a patch [rows, columns] three times, and a fully connected layer."""
    rows, columns = (((n + 1) // 2 + 1) // 2 for n in shape)
    flat = channels * ((rows + 1) // 2) * ((columns + 1) // 2)
    end = (nn.Dropout(dropout), nn.Linear(flat, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout))
    return nn.Sequential(*layers, *end), hidden


def alexnet_trunk(inputs: int, dropout: float) -> tuple[nn.Sequential, int]:
    """AlexNet's five convolutions (grouped, as published), fc6 of 4096 and the paper's fc7 of 1024."""
    layers = nn.Sequential(
        nn.Conv2d(inputs, 96, 11, 4), nn.ReLU(inplace=True), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout),
        nn.Linear(4096, 1024), nn.ReLU(inplace=True), nn.Dropout(dropout),
    )  # fmt: skip
    return layers, 1024


class PatchNetwork(nn.Module):
    """Two-way classifiers on one trunk.

    Args:
        config: what it reads and how it is built; kept as ``config``.
    """

    def __init__(self, config: PatchGraspConfig) -> None:
        super().__init__()
        settings = config.network
        self.config = config
        shape = (config.rows_px, config.patch_px)
        if settings.trunk == "alexnet":
            self.shape: tuple[int, int] = (ALEXNET_PX, ALEXNET_PX)
            self.trunk, width = alexnet_trunk(settings.inputs, settings.dropout)
        else:
            self.shape, make = shape, fine_trunk if settings.trunk == "fine" else small_trunk
            self.trunk, width = make(settings.inputs, settings.channels, settings.dropout, shape)
        self.head = nn.Linear(width, 2 * settings.outputs)

    @property
    def channels(self) -> slice:
        """The channels that it reads, of the five."""
        settings = self.config.network
        return slice(0 if settings.use_depth else 2, 5 if settings.use_colour else 2)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches float32 [n, c, rows, columns] to logits [n, outputs, 2] of failure and success.

        Channels are height, seen, red, green and blue, or only those of ``channels``.
        """
        settings = self.config.network
        shown = patches if patches.shape[1] == settings.inputs else patches[:, self.channels]
        if tuple(shown.shape[-2:]) != self.shape:
            shown = functional.interpolate(shown, size=self.shape, mode="bilinear", align_corners=False)
        # A CPU convolves few channels twice as fast where those of a pixel lie side by side.
        shown = shown.contiguous(memory_format=torch.channels_last)
        return self.head(self.trunk(shown)).view(-1, settings.outputs, 2)

    def chances(self, patches: Tensor, views: int | None = None) -> Tensor:
        """Chance of success [n, outputs].

        Args:
            patches: float32 [n, c, rows, columns] as for ``forward``.
            views: reflections of aligned patches to average; none for the settings' number.
        """
        settings = self.config.network
        count = 1 if settings.head == "bins" else settings.views if views is None else views
        # Along the columns the fingers change places; along the rows their sides do.
        turned = [(), (3,), (2,), (2, 3)][:count]
        logits = sum((self(patches.flip(axes)) for axes in turned[1:]), self(patches)) / count
        return torch.softmax(logits, dim=-1)[..., 1]


def fused(network: PatchNetwork) -> PatchNetwork:
    """A copy that answers alike and faster, for use alone: batch normalisation folded into the convolutions."""
    found = copy.deepcopy(network).eval()
    for layer in found.trunk:
        if isinstance(layer, nn.Sequential):
            layer[0], layer[1] = fuse_conv_bn_eval(layer[0], layer[1]), nn.Identity()
    return found.to(memory_format=torch.channels_last)


def masked_loss(logits: Tensor, bins: Tensor, success: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of the tried angle alone (equation 1); other outputs are not touched.

    Args:
        logits: float32 [n, outputs, 2].
        bins, success: int64 [n], the output of the angle that was tried and whether it held.
        weights: float32 [n], how much each try counts; none for alike.
    """
    tried = logits[torch.arange(len(bins), device=logits.device), bins]
    losses = functional.cross_entropy(tried, success, reduction="none")
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()
