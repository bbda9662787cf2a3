# SPDX-License-Identifier: Apache-2.0
"""What a node answers to ``--help``: its parameters, from the configuration that they are declared from."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from grasp_core.config import Config

WIDTH = 100
INDENT = " " * 6


def show_help(cls: type[Config], command: str, argv: Sequence[str] | None = None) -> bool:
    """Print the help where ``argv`` (the command line by default) asks for it with -h or --help; whether it did.

    Args:
        cls: the configuration whose fields are the parameters, and whose docstring says what the node does; fields of
            nested ones become ``outer.inner``.
        command: what starts the node, such as ``ros2 run grasp_cameras camera_node``.
        argv: words of the command line.
    """
    if not {"-h", "--help"} & set(sys.argv[1:] if argv is None else argv):
        return False
    purpose = inspect.getdoc(cls) or "A node."
    lines = [
        f"usage: {command} --ros-args -p NAME:=VALUE ...",
        "",
        *(line for part in purpose.split("\n\n") for line in (*textwrap.wrap(part, WIDTH), "")),
        "parameters:",
    ]
    for name, default, told in _parameters(cls, ""):
        lines.append(f"  {name}  [{default}]")
        lines += textwrap.wrap(told, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    print("\n".join(lines))
    return True


def _parameters(cls: type[Config], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Name, default and description of every field."""
    for name, field in cls.model_fields.items():
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        if isinstance(default, Config):
            yield from _parameters(type(default), f"{prefix}{name}.")
            continue
        shown = "must be set" if field.is_required() else "none" if default is None else repr(default)
        yield prefix + name, shown, " ".join(filter(None, (field.description, _allowed(field))))


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return f"One of {', '.join(map(str, get_args(field.annotation)))}."
    low = _bound(field, ("ge", "from"), ("gt", "more than"))
    high = _bound(field, ("le", "to"), ("lt", "less than"))
    both = " ".join(filter(None, (low, high)))
    return f"{both[0].upper()}{both[1:]}." if both else ""


def _bound(field: FieldInfo, *words: tuple[str, str]) -> str:
    found: list[tuple[str, Any]] = [
        (text, getattr(part, word)) for part in field.metadata for word, text in words if hasattr(part, word)
    ]
    return f"{found[0][0]} {found[0][1]:g}" if found else ""
