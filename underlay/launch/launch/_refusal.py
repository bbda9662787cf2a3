# SPDX-License-Identifier: Apache-2.0
"""How the stand-in says that it does not support something."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class UnsupportedByStandInError(ImportError):
    """Something of upstream's that the stand-in does not have.

    An ImportError rather than an AttributeError, since ``from launch.x import y`` hides the latter's sentence.
    """


def refuse_attribute(module: str, supported: Iterable[str]) -> Callable[[str], Any]:
    """Return a module-level ``__getattr__`` that refuses unknown public names with a sentence.

    Args:
        module: the module's dotted name.
        supported: the names that the module does offer, listed in the message.
    """
    offered = ", ".join(sorted(supported))

    def __getattr__(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        raise UnsupportedByStandInError(
            f"The stand-in for '{module}' does not support '{name}'. It supports: {offered}. "
            "Install a ROS 2 distribution for the rest."
        )

    return __getattr__


def refuse_keywords(owner: object, unknown: Mapping[str, Any]) -> None:
    """Raise TypeError with a sentence if any keyword arguments are left over.

    Args:
        owner: the object being constructed; its class and its bases' constructors give the supported names.
        unknown: what was passed and is not understood.
    """
    if not unknown:
        return
    supported = set()
    for base in type(owner).__mro__[:-1]:
        for name, parameter in inspect.signature(vars(base).get("__init__", object.__init__)).parameters.items():
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) and name != "self":
                supported.add(name)
    names = ", ".join(f"'{name}'" for name in sorted(unknown))
    raise TypeError(
        f"{type(owner).__name__} of the launch stand-in does not support the keyword argument(s) {names}. "
        f"It supports: {', '.join(sorted(supported))}."
    )
