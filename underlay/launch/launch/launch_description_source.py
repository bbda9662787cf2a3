# SPDX-License-Identifier: Apache-2.0
"""Where a launch description comes from."""

from __future__ import annotations

from typing import Any

from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .utilities import describe_substitutions, normalize_to_list_of_substitutions, perform_substitutions


class LaunchDescriptionSource:
    """A launch description, or the place that it can be loaded from.

    Args:
        launch_description: the description where it is there already.
        location: its path.
        method: how it came to be, in words.
    """

    def __init__(
        self,
        launch_description: LaunchDescription | None = None,
        location: Any = "<string>",
        method: str = "unspecified mechanism from a script",
    ) -> None:
        self._launch_description = launch_description
        self._location = normalize_to_list_of_substitutions(location)
        self._expanded_location: str | None = None
        self._peeked: tuple[str, LaunchDescription] | None = None
        self.method = method

    @property
    def location(self) -> str:
        """The path where it is known, else its description."""
        if self._expanded_location is not None:
            return self._expanded_location
        return describe_substitutions(self._location)

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """Return the description if it can be loaded without running anything, else None."""
        if self._launch_description is not None:
            return self._launch_description
        try:
            location = perform_substitutions(LaunchContext(), self._location)
            if self._peeked is None or self._peeked[0] != location:
                self._peeked = (location, self._load(location))
            return self._peeked[1]
        except Exception as error:  # noqa: BLE001 (a file that needs the running launch's values may fail in any way)
            from .logging import get_logger

            get_logger("launch").debug(f"cannot look into {self.location} before it runs: {error}")
            return None

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """Return the description, loading it if necessary."""
        if self._expanded_location is None:
            self._expanded_location = perform_substitutions(context, self._location)
        if self._launch_description is None:
            self._launch_description = self._load(self._expanded_location)
        return self._launch_description

    def _load(self, location: str) -> LaunchDescription:
        raise RuntimeError(f"{type(self).__name__} has no launch description and cannot load '{location}'")
