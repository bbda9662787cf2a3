# SPDX-License-Identifier: Apache-2.0
"""``ros2 topic echo``: print the messages of a topic."""

from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSPresetProfiles

from ros2cli.api.convert import Abridge, dump_yaml, message_to_csv, message_to_yaml
from ros2cli.api.graph import DirectNode, add_node_arguments, complete_topic
from ros2cli.api.interfaces import complete_type, topic_class
from ros2cli.api.numbers import positive_float, unsigned_int
from ros2cli.api.qos import add_qos_arguments, matching, overridden, profile_from_arguments
from ros2cli.command import VerbExtension

DEFAULT_TRUNCATE_LENGTH = 128


class EchoVerb(VerbExtension):
    """Output messages from a topic."""

    def add_arguments(self, parser, cli_name):
        """Declare the topic, its quality of service, and what to print of its messages."""
        add_node_arguments(parser)
        argument = parser.add_argument("topic_name", help="Name of the ROS topic to listen to (e.g. '/chatter')")
        argument.completer = complete_topic
        argument = parser.add_argument(
            "message_type", nargs="?", help="Type of the ROS message (e.g. 'std_msgs/msg/String')"
        )
        argument.completer = complete_type("msg")
        add_qos_arguments(parser, "subscribe", "sensor_data")
        parser.add_argument("--csv", action="store_true", help="Output all recursive fields separated by commas")
        parser.add_argument(
            "--field",
            help="Echo a selected field of a message. Use '.' to select sub-fields, e.g. "
            "'ros2 topic echo /odom --field pose.pose.position'",
        )
        parser.add_argument(
            "-f", "--full-length", action="store_true", help="Output all elements of arrays, bytes, and strings"
        )
        parser.add_argument(
            "-l",
            "--truncate-length",
            type=unsigned_int,
            default=DEFAULT_TRUNCATE_LENGTH,
            help="The length to truncate arrays, bytes, and strings to (default: %(default)s)",
        )
        parser.add_argument("--no-arr", action="store_true", help="Don't print array fields of messages")
        parser.add_argument("--no-str", action="store_true", help="Don't print string fields of messages")
        parser.add_argument("--flow-style", action="store_true", help="Print collections in the flow style")
        parser.add_argument("--no-lost-messages", action="store_true", help="Don't report when a message is lost")
        parser.add_argument("--raw", action="store_true", help="Echo the raw binary representation")
        parser.add_argument("--once", action="store_true", help="Print the first message received and then exit.")
        parser.add_argument("--timeout", metavar="N", type=positive_float, help="Set a timeout in seconds for waiting")
        parser.add_argument(
            "-i", "--include-message-info", action="store_true", help="Shows the associated message info."
        )

    def main(self, *, args):
        """Find the topic, subscribe as its publishers allow, and print until told to stop."""
        field = None if args.field is None else [part for part in args.field.split(".") if part]
        if field == []:
            raise RuntimeError(f"Invalid field value '{args.field}'")
        with DirectNode(args) as node:
            message_type, profile = find_topic(node, args)
            printer = Printer(args, field)
            lost = None if args.no_lost_messages else SubscriptionEventCallbacks(message_lost=_report_lost)
            node.node.create_subscription(
                message_type, args.topic_name, printer.take, profile, event_callbacks=lost, raw=args.raw
            )
            node.spin_until(lambda: printer.done, args.timeout) if args.timeout or args.once else _forever(node)


def _forever(node):
    while True:
        node.spin_once()


def find_topic(node: DirectNode, args: Any) -> tuple[type, Any]:
    """The message class of the topic and a profile that matches its publishers.

    Raises:
        RuntimeError: the topic has no known type, or more than one.
    """
    name = node.expand(args.topic_name)
    node.discover(lambda: node.node.count_publishers(name) > 0)
    type_name = args.message_type or node.topic_type(name)
    if type_name is None:
        print(f"WARNING: topic [{args.topic_name}] does not appear to be published yet")
        raise RuntimeError("Could not determine the type for the passed topic")
    if overridden(args):
        return topic_class(type_name), profile_from_arguments(args)
    base = QoSPresetProfiles.get_from_short_key(args.qos_profile)
    return topic_class(type_name), matching(node.node.get_publishers_info_by_topic(name), base)


class Printer:
    """Prints messages as the options say; ``done`` after the first one where ``--once`` was given."""

    def __init__(self, args: Any, field: list[str] | None) -> None:
        self.done = False
        self._args = args
        self._field = field or []
        length = None if args.full_length else args.truncate_length
        self._abridge = Abridge(truncate_length=length, no_arr=args.no_arr, no_str=args.no_str)

    def take(self, message: Any, info: dict[str, int]) -> None:
        """Print one message (a message object, or bytes with ``--raw``)."""
        if self.done:
            return
        self.done = self._args.once
        for name in self._field:
            try:
                message = getattr(message, name)
            except AttributeError as error:
                raise RuntimeError(f"Invalid field '{'.'.join(self._field)}': {error}") from error
        show_info = self._args.include_message_info
        if not hasattr(message, "get_fields_and_field_types"):  # a plain field, or raw bytes
            if show_info:
                print(f"---Got new message, message info:---\n{info}\n---Message data:---")
            print(message, end="\n---\n")
        elif self._args.csv:
            prefix = ",".join(str(value) for value in info.values()) + "," if show_info else ""
            print(prefix + message_to_csv(message, self._abridge))
        else:
            if show_info:
                print(dump_yaml(info), end="---\n")
            print(message_to_yaml(message, self._abridge, flow_style=self._args.flow_style), end="---\n")


def _report_lost(status):
    print(
        f"A message was lost!!!\n\ttotal count change:{status.total_count_change}\n\ttotal count: {status.total_count}",
        end="---\n",
    )
