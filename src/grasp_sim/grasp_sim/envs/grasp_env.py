# SPDX-License-Identifier: Apache-2.0
"""``GraspEnv``: a Gymnasium environment over any cell."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from grasp_core.actions import Action, Grasp, Push, Step
from grasp_core.camera import CameraFrame
from grasp_core.cell import Cell, Outcome
from grasp_core.cell_config import CellConfig
from grasp_core.observation import Observation
from grasp_description.grippers import load_gripper
from grasp_sim.cell import SimCell
from grasp_sim.envs.actions import make_codec
from grasp_sim.envs.heightmap import changed, heightmap
from grasp_sim.envs.settings import EnvSettings, load_env_settings


class GraspEnv(gymnasium.Env[dict[str, NDArray[Any]], NDArray[np.float32]]):
    """One environment for all six systems; what differs is in its settings.

    Observations: ``rgb`` and/or ``depth`` of the camera, ``gripper_open`` (0 or 1), ``height`` of the tool above the
    support (m), ``steps_left`` scaled to -1..1, and ``heightmap`` where asked for. ``info`` carries the ground truth of
    ``SimCell`` (``grasped_id``, ``target_id``, ``success``, ``gripper_height``, ``gripper_closed``, ``n_contacts``,
    ``stop_reason``), the action that was commanded and its outcome.

    Args:
        cell: any cell.
        config: the cell's.
        settings: the system's.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(self, cell: Cell, config: CellConfig, settings: EnvSettings) -> None:
        self.cell = cell
        self.config = config
        self.settings = settings
        self.render_mode = "rgb_array"
        self.codec = make_codec(settings, config)
        self.action_space = self.codec.space
        self.observation_space = self._space()
        stroke_m = load_gripper(config.grippers[config.arm()[1].gripper].kind).stroke_m
        self._half_open_m = 0.5 * sum(stroke_m)
        self._steps = 0
        self._observation: Observation | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """A new scene; ``options`` may name another one (``scene``)."""
        super().reset(seed=seed)
        scene_seed = seed if seed is not None else int(self.np_random.integers(2**31))
        scene = (options or {}).get("scene", self.settings.scene)
        self._observation = self.cell.reset(scene, scene_seed)
        self._steps = 0
        if self.settings.start_distance_m > 0.0:
            self._observation = self._look_from_afar(scene_seed)
        return self._seen(self._observation), {"target_id": getattr(self.cell, "target_id", None)}

    def step(self, action: NDArray[np.float32]) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """One action; see the class for what comes back.

        Raises:
            RuntimeError: before the first reset.
        """
        if self._observation is None:
            raise RuntimeError("call reset before step")
        before = self._observation
        decoded = self.codec.decode(np.asarray(action), before)
        outcome = self.cell.execute(decoded)
        self._observation = outcome.observation
        self._steps += 1
        ended, success = self._ended(decoded, outcome)
        reward = self._reward(decoded, outcome, before, ended, success)
        truncated = not ended and self._steps >= self.settings.max_steps
        info = dict(outcome.info)
        info |= {"success": success, "stop_reason": str(outcome.reason), "outcome": outcome, "reached_limit": truncated}
        return self._seen(outcome.observation), reward, ended, truncated, info

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """The camera's colour picture."""
        if self._observation is None:
            return None
        return self._cut(self._observation.frame(self.settings.camera)).rgb

    def close(self) -> None:
        """Release the cell."""
        self.cell.close()

    def _space(self) -> Dict:
        camera = self.config.cameras[self.settings.camera]
        width, height = self.settings.crop or (camera.width, camera.height)
        spaces: dict[str, Box] = {
            "gripper_open": Box(0.0, 1.0, (1,), np.float32),
            "height": Box(-np.inf, np.inf, (1,), np.float32),
            "steps_left": Box(-1.0, 1.0, (1,), np.float32),
        }
        if camera.rgb:
            spaces["rgb"] = Box(0, 255, (height, width, 3), np.uint8)
        if camera.depth:
            spaces["depth"] = Box(0.0, np.inf, (height, width), np.float32)
        if self.settings.heightmap:
            box = self.config.limits.workspace
            columns, rows = (round((box.max_m[k] - box.min_m[k]) / 0.002) for k in (0, 1))
            spaces["heightmap"] = Box(0.0, np.inf, (rows, columns), np.float32)
        return Dict(spaces)  # type: ignore[arg-type]

    def _seen(self, observation: Observation) -> dict[str, NDArray[Any]]:
        frame = self._cut(observation.frame(self.settings.camera))
        arm = observation.arm()
        left = 1.0 - 2.0 * self._steps / self.settings.max_steps
        seen: dict[str, NDArray[Any]] = {
            "gripper_open": np.array([float(not self._closed(observation))], np.float32),
            "height": np.array([arm.T_base_tcp[2, 3] - self.config.support_z_m], np.float32),
            "steps_left": np.array([left], np.float32),
        }
        if frame.rgb is not None:
            seen["rgb"] = frame.rgb
        if frame.depth_m is not None:
            seen["depth"] = np.nan_to_num(frame.depth_m, nan=0.0)
        if self.settings.heightmap:
            seen["heightmap"] = self._heightmap(observation)
        return seen

    def _cut(self, frame: CameraFrame) -> CameraFrame:
        if self.settings.crop is None:
            return frame
        width, height = self.settings.crop
        left, top = (frame.intrinsics.width - width) // 2, (frame.intrinsics.height - height) // 2
        rows, columns = slice(top, top + height), slice(left, left + width)
        return CameraFrame(
            frame.intrinsics.cropped(left, top, width, height),
            frame.T_base_camera,
            frame.stamp_ns,
            None if frame.rgb is None else np.ascontiguousarray(frame.rgb[rows, columns]),
            None if frame.depth_m is None else np.ascontiguousarray(frame.depth_m[rows, columns]),
        )

    def _closed(self, observation: Observation) -> bool:
        gripper = observation.arm().gripper
        return gripper.holding is True or gripper.width_m < self._half_open_m

    def _heightmap(self, observation: Observation) -> NDArray[np.float32]:
        frame = observation.frame(self.settings.camera)
        return heightmap(frame, self.config.limits.workspace, self.config.support_z_m)

    def _ended(self, action: Action, outcome: Outcome) -> tuple[bool, bool]:
        """Whether the episode is over, and whether something was grasped."""
        truth = bool(outcome.info.get("success", outcome.success is True))
        if isinstance(action, Grasp):
            return self.settings.one_grasp, truth
        if isinstance(action, Push):
            return False, False
        height = float(outcome.observation.arm().T_base_tcp[2, 3]) - self.config.support_z_m
        lifted = self._closed(outcome.observation) and height > self.settings.height_m
        success = truth and lifted
        if self.settings.learned_termination:
            ended = isinstance(action, Step) and action.terminate
            return ended, ended and success
        return lifted, success

    def _reward(self, action: Action, outcome: Outcome, before: Observation, ended: bool, success: bool) -> float:
        settings = self.settings
        reward = settings.success_reward if success else 0.0
        if isinstance(action, Push) and settings.push_reward > 0.0 and outcome.commanded is not None:
            moved = changed(self._heightmap(before), self._heightmap(outcome.observation))
            reward += settings.push_reward if moved else 0.0
        if not ended or settings.penalty_on_terminal:
            reward -= settings.step_penalty
        return float(reward)

    def _look_from_afar(self, seed: int) -> Observation:
        """Start with the wrist camera at a distance from the middle of the workspace, looking at it."""
        if not isinstance(self.cell, SimCell):
            raise ValueError("start_distance_m needs a SimCell; drive a real arm to its start pose before the episode")
        box = self.config.limits.workspace
        middle = 0.5 * (np.array(box.min_m) + np.array(box.max_m))
        middle[2] = self.config.support_z_m + 0.02
        return self.cell.look_from(self.settings.camera, middle, self.settings.start_distance_m, seed)


def make_env(name: str, **sim: Any) -> GraspEnv:
    """The environment of a file in ``config/envs`` on a ``SimCell``; ``sim`` overrides its options.

    Raises:
        ConfigError: no such environment, or its file is refused.
    """
    settings = load_env_settings(name)
    options: dict[str, Any] = {"cameras": (settings.camera,), **settings.sim, **sim}
    if settings.image is not None:
        options["sizes"] = {settings.camera: settings.image, **options.get("sizes", {})}
    cell = SimCell(settings.cell, **options)
    return GraspEnv(cell, cell.config, settings)
