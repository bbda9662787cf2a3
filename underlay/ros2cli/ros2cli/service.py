# SPDX-License-Identifier: Apache-2.0
"""``ros2 service``: list services, tell their type, call one."""

import sys
import time
from typing import ClassVar

from ros2cli.api.fill import fill_message, parse_fields
from ros2cli.api.graph import DirectNode, add_node_arguments, complete_service
from ros2cli.api.interfaces import complete_type, interface_class
from ros2cli.api.numbers import positive_float
from ros2cli.command import VerbExtension, VerbGroup


class ServiceCommand(VerbGroup):
    """Various service related sub-commands."""

    verbs: ClassVar[dict[str, str]] = {
        "call": "ros2cli.service:CallVerb",
        "list": "ros2cli.service:ListVerb",
        "type": "ros2cli.service:TypeVerb",
    }
    elsewhere = ("echo", "find", "info")


def _add_hidden(parser):
    parser.add_argument("--include-hidden-services", action="store_true", help="Consider hidden services as well")


class ListVerb(VerbExtension):
    """Output a list of available services."""

    def add_arguments(self, parser, cli_name):
        """Declare ``--show-types`` and its like."""
        add_node_arguments(parser)
        parser.add_argument("-t", "--show-types", action="store_true", help="Additionally show the service type")
        parser.add_argument(
            "-c", "--count-services", action="store_true", help="Only display the number of services discovered"
        )
        _add_hidden(parser)

    def main(self, *, args):
        """Print one service a line, with its type on request."""
        with DirectNode(args) as node:
            node.settle()
            found = node.services(hidden=args.include_hidden_services)
        if args.count_services:
            print(len(found))
            return
        for name, types in found:
            print(f"{name} [{', '.join(types)}]" if args.show_types else name)


class TypeVerb(VerbExtension):
    """Output a service's type."""

    def add_arguments(self, parser, cli_name):
        """Declare the service."""
        add_node_arguments(parser)
        argument = parser.add_argument(
            "service_name", help="Name of the ROS service to get type (e.g. '/talker/list_parameters')"
        )
        argument.completer = complete_service
        _add_hidden(parser)

    def main(self, *, args):
        """Print the type; status 1 if there is no such service."""
        with DirectNode(args) as node:
            node.discover(lambda: args.service_name in dict(node.services(hidden=True)))
            types = dict(node.services(hidden=True)).get(args.service_name)
        if types is None:
            return 1
        print(*types, sep="\n")
        return 0


class CallVerb(VerbExtension):
    """Call a service."""

    def add_arguments(self, parser, cli_name):
        """Declare the service, its type, the request and ``--rate``."""
        argument = parser.add_argument("service_name", help="Name of the ROS service to call to (e.g. '/add_two_ints')")
        argument.completer = complete_service
        argument = parser.add_argument("service_type", help="Type of the ROS service (e.g. 'std_srvs/srv/Empty')")
        argument.completer = complete_type("srv")
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "values",
            nargs="?",
            default="{}",
            help="Values to fill the service request with in YAML format (e.g. '{a: 1, b: 2}'), "
            "otherwise the service request will be published with default values",
        )
        group.add_argument("--stdin", action="store_true", help="Read values from standard input")
        parser.add_argument(
            "-r", "--rate", metavar="N", type=positive_float, help="Repeat the call at a specific rate in Hz"
        )

    def main(self, *, args):
        """Wait for the service, call it, print request and response; go on at ``--rate`` until interrupted."""
        service_type = interface_class(args.service_type, "srv")
        request = service_type.Request()
        fill_message(request, parse_fields(sys.stdin.read() if args.stdin else args.values))
        with DirectNode(args, name=f"_ros2cli_requester_{args.service_type.replace('/', '_')}") as node:
            client = node.node.create_client(service_type, args.service_name)
            if not client.service_is_ready():
                print("waiting for service to become available...")
                node.spin_until(client.service_is_ready)
            while True:
                print(f"requester: making request: {request!r}\n")
                started = time.monotonic()
                print(f"response:\n{node.spin_future(client.call_async(request))!r}\n")
                if args.rate is None:
                    return 0
                node.spin_until_time(started + 1.0 / args.rate)
