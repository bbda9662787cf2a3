# SPDX-License-Identifier: Apache-2.0
"""``ros2 topic``: the group, and the verbs that only look at the graph."""

from typing import ClassVar

from ros2cli.api.graph import DirectNode, add_node_arguments, complete_topic
from ros2cli.command import VerbExtension, VerbGroup


class TopicCommand(VerbGroup):
    """Various topic related sub-commands."""

    verbs: ClassVar[dict[str, str]] = {
        "bw": "ros2cli.topic_rate:BwVerb",
        "echo": "ros2cli.topic_echo:EchoVerb",
        "hz": "ros2cli.topic_rate:HzVerb",
        "info": "ros2cli.topic:InfoVerb",
        "list": "ros2cli.topic:ListVerb",
        "pub": "ros2cli.topic_pub:PubVerb",
        "type": "ros2cli.topic:TypeVerb",
    }
    elsewhere = ("delay", "find")


class ListVerb(VerbExtension):
    """Output a list of available topics."""

    def add_arguments(self, parser, cli_name):
        """Declare ``--show-types``, ``--verbose`` and their like."""
        add_node_arguments(parser)
        parser.add_argument("-t", "--show-types", action="store_true", help="Additionally show the topic type")
        parser.add_argument(
            "-c", "--count-topics", action="store_true", help="Only display the number of topics discovered"
        )
        parser.add_argument("--include-hidden-topics", action="store_true", help="Consider hidden topics as well")
        parser.add_argument("-v", "--verbose", action="store_true", help="List full details about each topic")

    def main(self, *, args):
        """Print one topic a line, or publishers and subscribers in two lists."""
        with DirectNode(args) as node:
            node.settle()
            found = node.topics(hidden=args.include_hidden_topics)
            counts = {name: (node.node.count_publishers(name), node.node.count_subscribers(name)) for name, _ in found}
        if args.count_topics:
            print(len(found))
        elif args.verbose:
            for index, (title, word) in enumerate((("Published", "publisher"), ("Subscribed", "subscriber"))):
                print(f"{title} topics:")
                for name, types in found:
                    count = counts[name][index]
                    if count:
                        print(f" * {name} [{', '.join(types)}] {count} {word}{'s' if count > 1 else ''}")
                print()
        else:
            for name, types in found:
                print(f"{name} [{', '.join(types)}]" if args.show_types else name)


class TypeVerb(VerbExtension):
    """Print a topic's type."""

    def add_arguments(self, parser, cli_name):
        """Declare the topic."""
        add_node_arguments(parser)
        argument = parser.add_argument("topic_name", help="Name of the ROS topic to get type (e.g. '/chatter')")
        argument.completer = complete_topic
        parser.add_argument("--include-hidden-topics", action="store_true", help="Consider hidden topics as well")

    def main(self, *, args):
        """Print the type; status 1 if there is no such topic."""
        with DirectNode(args) as node:
            node.discover(lambda: args.topic_name in dict(node.topics(hidden=True)))
            types = dict(node.topics(hidden=args.include_hidden_topics)).get(args.topic_name)
        if types is None:
            return 1
        print(*types, sep="\n")
        return 0


class InfoVerb(VerbExtension):
    """Print information about a topic."""

    def add_arguments(self, parser, cli_name):
        """Declare the topic and ``--verbose``."""
        add_node_arguments(parser)
        argument = parser.add_argument("topic_name", help="Name of the ROS topic to get info (e.g. '/chatter')")
        argument.completer = complete_topic
        parser.add_argument(
            "-v",
            "--verbose",
            action="store_true",
            help="Prints detailed information like the node name, node namespace, topic type, topic type hash, GUID, "
            "and QoS Profile of the publishers and subscribers to this topic",
        )

    def main(self, *, args):
        """Print type and counts, and each endpoint on request."""
        end = "\n\n" if args.verbose else "\n"
        with DirectNode(args) as node:
            node.settle()
            types = dict(node.topics(hidden=True)).get(args.topic_name)
            if types is None:
                return f"Unknown topic '{args.topic_name}'"
            print(f"Type: {types[0] if len(types) == 1 else types}", end=end)
            rcl_node = node.node
            for title, count, endpoints in (
                ("Publisher", rcl_node.count_publishers, rcl_node.get_publishers_info_by_topic),
                ("Subscription", rcl_node.count_subscribers, rcl_node.get_subscriptions_info_by_topic),
            ):
                print(f"{title} count: {count(args.topic_name)}", end=end)
                for info in endpoints(args.topic_name) if args.verbose else []:
                    print(info, end=end)
        return None
