# SPDX-License-Identifier: Apache-2.0
"""Whether a set of robot poses can determine a hand-eye calibration, and what is missing if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.geometry import Array

# Two rotation axes are needed at least (Tsai and Lenz 1989). Below these spreads the noise of the corners decides the
# result: root mean square over the poses, about their mean.
LEAST_ROTATION_RAD = np.deg2rad(5.0)
LEAST_SPREAD_M = 0.01
LEAST_POSES = 6


class Degeneracy(StrEnum):
    """Why a set of poses or pictures determines nothing."""

    TOO_FEW = "too_few_poses"
    NO_ROTATION = "no_rotation"
    SINGLE_AXIS = "rotations_about_a_single_axis"
    ONE_PLACE = "all_at_one_place"
    BOARD_NOT_SEEN = "board_not_seen"
    NO_TILT = "board_never_tilted"
    LOW_COVERAGE = "board_covers_too_little_of_the_image"


class DegenerateError(ValueError):
    """A calibration was refused; ``reason`` names why, the message says what to do."""

    def __init__(self, reason: Degeneracy, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


@dataclass(frozen=True)
class Diversity:
    """How different poses are.

    Attributes:
        count: number of poses.
        rotation_rad: spread of the orientations about the axis of most rotation, and about the next one across it, RMS.
        axis_tool: the axis of most rotation in the tool's frame [3].
        spread_m: distance of the origins from their mean, RMS.
    """

    count: int
    rotation_rad: tuple[float, float]
    axis_tool: tuple[float, float, float]
    spread_m: float

    @classmethod
    def of(cls, poses: Sequence[Array]) -> Diversity:
        """The diversity of tool poses [4, 4]."""
        if not poses:
            return cls(0, (0.0, 0.0), (0.0, 0.0, 1.0), 0.0)
        T = np.stack(poses)
        rotations = Rotation.from_matrix(T[:, :3, :3])
        # Poses that differ by rotations about one axis have their mean on that axis too, so these vectors are parallel.
        vectors = (rotations.mean().inv() * rotations).as_rotvec()
        _, sizes, axes = np.linalg.svd(vectors, full_matrices=True)
        sizes = np.concatenate([sizes, np.zeros(3 - len(sizes))]) / np.sqrt(len(T))
        positions = T[:, :3, 3]
        spread = float(np.sqrt(np.mean(np.sum((positions - positions.mean(axis=0)) ** 2, axis=1))))
        x, y, z = axes[0].tolist()
        return cls(len(T), (float(sizes[0]), float(sizes[1])), (x, y, z), spread)

    def problem(self, least_poses: int = LEAST_POSES) -> tuple[Degeneracy, str] | None:
        """What is missing most, and what to do about it; none where the poses suffice."""
        first, second = np.rad2deg(self.rotation_rad)
        need = np.rad2deg(LEAST_ROTATION_RAD)
        if self.count < least_poses:
            return Degeneracy.TOO_FEW, f"{self.count} poses, at least {least_poses} are needed; move and capture more"
        if first < need:
            return (
                Degeneracy.NO_ROTATION,
                f"the tool's orientation varies by {first:.1f} deg, {need:.0f} are needed; turn it between captures",
            )
        if second < need:
            axis = ", ".join(f"{v:.2f}" for v in self.axis_tool)
            return (
                Degeneracy.SINGLE_AXIS,
                f"the tool only turns about ({axis}) of its own frame: {first:.1f} deg, and {second:.1f} deg across, "
                f"{need:.0f} are needed; also turn it about another axis",
            )
        if self.spread_m < LEAST_SPREAD_M:
            return (
                Degeneracy.ONE_PLACE,
                f"all poses lie within {self.spread_m * 1e3:.1f} mm; move the tool by several centimetres",
            )
        return None

    def check(self, least_poses: int = LEAST_POSES) -> None:
        """Refuse poses that determine nothing.

        Raises:
            DegenerateError: by name.
        """
        found = self.problem(least_poses)
        if found is not None:
            raise DegenerateError(*found)

    def __str__(self) -> str:
        first, second = np.rad2deg(self.rotation_rad)
        return f"{self.count} poses, rotation {first:.0f} and {second:.0f} deg, positions {self.spread_m * 1e3:.0f} mm"
