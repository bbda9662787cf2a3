# SPDX-License-Identifier: Apache-2.0
"""Where the workspace's data files are: installed by a package, or in the source checkout.

Looked for in this order: a folder named by an environment variable, the share folder of the package that installs
them (every prefix of ``AMENT_PREFIX_PATH``), the checkout that this file lies in.
"""

from __future__ import annotations

import os
from pathlib import Path

# Folder at the root of the checkout: (package that installs it, environment variable that overrides it).
FOLDERS = {
    "config": ("grasp_bringup", "GRASP_CONFIG_DIR"),
    "urdf": ("grasp_description", "GRASP_URDF_DIR"),
    "models": ("grasp_policies", "GRASP_MODELS_DIR"),
}


class ResourceError(FileNotFoundError):
    """A data file is nowhere; the message lists where it was looked for."""


def find(folder: str, relative: str = "") -> Path:
    """Absolute path of ``relative`` in one of ``FOLDERS``.

    Raises:
        ResourceError: it is in none of the places.
    """
    package, variable = FOLDERS[folder]
    candidates = [Path(os.environ[variable])] if os.environ.get(variable) else []
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    candidates += [Path(prefix) / "share" / package / folder for prefix in prefixes if prefix]
    candidates += [parent / folder for parent in Path(__file__).resolve().parents if (parent / "colcon.meta").exists()]
    for candidate in candidates:
        if (candidate / relative).exists():
            return (candidate / relative).resolve()
    for candidate in candidates:
        parent, suffix = (candidate / relative).parent, Path(relative).suffix
        there = sorted(path.stem for path in parent.glob(f"*{suffix}")) if suffix and parent.is_dir() else []
        if there:
            raise ResourceError(f"{folder}/{relative} was not found; {parent} has {', '.join(there)}")
    looked = ", ".join(str(c) for c in candidates) or "nowhere"
    raise ResourceError(
        f"{folder}/{relative} was not found; looked in {looked}. Build the workspace or set {variable}."
    )


def find_checkpoint(name: str) -> Path | None:
    """The checkpoint that a name means: a path that exists, or a folder or file in models/; none for an empty name.

    Raises:
        ResourceError: there is none of that name.
    """
    if not name:
        return None
    path = Path(name).expanduser()
    if path.exists():
        return path.resolve()
    try:
        return find("models", name)
    except ResourceError as error:
        if len(Path(name).parts) > 1:
            raise ResourceError(f"checkpoint {name}: there is no such folder or file, here or in models/") from error
        raise


def names(folder: str, relative: str, suffix: str = ".yaml") -> tuple[str, ...]:
    """Stems of the files with ``suffix`` in a data folder, sorted: which cells, scenes or cameras there are."""
    return tuple(sorted(path.stem for path in find(folder, relative).glob(f"*{suffix}")))
