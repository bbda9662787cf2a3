# SPDX-License-Identifier: Apache-2.0
"""Actions that set something for all nodes that are started later in the scope."""

from __future__ import annotations

from typing import Any

from launch.action import Action
from launch.launch_context import LaunchContext
from launch.substitutions import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from ..utilities import join_namespace, validate_namespace
from ..utilities.parameters import evaluate_parameters


class PushROSNamespace(Action):
    """Puts the nodes of the scope into a namespace, inside the one that they are in."""

    def __init__(self, namespace: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.namespace = normalize_to_list_of_substitutions(namespace)

    def execute(self, context: LaunchContext) -> None:
        """Set the namespace.

        Raises:
            SubstitutionFailure: it is not a valid one.
        """
        pushed = perform_substitutions(context, self.namespace)
        before = context.launch_configurations.get("ros_namespace")
        namespace = join_namespace(before, pushed) or "/"
        try:
            validate_namespace(namespace)
        except ValueError as error:
            raise SubstitutionFailure(f"cannot push the namespace '{pushed}' onto '{before}': {error}") from error
        context.launch_configurations["ros_namespace"] = namespace


PushRosNamespace = PushROSNamespace


class SetParameter(Action):
    """Sets a parameter of all nodes of the scope; a node's own parameters win."""

    def __init__(self, name: Any, value: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = tuple(normalize_to_list_of_substitutions(name))
        self.value = value

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        evaluated = evaluate_parameters(context, {self.name: self.value})
        _extend(context, "global_params", list(evaluated.items()))


class SetParametersFromFile(Action):
    """Passes a parameter file to all nodes of the scope; a node's own parameters win."""

    def __init__(self, filename: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filename = normalize_to_list_of_substitutions(filename)

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        _extend(context, "global_params", [perform_substitutions(context, self.filename)])


class SetRemap(Action):
    """Remaps a name for all nodes of the scope."""

    def __init__(self, src: Any, dst: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.src = normalize_to_list_of_substitutions(src)
        self.dst = normalize_to_list_of_substitutions(dst)

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        rule = (perform_substitutions(context, self.src), perform_substitutions(context, self.dst))
        _extend(context, "ros_remaps", [rule])


def _extend(context: LaunchContext, key: str, items: list[Any]) -> None:
    # A new list, so that an outer scope keeps its own.
    context.launch_configurations[key] = [*context.launch_configurations.get(key, []), *items]
