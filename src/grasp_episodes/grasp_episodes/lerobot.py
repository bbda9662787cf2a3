# SPDX-License-Identifier: Apache-2.0
"""Bags as a LeRobot dataset, format v3.0: Parquet files of many episodes, pictures inside as PNG, their table beside.

What a row is, ``lerobot_rows`` says. Layout as LeRobot 0.4 reads it, https://github.com/huggingface/lerobot (codebase
version v3.0). ``meta/info.json`` is written last: a dataset that has it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grasp_episodes.lerobot_rows import Rows, rows_of
from grasp_episodes.lerobot_stats import Stats, merged, stats_of
from grasp_episodes.recorded import RecordingError, read_recording

VERSION = "v3.0"
# Most files in a folder, and how large a data file may grow before the next one is begun.
CHUNK = 1000
FILE_MIB = 100
FILE_PATH = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH = f"data/{FILE_PATH}"
EPISODES_PATH = f"meta/episodes/{FILE_PATH}"
INDEX = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


def export(bags: Sequence[Path], target: Path, fps: float = 4.0) -> int:
    """Write a dataset of all bags; returns the number of rows.

    Raises:
        FileExistsError: the target is there already.
        RecordingError: the bags differ in robot or cameras, or one holds no episode.
        OSError: a bag cannot be read or the target not written.
    """
    (target / "meta").mkdir(parents=True)
    dataset, first, robot = _Dataset(target, fps), None, ""
    for bag in bags:
        found = read_recording(bag)
        rows = rows_of(found, fps)
        first, robot = first or rows, robot or str(found.about["cell"])
        if (str(found.about["cell"]), rows.joints, rows.sizes) != (robot, first.joints, first.sizes):
            raise RecordingError(f"{bag} has another robot or other cameras than {bags[0]}; export them apart")
        dataset.add(rows)
    if first is None:
        raise RecordingError("there is no bag to export")
    dataset.close(robot, _features(first))
    return dataset.frames


@dataclass
class _Dataset:
    """Takes one episode after another; holds no pictures."""

    target: Path
    fps: float
    frames: int = 0
    _file: int = 0
    _writer: pq.ParquetWriter | None = None
    _written: int = 0
    _tasks: dict[str, int] = field(default_factory=dict)
    _episodes: list[dict[str, Any]] = field(default_factory=list)
    _stats: list[Mapping[str, Stats]] = field(default_factory=list)

    def add(self, rows: Rows) -> None:
        """Add an episode; a data file that has grown large enough is ended first."""
        task = self._tasks.setdefault(rows.task, len(self._tasks))
        table = _table(rows, len(self._episodes), self.frames, task, self.fps)
        if self._writer is not None and self._written > FILE_MIB << 20:
            self._writer.close()
            self._writer, self._file, self._written = None, self._file + 1, 0
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path(DATA_PATH), table.schema, compression="zstd")
        self._writer.write_table(table)
        self._written += table.nbytes
        place = {"data/chunk_index": self._file // CHUNK, "data/file_index": self._file % CHUNK}
        span = {"dataset_from_index": self.frames, "dataset_to_index": self.frames + len(rows)}
        self._episodes.append(
            {"episode_index": len(self._episodes), "tasks": [rows.task], "length": len(rows), **place, **span}
        )
        self._stats.append(stats_of(rows, {name: table[name].to_numpy() for name in INDEX}))
        self.frames += len(rows)

    def close(self, robot: str, features: Mapping[str, Any]) -> None:
        """Write all that is told about the episodes."""
        assert self._writer is not None
        self._writer.close()
        lines = []
        for episode, stats in zip(self._episodes, self._stats, strict=True):
            told = {f"stats/{name}/{key}": value for name, found in stats.items() for key, value in found.items()}
            lines.append({**episode, **told, "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
        self._file = 0
        pq.write_table(pa.Table.from_pylist(lines), self._path(EPISODES_PATH))
        pq.write_table(_task_table(self._tasks), self.target / "meta" / "tasks.parquet")
        self._write_json("stats.json", merged(self._stats))
        info = {
            "codebase_version": VERSION,
            "robot_type": robot,
            "total_episodes": len(self._episodes),
            "total_frames": self.frames,
            "total_tasks": len(self._tasks),
            "chunks_size": CHUNK,
            "data_files_size_in_mb": FILE_MIB,
            "video_files_size_in_mb": 2 * FILE_MIB,
            "fps": int(self.fps) if float(self.fps).is_integer() else self.fps,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": DATA_PATH,
            "video_path": None,
            "features": features,
        }
        self._write_json("info.json", info)

    def _path(self, pattern: str) -> Path:
        path = self.target / pattern.format(chunk_index=self._file // CHUNK, file_index=self._file % CHUNK)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        text = json.dumps(value, indent=4)
        (self.target / "meta" / name).write_text(text + "\n", encoding="utf-8")


def _table(rows: Rows, number: int, begin: int, task: int, fps: float) -> pa.Table:
    count = len(rows)
    table: dict[str, Any] = {}
    for name, values in rows.columns.items():
        if values.ndim > 1:
            flat = pa.array(values.reshape(-1))
            table[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        else:
            table[name] = pa.array(values)
    for camera, pngs in rows.pictures.items():
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        cells = [{"bytes": png, "path": f"frame-{k:06d}.png"} for k, png in enumerate(pngs)]
        table[f"observation.images.{camera}"] = pa.array(cells, kind)
    frame = pa.array(range(count), pa.int64())
    table["timestamp"] = pa.array([k / fps for k in range(count)], pa.float32())
    table["frame_index"] = frame
    table["episode_index"] = pa.array([number] * count, pa.int64())
    table["index"] = pa.array(range(begin, begin + count), pa.int64())
    table["task_index"] = pa.array([task] * count, pa.int64())
    # The words by which the datasets library knows what a column holds.
    features: dict[str, Any] = {name: {"dtype": dtype, "_type": "Value"} for name, dtype in INDEX.items()}
    for name, values in rows.columns.items():
        value = {"dtype": str(values.dtype), "_type": "Value"}
        listed = {"feature": value, "length": values.shape[-1], "_type": "Sequence"}
        features[name] = value if values.ndim == 1 else listed
    features |= {f"observation.images.{camera}": {"_type": "Image"} for camera in rows.pictures}
    told = {"huggingface": json.dumps({"info": {"features": {name: features[name] for name in table}}})}
    return pa.table(table).replace_schema_metadata(told)


def _task_table(tasks: Mapping[str, int]) -> pa.Table:
    """Numbers of tasks, with their words as what pandas calls the index."""
    index = "__index_level_0__"

    def column(name: str | None, place: str, kind: str, numpy_kind: str) -> dict[str, Any]:
        told = {"field_name": place, "pandas_type": kind, "numpy_type": numpy_kind, "metadata": None}
        return {"name": name, **told}

    told = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [
            column("task_index", "task_index", "int64", "int64"),
            column(None, index, "unicode", "object"),
        ],
    }
    table = pa.table({"task_index": pa.array(list(tasks.values()), pa.int64()), index: pa.array(list(tasks))})
    return table.replace_schema_metadata({"pandas": json.dumps(told)})


def _features(rows: Rows) -> dict[str, Any]:
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
    return features | {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in INDEX.items()}
