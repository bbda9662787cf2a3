# SPDX-License-Identifier: Apache-2.0
"""A toy with a known answer: bars that hold only where the fingers close across them, on their middle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.cell import Outcome, Reason
from grasp_core.observation import Observation
from grasp_policies.heightmaps.state import State
from grasp_policies.patch_grasp.behaviour import columns_of
from grasp_policies.patch_grasp.settings import NetworkSettings, PatchGraspConfig
from grasp_policies.patch_grasp.table import Choice, windows

HALF_PX = (16.0, 5.0)


# As the paper has it.
BINNED = NetworkSettings(trunk="small", channels=8, dropout=0.0, head="bins", heights="table")


def toy_config(network: NetworkSettings | None = None, **values: Any) -> PatchGraspConfig:
    """A small network."""
    return PatchGraspConfig(network=network or NetworkSettings(channels=8, dropout=0.0), **values)


def bar(config: PatchGraspConfig, turn: float, centre: tuple[float, float] = (80.0, 80.0)) -> State:
    """A grey table with one red bar that lies along ``turn``."""
    size = config.map.pixels
    rows, columns = np.mgrid[0:size, 0:size]
    x, y = columns - centre[1], rows - centre[0]
    along, across = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    on = (np.abs(along) <= HALF_PX[0]) & (np.abs(across) <= HALF_PX[1])
    rgb = np.full((size, size, 3), 200, np.uint8)
    rgb[on] = (200, 20, 20)
    return State(np.where(on, 400, 0).astype(np.uint16), rgb)


def holds(turn: float, angle: float) -> bool:
    """Whether closing along ``angle`` holds a bar along ``turn``: at most 25 degrees off the perpendicular."""
    return bool(abs(np.cos(angle - turn)) < np.sin(np.radians(25.0)))


class ToyEpisodes:
    """Episodes in memory, as a learner reads a store."""

    def __init__(self, config: PatchGraspConfig, count: int, tries: int = 20, stages: int = 1, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._stages = [f"stage_{k * stages // count}" for k in range(count)]
        self._episodes = [self._episode(config, tries, rng) for _ in range(count)]

    def __len__(self) -> int:
        return len(self._episodes)

    def episode(self, index: int) -> dict[str, NDArray[Any]]:
        return self._episodes[index]

    def info(self, index: int) -> dict[str, Any]:
        return {"stage": self._stages[index]}

    @staticmethod
    def _episode(config: PatchGraspConfig, tries: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        rows = []
        for _ in range(tries):
            turn = float(rng.uniform(0.0, np.pi))
            state = bar(config, turn)
            row, column = np.array([80, 80]) + rng.integers(-2, 3, 2)
            # Half of the tries across the bar, so that both answers are frequent.
            angle = turn + np.pi / 2 + rng.uniform(-0.4, 0.4) if rng.random() < 0.4 else rng.uniform(0.0, np.pi)
            angle = float(angle % np.pi)
            height, rgb = windows(state, np.array([[row, column]]), config.window_px)
            rows.append(
                {
                    "height": height[0], "rgb": rgb[0], "pixel": (row, column), "angle": angle,
                    "success": holds(turn, angle), "held": -1, "width_m": 0.05, "force_n": 10.0, "random": True,
                    "score": np.nan,
                }
            )  # fmt: skip
        return columns_of(rows, config)


class ToyCell:
    """A bar before a camera that looks straight down; it is gone once it was held."""

    name = "toy"

    def __init__(self, config: PatchGraspConfig) -> None:
        self.config, self.turn, self.present = config, 0.7, True
        self.executed: list[Any] = []

    def reset(self, scene: str, seed: int) -> Observation:
        self.present = True
        return self.observe()

    def observe(self) -> Observation:
        m = self.config.map
        state = bar(self.config, self.turn) if self.present else bar(self.config, 0.0, (-100.0, -100.0))
        # One camera pixel a map pixel, from 1 m above; the image's rows run against the base's y.
        focal = 1.0 / m.pixel_m
        T = np.eye(4)
        T[:3, :3] = np.diag([1.0, -1.0, -1.0])
        middle = 0.5 * m.pixels * m.pixel_m
        T[:3, 3] = np.array(m.corner_m) + np.array([middle, middle, 1.0])
        centre = 0.5 * (m.pixels - 1)
        intrinsics = Intrinsics(m.pixels, m.pixels, focal, focal, centre, centre)
        depth = np.float32(1.0) - state.height_m[::-1]
        rgb = np.ascontiguousarray(state.rgb[::-1])
        return Observation({m.camera: CameraFrame(intrinsics, T, 0, rgb, np.ascontiguousarray(depth))}, {}, {}, 0)

    def execute(self, action: Any, observation: Observation | None = None) -> Outcome:
        self.executed.append(action)
        closing = action.T_base_tcp[:3, 0]
        success = holds(self.turn, float(np.arctan2(closing[1], closing[0])))
        self.present = self.present and not success
        reason = Reason.HELD if success else Reason.MISSED
        return Outcome(action, action, success, reason, self.observe(), info={"success": success})

    def close(self) -> None:
        return None


def middle_choice(angle: float) -> Choice:
    """A grasp at the toy bar's middle."""
    return Choice(80, 80, angle)
