# SPDX-License-Identifier: Apache-2.0
"""``ros2 bag record``: write topics into an MCAP bag as they come, without decoding a message."""

import datetime
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

from ros2cli.api.bag_writer import COMPRESSIONS, BagWriter
from ros2cli.api.definitions import full_definition
from ros2cli.api.graph import DirectNode, complete_topic
from ros2cli.api.interfaces import topic_class
from ros2cli.api.numbers import positive_int
from ros2cli.api.qos import matching, to_dict
from ros2cli.command import VerbExtension

QUEUE_DEPTH = 200  # messages of one topic that may wait while another topic is written
FLUSH_PERIOD_S = 1.0  # the most that a killed recorder loses
PRESETS = {"none": "none", "zstd_fast": "zstd", "zstd_small": "zstd"}


class RecordVerb(VerbExtension):
    """Record ROS data to a bag."""

    def add_arguments(self, parser, cli_name):
        """Declare which topics to record, and where and how."""
        parser.add_argument(
            "positional_topics", nargs="*", metavar="topics", help="Topics to record"
        ).completer = complete_topic
        parser.add_argument("--topics", nargs="+", default=[], metavar="Topic", help="Topics to record")
        parser.add_argument("-a", "--all", action="store_true", help="Record all topics (Exclude hidden topic).")
        parser.add_argument("--all-topics", action="store_true", help="Record all topics (Exclude hidden topic).")
        parser.add_argument(
            "-e", "--regex", default="", help="Record only topics containing provided regular expression"
        )
        parser.add_argument(
            "-x", "--exclude-regex", default="", help="Exclude topics containing provided regular expression"
        )
        parser.add_argument("--exclude-topics", nargs="+", default=[], metavar="Topic", help="Topics not to record")
        parser.add_argument(
            "--include-hidden-topics", action="store_true", help="Discover and record hidden topics as well"
        )
        parser.add_argument(
            "--no-discovery", action="store_true", help="Record only the topics that are there at the start"
        )
        parser.add_argument(
            "-p",
            "--polling-interval",
            type=positive_int,
            default=100,
            help="Time in ms to wait between querying available topics for recording (default: %(default)s)",
        )
        parser.add_argument(
            "-o",
            "--output",
            type=Path,
            help="Destination of the bag to create, defaults to a timestamped folder in the current directory",
        )
        parser.add_argument("-s", "--storage", choices=["mcap"], default="mcap", help="Storage identifier")
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "--compression",
            choices=sorted(COMPRESSIONS),
            default="none",
            help="Compression of the MCAP chunks (default: %(default)s)",
        )
        group.add_argument(
            "--storage-preset-profile",
            choices=sorted(PRESETS),
            help="Upstream's names for MCAP settings; zstd_fast and zstd_small both mean --compression zstd here",
        )
        parser.add_argument("--use-sim-time", action="store_true", help="Use simulation time for message timestamps")
        parser.add_argument("--node-name", default="rosbag2_recorder", help="Name of the recorder's node")
        parser.add_argument(
            "--disable-keyboard-controls",
            action="store_true",
            help="Accepted for upstream's sake: there are no keyboard controls",
        )

    def main(self, *, args):
        """Record until interrupted; the bag is whole afterwards."""
        wanted = [*args.positional_topics, *args.topics]
        everything = args.all or args.all_topics
        if not (wanted or everything or args.regex):
            return "Need to specify at least one option out of --all, --all-topics, --topics or --regex"
        if everything and (wanted or args.regex):
            return "--all and --all-topics record every topic: do not name topics or give --regex beside them"
        folder = args.output or Path(f"rosbag2_{datetime.datetime.now().astimezone():%Y_%m_%d-%H_%M_%S}")
        if folder.exists():
            return f"Output folder '{folder}' already exists."
        compression = PRESETS[args.storage_preset_profile] if args.storage_preset_profile else args.compression
        with DirectNode(args, name=args.node_name) as node:
            selection = Selection(
                names=frozenset(node.expand(name) for name in wanted),
                everything=everything,
                regex=args.regex,
                exclude_regex=args.exclude_regex,
                excluded=frozenset(node.expand(name) for name in args.exclude_topics),
                hidden=args.include_hidden_topics,
            )
            writer = BagWriter(folder, compression=compression, ros_distro=os.environ.get("ROS_DISTRO", ""))
            recorder = Recorder(node, writer, selection, use_sim_time=args.use_sim_time)
            failure = _run_to_the_end(recorder, writer, args)
        if failure is not None:
            return (
                f"Recording stopped: '{folder}' cannot be written ({failure.strerror}); "
                "what was written before can be read and played"
            )
        print(f"Recorded {writer.message_count} messages to '{folder}'")
        return 0


def _run_to_the_end(recorder: "Recorder", writer: BagWriter, args: Any) -> OSError | None:
    """Record until interrupted and end the bag; returns why it could not be written, where that ended it."""
    failure: OSError | None = None
    try:
        recorder.run(args.polling_interval * 1e-3, discovery=not args.no_discovery)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # how a recording ends
    except OSError as error:  # a full disk, most likely
        failure = error
    finally:
        try:
            writer.close()
        except OSError as error:
            failure = failure or error
    return failure


