# SPDX-License-Identifier: Apache-2.0
"""Helpers that upstream offers under the same name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._refusal import refuse_attribute
from ..launch_description_entity import LaunchDescriptionEntity
from ..substitution import Substitution

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


def normalize_to_list_of_substitutions(subs: Any) -> list[Substitution]:
    """Return text, a substitution, or an iterable of both as a list of substitutions.

    Raises:
        TypeError: an item is neither text nor a substitution.
    """
    from ..substitutions import TextSubstitution

    if isinstance(subs, Substitution):
        return [subs]
    if isinstance(subs, str):
        return [TextSubstitution(text=subs)]
    if not isinstance(subs, Iterable):
        raise TypeError(f"expected text, a substitution or a sequence of both, got {subs!r}")
    result: list[Substitution] = []
    for item in subs:
        if isinstance(item, Substitution):
            result.append(item)
        elif isinstance(item, str):
            result.append(TextSubstitution(text=item))
        else:
            raise TypeError(f"expected text or a substitution, got {item!r} of type {type(item).__name__}")
    return result


def perform_substitutions(context: LaunchContext, subs: Iterable[Substitution]) -> str:
    """Return the substitutions' texts, joined."""
    return "".join(context.perform_substitution(sub) for sub in subs)


def normalize_to_list_of_entities(entities: Iterable[Any]) -> list[LaunchDescriptionEntity]:
    """Return entities and iterables of entities as one flat list."""
    flat: list[LaunchDescriptionEntity] = []
    for entity in entities:
        if isinstance(entity, LaunchDescriptionEntity):
            flat.append(entity)
        else:
            flat.extend(entity)
    return flat


def perform_text(context: LaunchContext, subs: Any) -> str:
    """Return the text of anything that can be normalized to substitutions."""
    return perform_substitutions(context, normalize_to_list_of_substitutions(subs))


def describe_substitutions(subs: Iterable[Substitution]) -> str:
    """Return the descriptions of substitutions, joined with a plus sign as upstream prints them."""
    return " + ".join(sub.describe() for sub in subs)


__all__ = [
    "describe_substitutions",
    "normalize_to_list_of_entities",
    "normalize_to_list_of_substitutions",
    "perform_substitutions",
    "perform_text",
]
__getattr__ = refuse_attribute(__name__, __all__)
