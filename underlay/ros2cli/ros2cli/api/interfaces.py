# SPDX-License-Identifier: Apache-2.0
"""Interfaces by name: their Python classes, and which ones the ament index lists."""

import importlib
from typing import Any

from ament_index_python import get_resource, get_resources

from ros2cli.api.definitions import split_type

RESOURCE = "rosidl_interfaces"


def interface_class(name: str, kind: str) -> type:
    """The Python class of ``package/kind/Type`` or ``package/Type``.

    Raises:
        RuntimeError: the name is malformed, of another kind, or not installed.
    """
    sentence = {"msg": "message", "srv": "service", "action": "action"}[kind]
    try:
        package, found_kind, type_name = split_type(name, kind)
        if found_kind != kind:
            raise ValueError(f"'{name}' is not of the kind '{kind}'")
        return getattr(importlib.import_module(f"{package}.{kind}"), type_name)
    except (AttributeError, ImportError, ValueError) as error:
        raise RuntimeError(f"The passed {sentence} type is invalid: {error}") from error


def topic_class(name: str) -> type:
    """The Python class of a topic's type, which may be an action's feedback message too.

    Raises:
        RuntimeError: the name is malformed or its package is not installed.
    """
    package, kind, type_name = split_type(name)
    if kind == "action" and type_name.endswith("_FeedbackMessage"):
        action: Any = interface_class(f"{package}/action/{type_name.removesuffix('_FeedbackMessage')}", "action")
        return action.Impl.FeedbackMessage
    return interface_class(name, "msg")


def interface_packages() -> list[str]:
    """Names of the packages that hold interfaces, sorted."""
    return sorted(get_resources(RESOURCE))


def interfaces_of(package: str, kinds: tuple[str, ...] = ("msg", "srv", "action")) -> list[str]:
    """Interfaces of one package as ``kind/Type``, sorted.

    Raises:
        LookupError: the package holds no interfaces.
    """
    content, _ = get_resource(RESOURCE, package)
    names = {line.rsplit(".", 1)[0] for line in content.splitlines() if line.endswith((".idl", *kinds))}
    return sorted(name for name in names if name.partition("/")[0] in kinds)


def complete_type(*kinds: str):
    """A completer (argcomplete) of ``package/kind/Type`` names."""

    def complete(**_kwargs) -> list[str]:
        return [f"{package}/{name}" for package in interface_packages() for name in interfaces_of(package, kinds)]

    return complete
