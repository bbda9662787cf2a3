# SPDX-License-Identifier: Apache-2.0
"""The base class of conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Condition:
    """A yes-or-no question that is asked when the launch runs."""

    def __init__(self, *, predicate: Callable[[LaunchContext], bool] | None = None) -> None:
        self._predicate = predicate

    def describe(self) -> str:
        """Return a description of this condition."""
        return repr(self)

    def evaluate(self, context: LaunchContext) -> bool:
        """Return the answer in the given context."""
        if self._predicate is None:
            raise NotImplementedError(f"{type(self).__name__} was made without a predicate")
        return self._predicate(context)
