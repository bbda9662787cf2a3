# SPDX-License-Identifier: Apache-2.0
import multiprocessing
import os

import numpy as np
import pytest

from grasp_core.config import ConfigError
from grasp_sim.envs import env_names, make_env
from grasp_sim.parallel import ParallelCells, WorkerError, WorkerLost

SMALL = {
    "push_grasp": {"sizes": {"fixed_camera": (320, 240)}},
    "patch_grasp": {"sizes": {"head_camera": (320, 180)}},
    "pixel_attentive": {"sizes": {"overhead_camera": (224, 224)}},
}


@pytest.mark.parametrize("name", env_names())
def test_environment_steps(name):
    env = make_env(name, renderer="tiny", count=(2, 2), **SMALL.get(name, {}))
    try:
        seen, info = env.reset(seed=1)
        assert env.observation_space.contains(seen), {k: (v.shape, v.dtype) for k, v in seen.items()}
        assert info["target_id"] is not None
        env.action_space.seed(0)
        seen, reward, ended, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(seen)
        assert isinstance(reward, float)
        wanted = {"grasped_id", "target_id", "success", "gripper_height", "gripper_closed", "n_contacts", "stop_reason"}
        assert wanted <= set(info)
        if env.settings.one_grasp:
            assert ended
        elif not ended:
            assert not truncated
    finally:
        env.close()


def test_sizes_and_start_of_the_papers():
    env = make_env("qt_opt", renderer="tiny", count=(1, 1))
    seen, _ = env.reset(seed=0)
    assert seen["rgb"].shape == (472, 472, 3)
    assert env.config.cameras["shoulder_camera"].width == 640
    env.close()
    env = make_env("action_view", renderer="tiny", count=(1, 1))
    env.reset(seed=0, options={"scene": "single"})
    camera = env.cell.observe().frames["wrist_camera"].T_base_camera
    middle = 0.5 * (np.array(env.config.limits.workspace.min_m) + np.array(env.config.limits.workspace.max_m))
    middle[2] = env.config.support_z_m + 0.02
    assert np.linalg.norm(camera[:3, 3] - middle) == pytest.approx(0.5, abs=0.005)
    assert env.settings.max_steps == 40
    env.close()


def test_the_base_drives_where_the_wrist_camera_is_told_to_go():
    """targeted_qt_opt: pictures of 118 x 118, steps in the camera's axes carried out with the base, twenty of them."""
    env = make_env("targeted_qt_opt", renderer="tiny", count=(1, 1))
    try:
        seen, _ = env.reset(seed=0)
        assert seen["rgb"].shape == (118, 118, 3)
        before = env.cell.world.robot.positions()
        for k in range(20):
            sideways = np.array([0.03, 0.03, 0.0, 0.0, 1.0, 0.0], np.float32) * (1.0 if k % 4 < 2 else -1.0)
            _, _, ended, truncated, _ = env.step(sideways)
            if k == 1:
                now = env.cell.world.robot.positions()
                driven = [abs(now[joint] - before[joint]) for joint in ("odom_x", "odom_y")]
                assert min(driven) > 0.005, f"the base drove {driven}"
                assert np.hypot(*driven) > 0.04
        assert truncated
        assert not ended
    finally:
        env.close()


def test_patch_grasps_approach_and_raise_as_the_paper_says():
    """A quarter of a metre down, 0.2 m up, and each half of the table is its own arm's."""
    env = make_env("patch_grasp", renderer="tiny", count=(1, 1), **SMALL["patch_grasp"])
    try:
        env.reset(seed=0)
        for share, arm in ((0.1, "right"), (0.9, "left")):
            action = env.codec.decode(np.array([0.5, share, 0.3]), env.cell.observe())
            assert (action.arm, action.approach_m) == (arm, 0.25)
            env.cell.guard.admit(action, env.cell.observe())
        assert env.config.skills.lift_m == 0.2
    finally:
        env.close()


def test_hands_are_shaped_within_the_ranges_of_the_paper():
    """pixel_attentive: spread up to a quarter turn, fingers up to 0.61 rad, whatever is asked."""
    env = make_env("pixel_attentive", renderer="tiny", count=(1, 1), **SMALL["pixel_attentive"])
    try:
        env.reset(seed=0)
        action = env.codec.decode(np.array([0.5, 0.5, 0.0, 1.57, 0.0, 9.0, 9.0, -9.0, 0.3]), env.cell.observe())
        spread, *fingers = action.preshape.values()
        assert spread == pytest.approx(0.5 * np.pi)
        assert fingers == pytest.approx([0.61, 0.0, 0.3])
    finally:
        env.close()


def test_push_grasp_sees_a_heightmap_of_two_millimetres():
    env = make_env("push_grasp", renderer="tiny", count=(1, 1), **SMALL["push_grasp"])
    try:
        seen, _ = env.reset(seed=0)
        assert seen["heightmap"].shape[:2] == (224, 224)
        box = env.config.limits.workspace
        assert (np.array(box.max_m) - box.min_m)[:2] == pytest.approx([0.448, 0.448])
    finally:
        env.close()


class Counter:
    """A small thing to run in workers."""

    def __init__(self, index):
        self.index = index
        self.count = 0

    def add(self, number):
        self.count += number
        return self.index, self.count

    def fail(self):
        raise ValueError("on purpose")

    def die(self):
        os._exit(3)


def refuse(index):
    raise ConfigError(f"no cell {index}, on purpose")


def test_a_refused_cell_is_told_in_its_own_words():
    with pytest.raises(ConfigError, match=r"^no cell 0, on purpose$"):
        ParallelCells(2, refuse, context="spawn")
    assert not multiprocessing.active_children()


def test_parallel_workers_report_and_are_replaced():
    with ParallelCells(2, Counter, context="spawn") as cells:
        assert cells.map("add", [(1,), (2,)]) == [(0, 1), (1, 2)]
        with pytest.raises(WorkerError, match="on purpose"):
            cells.call(0, "fail")
        assert cells.call(0, "add", 1) == (0, 2)
        with pytest.raises(WorkerLost, match="exit code 3"):
            cells.call(1, "die")
        assert cells.replaced == 1
        # Fresh, and the other one kept what it had.
        assert cells.map("add", [(1,), (1,)]) == [(0, 3), (1, 1)]
