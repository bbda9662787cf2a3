# SPDX-License-Identifier: Apache-2.0
"""Full ``ros2msg`` definitions from the ament index, with the standard library only.

A bag must explain itself: an MCAP schema holds a message's definition followed by the definitions of everything it
nests, each after a line of 80 ``=`` and a line ``MSG: package/Type``
(https://mcap.dev/spec/registry#ros2msg). This module needs neither rclpy nor an installed ROS 2, so that it can be
lifted into any recorder.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

SEPARATOR = "=" * 80
KINDS = ("msg", "srv", "action")
PRIMITIVES = frozenset(
    ["bool", "byte", "char", "float32", "float64", "string", "wstring"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)


def ament_prefixes() -> list[Path]:
    """The prefixes of ``AMENT_PREFIX_PATH``, then this interpreter's own, where ROS 2 wheels put their index."""
    named = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    return [*named, *(prefix for prefix in [Path(sys.prefix)] if prefix not in named)]


def split_type(name: str, default_kind: str = "msg") -> tuple[str, str, str]:
    """``package/kind/Type`` or ``package/Type`` as (package, kind, type).

    Raises:
        ValueError: the name has another form.
    """
    parts = name.split("/")
    if len(parts) == 2:
        parts.insert(1, default_kind)
    if len(parts) != 3 or not all(parts) or parts[1] not in KINDS:
        raise ValueError(f"Invalid name '{name}'. Expected three parts separated by '/', like 'std_msgs/msg/String'")
    return parts[0], parts[1], parts[2]


def interface_path(name: str, prefixes: Iterable[Path] | None = None) -> Path:
    """The ``.msg``, ``.srv`` or ``.action`` file of the interface ``name`` (``package/kind/Type``).

    Raises:
        ValueError: the name is malformed.
        LookupError: no prefix has the package, or the package has no such interface.
    """
    package, kind, type_name = split_type(name)
    searched = list(ament_prefixes() if prefixes is None else prefixes)
    shares = [share for share in (prefix / "share" / package for prefix in searched) if share.is_dir()]
    for share in shares:
        path = share / kind / f"{type_name}.{kind}"
        if path.is_file():
            return path
    if not shares:
        raise LookupError(f"Unknown package '{package}'")
    raise LookupError(f"Could not find the interface '{shares[0] / kind / type_name}.{kind}'")


def message_text(name: str, prefixes: Iterable[Path] | None = None) -> str:
    """The definition text of the one message ``name``, without what it nests.

    Besides the messages with a file of their own this knows an action's ``Type_FeedbackMessage`` and ``Type_Feedback``.

    Raises:
        LookupError: there is no such message.
        ValueError: the name is malformed.
    """
    package, kind, type_name = split_type(name)
    base, _, part = type_name.rpartition("_")
    if part in ("Feedback", "FeedbackMessage") and base:
        try:
            action = interface_path(f"{package}/action/{base}", prefixes)
        except LookupError:
            if kind == "action":
                raise
        else:
            if part == "FeedbackMessage":
                return f"unique_identifier_msgs/UUID goal_id\n{package}/{base}_Feedback feedback\n"
            return _sections(action.read_text(encoding="utf-8"))[2]
    return interface_path(f"{package}/msg/{type_name}", prefixes).read_text(encoding="utf-8")


def _sections(text: str) -> list[str]:
    sections: list[list[str]] = [[]]
    for line in text.splitlines(keepends=True):
        if line.strip() == "---":
            sections.append([])
        else:
            sections[-1].append(line)
    return ["".join(lines) for lines in sections]


def nested_types(text: str, package: str) -> list[str]:
    """Message types that a definition's fields name, as ``package/Type``, in order and without repeats."""
    found: dict[str, None] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        nested = nested_type(words[0], package)
        if nested is not None:
            found[nested] = None
    return list(found)


def nested_type(field_type: str, package: str) -> str | None:
    """The message type behind a field's type, as ``package/Type``, or None for a primitive."""
    base = field_type.partition("[")[0].partition("<=")[0]
    if base in PRIMITIVES:
        return None
    if "/" not in base:
        return f"{package}/{base}"
    owner, _, type_name = split_type(base)
    return f"{owner}/{type_name}"


def full_definition(name: str, prefixes: Iterable[Path] | None = None) -> str:
    """The definition of message ``name`` and, depth first, of every message it nests, as MCAP's ``ros2msg`` wants it.

    Raises:
        LookupError: the message, or one that it nests, is not in the index.
        ValueError: the name is malformed.
    """
    searched = list(ament_prefixes() if prefixes is None else prefixes)
    package, _, type_name = split_type(name)
    texts: dict[str, str] = {}

    def collect(key: str, text: str) -> None:
        texts[key] = text
        for nested in nested_types(text, key.partition("/")[0]):
            if nested not in texts:
                collect(nested, message_text(nested, searched))

    root = f"{package}/{type_name}"
    collect(root, message_text(name, searched))
    parts = [texts.pop(root), *(f"MSG: {key}\n{text}" for key, text in texts.items())]
    return f"\n{SEPARATOR}\n".join(parts)
