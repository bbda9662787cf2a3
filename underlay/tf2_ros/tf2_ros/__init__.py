# SPDX-License-Identifier: Apache-2.0
"""Transforms between coordinate frames, for machines without ROS 2: the part of upstream that this workspace uses.

Names are imported when they are used, so that ``tf2_ros.transform_tree`` works without ROS.
"""

import importlib
from typing import Any

_MODULES = {
    "exceptions": (
        "ConnectivityException",
        "ExtrapolationException",
        "InvalidArgumentException",
        "LookupException",
        "TimeoutException",
        "TransformException",
    ),
    "buffer_interface": (
        "BufferInterface",
        "ConvertRegistration",
        "NotImplementedException",
        "Stamped",
        "TransformRegistration",
        "TypeException",
        "convert",
    ),
    "buffer": ("Buffer", "BufferCore"),
    "transform_listener": ("TransformListener",),
    "transform_broadcaster": ("TransformBroadcaster",),
    "static_transform_broadcaster": ("StaticTransformBroadcaster",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
_REFUSED = {
    "BufferClient": "lookups through another process's buffer: keep a Buffer and a TransformListener in this one",
    "BufferServer": "offering lookups to other processes: each keeps a Buffer and a TransformListener",
    "MessageFilter": "holding messages back until their transform is known: call lookup_transform with a timeout",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"tf2_ros.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"tf2_ros.{name}")
    if name in _REFUSED:
        raise AttributeError(
            f"tf2_ros.{name} is not part of this stand-in ({_REFUSED[name]}); upstream's tf2_ros has it"
        )
    raise AttributeError(f"tf2_ros has no '{name}'; the stand-in offers {', '.join(__all__)}")
