# SPDX-License-Identifier: Apache-2.0
"""Running a command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..descriptions import Executable
from .execute_local import ExecuteLocal


class ExecuteProcess(ExecuteLocal):
    """Runs a command line; see Executable and ExecuteLocal for the arguments."""

    def __init__(
        self,
        *,
        cmd: Iterable[Any],
        prefix: Any = None,
        name: Any = None,
        cwd: Any = None,
        env: Mapping[Any, Any] | None = None,
        additional_env: Mapping[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        executable = Executable(cmd=cmd, prefix=prefix, name=name, cwd=cwd, env=env, additional_env=additional_env)
        super().__init__(process_description=executable, **kwargs)

    @property
    def name(self) -> Any:
        """The label with its number once prepared, else the label's substitutions."""
        return self.process_description.final_name or self.process_description.name

    @property
    def cmd(self) -> Any:
        """The command line once prepared, else its substitutions."""
        return self.process_description.final_cmd or self.process_description.cmd

    @property
    def cwd(self) -> Any:
        """The working directory once prepared, else its substitutions."""
        return self.process_description.final_cwd or self.process_description.cwd

    @property
    def env(self) -> Any:
        """The environment variables once prepared, else what was given."""
        return self.process_description.final_env or self.process_description.env
