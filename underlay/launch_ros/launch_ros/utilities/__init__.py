# SPDX-License-Identifier: Apache-2.0
"""Helpers of the actions: names and namespaces."""

from __future__ import annotations

import re

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


def validate_node_name(name: str) -> None:
    """Refuse a node name that ROS refuses.

    Raises:
        ValueError: it is not made of letters, digits and underscores, or begins with a digit.
    """
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            f"invalid node name '{name}': expected letters, digits and underscores, not beginning with a digit"
        )


def validate_namespace(namespace: str) -> None:
    """Refuse a namespace that ROS refuses.

    Raises:
        ValueError: it is not absolute, or a part of it is no valid name.
    """
    if namespace != "/" and not re.fullmatch(f"(/{_NAME})+", namespace):
        raise ValueError(
            f"invalid namespace '{namespace}': expected '/' or parts of letters, digits and underscores, "
            "each after a '/' and not beginning with a digit"
        )


def join_namespace(base: str | None, namespace: str | None) -> str | None:
    """Return a namespace in a base namespace, absolute; one that is absolute already stays; None if both are."""
    if namespace is None:
        joined = base
    elif not base or namespace.startswith("/"):
        joined = namespace
    else:
        joined = f"{base.rstrip('/')}/{namespace}"
    if joined is None:
        return None
    if joined != "/":
        joined = joined.rstrip("/")
    return joined if joined.startswith("/") else f"/{joined}"


__all__ = ["join_namespace", "validate_namespace", "validate_node_name"]
