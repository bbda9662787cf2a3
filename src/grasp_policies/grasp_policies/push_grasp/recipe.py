# SPDX-License-Identifier: Apache-2.0
"""What ``grasp_learning`` needs to know to collect for and train ``push_grasp``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grasp_core.config import Config
from grasp_policies.push_grasp.behaviour import Behaviour, BehaviourSettings, fields_of
from grasp_policies.push_grasp.learner import Learner, LearnSettings
from grasp_policies.push_grasp.settings import PushGraspConfig


class PushGraspRecipe(Config):
    """Settings of the system and of its learning."""

    policy: PushGraspConfig = PushGraspConfig()
    """What the weights depend on."""
    learn: LearnSettings = LearnSettings()
    """How the networks learn."""
