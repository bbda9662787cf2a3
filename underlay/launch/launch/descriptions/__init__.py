# SPDX-License-Identifier: Apache-2.0
"""What a process is to be, before it runs."""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from .._refusal import refuse_attribute
from ..launch_context import LaunchContext
from ..substitutions import LaunchConfiguration
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions, perform_text

_counter = itertools.count(1)


class Executable:
    """A command line with its environment.

    Args:
        cmd: the executable and its arguments.
        prefix: words to put before, e.g. ``xterm -e``; the configurations launch-prefix and launch-prefix-filter by
            default.
        name: the label of the process, the executable's base name by default.
        cwd: its working directory.
        env: its environment variables, instead of the launch's.
        additional_env: environment variables, besides.
        arguments: further arguments.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[Any],
        prefix: Any = None,
        name: Any = None,
        cwd: Any = None,
        env: Mapping[Any, Any] | None = None,
        additional_env: Mapping[Any, Any] | None = None,
        arguments: Iterable[Any] | None = None,
    ) -> None:
        words = [*cmd, *(arguments or ())]
        self.cmd = [normalize_to_list_of_substitutions(word) for word in words]
        self.prefix = normalize_to_list_of_substitutions(
            LaunchConfiguration("launch-prefix", default="") if prefix is None else prefix
        )
        self._filter = LaunchConfiguration("launch-prefix-filter", default="") if prefix is None else None
        self.name = None if name is None else normalize_to_list_of_substitutions(name)
        self.cwd = None if cwd is None else normalize_to_list_of_substitutions(cwd)
        self.env = env
        self.additional_env = additional_env
        self.final_cmd: list[str] | None = None
        self.final_name: str | None = None
        self.final_cwd: str | None = None
        self.final_env: dict[str, str] | None = None

    def prepare(self, context: LaunchContext, action: Any) -> None:
        """Perform all substitutions, and number the process."""
        cmd = [perform_substitutions(context, word) for word in self.cmd]
        pattern = "" if self._filter is None else self._filter.perform(context)
        if re.match(pattern, os.path.basename(cmd[0])):
            cmd = [*shlex.split(perform_substitutions(context, self.prefix)), *cmd]
        label = os.path.basename(cmd[0]) if self.name is None else perform_substitutions(context, self.name)
        self.final_cmd = cmd
        self.final_name = f"{label}-{next(_counter)}"
        self.final_cwd = None if self.cwd is None else perform_substitutions(context, self.cwd)
        environment = dict(context.environment) if self.env is None else _perform(context, self.env)
        self.final_env = {**environment, **_perform(context, self.additional_env or {})}


def _perform(context: LaunchContext, variables: Mapping[Any, Any]) -> dict[str, str]:
    return {perform_text(context, name): perform_text(context, value) for name, value in variables.items()}


__all__ = ["Executable"]
__getattr__ = refuse_attribute(__name__, __all__)
