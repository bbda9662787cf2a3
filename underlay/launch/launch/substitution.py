# SPDX-License-Identifier: Apache-2.0
"""The base class of everything that becomes text when the launch runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Substitution:
    """Text that is known only when the launch runs."""

    def describe(self) -> str:
        """Return a description that needs no context."""
        return repr(self)

    def perform(self, context: LaunchContext) -> str:
        """Return the text in the given context."""
        raise NotImplementedError(f"{type(self).__name__}.perform()")