@dataclass(frozen=True)
class Selection:
    """Which topics to record."""

    names: frozenset[str] = frozenset()
    everything: bool = False
    regex: str = ""
    exclude_regex: str = ""
    excluded: frozenset[str] = frozenset()
    hidden: bool = False

    def __post_init__(self) -> None:
        for pattern in (self.regex, self.exclude_regex):
            try:
                re.compile(pattern)
            except re.error as error:
                raise RuntimeError(f"'{pattern}' is not a regular expression: {error}") from error

    def __contains__(self, topic: str) -> bool:
        if topic in self.excluded or (self.exclude_regex and re.search(self.exclude_regex, topic)):
            return False
        return self.everything or topic in self.names or bool(self.regex and re.search(self.regex, topic))


class Recorder:
    """Subscribes to the selected topics as they appear and hands their serialised messages to a writer."""

    def __init__(self, node: DirectNode, writer: BagWriter, selection: Selection, *, use_sim_time: bool) -> None:
        self._node = node
        self._writer = writer
        self._selection = selection
        self._use_sim_time = use_sim_time
        self._subscriptions: dict[str, Any] = {}
        self._given_up: set[str] = set()
        self._log = node.node.get_logger()

    def run(self, polling_s: float, *, discovery: bool) -> None:
        """Record until interrupted; without ``discovery`` only what is there once the graph is quiet."""
        if not discovery:
            self._node.settle()
        self._log.info("Listening for topics...")
        self.look_around()
        next_look = next_flush = time.monotonic()
        while True:
            self._node.spin_once(polling_s)
            now = time.monotonic()
            if discovery and now >= next_look:
                self.look_around()
                next_look = now + polling_s
            if now >= next_flush:
                self._writer.flush()
                next_flush = now + FLUSH_PERIOD_S

    def look_around(self) -> None:
        """Subscribe to selected topics that are new, and anew to those whose publishers now offer less."""
        hidden = self._selection.hidden or bool(self._selection.names)
        for name, types in self._node.topics(hidden=hidden):
            if name not in self._selection or name in self._given_up:
                continue
            publishers = self._node.node.get_publishers_info_by_topic(name)
            if not publishers:
                continue
            if len(types) > 1:
                self._give_up(name, f"it has more than one type: {', '.join(types)}")
            elif name not in self._subscriptions:
                self._subscribe_first(name, types[0], publishers)
            else:
                self._weaken(name, publishers)

    def _give_up(self, name: str, reason: str) -> None:
        self._given_up.add(name)
        self._log.warning(f"Topic '{name}' is not recorded: {reason}")

    def _subscribe_first(self, name: str, type_name: str, publishers: list[Any]) -> None:
        try:
            message_type = topic_class(type_name)
            definition = full_definition(type_name)
        except (LookupError, RuntimeError, ValueError) as error:
            self._give_up(name, str(error))
            return
        # the hash of an action's feedback covers names that a ros2msg definition cannot express
        type_hash = str(publishers[0].topic_type_hash) if "/msg/" in type_name else ""
        profiles = [to_dict(info.qos_profile) for info in publishers]
        self._writer.add_topic(name, type_name, definition, qos_profiles=profiles, type_hash=type_hash)
        self._subscribe(name, message_type, matching(publishers, QoSProfile(depth=QUEUE_DEPTH), warn=False))
        self._log.info(f"Subscribed to topic '{name}'")

    def _subscribe(self, name: str, message_type: type, profile: QoSProfile) -> None:
        def take(data: bytes, info: dict[str, int]) -> None:
            self._take(name, data, info)

        self._subscriptions[name] = self._node.node.create_subscription(message_type, name, take, profile, raw=True)

    def _weaken(self, name: str, publishers: list[Any]) -> None:
        current = self._subscriptions[name]
        profile = matching(publishers, current.qos_profile, warn=False)
        # never stronger than before: a request that was met would fail to match the publishers that offer less
        if current.qos_profile.reliability != QoSReliabilityPolicy.RELIABLE:
            profile.reliability = current.qos_profile.reliability
        if current.qos_profile.durability != QoSDurabilityPolicy.TRANSIENT_LOCAL:
            profile.durability = current.qos_profile.durability
        if profile != current.qos_profile:
            self._log.info(f"Subscribing to topic '{name}' anew, as a publisher offers less than before")
            self._node.node.destroy_subscription(current)
            self._subscribe(name, current.msg_type, profile)

    def _take(self, name: str, data: bytes, info: dict[str, int]) -> None:
        if self._use_sim_time:
            log_ns = self._node.node.get_clock().now().nanoseconds
            if log_ns == 0:  # before the first /clock
                return
        else:
            log_ns = info.get("received_timestamp") or time.time_ns()
        self._writer.write(name, log_ns, info.get("source_timestamp") or log_ns, data)
