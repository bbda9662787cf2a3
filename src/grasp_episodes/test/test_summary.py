# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np

from grasp_episodes.summary import Summary, picture, save_pictures, write

DONE = Summary(
    "ur5", "push_grasp", "models/push_grasp", 10, 1, 12, 9, 14, 140.2, ["/r/e1"], "/r/pictures", 1, ["stuck"],
    ["", "the last 10 actions changed nothing"], {"missed": 2, "slipped": 3}, {"workspace": 1},
)  # fmt: skip


def test_the_summary_is_a_file_that_latest_points_at(tmp_path):
    write(DONE, tmp_path / "run1")
    path = write(DONE, tmp_path / "run2")
    assert (tmp_path / "latest").resolve() == (tmp_path / "run2").resolve()
    told = json.loads((tmp_path / "latest" / "summary.json").read_text())
    assert path.name == "summary.json"
    assert told["objects_left"] == 1
    assert told["bags"] == ["/r/e1"]
    assert not list(tmp_path.glob("**/.*.new"))


def test_a_folder_of_the_users_that_is_called_latest_is_left_alone(tmp_path):
    (tmp_path / "latest").mkdir()
    write(DONE, tmp_path / "run")
    assert not (tmp_path / "latest").is_symlink()


def test_people_are_told_what_came_of_it():
    text = DONE.text()
    assert "9 of 12 grasps succeeded (75 %), 14 actions in 140 s, ended: stuck" in text
    assert "left 1" in text
    assert "\nepisode 1: the last 10 actions changed nothing\n" in text
    assert "episode 0" not in text
    assert "slipped 3, missed 2" in text
    assert "left unknown" in Summary("ur5", "p", "", objects_left=None).text()


def test_maps_become_pictures(tmp_path):
    ramp = np.linspace(-1.0, 3.0, 200).reshape(10, 20)
    ramp[0, 0] = np.nan
    colours = np.zeros((10, 20, 3), np.uint8)
    colours[..., 0] = 200
    paths = save_pictures({"q": ramp, "view": colours}, tmp_path / "p", "e_003")
    assert [path.name for path in paths] == ["e_003_q.png", "e_003_view.png"]
    assert cv2.imread(str(paths[1]))[0, 0].tolist() == [0, 0, 200]
    shown = picture(ramp)
    assert shown.shape == (10, 20, 3)
    assert shown[-1, -1].tolist() != shown[1, 0].tolist()
    assert picture(np.full((4, 4), np.nan)).shape == (4, 4, 3)
