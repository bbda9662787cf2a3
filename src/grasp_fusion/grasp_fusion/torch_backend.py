# SPDX-License-Identifier: Apache-2.0
"""Voxels on a torch device: the same arithmetic as the CPU kernels, a whole volume or all rays at a time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool3d

from grasp_core.camera import Intrinsics
from grasp_core.geometry import Array
from grasp_fusion import raycast_kernels as rays
from grasp_fusion.config import TsdfConfig
from grasp_fusion.integrate_kernels import COLOUR_SCALE, NEAREST_VOXEL_M
from grasp_fusion.volume import RawViews

# Rays that have ended are thrown out every so many steps; asking more often would stall the device.
STEPS_BETWEEN_SWEEPS = 8


class TorchBackend:
    """The GPU back end; runs on any torch device. See grasp_fusion.volume.Backend."""

    def __init__(self, config: TsdfConfig) -> None:
        self._config = config
        try:
            self._device = torch.device(config.device)
            torch.zeros(1, device=self._device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(
                f"device {config.device!r} cannot be used by torch ({error}); choose backend: numba or another device"
            ) from error
        self._shape = config.shape
        count = int(np.prod(self._shape))
        self._tsdf = torch.full((count,), torch.nan, dtype=torch.float32, device=self._device)
        self._weight = torch.zeros(count if config.mode == "mean" else 0, dtype=torch.int32, device=self._device)
        self._colour = torch.zeros((count if config.colour else 0, 3), dtype=torch.float32, device=self._device)
        self._coloured = torch.zeros(count if config.colour else 0, dtype=torch.int32, device=self._device)
        axes = [torch.arange(n, dtype=torch.float64, device=self._device) for n in self._shape]
        self._axes = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
        self._blocks: Tensor | None = None

    # ---- fusing

    def integrate(
        self, depth_m: NDArray[np.float32], rgb: NDArray[np.uint8] | None, A: Array, camera: Intrinsics
    ) -> None:
        """Fuse a depth image."""
        c = self._config
        depth = self._move(depth_m).reshape(-1).double()
        x, y, z = (sum(A[r, a] * self._axes[a] for a in range(3)) + A[r, 3] for r in range(3))
        u = (camera.fx * x / z + camera.cx + 0.5).floor()
        v = (camera.fy * y / z + camera.cy + 0.5).floor()
        seen = (z >= NEAREST_VOXEL_M) & (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
        voxel = seen.reshape(-1).nonzero().squeeze(1)
        pixel = (v * camera.width + u).reshape(-1)[voxel].long()
        d = depth[pixel]
        sdf = d - z.reshape(-1)[voxel]
        used = (sdf >= -c.truncation) & (d >= c.min_depth_m) & (d <= c.max_depth_m)
        voxel, pixel, sdf = voxel[used], pixel[used], sdf[used]
        new = (sdf * (1.0 / c.truncation)).clamp(max=1.0).float()
        old = self._tsdf[voxel]
        share: Tensor | float = c.alpha
        if c.mode == "mean":
            count = (self._weight[voxel] + 1).clamp(max=c.max_weight)
            self._weight[voxel] = count
            share = 1.0 / count
        self._tsdf[voxel] = torch.where(old.isnan(), new, old + share * (new - old))
        if rgb is not None:
            band = sdf <= c.truncation
            self._paint(voxel[band], self._move(rgb).reshape(-1, 3)[pixel[band]].float())
        self._blocks = None

    def _paint(self, voxel: Tensor, levels: Tensor) -> None:
        seen = self._coloured[voxel]
        count = (seen + 1).clamp(max=self._config.max_weight)
        if self._config.mode == "mean":
            share = 1.0 / count
        else:
            share = torch.where(seen == 0, 1.0, self._config.alpha)
        old = self._colour[voxel]
        self._colour[voxel] = (old + share[:, None] * (COLOUR_SCALE * levels - old) + 0.5).floor()
        self._coloured[voxel] = count

    # ---- rendering

    def render(
        self, origins: Array, bases: Array, R: Array, camera: Intrinsics, near: float, far: float, want_normals: bool
    ) -> RawViews:
        """Cast the rays of N views."""
        shape = (len(origins), camera.height, camera.width)
        u = (torch.arange(camera.width, dtype=torch.float64, device=self._device) - camera.cx) / camera.fx
        v = (torch.arange(camera.height, dtype=torch.float64, device=self._device) - camera.cy) / camera.fy
        pixels = torch.stack(torch.broadcast_tensors(u[None, :], v[:, None], torch.ones_like(u[:1])), dim=-1)
        directions = torch.einsum("nij,hwj->nhwi", self._move(bases), pixels).reshape(-1, 3)
        starts = self._move(origins)[:, None].expand(-1, camera.height * camera.width, -1).reshape(-1, 3)
        status, depth = self._cast(starts, directions, near, far)
        hit = (status == rays.HIT).nonzero().squeeze(1)
        points = starts[hit] + depth[hit, None] * directions[hit]
        rgb = normals = None
        if self._config.colour:
            colours = torch.zeros((len(depth), 3), dtype=torch.uint8, device=self._device)
            colours[hit] = self._colour_at(points)
            rgb = colours.reshape(*shape, 3).cpu().numpy()
        if want_normals:
            turned = torch.full((len(depth), 3), torch.nan, dtype=torch.float32, device=self._device)
            view = torch.div(hit, camera.height * camera.width, rounding_mode="floor")
            outward = self._gradient_at(points)
            outward = torch.where((outward == 0.0).all(dim=1, keepdim=True), -directions[hit], outward)
            gradient = torch.einsum("pij,pj->pi", self._move(R)[view], outward)
            turned[hit] = (gradient / gradient.norm(dim=1, keepdim=True)).float()
            normals = turned.reshape(*shape, 3).cpu().numpy()
        depth_m = depth.float().reshape(shape).cpu().numpy()
        return RawViews(rgb, depth_m, normals, status.reshape(shape).cpu().numpy())

    def _cast(self, starts: Tensor, directions: Tensor, near: float, far: float) -> tuple[Tensor, Tensor]:
        """Status uint8 [P] and depth [P] of rays; the steps are those of ``raycast_kernels.cast``."""
        size = torch.tensor(self._shape, dtype=torch.float64, device=self._device)
        a, b = -starts / directions, (size - 1 - starts) / directions
        flat = directions == 0.0
        inside = (starts >= 0.0) & (starts <= size - 1)
        infinite = torch.full_like(a, torch.inf)
        low = torch.where(flat, torch.where(inside, -infinite, infinite), torch.minimum(a, b))
        high = torch.where(flat, torch.where(inside, infinite, -infinite), torch.maximum(a, b))
        s = low.amax(dim=1).clamp(min=near)
        leave = high.amin(dim=1).clamp(max=far)
        status = torch.full((len(s),), rays.OUTSIDE, dtype=torch.uint8, device=self._device)
        depth = torch.full_like(s, torch.nan)
        ray = (s < leave).nonzero().squeeze(1)
        status[ray] = rays.FREE_SPACE
        s, leave, o, d = s[ray], leave[ray], starts[ray], directions[ray]
        per_voxel = 1.0 / d.norm(dim=1)
        before_s, before = s.clone(), torch.full_like(s, torch.nan)
        blocks = self._block_kinds()
        extent = torch.tensor(blocks.shape, device=self._device) - 1
        step = 0
        while len(ray):
            point = o + s[:, None] * d
            block = torch.minimum(point.long().clamp(min=0) >> rays.BLOCK_BITS, extent)
            kind = blocks[block[:, 0], block[:, 1], block[:, 2]]
            edge = ((block + (d > 0.0)) << rays.BLOCK_BITS).double()
            border = torch.where(d != 0.0, (edge - point) / d, torch.inf).amin(dim=1)
            live = s < leave
            unknown = (status[ray] == rays.UNKNOWN) | (kind == rays.UNOBSERVED)
            sampled = (kind == rays.SURFACE) | ((kind == rays.PARTLY) & ~unknown)
            value = self._nearest(point)
            value = torch.where(value <= rays.FREE_ABOVE, self._distance_at(point), value)
            unseen = sampled & value.isnan()
            unknown |= unseen
            status[ray[live & unknown]] = rays.UNKNOWN
            crossed = live & sampled & (value <= 0.0)
            back = crossed & before.isnan()
            status[ray[back]] = rays.UNKNOWN
            hit = (crossed & ~back).nonzero().squeeze(1)
            if len(hit):
                status[ray[hit]] = rays.HIT
                depth[ray[hit]] = self._refine(o[hit], d[hit], before_s[hit], before[hit], s[hit], value[hit])
            free_step = (rays.STEP_SHARE * value * self._truncation_voxels).clamp(min=rays.SHORTEST_STEP) * per_voxel
            within = torch.where(unseen, rays.UNKNOWN_STEP * per_voxel, free_step)
            ahead = s + torch.where(sampled, within, border.clamp(min=0.0) + rays.PAST_BORDER * per_voxel)
            before_s = torch.where(sampled, s, ahead)
            last = torch.where(unknown, self._nearest(o + ahead[:, None] * d), 1.0)
            before = torch.where(sampled, value, last)
            s = torch.where(crossed | ~live, torch.inf, ahead)
            step += 1
            if step % STEPS_BETWEEN_SWEEPS == 0:
                keep = (s < leave).nonzero().squeeze(1)
                ray, s, leave, o, d = ray[keep], s[keep], leave[keep], o[keep], d[keep]
                per_voxel, before_s, before = per_voxel[keep], before_s[keep], before[keep]
        return status, depth

    def _refine(self, o: Tensor, d: Tensor, low: Tensor, above: Tensor, high: Tensor, below: Tensor) -> Tensor:
        for _ in range(rays.REFINEMENTS):
            middle = low + (high - low) * above / (above - below)
            found = self._distance_at(o + middle[:, None] * d)
            front, behind, there = found > 0.0, found <= 0.0, found.abs() < rays.NEAR_ZERO
            low, above = torch.where(front | there, middle, low), torch.where(front, found, above)
            high, below = torch.where(behind | there, middle, high), torch.where(behind, found, below)
        return low + (high - low) * above / (above - below)

    @property
    def _truncation_voxels(self) -> float:
        return self._config.truncation / self._config.voxel_m

    def _block_kinds(self) -> Tensor:
        """What every block holds, uint8; a block sees one voxel more a side than it has cells."""
        if self._blocks is None:
            edge = 1 << rays.BLOCK_BITS
            volume = self._tsdf.reshape(1, 1, *self._shape)
            unseen = volume.isnan()
            blocks = [(n - 1 >> rays.BLOCK_BITS) + 1 for n in self._shape]
            padding = [v for n, b in zip(self._shape[::-1], blocks[::-1], strict=True) for v in (0, b * edge + 1 - n)]

            def largest(values: Tensor, fill: float) -> Tensor:
                padded = torch.nn.functional.pad(values, padding, value=fill)
                return max_pool3d(padded, edge + 1, stride=edge)[0, 0]

            lowest = -largest(torch.where(unseen, -1.0, -volume), -1.0)  # of what was seen
            any_unseen = largest(unseen.float(), 0.0) > 0.0
            any_seen = largest((~unseen).float(), 0.0) > 0.0
            kinds = torch.full(blocks, rays.SURFACE, dtype=torch.uint8, device=self._device)
            free = lowest > rays.FREE_ABOVE
            kinds[free & ~any_unseen], kinds[free & any_unseen] = rays.FREE, rays.PARTLY
            kinds[~any_seen] = rays.UNOBSERVED
            self._blocks = kinds
        return self._blocks

    def _corners(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Flat indices and trilinear weights [P, 8] of the voxels around points [P, 3], and positions in the cell."""
        last = torch.tensor(self._shape, device=self._device) - 2
        cell = torch.minimum(points.long().clamp(min=0), last)
        share = (points - cell).clamp(0.0, 1.0)
        offsets = torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], device=self._device)
        corner = cell[:, None] + offsets
        flat = (corner[..., 0] * self._shape[1] + corner[..., 1]) * self._shape[2] + corner[..., 2]
        weights = (1.0 - offsets - share[:, None]).abs().prod(dim=2)
        return flat, weights, share

    def _nearest(self, points: Tensor) -> Tensor:
        """The distances [P] that the nearest voxels hold."""
        last = torch.tensor(self._shape, device=self._device) - 1
        voxel = torch.minimum((points + 0.5).long().clamp(min=0), last)
        return self._tsdf[(voxel[:, 0] * self._shape[1] + voxel[:, 1]) * self._shape[2] + voxel[:, 2]].double()

    def _distance_at(self, points: Tensor) -> Tensor:
        flat, weights, share = self._corners(points)
        values = self._tsdf[flat].double()
        unseen = values.isnan()
        weights = weights.masked_fill(unseen, 0.0)
        mean = (values.nan_to_num() * weights).sum(dim=1) / weights.sum(dim=1)
        near = (share >= 0.5).long()
        nearest = unseen.gather(1, (4 * near[:, :1] + 2 * near[:, 1:2] + near[:, 2:])).squeeze(1)
        return mean.masked_fill(nearest, torch.nan)

    def _gradient_at(self, points: Tensor) -> Tensor:
        slopes = []
        for axis in range(3):
            offset = torch.zeros(3, dtype=torch.float64, device=self._device)
            offset[axis] = 1.0
            ahead, behind = self._distance_at(points + offset), self._distance_at(points - offset)
            one = torch.where(ahead.isnan(), -2.0 * behind, 2.0 * ahead).nan_to_num(0.0)
            slopes.append(torch.where(ahead.isnan() | behind.isnan(), one, ahead - behind))
        return torch.stack(slopes, dim=1)

    def _colour_at(self, points: Tensor) -> Tensor:
        flat, weights, _ = self._corners(points)
        weights = weights * (self._coloured[flat] > 0)
        total = weights.sum(dim=1, keepdim=True)
        mean = (self._colour[flat] * weights[..., None]).sum(dim=1) / (COLOUR_SCALE * total)
        return torch.where(total > 1e-9, mean + 0.5, 0.0).to(torch.uint8)

    # ---- state

    def reset(self) -> None:
        """Forget everything."""
        self._tsdf.fill_(torch.nan)
        self._weight.zero_()
        self._colour.zero_()
        self._coloured.zero_()
        self._blocks = None

    def tsdf(self) -> NDArray[np.float32]:
        """The distances as an array of this machine."""
        return self._tsdf.reshape(self._shape).cpu().numpy()

    def colour(self) -> NDArray[np.uint16] | None:
        """The colours as an array of this machine, or none."""
        if not self._config.colour:
            return None
        both = torch.cat([self._colour, self._coloured[:, None].float()], dim=1)
        return both.reshape(*self._shape, 4).cpu().numpy().astype(np.uint16)

    def _move(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self._device)
