# SPDX-License-Identifier: Apache-2.0
"""The whole state of a training in one file that cannot run code: safetensors, with all else as JSON in its header.

Random number generators of Python, NumPy and torch belong to it.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from grasp_learning.episode_file import PART, ReplayError, replace_durably

FORMAT = 1


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested mappings, lists, tensors, arrays and JSON values; readers see the old file or the new one.

    Raises:
        TypeError: something of another type is in it.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = _packed({"state": dict(state), "random": _random_state()}, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    save_file(tensors, part, metadata={"format": str(FORMAT), "tree": json.dumps(tree)})
    replace_durably(part, path)


def load_state(path: Path, random_numbers: bool = False) -> dict[str, Any]:
    """Read a state; with ``random_numbers`` also put the random number generators where they were.

    Raises:
        ReplayError: the file is no state of this version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != str(FORMAT):
                raise ReplayError(f"{path}: format is {header.get('format')!r}; this version reads {FORMAT}")
            tree = _unpacked(json.loads(header["tree"]), file.get_tensor)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        if isinstance(error, ReplayError):
            raise
        raise ReplayError(f"{path}: is no state of a training ({error})") from error
    if random_numbers:
        _restore_random(tree["random"])
    return dict(tree["state"])


def _packed(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.array(value))
    if isinstance(value, torch.Tensor):
        # A copy each: safetensors refuses tensors that share memory.
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {"map": [[_packed(k, tensors), _packed(v, tensors)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(v, tensors) for v in value]}
    if isinstance(value, list):
        return [_packed(v, tensors) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a state may hold tensors, arrays, mappings, lists and JSON values, not {type(value).__name__}")


def _unpacked(value: Any, tensor: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(v, tensor) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensor(content)
    if kind == "tuple":
        return tuple(_unpacked(v, tensor) for v in content)
    return {_unpacked(k, tensor): _unpacked(v, tensor) for k, v in content}


def _random_state() -> dict[str, Any]:
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 - whoever uses it must go on alike
    return {
        "python": random.getstate(),
        "numpy": [
            name,
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "torch": torch.get_rng_state(),
    }


def _restore_random(state: Mapping[str, Any]) -> None:
    random.setstate(state["python"])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
