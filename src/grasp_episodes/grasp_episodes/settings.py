# SPDX-License-Identifier: Apache-2.0
"""What ``RosCell`` and the nodes of this package must be told, and what they cannot learn from the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Protocol

from pydantic import Field

from grasp_core.config import Config
from grasp_core.guard import JointLimit
from grasp_core.ports import GripperLimits, Kinematics

Seconds = Annotated[float, Field(gt=0.0, le=600.0)]


class RosCellOptions(Config):
    """How a ``RosCell`` behaves; times that guard against silence are real ones."""

    use_sim_time: bool = True
    """Follow /clock; off on a real robot."""
    tf_prefix: str = ""
    """In front of every joint and frame of the robot."""
    cameras: tuple[str, ...] | None = None
    """Cameras that observations carry; none for all of the cell's. Only these are subscribed to."""
    aligned_depth: bool = False
    """Take depth from ``aligned_depth_to_color/image_raw``: for cameras whose depth has an eye of its own."""
    max_frame_age_s: Seconds = 1.0
    """Oldest picture in an observation."""
    connect_timeout_s: Seconds = 15.0
    """How long to wait for the graph to answer the first time."""
    answer_timeout_s: Seconds = 5.0
    """How long to wait for a goal to be taken, for a picture, or while the clock stands still."""
    reset_timeout_s: Seconds = 120.0
    """How long making a scene may take; on a real robot a person does it."""
    motion_overtime_s: Seconds = 5.0
    """How much longer than planned a trajectory may take before it is given up."""
    gripper_timeout_s: Seconds = 10.0
    """Longest motion of a gripper."""
    preshape_s: Seconds = 1.5
    """Time that a hand is given for a pre-shape."""
    after_grasp: Literal["drop", "keep"] = "drop"
    """What becomes of a held object after a ``Grasp``: brought to the drop place, or kept in hand."""
    return_to_ready: bool = True
    """Go back to the ready state after a ``Grasp`` or a ``Push``, out of the cameras' view."""
    steps: int | None = None
    """How many actions an episode has; none without a limit."""


class ManagerConfig(Config):
    """Parameters of the episode manager."""

    cell: Annotated[str, Field(min_length=1)] = "ur5"
    """Name of the cell, a file in config/cells."""
    tf_prefix: str = ""
    """In front of every joint and frame of the robot."""
    judge: Literal["", "gripper", "image", "simulator"] = ""
    """Who judges a grasp; empty: as the cell's file says."""
    judge_camera: str = ""
    """The camera of judge:=image; empty: the cell's first fixed one with depth."""
    aligned_depth: bool = False
    """Take that camera's depth from aligned_depth_to_color/image_raw."""
    reset_scene: bool = True
    """Ask for a new scene before each episode; false: take the scene as it is and only make the robot ready."""
    max_actions: Annotated[int, Field(ge=0, le=100_000)] = 60
    """Actions before an episode ends where the goal does not say; 0 for no limit."""
    stuck_after: Annotated[int, Field(ge=1, le=1000)] = 10
    """An episode is stuck after so many actions in a row that changed nothing."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often in a row a part may fail and be tried again."""
    policy_wait_s: Seconds = 60.0
    """How long to wait for somebody to offer the action infer; a policy that was started again takes its time."""
    infer_timeout_s: Seconds = 15.0
    """Longest time for one decision."""
    recorder_wait_s: Seconds = 20.0
    """How long to wait for the recorder to begin or end a bag."""
    recorder_silence_s: Seconds = 5.0
    """The robot stops between actions when the recorder has been silent for so long."""


class RobotData(Kinematics, Protocol):
    """Kinematics, limits and named states of a cell; ``CellKinematics`` of the simulation is one."""

    def limits(self) -> Mapping[str, JointLimit]:
        """Limits of every joint that a trajectory may move."""
        ...

    def states(self, arm: str) -> Mapping[str, Mapping[str, float]]:
        """Named states of an arm's group, joints by name."""
        ...


class GripperData(Protocol):
    """What a gripper can do, and how wide it is open for given joints."""

    @property
    def limits(self) -> GripperLimits:
        """Openings and forces that it takes."""
        ...

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints that tell its opening; the cell's names, without a tf_prefix."""
        ...

    def width_m(self, positions: Mapping[str, float]) -> float:
        """Opening in metres for positions of ``joints``."""
        ...
