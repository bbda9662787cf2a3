# SPDX-License-Identifier: Apache-2.0
"""Substitutions that find ROS packages through the ament index."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch._refusal import refuse_attribute
from launch.launch_context import LaunchContext
from launch.substitution import Substitution
from launch.substitutions import SubstitutionFailure
from launch.utilities import describe_substitutions, normalize_to_list_of_substitutions, perform_substitutions


class FindPackage(Substitution):
    """Base of the substitutions that find a package."""

    def __init__(self, package: Any) -> None:
        self.package = normalize_to_list_of_substitutions(package)

    def describe(self) -> str:
        """Return the package."""
        return f"{type(self).__name__}(pkg={describe_substitutions(self.package)})"

    def find(self, package_name: str) -> str:
        """Return the path that is looked for."""
        raise NotImplementedError(f"{type(self).__name__}.find()")

    def perform(self, context: LaunchContext) -> str:
        """Return the path.

        Raises:
            ament_index_python.packages.PackageNotFoundError: there is no such package.
        """
        return self.find(perform_substitutions(context, self.package))


class FindPackagePrefix(FindPackage):
    """The folder that a package is installed in."""

    def find(self, package_name: str) -> str:
        """Return the folder."""
        return get_package_prefix(package_name)


class FindPackageShare(FindPackage):
    """The share folder of a package."""

    def find(self, package_name: str) -> str:
        """Return the folder."""
        return get_package_share_directory(package_name)


class ExecutableInPackage(FindPackagePrefix):
    """The path of an executable in a package's lib folder."""

    def __init__(self, executable: Any, package: Any) -> None:
        super().__init__(package)
        self.executable = normalize_to_list_of_substitutions(executable)

    def describe(self) -> str:
        """Return package and executable."""
        executable, package = describe_substitutions(self.executable), describe_substitutions(self.package)
        return f"ExecInPkg(pkg={package}, exec={executable})"

    def perform(self, context: LaunchContext) -> str:
        """Return the path.

        Raises:
            ament_index_python.packages.PackageNotFoundError: there is no such package.
            SubstitutionFailure: the package has no such executable.
        """
        executable = perform_substitutions(context, self.executable)
        package = perform_substitutions(context, self.package)
        folder = os.path.join(super().perform(context), "lib", package)
        if not os.path.isdir(folder):
            raise SubstitutionFailure(f"package '{package}' has no folder for executables: '{folder}' does not exist")
        path = shutil.which(executable, path=folder)
        if path is None:
            raise SubstitutionFailure(f"executable '{executable}' not found on the libexec directory '{folder}'")
        return path


__all__ = ["ExecutableInPackage", "FindPackage", "FindPackagePrefix", "FindPackageShare"]
__getattr__ = refuse_attribute(__name__, __all__)
