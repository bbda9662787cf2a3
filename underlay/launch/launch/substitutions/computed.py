# SPDX-License-Identifier: Apache-2.0
"""Substitutions that run or read something."""

from __future__ import annotations

import importlib
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..substitution import Substitution
from ..utilities import (
    describe_substitutions,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)
from .basic import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class Command(Substitution):
    """The standard output of a command.

    Args:
        command: the command line, split by the rules of the shell but run without one.
        on_stderr: 'fail', 'ignore', 'warn' or 'capture' (into the output).
    """

    def __init__(self, command: Any, *, on_stderr: Any = "fail") -> None:
        self.command = normalize_to_list_of_substitutions(command)
        self.on_stderr = normalize_to_list_of_substitutions(on_stderr)

    def describe(self) -> str:
        """Return the command."""
        return f"Command({describe_substitutions(self.command)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the output.

        Raises:
            SubstitutionFailure: not found, non-zero exit status, or output on stderr with on_stderr='fail'.
        """
        line = perform_substitutions(context, self.command)
        on_stderr = perform_substitutions(context, self.on_stderr)
        if on_stderr not in ("fail", "ignore", "warn", "capture"):
            raise SubstitutionFailure(f"on_stderr is '{on_stderr}', expected 'fail', 'ignore', 'warn' or 'capture'")
        stderr = subprocess.STDOUT if on_stderr == "capture" else subprocess.PIPE
        try:
            result = subprocess.run(shlex.split(line), stdout=subprocess.PIPE, stderr=stderr, text=True, check=False)
        except OSError as error:
            raise SubstitutionFailure(f"cannot run the command '{line}': {error}") from error
        if result.returncode != 0:
            shown = f"\nCaptured stderr output: {result.stderr}" if result.stderr else ""
            raise SubstitutionFailure(
                f"executed command failed with status {result.returncode}. Command: {line}{shown}"
            )
        if result.stderr and on_stderr in ("fail", "warn"):
            message = (
                f"executed command showed stderr output. Command: {line}\nCaptured stderr output:\n{result.stderr}"
            )
            if on_stderr == "fail":
                raise SubstitutionFailure(message)
            from ..logging import get_logger

            get_logger("launch").warning(message)
        return result.stdout


class FindExecutable(Substitution):
    """The path of an executable on PATH."""

    def __init__(self, *, name: Any) -> None:
        self.name = normalize_to_list_of_substitutions(name)

    def describe(self) -> str:
        """Return the name."""
        return f"FindExec({describe_substitutions(self.name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the path.

        Raises:
            SubstitutionFailure: not on PATH.
        """
        name = perform_substitutions(context, self.name)
        path = shutil.which(name)
        if path is None:
            raise SubstitutionFailure(f"executable '{name}' not found on the PATH")
        return path


class FileContent(Substitution):
    """The text of a file."""

    def __init__(self, path: Any) -> None:
        self.path = normalize_to_list_of_substitutions(path)

    def describe(self) -> str:
        """Return the path."""
        return f"FileContent({describe_substitutions(self.path)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the text.

        Raises:
            SubstitutionFailure: the file cannot be read.
        """
        path = perform_substitutions(context, self.path)
        try:
            return Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise SubstitutionFailure(f"cannot read the file '{path}': {error}") from error


class PythonExpression(Substitution):
    """The value of a Python expression as text.

    Args:
        expression: text and substitutions, joined.
        python_modules: names of modules that the expression may use; ``math``'s members are there by themselves.
    """

    def __init__(self, expression: Any, python_modules: Any = ("math",)) -> None:
        self.expression = normalize_to_list_of_substitutions(expression)
        self.python_modules = normalize_to_list_of_substitutions(python_modules)

    def describe(self) -> str:
        """Return the expression and the modules."""
        modules = ", ".join(sub.describe() for sub in self.python_modules)
        return f"PythonExpr({describe_substitutions(self.expression)}, [{modules}])"

    def perform(self, context: LaunchContext) -> str:
        """Return the value's text.

        Raises:
            SubstitutionFailure: the expression cannot be evaluated.
        """
        names: dict[str, Any] = {}
        for sub in self.python_modules:
            module = importlib.import_module(context.perform_substitution(sub))
            if module.__name__ == "math":
                names.update(vars(module))
            names[module.__name__] = module
        expression = perform_substitutions(context, self.expression)
        try:
            # Evaluating an expression that the launch file's author wrote is what this substitution is for.
            return str(eval(expression, {}, names))  # noqa: S307
        except Exception as error:
            raise SubstitutionFailure(f"cannot evaluate the Python expression '{expression}': {error}") from error
