# SPDX-License-Identifier: Apache-2.0
"""Gymnasium environments of the six systems: one class over any ``Cell``, settings from ``config/envs``."""

from grasp_sim.envs.grasp_env import GraspEnv, make_env
from grasp_sim.envs.settings import EnvSettings, env_names, load_env_settings

__all__ = ["EnvSettings", "GraspEnv", "env_names", "load_env_settings", "make_env"]
