# SPDX-License-Identifier: Apache-2.0
"""Running a ROS node."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from tempfile import NamedTemporaryFile
from typing import Any

from launch._refusal import refuse_keywords
from launch.actions import ExecuteProcess
from launch.launch_context import LaunchContext
from launch.logging import get_logger, launch_config
from launch.utilities import normalize_to_list_of_substitutions, perform_text

from ..parameter_descriptions import Parameter, ParameterFile
from ..substitutions import ExecutableInPackage
from ..utilities import join_namespace, validate_namespace, validate_node_name
from ..utilities.parameters import evaluate_parameters, to_parameter_rule, to_parameter_yaml


class Node(ExecuteProcess):
    """Runs an executable of a package as a ROS node.

    Args:
        executable: its name, or its path where no package is given.
        package: the package that has it.
        name: the node's name, its own by default.
        namespace: the node's namespace, inside the scope's unless it begins with '/'.
        exec_name: the label of the process, the executable's base name by default.
        parameters: dictionaries, paths of parameter files, ParameterFile and Parameter; the last one wins.
        remappings: pairs of names.
        ros_arguments: further arguments after ``--ros-args``.
        arguments: further arguments before.
        kwargs: see ExecuteProcess and ExecuteLocal.
    """

    UNSPECIFIED_NODE_NAME = "<node_name_unspecified>"
    UNSPECIFIED_NODE_NAMESPACE = "<node_namespace_unspecified>"

    def __init__(
        self,
        *,
        executable: Any,
        package: Any = None,
        name: Any = None,
        namespace: Any = None,
        exec_name: Any = None,
        parameters: list[Any] | None = None,
        remappings: Iterable[tuple[Any, Any]] | None = None,
        ros_arguments: list[Any] | None = None,
        arguments: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_keywords(self, {key: kwargs[key] for key in ("cmd", "node_name", "node_namespace") if key in kwargs})
        for what, given in (("parameters", parameters), ("ros_arguments", ros_arguments)):
            if given is not None and not isinstance(given, list):
                raise TypeError(f"the {what} of a Node are a list, as upstream, got {given!r}")
        program = executable if package is None else ExecutableInPackage(package=package, executable=executable)
        cmd = [program, *(arguments or ())]
        if ros_arguments is not None:
            cmd += ["--ros-args", *ros_arguments]
        super().__init__(cmd=[*cmd, "--ros-args"], name=exec_name, **kwargs)
        self.node_package = package
        self.node_executable = executable
        self._node_name = name
        self._node_namespace = namespace
        self._parameters = [_normalize_parameters(item) for item in parameters or ()]
        self._remappings = [_normalize_remapping(rule) for rule in remappings or ()]
        self._final_node_name: str | None = None
        self.expanded_node_namespace = self.UNSPECIFIED_NODE_NAMESPACE
        self.expanded_remapping_rules: list[tuple[str, str]] | None = None

    @property
    def node_name(self) -> str:
        """The full name, known once the action is executed.

        Raises:
            RuntimeError: it is not executed yet.
        """
        if self._final_node_name is None:
            raise RuntimeError("cannot access 'node_name' before executing action")
        return self._final_node_name

    def is_node_name_fully_specified(self) -> bool:
        """Return whether both name and namespace were given."""
        unspecified = (self.UNSPECIFIED_NODE_NAME, self.UNSPECIFIED_NODE_NAMESPACE)
        return not any(part in self.node_name for part in unspecified)

    def execute(self, context: LaunchContext) -> None:
        """Put the ROS arguments together and start the process."""
        if self._final_node_name is None:
            words = [
                *self._name_arguments(context),
                *self._scope_parameter_arguments(context),
                *self._parameter_arguments(context),
                *self._remapping_arguments(context),
            ]
            self.process_description.cmd.extend(normalize_to_list_of_substitutions(word) for word in words)
        super().execute(context)
        if self.is_node_name_fully_specified():
            self._warn_of_namesakes(context)

    def _name_arguments(self, context: LaunchContext) -> list[str]:
        words = []
        name = self.UNSPECIFIED_NODE_NAME
        if self._node_name is not None:
            name = perform_text(context, self._node_name)
            validate_node_name(name)
            words += ["-r", f"__node:={name}"]
        given = None if self._node_namespace is None else perform_text(context, self._node_namespace)
        namespace = join_namespace(context.launch_configurations.get("ros_namespace"), given)
        if namespace is not None:
            validate_namespace(namespace)
            self.expanded_node_namespace = namespace
            words += ["-r", f"__ns:={namespace}"]
        self._final_node_name = f"{self.expanded_node_namespace.rstrip('/')}/{name}"
        return words

    def _scope_parameter_arguments(self, context: LaunchContext) -> list[str]:
        words = []
        for item in context.launch_configurations.get("global_params", ()):
            if isinstance(item, tuple):
                words += ["-p", to_parameter_rule(*item)]
            else:
                words += self._file_arguments(os.path.abspath(item))
        return words

    def _parameter_arguments(self, context: LaunchContext) -> list[str]:
        words = []
        for item in self._parameters:
            if isinstance(item, Parameter):
                words += ["-p", to_parameter_rule(*item.evaluate(context))]
            elif isinstance(item, ParameterFile):
                words += self._file_arguments(str(item.evaluate(context)))
            else:
                words += ["--params-file", self._write(evaluate_parameters(context, item))]
        return words

    def _file_arguments(self, path: str) -> list[str]:
        if not os.path.isfile(path):
            get_logger("launch_ros").warning(f"Parameter file path is not a file: {path}")
            return []
        return ["--params-file", path]

    def _write(self, parameters: Mapping[str, Any]) -> str:
        node = self.node_name if self.is_node_name_fully_specified() else "/**"
        # Beside the log: nothing is left in the temporary folder, and what a node was given can be read afterwards.
        options = {"prefix": "launch_params_", "suffix": ".yaml", "dir": launch_config.log_dir}
        with NamedTemporaryFile(mode="w", encoding="utf-8", delete=False, **options) as file:
            file.write(to_parameter_yaml(node, parameters))
        return file.name

    def _remapping_arguments(self, context: LaunchContext) -> list[str]:
        rules = [(perform_text(context, old), perform_text(context, new)) for old, new in self._remappings]
        rules = [*context.launch_configurations.get("ros_remaps", ()), *rules]
        self.expanded_remapping_rules = rules or None
        return [word for old, new in rules for word in ("-r", f"{old}:={new}")]

    def _warn_of_namesakes(self, context: LaunchContext) -> None:
        counts = context.get_locals_as_dict().get("unique_ros_node_names", {})
        counts[self.node_name] = counts.get(self.node_name, 0) + 1
        context.extend_globals({"unique_ros_node_names": counts})
        if counts[self.node_name] > 1:
            get_logger("launch_ros").warning(
                f"there are now at least {counts[self.node_name]} nodes with the name {self.node_name} created within "
                "this launch context"
            )


def _normalize_parameters(item: Any) -> Mapping[Any, Any] | Parameter | ParameterFile:
    return item if isinstance(item, (Mapping, Parameter, ParameterFile)) else ParameterFile(item)


def _normalize_remapping(rule: Any) -> tuple[Any, Any]:
    if not isinstance(rule, tuple) or len(rule) != 2:
        raise TypeError(f"a remapping is a pair (from, to), got {rule!r}")
    return rule
