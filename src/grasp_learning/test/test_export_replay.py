# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes in a replay store: written once, read like collected ones, and learned from."""

import numpy as np
import pytest

from grasp_core.actions import Grasp
from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.geometry import look_at, top_down
from grasp_core.observation import Observation
from grasp_core.recording import RecordedEpisode, RecordedStep
from grasp_learning.episode_file import ReplayError
from grasp_learning.export_replay import write_replay
from grasp_learning.finding import find
from grasp_learning.replay import ReplayReader


def episode(name, attempts=6):
    """Grasps beside a box, every other one on it."""
    camera = Intrinsics.from_fov(320, 240, 0.6)
    T = look_at((0.5, 0.0, 1.2), (0.5, 0.0, 0.0), (1.0, 0.0, 0.0))
    depth = np.full((240, 320), 1.2, np.float32)
    depth[100:120, 150:170] = 1.15
    rgb = np.full((240, 320, 3), 80, np.uint8)
    seen = Observation({"fixed_camera": CameraFrame(camera, T, 1, rgb, depth)}, {}, {}, 1)
    spot = seen.frame("fixed_camera").points_base()[110, 160]
    steps = tuple(
        RecordedStep(
            seen, Grasp(top_down((spot[0], spot[1] + 0.1 * (k % 2), 0.02))), 0.5, True, k % 2 == 0, None, "held"
        )
        for k in range(attempts)
    )
    return RecordedEpisode(name, "ur5", "highest_point", "blocks", 3, steps, seen)


def test_recorded_episodes_are_added_once_and_read_like_collected_ones(tmp_path):
    assert "2 episodes with 12 tries" in write_replay([episode("a"), episode("b")], tmp_path / "store", "push_grasp")
    text = write_replay([episode("b"), episode("c", 4)], tmp_path / "store", "push_grasp")
    assert "1 episodes with 4 tries" in text
    assert "1 were there already" in text
    reader = ReplayReader(tmp_path / "store")
    assert len(reader) == 3
    assert reader.tries() == 16
    info = reader.info(0)
    assert (info["scene"], info["seed"], info["successes"], info["stage"]) == ("blocks", 3, 3, "recorded")
    assert reader.episode(2)["choice"].shape == (5, 4)


def test_a_learner_takes_them_up_like_any_other_data(tmp_path):
    write_replay([episode(f"e{k}") for k in range(4)], tmp_path / "store", "push_grasp")
    recipe = find("grasp.recipes", "push_grasp")
    config = recipe.config_type.from_mapping({"policy": {"method": "grasp_only"}})
    learner = recipe.learner(config, "cpu", 0)
    planned = learner.begin_stage(ReplayReader(tmp_path / "store", recipe.fields(config)), 0, look_ahead=False)
    assert planned > 0
    assert np.isfinite(list(learner.update(0).values())).all()


def test_a_recipe_that_cannot_learn_from_recordings_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("grasp_learning.export_replay.find", lambda group, name: object())
    with pytest.raises(ReplayError, match="offers no recorded"):
        write_replay([episode("a")], tmp_path, "other")
