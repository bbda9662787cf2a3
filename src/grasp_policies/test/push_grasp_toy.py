# SPDX-License-Identifier: Apache-2.0
"""A toy table with a known answer: bars that can only be grasped across, and only near their middle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.geometry import look_at
from grasp_core.observation import Observation
from grasp_policies.heightmaps.settings import MapSettings
from grasp_policies.heightmaps.state import State
from grasp_policies.push_grasp.primitives import angle_of
from grasp_policies.push_grasp.settings import GRASP, PUSH, PushGraspConfig

SIZE = 112
BAR_HALF_PX = (24, 6)


def toy_config(**values: Any) -> PushGraspConfig:
    """A map half as large as the paper's."""
    return PushGraspConfig(map=MapSettings(pixels=SIZE), **values)


def bar(rng: np.random.Generator, angle: float, centre: tuple[float, float]) -> State:
    """A table with one bar that lies along ``angle``."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    x, y = columns - centre[1], rows - centre[0]
    along = np.cos(angle) * x + np.sin(angle) * y
    across = -np.sin(angle) * x + np.cos(angle) * y
    on = (np.abs(along) <= BAR_HALF_PX[0]) & (np.abs(across) <= BAR_HALF_PX[1])
    rgb = np.full((SIZE, SIZE, 3), 180, np.uint8)
    rgb[on] = rng.integers(0, 255, 3)
    return State(np.where(on, 300, 0).astype(np.uint16), rgb)


def toy_episode(rng: np.random.Generator, config: PushGraspConfig, tries: int = 8) -> dict[str, NDArray[Any]]:
    """Random tries at a bar: a grasp holds across the bar near its middle, a push changes what it meets."""
    rows = []
    turn = float(rng.uniform(0.0, np.pi))
    centre = tuple(rng.uniform(40, SIZE - 40, 2))
    state = bar(rng, turn, centre)
    for _ in range(tries):
        rotation = int(rng.integers(config.primitive.rotations))
        angle = angle_of(rotation, config.primitive.rotations)
        along = np.array([np.sin(turn), np.cos(turn)])
        if rng.random() < 0.6:
            shift = float(rng.uniform(-BAR_HALF_PX[0], BAR_HALF_PX[0]))
            row, column = np.round(np.array(centre) + shift * along).astype(int)
            across = abs(np.sin(angle - turn)) > np.sin(np.radians(60.0))
            rows.append((state, (GRASP, row, column, rotation), across and abs(shift) < 10, False))
        else:
            side = rng.choice([-1.0, 1.0])
            row, column = np.round(np.array(centre) - side * 30 * np.array([np.sin(angle), np.cos(angle)])).astype(int)
            rows.append((state, (PUSH, row, column, rotation), False, bool(side > 0)))
    rows.append((state, (-1, 0, 0, 0), False, False))
    states, choices, successes, changes = zip(*rows, strict=True)
    return {
        "height": np.stack([s.height for s in states]),
        "rgb": np.stack([s.rgb for s in states]),
        "choice": np.array(choices, np.int16),
        "success": np.array(successes, np.uint8),
        "changed": np.array([c or s for c, s in zip(changes, successes, strict=True)], np.uint8),
        "random": np.ones(len(rows), np.uint8),
        "value": np.full(len(rows), np.nan, np.float32),
    }


class ToyEpisodes:
    """Episodes in memory, as the learner reads a store."""

    def __init__(self, config: PushGraspConfig, count: int, seed: int = 0, stages: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self._stages = [f"stage_{k * stages // count}" for k in range(count)]
        self._episodes = [toy_episode(rng, config) for _ in range(count)]

    def __len__(self) -> int:
        return len(self._episodes)

    def episode(self, index: int) -> dict[str, NDArray[Any]]:
        return self._episodes[index]

    def info(self, index: int) -> dict[str, Any]:
        return {"stage": self._stages[index]}


def table(*boxes: tuple[float, float, float, float, float]) -> Observation:
    """A picture from straight above of boxes (x, y, length along x, length along y, height)."""
    camera = Intrinsics.from_fov(640, 480, 0.6)
    T = look_at((0.5, 0.0, 1.2), (0.5, 0.0, 0.0), (1.0, 0.0, 0.0))
    depth = np.full((480, 640), 1.2, np.float32)
    points = camera.deproject(depth) @ T[:3, :3].T + T[:3, 3]
    for x, y, length, breadth, height in boxes:
        inside = (np.abs(points[..., 0] - x) < 0.5 * length) & (np.abs(points[..., 1] - y) < 0.5 * breadth)
        depth[inside] = 1.2 - height
    rgb = np.full((480, 640, 3), 90, np.uint8)
    return Observation({"fixed_camera": CameraFrame(camera, T, 1, rgb, depth)}, {}, {}, 1)
