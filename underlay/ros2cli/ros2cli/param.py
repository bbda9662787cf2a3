# SPDX-License-Identifier: Apache-2.0
"""``ros2 param``: list, read, write and dump the parameters of running nodes."""

import re
import sys
from typing import ClassVar

from rcl_interfaces.msg import Parameter, ParameterType
from rclpy.parameter import get_parameter_value, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

from ros2cli.api.convert import dump_yaml
from ros2cli.api.graph import DirectNode, add_node_arguments, complete_node, split_node_name
from ros2cli.api.numbers import unsigned_float
from ros2cli.command import VerbExtension, VerbGroup

SERVICE_TIMEOUT_S = 5.0
_LABELS = {
    ParameterType.PARAMETER_BOOL: "Boolean value is:",
    ParameterType.PARAMETER_INTEGER: "Integer value is:",
    ParameterType.PARAMETER_DOUBLE: "Double value is:",
    ParameterType.PARAMETER_STRING: "String value is:",
    ParameterType.PARAMETER_BYTE_ARRAY: "Byte values are:",
    ParameterType.PARAMETER_BOOL_ARRAY: "Boolean values are:",
    ParameterType.PARAMETER_INTEGER_ARRAY: "Integer values are:",
    ParameterType.PARAMETER_DOUBLE_ARRAY: "Double values are:",
    ParameterType.PARAMETER_STRING_ARRAY: "String values are:",
}


class ParamCommand(VerbGroup):
    """Various param related sub-commands."""

    verbs: ClassVar[dict[str, str]] = {
        "dump": "ros2cli.param:DumpVerb",
        "get": "ros2cli.param:GetVerb",
        "list": "ros2cli.param:ListVerb",
        "set": "ros2cli.param:SetVerb",
    }
    elsewhere = ("delete", "describe", "load")


class NodeParameters:
    """The parameter services of one node."""

    def __init__(self, node: DirectNode, name: str) -> None:
        self._node = node
        self._client = AsyncParameterClient(node.node, name)
        if not node.spin_until(self._client.services_are_ready, SERVICE_TIMEOUT_S):
            raise RuntimeError(f"Wait for service timed out waiting for parameter services for node {name}")

    def names(self, prefixes: list[str] | None = None) -> list[str]:
        """Names of the declared parameters, sorted."""
        return sorted(self._node.spin_future(self._client.list_parameters(prefixes=prefixes)).result.names)

    def values(self, names: list[str]) -> list:
        """The ``ParameterValue`` of each of ``names``; shorter or empty where the node knows none of them."""
        return list(self._node.spin_future(self._client.get_parameters(names)).values) if names else []

    def set(self, parameter: Parameter):
        """Set one parameter and return the node's ``SetParametersResult``."""
        return self._node.spin_future(self._client.set_parameters([parameter])).results[0]


def _add_node_name(parser, *, optional=False):
    add_node_arguments(parser)
    argument = parser.add_argument("node_name", nargs="?" if optional else None, help="Name of the ROS node")
    argument.completer = complete_node
    parser.add_argument("--include-hidden-nodes", action="store_true", help="Consider hidden nodes as well")


def _add_timeout(parser):
    parser.add_argument(
        "--timeout",
        metavar="N",
        type=unsigned_float,
        default=SERVICE_TIMEOUT_S,
        help="Wait for N seconds until node becomes available (default %(default)s sec)",
    )


def _find(node, args):
    """The parameters of the node that ``args`` names."""
    base, namespace = split_node_name(args.node_name)
    name = f"{namespace.rstrip('/')}/{base}"
    if not node.spin_until(lambda: name in node.node_names(hidden=args.include_hidden_nodes), args.timeout):
        raise RuntimeError("Node not found")
    return name, NodeParameters(node, name)


def _complete_parameter(prefix, parsed_args, **_kwargs):
    with DirectNode(parsed_args) as node:
        return _find(node, parsed_args)[1].names()


def python_value(value):
    """A ``ParameterValue`` as a plain Python value, arrays as lists."""
    plain = parameter_value_to_python(value)
    return plain.tolist() if hasattr(plain, "tolist") else plain


class ListVerb(VerbExtension):
    """Output a list of available parameters."""

    def add_arguments(self, parser, cli_name):
        """Declare the node and what to list of it."""
        _add_node_name(parser, optional=True)
        parser.add_argument("--filter", help="Only list parameters that match this regular expression")
        parser.add_argument(
            "--param-prefixes", nargs="+", default=[], help="Only list parameters with the provided prefixes"
        )

    def main(self, *, args):
        """Print the names of one node's parameters, or of all nodes' under their names."""
        with DirectNode(args) as node:
            node.settle()
            names = sorted(set(node.node_names(hidden=args.include_hidden_nodes)))
            if args.node_name:
                base, namespace = split_node_name(args.node_name)
                names = [name for name in names if name == f"{namespace.rstrip('/')}/{base}"]
                if not names:
                    return "Node not found"
            for name in names:
                try:
                    listed = NodeParameters(node, name).names(args.param_prefixes)
                except RuntimeError as error:
                    print(error, file=sys.stderr)
                    continue
                listed = [item for item in listed if args.filter is None or re.match(args.filter, item)]
                if listed and not args.node_name:
                    print(f"{name}:")
                for item in listed:
                    print(f"  {item}")
        return None


class GetVerb(VerbExtension):
    """Get parameter."""

    def add_arguments(self, parser, cli_name):
        """Declare the node, the parameter and ``--hide-type``."""
        _add_node_name(parser)
        parser.add_argument("parameter_name", help="Name of the parameter").completer = _complete_parameter
        parser.add_argument("--hide-type", action="store_true", help="Hide the type information")
        _add_timeout(parser)

    def main(self, *, args):
        """Print the value after a label that names its type."""
        with DirectNode(args) as node:
            values = _find(node, args)[1].values([args.parameter_name])
        if not values:
            return "Parameter not set"
        value = python_value(values[0])
        if args.hide_type:
            print(value)
        elif value is None:
            print("Parameter not set.")
        else:
            print(_LABELS[values[0].type], value)
        return None


class SetVerb(VerbExtension):
    """Set parameter."""

    def add_arguments(self, parser, cli_name):
        """Declare the node, the parameter and its value."""
        _add_node_name(parser)
        parser.add_argument("parameter_name", help="Name of the parameter").completer = _complete_parameter
        parser.add_argument("value", help="Value of the parameter")
        _add_timeout(parser)

    def main(self, *, args):
        """Set the value and print what the node says to it."""
        value = get_parameter_value(string_value=args.value)
        with DirectNode(args) as node:
            result = _find(node, args)[1].set(Parameter(name=args.parameter_name, value=value))
        reason = f": {result.reason}" if result.reason else ""
        if result.successful:
            print(f"Set parameter successful{reason}")
        else:
            # status 0 as upstream
            print(f"Setting parameter failed{reason}", file=sys.stderr)


class DumpVerb(VerbExtension):
    """Show all of the parameters of a node in a YAML file format."""

    def add_arguments(self, parser, cli_name):
        """Declare the node."""
        _add_node_name(parser)
        _add_timeout(parser)

    def main(self, *, args):
        """Print a parameter file that ``--params-file`` takes."""
        tree: dict = {}
        with DirectNode(args) as node:
            name, parameters = _find(node, args)
            names = parameters.names()
            for parameter, value in zip(names, parameters.values(names), strict=True):
                *groups, leaf = parameter.split(".")
                place = tree
                for group in groups:
                    place = place.setdefault(group, {})
                place[leaf] = python_value(value)
        print(dump_yaml({name: {"ros__parameters": tree}}))
