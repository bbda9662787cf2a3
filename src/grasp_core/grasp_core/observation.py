# SPDX-License-Identifier: Apache-2.0
"""What a cell tells a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grasp_core.camera import CameraFrame
from grasp_core.geometry import Array


@dataclass(frozen=True)
class GripperState:
    """What a gripper reports.

    Attributes:
        width_m: opening between the finger pads, metres (a hand: the mean opening of its fingers).
        effort_n: grip force, newtons, as measured or estimated.
        stalled: the fingers were stopped by something before the commanded width.
        holding: stalled while closing and not fully closed, as real grippers report a grip; none where it cannot say.
        positions: joint positions of the gripper by name, rad or metres.
    """

    width_m: float
    effort_n: float
    stalled: bool
    holding: bool | None
    positions: Mapping[str, float]


# Of a gripper that nothing is known of.
UNKNOWN_GRIPPER = GripperState(float("nan"), float("nan"), False, None, {})


@dataclass(frozen=True)
class ArmObservation:
    """One arm: pose of its tool in the base frame [4, 4] and its gripper."""

    T_base_tcp: Array
    gripper: GripperState


@dataclass(frozen=True)
class Observation:
    """What a cell knows at one moment; frames may be a little older than the joints, each carries its own stamp.

    Attributes:
        frames: the newest picture of each camera, by camera name.
        joint_positions: by joint name, rad or metres.
        arms: by arm name, in the cell's order.
        stamp_ns: time of the joint positions, nanoseconds.
        step: number of actions executed since reset.
        steps_left: how many actions the episode still allows; none without a limit.
    """

    frames: Mapping[str, CameraFrame]
    joint_positions: Mapping[str, float]
    arms: Mapping[str, ArmObservation]
    stamp_ns: int
    step: int = 0
    steps_left: int | None = None

    def arm(self, name: str | None = None) -> ArmObservation:
        """The named arm, or the cell's first.

        Raises:
            KeyError: no such arm; the message lists those that there are.
        """
        if name is None:
            return next(iter(self.arms.values()))
        if name not in self.arms:
            raise KeyError(f"no arm {name!r}; this cell has {', '.join(self.arms)}")
        return self.arms[name]

    def frame(self, camera: str) -> CameraFrame:
        """The named camera's newest picture.

        Raises:
            KeyError: no such camera; the message lists those that there are.
        """
        if camera not in self.frames:
            raise KeyError(f"no picture of camera {camera!r}; there are {', '.join(self.frames) or 'none'}")
        return self.frames[camera]

    def axes(self, frame: str, arm: str | None = None) -> Array:
        """Rotation ``R_base_frame`` [3, 3] of the frame that a step is given in: ``base``, ``tcp`` or a camera's name.

        Raises:
            KeyError: neither of them.
        """
        if frame == "base":
            return np.eye(3)
        if frame == "tcp":
            return self.arm(arm).T_base_tcp[:3, :3]
        return self.frame(frame).T_base_camera[:3, :3]
