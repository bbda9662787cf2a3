# SPDX-License-Identifier: Apache-2.0
"""``ros2 topic pub``: publish messages typed in YAML."""

import sys
import time

from ros2cli.api.fill import fill_message, parse_fields
from ros2cli.api.graph import DirectNode, add_node_arguments, complete_topic
from ros2cli.api.interfaces import complete_type, topic_class
from ros2cli.api.numbers import positive_float, unsigned_int
from ros2cli.api.qos import add_qos_arguments, profile_from_arguments
from ros2cli.command import VerbExtension

REPORT_PERIOD_S = 1.0


class PubVerb(VerbExtension):
    """Publish a message to a topic."""

    def add_arguments(self, parser, cli_name):
        """Declare topic, type, values, how often to publish, and the quality of service."""
        argument = parser.add_argument("topic_name", help="Name of the ROS topic to publish to (e.g. '/chatter')")
        argument.completer = complete_topic
        argument = parser.add_argument("message_type", help="Type of the ROS message (e.g. 'std_msgs/String')")
        argument.completer = complete_type("msg")
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "values",
            nargs="?",
            default="{}",
            help="Values to fill the message with in YAML format (e.g. 'data: Hello World'), "
            "otherwise the message will be published with default values",
        )
        group.add_argument("--stdin", action="store_true", help="Read values from standard input")
        parser.add_argument(
            "-r", "--rate", metavar="N", type=positive_float, default=1.0, help="Publishing rate in Hz (default: 1)"
        )
        parser.add_argument(
            "-p", "--print", metavar="N", type=int, default=1, help="Only print every N-th published message"
        )
        group = parser.add_mutually_exclusive_group()
        group.add_argument("-1", "--once", action="store_true", help="Publish one message and exit")
        group.add_argument(
            "-t", "--times", type=unsigned_int, default=0, help="Publish this number of times and then exit"
        )
        parser.add_argument(
            "-w",
            "--wait-matching-subscriptions",
            type=unsigned_int,
            help="Wait until finding the specified number of matching subscriptions. "
            'Defaults to 1 when using "-1"/"--once"/"--times", otherwise defaults to 0.',
        )
        parser.add_argument(
            "--max-wait-time-secs",
            type=positive_float,
            help="Longest time in seconds to wait for matching subscriptions (default: no limit)",
        )
        parser.add_argument(
            "--keep-alive",
            metavar="N",
            type=positive_float,
            default=0.1,
            help="Keep publishing node alive for N seconds after the last msg (default: 0.1)",
        )
        parser.add_argument("-n", "--node-name", help="Name of the created publishing node")
        add_qos_arguments(parser, "publish", "default")
        add_node_arguments(parser)

    def main(self, *, args):
        """Wait for subscriptions where asked to, then publish once, some times, or until interrupted."""
        message_type = topic_class(args.message_type)
        message = message_type()
        values = parse_fields(sys.stdin.read() if args.stdin else args.values)
        setters = fill_message(message, values, expand_stamps=True)
        times = 1 if args.once else args.times
        wanted = args.wait_matching_subscriptions
        wanted = int(times > 0) if wanted is None else wanted
        if wanted == 0 and args.max_wait_time_secs is not None:
            return "--max-wait-time-secs option is only effective with --wait-matching-subscriptions, --once or --times"
        with DirectNode(args, name=args.node_name) as node:
            publisher = node.node.create_publisher(message_type, args.topic_name, profile_from_arguments(args))
            if not _wait_for_subscriptions(node, publisher, wanted, args.max_wait_time_secs):
                return (
                    f"Timed out waiting for subscribers: Expected {wanted} subcribers "
                    f"but only got {publisher.get_subscription_count()} subscribers"
                )
            print("publisher: beginning loop")
            _publish(node, publisher, message, setters, times, args)
        return None


def _wait_for_subscriptions(node, publisher, wanted, limit_s):
    deadline = None if limit_s is None else time.monotonic() + limit_s
    while publisher.get_subscription_count() < wanted:
        print(f"Waiting for at least {wanted} matching subscription(s)...")
        left = REPORT_PERIOD_S if deadline is None else min(REPORT_PERIOD_S, deadline - time.monotonic())
        if left <= 0:
            return False
        node.spin_until(lambda: publisher.get_subscription_count() >= wanted, left)
    return True


def _publish(node, publisher, message, setters, times, args):
    count = 0

    def publish():
        nonlocal count
        stamp = node.node.get_clock().now().to_msg()
        for setter in setters:
            setter(stamp)
        count += 1
        if args.print and count % args.print == 0:
            print(f"publishing #{count}: {message!r}\n")
        publisher.publish(message)

    publish()
    timer = node.node.create_timer(1.0 / args.rate, publish) if times != 1 else None
    while times == 0 or count < times:
        node.spin_once()
    if timer is not None:
        timer.cancel()
    node.spin_until_time(time.monotonic() + args.keep_alive)
