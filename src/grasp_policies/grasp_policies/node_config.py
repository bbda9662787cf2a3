# SPDX-License-Identifier: Apache-2.0
"""Which policy a node serves, and on what."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from grasp_core import registry, resources
from grasp_core.cell_config import CellConfig
from grasp_core.config import Config, ConfigError
from grasp_core.policy import CameraNeed, Policy


class PolicyNodeConfig(Config):
    """Parameters of the policy node."""

    cell: Annotated[str, Field(min_length=1)] = "ur5"
    """Name of the cell, a file in config/cells."""
    policy: Annotated[str, Field(min_length=1)] = "highest_point"
    """Name of the policy, an entry point of the group grasp.policies."""
    checkpoint: str = ""
    """Checkpoint to load: a path, or a folder in models/; empty for a policy that is scripted or untrained."""
    device: str = "cpu"
    """Where a learned policy computes, in torch's words."""
    options: str = "{}"
    """Options of the policy as a JSON object."""
    tf_prefix: str = ""
    """In front of every joint and frame of the robot."""
    aligned_depth: bool = False
    """Take depth from aligned_depth_to_color/image_raw: for cameras whose depth has an eye of its own."""
    transform_timeout_s: Annotated[float, Field(gt=0.0, le=10.0)] = 1.0
    """How long a picture may wait for the transform of its moment."""
    first_picture_s: Annotated[float, Field(gt=0.0, le=120.0)] = 20.0
    """How long to wait for a camera that was never heard of, since it may still be starting."""
    late_pictures_s: Annotated[float, Field(gt=0.0, le=60.0)] = 5.0
    """How long pictures may come that are all too old, before that is told."""

    def load_cell(self) -> CellConfig:
        """The cell.

        Raises:
            ResourceError: there is no such cell.
        """
        return CellConfig.from_yaml(resources.find("config", f"cells/{self.cell}.yaml"))

    def load_policy(self) -> Policy:
        """The policy with its weights.

        Raises:
            UnknownNameError: no such policy.
            ConfigError: the options are no JSON object, the policy refuses them, or they ask it to learn as it acts.
            ResourceError: there is no such checkpoint.
        """
        factory = registry.load("grasp.policies", self.policy)
        policy: Policy = factory.load(resources.find_checkpoint(self.checkpoint), self.device, self._options())
        if getattr(policy, "learns", False):
            raise ConfigError(
                f"options {self.options} ask {self.policy} to learn from outcomes as it acts; nobody tells them to the "
                "node; leave learning_rate at 0, or evaluate without ROS"
            )
        return policy

    def _options(self) -> dict[str, Any]:
        try:
            values = json.loads(self.options)
        except json.JSONDecodeError as error:
            raise ConfigError(f"options {self.options!r} are no JSON: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"options {self.options!r} are no JSON object")
        return values


def choose_cameras(needs: tuple[CameraNeed, ...], cell: CellConfig) -> dict[str, CameraNeed]:
    """Which of the cell's cameras serves each need, by the camera's name.

    Raises:
        ConfigError: the cell has no camera that shows what is needed.
    """
    chosen: dict[str, CameraNeed] = {}
    for need in needs:
        fitting = [
            name
            for name, camera in cell.cameras.items()
            if need.name in (None, name)
            and name not in chosen
            and camera.rgb >= need.rgb
            and camera.depth >= need.depth
            and camera.width >= need.width
            and camera.height >= need.height
        ]
        if not fitting:
            what = " and ".join(kind for kind in ("rgb", "depth") if getattr(need, kind))
            raise ConfigError(
                f"cell {cell.name} has no camera {need.name or ''} with {what} of at least {need.width} x "
                f"{need.height}; it has {', '.join(cell.cameras) or 'none'}"
            )
        chosen[fitting[0]] = need
    return chosen
