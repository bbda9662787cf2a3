# SPDX-License-Identifier: Apache-2.0
"""Packages, their prefixes, executables and launch files, from the ament index."""

import os
from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
    get_packages_with_prefixes,
)


def package_names() -> list[str]:
    """Names of all packages of the index, sorted."""
    return sorted(get_packages_with_prefixes())


def package_prefix(package: str) -> Path | None:
    """The install prefix of ``package``, or None if there is no such package."""
    try:
        return Path(get_package_prefix(package))
    except (PackageNotFoundError, ValueError):
        return None


def package_share(package: str) -> Path | None:
    """``<prefix>/share/<package>``, or None if there is no such package."""
    try:
        return Path(get_package_share_directory(package))
    except (PackageNotFoundError, ValueError):
        return None


def executables(package: str) -> list[Path]:
    """Executable files below ``<prefix>/lib/<package>``, hidden folders left out.

    Raises:
        RuntimeError: there is no such package.
    """
    prefix = package_prefix(package)
    if prefix is None:
        raise RuntimeError(f"Package '{package}' not found")
    found = []
    for folder, folders, files in os.walk(prefix / "lib" / package):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder) / name for name in sorted(files) if os.access(Path(folder) / name, os.X_OK)]
    return found


def share_file(package: str, name: str) -> Path:
    """The one file called ``name`` anywhere below the share folder of ``package``.

    Raises:
        RuntimeError: no such package, no such file, or several of that name.
    """
    share = package_share(package)
    if share is None:
        searched = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        raise RuntimeError(f"Package '{package}' not found: \"package '{package}' not found, searching: {searched}\"")
    found = [Path(folder) / name for folder, _, files in os.walk(share) if name in files]
    if not found:
        raise RuntimeError(
            f"file '{name}' was not found in the share directory of package '{package}' which is at '{share}'"
        )
    if len(found) > 1:
        listed = ", ".join(f"'{path}'" for path in found)
        raise RuntimeError(
            f"file '{name}' was found more than once in the share directory of package '{package}': [{listed}]"
        )
    return found[0]


def complete_package(**_kwargs) -> list[str]:
    """Package names, for argcomplete."""
    return package_names()
