# SPDX-License-Identifier: Apache-2.0
"""Scenes by name: what lies where before the robot begins."""

from grasp_sim.scenes.build import SceneReport, build_scene
from grasp_sim.scenes.config import SceneConfig, load_scene, scene_names

__all__ = ["SceneConfig", "SceneReport", "build_scene", "load_scene", "scene_names"]
