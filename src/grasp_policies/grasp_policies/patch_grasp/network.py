# SPDX-License-Identifier: Apache-2.0
"""From a patch to the chance of a grasp: a trunk, and one two-way output for all angles or one for each of 18.

Which of them is ``NetworkSettings.head``. An aligned patch has the closing direction along its columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from grasp_policies.patch_grasp.settings import PatchGraspConfig

# What the paper's trunk reads.
ALEXNET_PX = 227


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def small_trunk(inputs: int, channels: int, dropout: float, patch_px: int) -> tuple[nn.Sequential, int]:
    """A trunk for patches of some 37 pixels, and the number of its outputs."""
    a, b, c = channels, 2 * channels, 3 * channels
    edge = ((patch_px + 1) // 2 + 1) // 2
    edge = (edge + 1) // 2
    hidden = 6 * channels
    layers = nn.Sequential(
        _conv(inputs, a, 5, stride=2), _conv(a, b, 3, stride=2), _conv(b, b, 3),
        _conv(b, c, 3, stride=2), _conv(c, c, 3), nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(c * edge * edge, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout),
    )  # fmt: skip
    return layers, hidden


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
        self.size = ALEXNET_PX if settings.trunk == "alexnet" else config.patch_px
        if settings.trunk == "alexnet":
            self.trunk, width = alexnet_trunk(settings.inputs, settings.dropout)
        else:
            self.trunk, width = small_trunk(settings.inputs, settings.channels, settings.dropout, config.patch_px)
        self.head = nn.Linear(width, 2 * settings.outputs)

    @property
    def channels(self) -> slice:
        """The channels that it reads, of the five."""
        settings = self.config.network
        return slice(0 if settings.use_depth else 2, 5 if settings.use_colour else 2)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches float32 [n, c, s, s] to logits [n, outputs, 2] of failure and success.

        Channels are height, seen, red, green and blue, or only those of ``channels``.
        """
        settings = self.config.network
        shown = patches if patches.shape[1] == settings.inputs else patches[:, self.channels]
        if shown.shape[-1] != self.size:
            shown = functional.interpolate(shown, size=(self.size, self.size), mode="bilinear", align_corners=False)
        return self.head(self.trunk(shown)).view(-1, settings.outputs, 2)

    def chances(self, patches: Tensor, views: int | None = None) -> Tensor:
        """Chance of success [n, outputs].

        Args:
            patches: float32 [n, c, s, s] as for ``forward``.
            views: reflections of aligned patches to average; none for the settings' number.
        """
        settings = self.config.network
        count = 1 if settings.head == "bins" else settings.views if views is None else views
        # Along the columns the fingers change places; along the rows their sides do.
        turned = [(), (3,), (2,), (2, 3)][:count]
        logits = sum((self(patches.flip(axes)) for axes in turned[1:]), self(patches)) / count
        return torch.softmax(logits, dim=-1)[..., 1]


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
