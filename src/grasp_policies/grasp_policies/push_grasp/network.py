# SPDX-License-Identifier: Apache-2.0
"""Fully convolutional networks from a turned map to a value per pixel.

The paper has, for each primitive, a DenseNet-121 tower on colour, one on depth, and a head of two 1x1 convolutions
(section IV-C). The light trunk keeps that shape of problem, one network a primitive, with a fraction of the work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from grasp_policies.heightmaps.cutouts import CHANNELS
from grasp_policies.push_grasp.settings import NetworkSettings

# Values come on a lattice of every second pixel.
OUTPUT_STRIDE = 2
# How far around a pixel the light trunk sees: stem 2 + 2 + 4, dilations (1 + 2 + 4 + 2) x 4 pixels.
LIGHT_REACH_PX = 44
# Edge of the patch that a pixel is learned from, 8 k + 1: the trunk's reach to both sides.
PATCH_PX = 97


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class LightTrunk(nn.Module):
    """Strided stem, dilated convolutions at a quarter of the resolution, joined with the stem's features at half."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        fine = max(4, 2 * channels // 5)
        self.stem = _conv(CHANNELS, fine, 5, stride=2)
        self.down = _conv(fine, channels, 3, stride=2)
        self.body = nn.ModuleList(_conv(channels, channels, 3, dilation=d) for d in (1, 2, 4, 2))
        self.outputs = fine + channels

    def forward(self, images: Tensor) -> Tensor:
        """[n, 5, 4 k + 1, 4 k + 1] to [n, outputs, 2 k + 1, 2 k + 1]."""
        fine, coarse = self._features(images)
        return self._joined(fine, coarse)

    def at_middle(self, images: Tensor) -> Tensor:
        """The outputs around the middle of each patch: [n, 5, 8 k + 1, 8 k + 1] to [n, outputs, 3, 3]."""
        fine, coarse = self._features(images)
        f, c = fine.shape[-1] // 2, coarse.shape[-1] // 2
        joined = self._joined(fine[..., f - 2 : f + 3, f - 2 : f + 3], coarse[..., c - 1 : c + 2, c - 1 : c + 2])
        return joined[..., 1:4, 1:4]

    def _features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.stem(images)
        coarse = self.down(fine)
        for layer in self.body:
            coarse = coarse + layer(coarse)
        return fine, coarse

    @staticmethod
    def _joined(fine: Tensor, coarse: Tensor) -> Tensor:
        up = functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=True)
        return torch.cat([fine, up], dim=1)


class _DenseLayer(nn.Module):
    """BN-ReLU-1x1, BN-ReLU-3x3, appended to its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], dim=1)


def densenet121(inputs: int) -> nn.Sequential:
    """The feature part of DenseNet-121 (Huang et al. 2017, table 1): growth 32, blocks of 6, 12, 24, 16; 1024 maps."""
    width = 64
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    for block, count in enumerate((6, 12, 24, 16)):
        for _ in range(count):
            layers.append(_DenseLayer(width, 32))
            width += 32
        if block < 3:
            layers += [
                nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, width // 2, 1, bias=False),
                nn.AvgPool2d(2),
            ]  # fmt: skip
            width //= 2
    layers.append(nn.BatchNorm2d(width))
    return nn.Sequential(*layers)


class DenseTrunk(nn.Module):
    """Two DenseNet-121 towers, on colour and on height, side by side; not pre-trained."""

    outputs = 2048

    def __init__(self) -> None:
        super().__init__()
        self.colour = densenet121(3)
        self.height = densenet121(3)

    def forward(self, images: Tensor) -> Tensor:
        """[n, 5, h, w] to [n, 2048, (h + 1) / 2, (w + 1) / 2]."""
        height = images[:, :1].expand(-1, 3, -1, -1)
        features = torch.cat([self.colour(images[:, 2:]), self.height(height)], dim=1)
        size = [(edge + 1) // OUTPUT_STRIDE for edge in images.shape[-2:]]
        return functional.interpolate(features, size=size, mode="bilinear", align_corners=True)

    def at_middle(self, images: Tensor) -> Tensor:
        """The outputs around the middle of each patch: [n, 2048, 3, 3]."""
        outputs = self(images)
        middle = outputs.shape[-1] // 2
        return outputs[..., middle - 1 : middle + 2, middle - 1 : middle + 2]


class QNetwork(nn.Module):
    """Value logits of one primitive at every second pixel of a turned map."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.use_depth, self.use_colour = settings.use_depth, settings.use_colour
        self.trunk = LightTrunk(settings.channels) if settings.trunk == "light" else DenseTrunk()
        width = self.trunk.outputs
        hidden = 64 if settings.trunk == "densenet121" else settings.channels
        self.head = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden), nn.ReLU(inplace=True), nn.Conv2d(hidden, 1, 1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """[n, 5, 4 k + 1, 4 k + 1] to logits [n, 2 k + 1, 2 k + 1]; output (i, j) belongs to pixel (2 i, 2 j)."""
        return self.head(self.trunk(self._shown(images))).squeeze(1)

    def at_middle(self, images: Tensor) -> Tensor:
        """Logits [n, 3, 3] of the pixel in the middle of each patch and of those 2 pixels around it.

        Equal to the middle of ``forward`` (up to the patch's border for a trunk that sees farther), with less work.
        """
        return self.head(self.trunk.at_middle(self._shown(images))).squeeze(1)

    def _shown(self, images: Tensor) -> Tensor:
        if not self.use_depth:
            images = torch.cat([torch.zeros_like(images[:, :2]), images[:, 2:]], dim=1)
        if not self.use_colour:
            images = torch.cat([images[:, :2], torch.zeros_like(images[:, 2:])], dim=1)
        return images
