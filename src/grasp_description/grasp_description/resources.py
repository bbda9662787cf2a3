# SPDX-License-Identifier: Apache-2.0
"""Where the description files lie, and a cell's URDF and SRDF as text."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

import xacro

PACKAGE = "grasp_description"
_PACKAGE_URI = re.compile(r"package://([A-Za-z0-9_\-]+)/([^\"'<>\s]*)")


@functools.cache
def share_folder(package: str = PACKAGE) -> Path:
    """Return the folder that `package://<package>/` stands for.

    Our own package is first looked for upwards from this file (a source checkout, where `urdf/` is found beside the
    package, or an install tree); any other package in the prefixes of AMENT_PREFIX_PATH.

    Raises:
        FileNotFoundError: the package is neither in the checkout nor in a sourced workspace.
    """
    if package == PACKAGE:
        for folder in Path(__file__).absolute().parents:
            for candidate in (folder, folder / "share" / PACKAGE):
                if (candidate / "urdf" / "cells").is_dir():
                    return candidate
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        candidate = Path(prefix) / "share" / package
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"package '{package}' is not in AMENT_PREFIX_PATH; install it and source its workspace, "
        "or use meshes:=own for our own meshes"
    )


def resolve(uri: str) -> Path:
    """Turn `package://<package>/<path>`, `file://<path>` or a plain path into an absolute path.

    Raises:
        FileNotFoundError: the package or the file does not exist.
    """
    if uri.startswith("package://"):
        package, _, relative = uri.removeprefix("package://").partition("/")
        path = share_folder(package) / relative
    else:
        path = Path(uri.removeprefix("file://")).absolute()
    if not path.exists():
        raise FileNotFoundError(f"{uri} does not exist (looked at {path})")
    return path


def cells() -> tuple[str, ...]:
    """Names of the cells that are described, sorted."""
    folder = share_folder() / "urdf" / "cells"
    return tuple(sorted(path.name.removesuffix(".urdf.xacro") for path in folder.glob("*.urdf.xacro")))


def description_file(kind: str, name: str, suffix: str) -> Path:
    """Return `urdf/<kind>/<name><suffix>`.

    Raises:
        FileNotFoundError: there is no such file; the message lists the names that exist.
    """
    folder = share_folder() / "urdf" / kind
    path = folder / f"{name}{suffix}"
    if not path.is_file():
        known = ", ".join(sorted(found.name.removesuffix(suffix) for found in folder.glob(f"*{suffix}"))) or "none"
        raise FileNotFoundError(f"urdf/{kind} has no '{name}{suffix}'; it has: {known}")
    return path


@functools.lru_cache(maxsize=64)
def _expand(path: str, arguments: tuple[tuple[str, str], ...]) -> str:
    document = xacro.process_file(path, mappings=dict(arguments))
    return document.toprettyxml(indent="  ")


def cell_urdf(cell: str, *, expand_uris: bool = False, **arguments: Any) -> str:
    """Expand a cell's xacro.

    Args:
        cell: one of `cells()`.
        expand_uris: replace `package://` URIs by absolute paths, for PyBullet and Pinocchio; RViz and
            robot_state_publisher
            want them as they are.
        arguments: xacro arguments, for instance prefix, meshes (own | vendor), coupling (mimic | free).

    Raises:
        FileNotFoundError: unknown cell, or a vendor package that is not installed (only with expand_uris).
        ValueError: an argument that the cell's xacro does not declare.
    """
    path = description_file("cells", cell, ".urdf.xacro")
    declared = set(re.findall(r"<xacro:arg\s+name=\"([^\"]+)\"", path.read_text(encoding="utf-8")))
    if unknown := sorted(set(arguments) - declared):
        raise ValueError(
            f"cell '{cell}' has no xacro argument {', '.join(unknown)}; it has: {', '.join(sorted(declared))}"
        )
    text = _expand(str(path), tuple(sorted((name, str(value)) for name, value in arguments.items())))
    if expand_uris:
        text = _PACKAGE_URI.sub(lambda match: str(resolve(match.group(0))), text)
    return text


def cell_srdf(cell: str, prefix: str = "") -> str:
    """Return a cell's SRDF text, with `prefix` put before the names of links and joints that the URDF prefixes too."""
    text = description_file("cells", cell, ".srdf").read_text(encoding="utf-8")
    if not prefix:
        return text
    from .srdf import add_prefix  # here, since srdf.py imports this module

    return add_prefix(text, prefix, cell_urdf(cell, prefix=prefix))
