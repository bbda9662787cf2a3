# SPDX-License-Identifier: Apache-2.0
"""Bags as a LeRobot dataset, format v2.1: a Parquet file an episode, pictures inside as PNG, JSON lines beside.

A row is a moment, ``fps`` a second: joint positions and gripper opening, where the joints are a moment later (the
action that brings them there), the newest live picture of each camera, and which decision was being carried out.
Layout as described in https://github.com/huggingface/lerobot (codebase version v2.1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from grasp_core import resources
from grasp_core.cell_config import CellConfig
from grasp_episodes.recorded import Recording, RecordingError, jpeg_rgb, read_recording, stamp_ns

Values = NDArray[Any]

VERSION = "v2.1"
CHUNK = 1000
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
# Pictures a statistic is taken from, of each every fourth pixel both ways: more take long and tell no more.
SAMPLED = 50
INDEX = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


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


def export(bags: Sequence[Path], target: Path, fps: float = 4.0) -> int:
    """Write a dataset of all bags; returns the number of rows.

    Raises:
        FileExistsError: the target is there already.
        RecordingError: the bags differ in robot or cameras, or one holds no episode.
        OSError: a bag cannot be read or the target not written.
    """
    (target / "meta").mkdir(parents=True)
    total, first, robot = 0, None, ""
    tasks: dict[str, int] = {}
    for number, bag in enumerate(bags):
        found = read_recording(bag)
        rows = rows_of(found, fps)
        first = first or rows
        if (rows.joints, rows.sizes) != (first.joints, first.sizes):
            raise RecordingError(f"{bag} has other joints or cameras than {bags[0]}; export them apart")
        robot = str(found.about["cell"])
        task = tasks.setdefault(rows.task, len(tasks))
        _write_rows(target, rows, number, total, task, fps)
        _append(
            target / "meta" / "episodes.jsonl", {"episode_index": number, "tasks": [rows.task], "length": len(rows)}
        )
        _append(target / "meta" / "episodes_stats.jsonl", {"episode_index": number, "stats": _stats(rows)})
        total += len(rows)
    if first is None:
        raise RecordingError("there is no bag to export")
    for words, index in tasks.items():
        _append(target / "meta" / "tasks.jsonl", {"task_index": index, "task": words})
    info = _info(first, len(bags), total, len(tasks), fps, robot)
    (target / "meta" / "info.json").write_text(json.dumps(info, indent=4) + "\n", encoding="utf-8")
    return total


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


def _write_rows(target: Path, rows: Rows, number: int, begin: int, task: int, fps: float) -> None:
    count = len(rows)
    table = {name: pa.array(list(values) if values.ndim > 1 else values) for name, values in rows.columns.items()}
    for camera, pngs in rows.pictures.items():
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        cells = [{"bytes": png, "path": f"frame_{k:06d}.png"} for k, png in enumerate(pngs)]
        table[f"observation.images.{camera}"] = pa.array(cells, kind)
    table["timestamp"] = pa.array((np.arange(count) / fps).astype(np.float32))
    table["frame_index"] = pa.array(np.arange(count))
    table["episode_index"] = pa.array(np.full(count, number))
    table["index"] = pa.array(begin + np.arange(count))
    table["task_index"] = pa.array(np.full(count, task))
    path = target / DATA_PATH.format(episode_chunk=number // CHUNK, episode_index=number)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The words by which the datasets library knows that a column holds pictures.
    features = {name: {"_type": "Image"} for name in table if name.startswith("observation.images.")}
    told = {"huggingface": json.dumps({"info": {"features": {**_plain_features(rows), **features}}})}
    pq.write_table(pa.table(table).replace_schema_metadata(told), path, compression="zstd")


def _plain_features(rows: Rows) -> dict[str, Any]:
    plain: dict[str, Any] = {name: {"dtype": dtype, "_type": "Value"} for name, dtype in INDEX.items()}
    for name, values in rows.columns.items():
        value = {"dtype": str(values.dtype), "_type": "Value"}
        plain[name] = value if values.ndim == 1 else {"feature": value, "length": values.shape[1], "_type": "Sequence"}
    return plain


def _info(rows: Rows, episodes: int, frames: int, tasks: int, fps: float, robot: str) -> dict[str, Any]:
    features: dict[str, Any] = {
        name: {
            "dtype": str(values.dtype),
            "shape": [values.shape[1]] if values.ndim > 1 else [1],
            "names": list(rows.joints) if values.ndim > 1 else None,
        }
        for name, values in rows.columns.items()
    }
    for camera, (height, width) in rows.sizes.items():
        shape = {"dtype": "image", "shape": [height, width, 3], "names": ["height", "width", "channels"]}
        features[f"observation.images.{camera}"] = shape
    features |= {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in INDEX.items()}
    return {
        "codebase_version": VERSION,
        "robot_type": robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "total_videos": 0,
        "total_chunks": (episodes - 1) // CHUNK + 1,
        "chunks_size": CHUNK,
        "fps": int(fps) if float(fps).is_integer() else fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": None,
        "features": features,
    }


def _stats(rows: Rows) -> dict[str, Any]:
    stats = {name: _numbers(np.atleast_2d(values.T).T) for name, values in rows.columns.items()}
    for camera, pngs in rows.pictures.items():
        chosen = [pngs[int(k)] for k in np.linspace(0, len(pngs) - 1, min(SAMPLED, len(pngs)))]
        pixels = (
            np.stack([cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for p in chosen]) / 255.0
        )
        found = _numbers(pixels.reshape(-1, 3))
        shaped = {key: np.reshape(found[key], (3, 1, 1)).tolist() for key in ("min", "max", "mean", "std")}
        stats[f"observation.images.{camera}"] = {**shaped, "count": [len(chosen)]}
    return stats


def _numbers(values: Values) -> dict[str, Any]:
    return {
        "min": values.min(axis=0).tolist(),
        "max": values.max(axis=0).tolist(),
        "mean": values.mean(axis=0, dtype=np.float64).tolist(),
        "std": values.std(axis=0, dtype=np.float64).tolist(),
        "count": [len(values)],
    }


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
