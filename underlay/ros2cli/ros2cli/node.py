# SPDX-License-Identifier: Apache-2.0
"""``ros2 node``: the nodes of the graph and what each offers and uses."""

import sys
from typing import ClassVar

import rclpy.action
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

from ros2cli.api.graph import DirectNode, add_node_arguments, complete_node, split_node_name
from ros2cli.command import VerbExtension, VerbGroup


class NodeCommand(VerbGroup):
    """Various node related sub-commands."""

    verbs: ClassVar[dict[str, str]] = {"info": "ros2cli.node:InfoVerb", "list": "ros2cli.node:ListVerb"}


class ListVerb(VerbExtension):
    """Output a list of available nodes."""

    def add_arguments(self, parser, cli_name):
        """Declare ``--all`` and ``--count-nodes``."""
        add_node_arguments(parser)
        parser.add_argument("-a", "--all", action="store_true", help="Display all nodes even hidden ones")
        parser.add_argument(
            "-c", "--count-nodes", action="store_true", help="Only display the number of nodes discovered"
        )

    def main(self, *, args):
        """Print one full name a line, or how many there are."""
        with DirectNode(args) as node:
            node.settle()
            names = node.node_names(hidden=args.all)
        if args.count_nodes:
            print(len(names))
            return
        if len(set(names)) < len(names):
            print(
                "WARNING: Be aware that there are nodes in the graph that share an exact name, "
                "which can have unintended side effects.",
                file=sys.stderr,
            )
        for name in names:
            print(name)


class InfoVerb(VerbExtension):
    """Output information about a node."""

    def add_arguments(self, parser, cli_name):
        """Declare the node and ``--include-hidden``."""
        add_node_arguments(parser)
        parser.add_argument("node_name", help="Node name to request information").completer = complete_node
        parser.add_argument(
            "--include-hidden", action="store_true", help="Display hidden topics, services, and actions as well"
        )

    def main(self, *, args):
        """Print the node's topics, services and actions with their types."""
        with DirectNode(args) as node:
            node.settle()
            base, namespace = split_node_name(args.node_name)
            wanted = f"{namespace.rstrip('/')}/{base}"
            count = node.node_names(hidden=True).count(wanted)
            if not count:
                return f"Unable to find node '{args.node_name}'"
            if count > 1:
                print(
                    f'There are {count} nodes in the graph with the exact name "{args.node_name}". '
                    "You are seeing information about only one of them.",
                    file=sys.stderr,
                )
            print(wanted)
            rcl_node = node.node
            for title, found in (
                ("Subscribers", rcl_node.get_subscriber_names_and_types_by_node(base, namespace)),
                ("Publishers", rcl_node.get_publisher_names_and_types_by_node(base, namespace)),
                ("Service Servers", rcl_node.get_service_names_and_types_by_node(base, namespace)),
                ("Service Clients", rcl_node.get_client_names_and_types_by_node(base, namespace)),
                (
                    "Action Servers",
                    rclpy.action.get_action_server_names_and_types_by_node(rcl_node, base, namespace),
                ),
                (
                    "Action Clients",
                    rclpy.action.get_action_client_names_and_types_by_node(rcl_node, base, namespace),
                ),
            ):
                print(f"  {title}:")
                shown = [item for item in found if args.include_hidden or not topic_or_service_is_hidden(item[0])]
                print(*(f"    {name}: {', '.join(types)}" for name, types in shown), sep="\n")
        return None
