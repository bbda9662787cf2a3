# SPDX-License-Identifier: Apache-2.0
"""Settings of ``push_grasp``. Where the default departs from the paper, the paper's value is named beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from grasp_core.config import Config
from grasp_policies.heightmaps.settings import MapSettings

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]

GRASP, PUSH = 0, 1
PRIMITIVES = ("grasp", "push")


class PrimitiveSettings(Config):
    """How a pixel and an angle become a motion."""

    rotations: Annotated[int, Field(ge=2, le=64)] = 16
    """Angles over the full circle (paper: 16)."""
    push_length_m: Positive = 0.10
    """Length of a push (paper: 0.10)."""
    tip_beyond_m: NotNegative = 0.0148
    """How far closed fingertips reach beyond the tool's origin (RG2: urdf/grippers/rg2.yaml)."""
    push_clearance_m: NotNegative = 0.012
    """Height of the fingertips above the surface under them while pushing."""
    push_inset_m: NotNegative = 0.04
    """The tip stays this far inside the edges of the map, so that no push sweeps objects out of reach (paper: 0)."""
    grasp_depth_m: NotNegative = 0.03
    """How far the fingertips go below the pixel (paper: 0.03)."""
    grasp_floor_m: NotNegative = 0.002
    """Lowest height of the closed fingertips above the table in a grasp."""
    grasp_width_m: Positive | None = None
    """Opening before a grasp; none for as wide as the gripper goes, as in the paper."""
    approach_m: Positive = 0.10
    """Length of the straight approach of a grasp."""
    object_height_m: Positive = 0.006
    """What is higher than this is an object, not the table."""
    symmetric_grasps: bool = True
    """A grasp turned by 180 degrees is the same grasp: only half of the angles are weighed (paper: all)."""
    push_reach_m: Positive = 0.08
    """Pushes that have no object within this distance ahead are not considered (paper: considered)."""

    def rotations_of(self, primitive: int) -> int:
        """How many angles of a primitive are weighed, from 0 on."""
        return self.rotations // 2 if primitive == GRASP and self.symmetric_grasps else self.rotations

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.rotations % 2:
            raise ValueError(f"rotations is {self.rotations}; it must be even, so that a grasp has its opposite")
        return self


class NetworkSettings(Config):
    """One fully convolutional Q network a primitive."""

    trunk: Literal["light", "densenet121"] = "light"
    """``light`` learns on a CPU; ``densenet121`` is the paper's, one tower for colour and one for depth."""
    channels: Annotated[int, Field(ge=4, le=512)] = 40
    """Width of the light trunk."""
    use_depth: bool = True
    """Read heights (paper: yes; the ablation without depth reads colour alone)."""
    use_colour: bool = True
    """Read colour."""


class PushGraspConfig(Config):
    """Everything that the weights depend on; stored beside them in the checkpoint's card."""

    method: Literal["push_grasp", "grasp_only", "reactive"] = "push_grasp"
    """``push_grasp``: Q-learning over both primitives. ``grasp_only`` and ``reactive`` are the paper's baselines: a
    classifier of grasps alone, and two classifiers (grasp held, scene changed) without a look into the future."""
    gamma: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    """Discount (paper: 0.5; myopic ablation: 0.2)."""
    push_reward: NotNegative = 0.5
    """Reward of a push that changed the scene (paper: 0.5; ablation without: 0)."""
    reactive_push_factor: Positive = 2.0
    """``reactive`` pushes where the push score exceeds this many times the grasp score (the authors' code: 2)."""
    map: MapSettings = MapSettings()
    primitive: PrimitiveSettings = PrimitiveSettings()
    network: NetworkSettings = NetworkSettings()

    @model_validator(mode="after")
    def _sees_something(self) -> Self:
        if not (self.network.use_depth or self.network.use_colour):
            raise ValueError("network.use_depth and network.use_colour are both off: nothing is left to see")
        return self

    @property
    def primitives(self) -> tuple[int, ...]:
        """Primitives that the policy may choose."""
        return (GRASP,) if self.method == "grasp_only" else (GRASP, PUSH)

    @property
    def q_max(self) -> float:
        """Largest value that an action can have."""
        return max(1.0, self.push_reward) / (1.0 - self.gamma) if self.method == "push_grasp" else 1.0


class ActingSettings(Config):
    """How a loaded policy acts."""

    device: str = "cpu"
    """torch device."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads of torch; none for torch's own choice."""
    epsilon: Share = 0.0
    """Share of decisions with a primitive chosen at random (paper: 0.5 falling to 0.1 in training, 0 in tests)."""
    temperature: NotNegative = 0.0
    """0 takes the best pixel; above, a pixel is drawn with weight exp(Q / temperature). For collecting data."""
    patience: Annotated[int, Field(ge=0)] = 8
    """After an action that changed nothing, its surroundings are passed over for this many decisions or until the
    scene changes, so that one wrong value is not acted upon for ever (paper: learns at test time instead)."""
    least_value: NotNegative = 0.0
    """Stop where no action is worth more than this."""
    learning_rate: NotNegative = 0.0
    """Learn from every outcome while acting (paper's tests: 1e-5); 0 does not. Weights are restored at each reset."""
    candidates: Annotated[int, Field(ge=0, le=100)] = 8
    """Runners-up that a decision tells."""


def checkpoint_files(folder: Path) -> tuple[Path, Path]:
    """Weights and card of a checkpoint folder."""
    return folder / "weights.safetensors", folder / "card.yaml"
