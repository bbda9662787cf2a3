# SPDX-License-Identifier: Apache-2.0
"""Messages to dicts, YAML and CSV, cutting long arrays before their elements are touched."""

import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

_YAML_WIDTH = 2**31 - 1  # no line is ever folded
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class Abridge:
    """What to leave out: elements past ``truncate_length`` (None: keep all), all arrays, all strings."""

    truncate_length: int | None = None
    no_arr: bool = False
    no_str: bool = False


FULL = Abridge()


def message_to_dict(message: Any, abridge: Abridge = FULL) -> dict[str, Any]:
    """The fields of ``message`` in their order, nested messages as dicts, arrays as lists."""
    result = {}
    for name, type_name in message.get_fields_and_field_types().items():
        result[name] = _plain(getattr(message, name), type_name, abridge)
    return result


def message_to_yaml(message: Any, abridge: Abridge = FULL, *, flow_style: bool = False) -> str:
    """``message`` as a YAML document."""
    return dump_yaml(message_to_dict(message, abridge), flow_style=flow_style)


def dump_yaml(value: Any, *, flow_style: bool = False) -> str:
    """``value`` as a YAML document, keys in their order, lines never folded."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_YAML_WIDTH, default_flow_style=flow_style
    )


def message_to_csv(message: Any, abridge: Abridge = FULL) -> str:
    """All values of ``message``, nested ones too, separated by commas."""

    def flat(value):
        if isinstance(value, dict):
            return [text for item in value.values() for text in flat(item)]
        if isinstance(value, list):
            return [text for item in value for text in flat(item)]
        return [str(value)]

    return ",".join(flat(message_to_dict(message, abridge)))


def _plain(value: Any, type_name: str, abridge: Abridge) -> Any:
    limit = abridge.truncate_length
    if isinstance(value, str):
        if abridge.no_str:
            return f"<string length: <{len(value)}>>"
        return value if limit is None or len(value) <= limit else value[:limit] + "..."
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, array.array | np.ndarray | list | tuple):
        return _plain_sequence(value, type_name, abridge)
    if isinstance(value, np.generic):
        return value.item()
    return message_to_dict(value, abridge)


def _plain_sequence(value: Any, type_name: str, abridge: Abridge) -> Any:
    if abridge.no_arr:
        return _array_summary(value, type_name)
    limit = abridge.truncate_length
    cut = limit is not None and len(value) > limit
    kept = value[:limit] if cut else value
    if isinstance(kept, array.array | np.ndarray):
        items = kept.tolist()
    else:
        items = [_plain(item, "", abridge) for item in kept]
    return [*items, "..."] if cut else items


def _array_summary(value: Any, type_name: str) -> str:
    # type names read `sequence<uint8>`, `sequence<uint8, 8>` or `double[9]`
    if type_name.startswith("sequence<"):
        item, _, bound = type_name[len("sequence<") : -1].partition(", ")
        bound = f"[{bound}]" if bound else ""
        return f"<sequence type: {item}{bound}, length: {len(value)}>"
    return f"<array type: {type_name}>"
