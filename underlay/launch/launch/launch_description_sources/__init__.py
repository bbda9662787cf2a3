# SPDX-License-Identifier: Apache-2.0
"""Launch descriptions from files. Only Python launch files: the XML and YAML front ends are refused."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from .._refusal import refuse_attribute
from ..launch_description import LaunchDescription
from ..launch_description_source import LaunchDescriptionSource


class InvalidLaunchFileError(Exception):
    """The file is not a launch file that can be read here."""


class InvalidPythonLaunchFileError(InvalidLaunchFileError):
    """The Python file does not define generate_launch_description()."""


def load_python_launch_file_as_module(python_launch_file_path: str) -> ModuleType:
    """Run a Python launch file and return it as a module."""
    loader = SourceFileLoader("python_launch_file", python_launch_file_path)
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None  # a SourceFileLoader always gives one
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def get_launch_description_from_python_launch_file(python_launch_file_path: str) -> LaunchDescription:
    """Return what the file's generate_launch_description() returns.

    Raises:
        InvalidPythonLaunchFileError: there is no such function, or it returns something else.
    """
    module = load_python_launch_file_as_module(python_launch_file_path)
    generate = getattr(module, "generate_launch_description", None)
    if generate is None:
        raise InvalidPythonLaunchFileError(
            f"launch file at '{python_launch_file_path}' does not contain the function 'generate_launch_description()'"
        )
    description = generate()
    if not isinstance(description, LaunchDescription):
        raise InvalidPythonLaunchFileError(
            f"generate_launch_description() of '{python_launch_file_path}' returned {description!r}, "
            "expected a LaunchDescription"
        )
    return description


def get_launch_description_from_any_launch_file(launch_file_path: str) -> LaunchDescription:
    """Return the description of a Python launch file.

    Raises:
        InvalidLaunchFileError: the file is of another kind, which only a ROS 2 installation can read.
    """
    if Path(launch_file_path).suffix != ".py":
        raise InvalidLaunchFileError(
            f"The launch stand-in reads Python launch files only, not '{launch_file_path}'. "
            "Install a ROS 2 distribution for XML and YAML."
        )
    return get_launch_description_from_python_launch_file(launch_file_path)


class PythonLaunchDescriptionSource(LaunchDescriptionSource):
    """A Python launch file."""

    def __init__(self, launch_file_path: Any) -> None:
        super().__init__(None, launch_file_path, "interpreted python launch file")

    def _load(self, location: str) -> LaunchDescription:
        return get_launch_description_from_python_launch_file(location)


class AnyLaunchDescriptionSource(LaunchDescriptionSource):
    """A launch file of any kind; here, of the Python kind."""

    def __init__(self, launch_file_path: Any) -> None:
        super().__init__(None, launch_file_path, "interpreted launch file")

    def _load(self, location: str) -> LaunchDescription:
        return get_launch_description_from_any_launch_file(location)


__all__ = [
    "AnyLaunchDescriptionSource",
    "InvalidLaunchFileError",
    "InvalidPythonLaunchFileError",
    "PythonLaunchDescriptionSource",
    "get_launch_description_from_any_launch_file",
    "get_launch_description_from_python_launch_file",
    "load_python_launch_file_as_module",
]
__getattr__ = refuse_attribute(__name__, __all__)
