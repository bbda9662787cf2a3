# SPDX-License-Identifier: Apache-2.0
"""One episode, one file: a zipped Zarr v3 group with an array [T, ...] a field and a summary in its attributes.

The file appears under its name only when it is whole and on the disk, so that readers never see half of one and a
killed writer loses only what it had in hand.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import GroupNotFoundError
from zarr.storage import ZipStore

from grasp_learning.recipe import Fields

PART = ".part"
# Rows are chunked to about this many bytes before compression: one step can be read without the whole episode.
CHUNK_BYTES = 1 << 20


class ReplayError(ValueError):
    """A store or an episode is not what it should be; the message says which and why."""


def write_episode(path: Path, fields: Mapping[str, NDArray[Any]], info: Mapping[str, Any], schema: Fields) -> None:
    """Write one episode; after the return it survives a crash of the process and of the machine.

    Raises:
        ReplayError: the fields are not those of the schema.
    """
    check_fields(fields, schema, str(path))
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    with ZipStore(part, mode="w") as store:
        group = zarr.create_group(store, attributes=json.loads(json.dumps(dict(info), default=_plain)))
        for name in schema:
            values = np.ascontiguousarray(fields[name])
            row = max(1, values.nbytes // max(1, len(values)))
            rows = int(np.clip(CHUNK_BYTES // row, 1, max(1, len(values))))
            group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=(rows, *values.shape[1:]))[...] = (
                values
            )
    replace_durably(part, path)


def read_info(path: Path) -> dict[str, Any]:
    """The summary alone, without opening an array.

    Raises:
        ReplayError: the file is no episode.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return dict(json.loads(file.read("zarr.json"))["attributes"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ReplayError(f"{path}: is no episode ({error})") from error


def read_fields(path: Path, names: Iterable[str], schema: Fields) -> dict[str, NDArray[Any]]:
    """Arrays [T, ...] by name.

    Raises:
        ReplayError: the file is no episode, or a field is missing or of another shape or type.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise ReplayError(f"{path}: is no episode (not a zip file)")
        with ZipStore(path, mode="r") as store:
            group = zarr.open_group(store, mode="r")
            found = {name: np.asarray(group[name][...]) for name in names}
    except (OSError, KeyError, zipfile.BadZipFile, GroupNotFoundError) as error:
        raise ReplayError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    check_fields(found, {name: schema[name] for name in found}, str(path))
    return found


def check_fields(fields: Mapping[str, NDArray[Any]], schema: Fields, where: str) -> None:
    """Refuse what is not as the schema says.

    Raises:
        ReplayError: names the field, what it is and what was expected.
    """
    for name in (*(n for n in schema if n not in fields), *(n for n in fields if n not in schema)):
        what = "is missing" if name in schema else "is not in the schema"
        raise ReplayError(f"{where}: field {name!r} {what}; the schema has {', '.join(schema)}")
    lengths = {}
    for name, (shape, dtype) in schema.items():
        values = fields[name]
        if values.dtype != np.dtype(dtype) or values.ndim == 0 or tuple(values.shape[1:]) != tuple(shape):
            raise ReplayError(
                f"{where}: field {name!r} is {values.dtype} {list(values.shape)}; expected {dtype} {['T', *shape]}"
            )
        lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        raise ReplayError(f"{where}: fields have different lengths: {lengths}")


def replace_durably(part: Path, path: Path) -> None:
    """Give a finished file its name: contents first, then the name, both forced to the disk."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file at once: readers see the old one or the new one."""
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    part.write_text(json.dumps(value, indent=2, default=_plain) + "\n", encoding="utf-8")
    replace_durably(part, path)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
