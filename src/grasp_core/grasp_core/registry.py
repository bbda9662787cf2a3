# SPDX-License-Identifier: Apache-2.0
"""Finding policies, cameras, drivers and cells by name through entry points, so that a user's package can add one.

Groups: ``grasp.policies``, ``grasp.cameras``, ``grasp.drivers``, ``grasp.cells``, ``grasp.recipes``. Listing a
group imports nothing.
"""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

GROUPS = ("grasp.policies", "grasp.cameras", "grasp.drivers", "grasp.cells", "grasp.recipes")


class UnknownNameError(LookupError):
    """No such entry; the message lists those that there are."""


class DuplicateNameError(LookupError):
    """Two packages offer the same name; the message names both."""


def names(group: str) -> tuple[str, ...]:
    """The names offered in a group, sorted, without importing any."""
    return tuple(sorted(_entries(group)))


def load(group: str, name: str) -> Any:
    """Import and return what is offered under a name.

    Raises:
        UnknownNameError: nobody offers it.
        DuplicateNameError: two packages offer it.
    """
    entries = _entries(group)
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownNameError(
            f"nothing named {name!r} in {group}; there is {', '.join(sorted(entries)) or 'none'}.{hint}"
        )
    return entries[name].load()


def _entries(group: str) -> dict[str, EntryPoint]:
    if group not in GROUPS:
        raise UnknownNameError(f"no group {group!r}; there is {', '.join(GROUPS)}")
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise DuplicateNameError(f"{entry.name!r} in {group} is offered by {other.value} and by {entry.value}")
        found[entry.name] = entry
    return found
