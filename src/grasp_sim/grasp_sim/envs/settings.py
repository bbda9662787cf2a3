# SPDX-License-Identifier: Apache-2.0
"""What an environment file (``config/envs/<name>.yaml``) may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from grasp_core import resources
from grasp_core.config import Config, ConfigError

Positive = Annotated[float, Field(gt=0.0)]


class EnvSettings(Config):
    """One system's setting: which cell, what is seen, what an action is, what it earns and when it ends."""

    cell: str
    scene: str
    camera: str
    """The camera whose pictures the agent gets."""
    image: tuple[int, int] | None = None
    """Width and height to render at; none for the cell's."""
    crop: tuple[int, int] | None = None
    """Width and height of the centred window that the agent gets."""
    heightmap: bool = False
    """Add an orthographic heightmap of the workspace, 2 mm a cell."""
    actions: Literal["camera_step", "tool_step", "free_step", "planar_grasp", "push_or_grasp", "hand_grasp"]
    """See ``grasp_sim.envs.actions``."""
    max_steps: Annotated[int, Field(ge=1)] = 20
    success_reward: float = 1.0
    push_reward: float = 0.0
    """For a push that changed the heightmap."""
    step_penalty: Annotated[float, Field(ge=0.0)] = 0.0
    penalty_on_terminal: bool = False
    """Whether the last step costs as well (targeted_qt_opt: yes, qt_opt: no)."""
    height_m: Positive = 0.13
    """A closed gripper above this height ends a closed-loop episode (qt_opt, algorithm 2)."""
    learned_termination: bool = False
    """Whether the agent ends the episode itself; the height then only decides about success."""
    one_grasp: bool = False
    """The first grasp ends the episode."""
    start_distance_m: Annotated[float, Field(ge=0.0)] = 0.0
    """Start with the camera this far from the middle of the workspace, looking at it; 0 starts in the ready state."""
    approach_m: Positive = 0.10
    """Straight approach of a grasp primitive."""
    sim: dict[str, Any] = Field(default_factory=dict)
    """Options of ``SimCell``."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (
            self.crop is not None
            and self.image is not None
            and any(c > s for c, s in zip(self.crop, self.image, strict=True))
        ):
            raise ValueError(f"crop {self.crop} is larger than image {self.image}")
        return self


def env_names() -> tuple[str, ...]:
    """The environments in ``config/envs``."""
    return resources.names("config", "envs")


def load_env_settings(name: str) -> EnvSettings:
    """Settings by name.

    Raises:
        ConfigError: no such environment, or its file is refused.
    """
    try:
        return EnvSettings.from_yaml(resources.find("config", f"envs/{name}.yaml"))
    except resources.ResourceError:
        raise ConfigError(f"no environment {name!r}; there is {', '.join(env_names())}") from None
