# SPDX-License-Identifier: Apache-2.0
"""An episode's bag as rows of a table at a fixed rate; ROS-free.

A row is a moment, ``fps`` a second: joint positions and gripper opening, where the joints are a moment later (the
action that brings them there), the newest live picture of each camera, and which decision was being carried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_core import resources
from grasp_core.cell_config import CellConfig
from grasp_episodes.recorded import Recording, RecordingError, jpeg_rgb, stamp_ns

Values = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """One episode at a fixed rate: columns [T, ...] by name, PNGs [T] by camera, the task in words."""

    columns: Mapping[str, Values]
    pictures: Mapping[str, Sequence[bytes]]
    sizes: Mapping[str, tuple[int, int]]
    joints: tuple[str, ...]
    task: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def rows_of(found: Recording, fps: float) -> Rows:
    """An episode as rows.

    Raises:
        RecordingError: it has no joints or no live pictures.
    """
    stamps = found.joints.stamps
    if len(stamps) < 2:
        raise RecordingError("the bag holds fewer than two joint states")
    if not found.live:
        raise RecordingError("the bag holds no live pictures (recorder parameter images)")
    begin = max([stamps[0], *(min(pictures) for pictures in found.live.values())])
    ticks = np.arange(begin, stamps[-1], int(1e9 / fps))
    if len(ticks) < 2:
        raise RecordingError(f"the episode is shorter than two rows at {fps:g} Hz")
    names = _joints(found)
    positions = np.array([[found.joints.at(int(t))[1].get(name, np.nan) for name in names] for t in ticks])
    decision, success = _decisions(found, ticks)
    columns: dict[str, Values] = {
        "observation.state": positions[:-1].astype(np.float32),
        "action": positions[1:].astype(np.float32),
        "decision.index": decision[:-1],
        "decision.success": success[:-1],
    }
    pictures, sizes = {}, {}
    for camera, jpegs in found.live.items():
        order = np.array(sorted(jpegs))
        newest = order[np.maximum(np.searchsorted(order, ticks[:-1], side="right") - 1, 0)]
        pngs = {stamp: _png(jpegs[int(stamp)]) for stamp in np.unique(newest)}
        pictures[camera] = [pngs[stamp] for stamp in newest]
        sizes[camera] = jpeg_rgb(jpegs[int(newest[0])]).shape[:2]
    scene = found.about.get("scene", "")
    return Rows(columns, pictures, sizes, names, f"clear the table of scene {scene}")


def _joints(found: Recording) -> tuple[str, ...]:
    cell = CellConfig.from_yaml(resources.find("config", f"cells/{found.about['cell']}.yaml"))
    known = found.joints.positions[0]
    arms = [joint for arm in cell.arms.values() for joint in arm.joints if joint in known]
    # A gripper's joints are those that belong to no arm; coupled ones move with their driver and are kept too.
    return (*arms, *(name for name in known if name not in arms))


def _decisions(found: Recording, ticks: Values) -> tuple[Values, Values]:
    """Which decision was being carried out at each tick (-1: none yet) and whether it succeeded (-1: not known)."""
    index, success = np.full(len(ticks), -1, np.int64), np.full(len(ticks), -1, np.int64)
    for step in found.steps:
        during = (ticks >= stamp_ns(step.decided)) & (ticks <= stamp_ns(step.header.stamp))
        index[during], success[during] = int(step.step), int(step.success)
    return index, success


def _png(jpeg: bytes) -> bytes:
    done, data = cv2.imencode(".png", cv2.cvtColor(jpeg_rgb(jpeg), cv2.COLOR_RGB2BGR))
    if not done:
        raise RecordingError("a picture cannot be encoded as PNG")
    return bytes(data.tobytes())
