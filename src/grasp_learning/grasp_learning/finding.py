# SPDX-License-Identifier: Apache-2.0
"""Things by name: registered under an entry point, or written as ``module:attribute`` while they are still a draft."""

from __future__ import annotations

import importlib
from typing import Any

from grasp_core import registry


def find(group: str, name: str) -> Any:
    """What is offered under ``name`` in a group of ``grasp_core.registry``, or the attribute of a module.

    Raises:
        UnknownNameError: there is no such thing; the message lists what there is.
    """
    if ":" not in name:
        return registry.load(group, name)
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise registry.UnknownNameError(f"{name!r} for {group} cannot be imported: {error}") from error


def known(group: str, name: str) -> bool:
    """Whether ``name`` is registered in the group or written as ``module:attribute``."""
    return ":" in name or name in registry.names(group)
