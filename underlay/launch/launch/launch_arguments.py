# SPDX-License-Identifier: Apache-2.0
"""An argument that no file declares is an error, not silence.

Upstream accepts strangers: ``ros2 launch file.launch.py typo:=1`` and a misspelt name in
``IncludeLaunchDescription(launch_arguments=...)`` do nothing. Here both are refused, by one function,
``check_launch_arguments``. A file may declare arguments where they cannot be seen beforehand (in an OpaqueFunction, or
in an include whose path depends on other arguments); for such files the check waits until they have been visited.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from .launch_description_entity import LaunchDescriptionEntity

BUILT_IN_ARGUMENTS = frozenset(
    {"emulate_tty", "launch-prefix", "launch-prefix-filter", "sigkill_timeout", "sigterm_timeout"}
)
"""Configurations that the launch itself reads; every file understands them without declaring them."""


class UndeclaredLaunchArgumentError(RuntimeError):
    """An argument was given that no launch file declares."""


def check_launch_arguments(launch_description: Any, names: Iterable[str], location: str) -> set[str]:
    """Refuse arguments that neither a launch description nor anything that it includes declares.

    Args:
        launch_description: the description of the launch file.
        names: the names of the arguments that were given, on the command line or in an include.
        location: the launch file, for the message.

    Returns:
        The names that may still be declared while the file runs, because parts of it cannot be looked into
        beforehand; empty where all is known.

    Raises:
        UndeclaredLaunchArgumentError: an argument cannot possibly be declared.
    """
    declared = {argument.name for argument in launch_description.get_launch_arguments()}
    unknown = set(names) - declared - BUILT_IN_ARGUMENTS
    if unknown and not has_unseen_parts([launch_description]):
        refuse_undeclared(unknown, declared, location)
    return unknown


def refuse_undeclared(unknown: Iterable[str], declared: Iterable[str], location: str) -> None:
    """Raise UndeclaredLaunchArgumentError with a sentence for each name."""
    declared = sorted(declared)
    sentences = []
    for name in sorted(unknown):
        close = difflib.get_close_matches(name, declared, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        sentences.append(f"Launch argument '{name}' is not declared by '{location}' or anything it includes.{hint}")
    listed = ", ".join(f"'{name}'" for name in declared) or "none"
    raise UndeclaredLaunchArgumentError(f"{' '.join(sentences)} Declared arguments: {listed}.")


def has_unseen_parts(entities: Iterable[LaunchDescriptionEntity]) -> bool:
    """Return whether entities hold any that yield others which are known only when they run."""
    from .actions import IncludeLaunchDescription, OpaqueFunction

    for entity in entities:
        if isinstance(entity, OpaqueFunction):
            return True
        below = [*entity.describe_sub_entities()]
        for _, conditional in entity.describe_conditional_sub_entities():
            below.extend(conditional)
        if isinstance(entity, IncludeLaunchDescription) and not below:
            return True
        if has_unseen_parts(below):
            return True
    return False
