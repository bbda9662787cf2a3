# SPDX-License-Identifier: Apache-2.0
"""``ros2 bag play``: publish a bag's messages again, at their pace, without decoding a message."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock

from ros2cli.api.bag_reader import Bag, BagTopic
from ros2cli.api.graph import DirectNode
from ros2cli.api.interfaces import topic_class
from ros2cli.api.numbers import positive_float, unsigned_float
from ros2cli.api.qos import from_dict
from ros2cli.command import VerbExtension

CLOCK_TOPIC = "/clock"
DEFAULT_CLOCK_HZ = 40.0
LAST_ACK_S = 1.0  # how long the end of playback waits for reliable subscribers


class PlayVerb(VerbExtension):
    """Play back ROS data from a bag."""

    def add_arguments(self, parser, cli_name):
        """Declare the bag, which topics to play, and how."""
        parser.add_argument("bag_path", type=Path, help="Bag to play: its folder, or a .mcap or .db3 file")
        parser.add_argument("-s", "--storage", choices=["mcap", "sqlite3"], help="Storage identifier (default: found)")
        parser.add_argument(
            "-r", "--rate", type=positive_float, default=1.0, help="Rate at which to play back messages (default: 1)"
        )
        parser.add_argument("--topics", nargs="+", default=[], help="Topics to replay (default: all)")
        parser.add_argument("--exclude-topics", nargs="+", default=[], help="Topics not to replay")
        parser.add_argument("-l", "--loop", action="store_true", help="Start again at the end, until interrupted")
        parser.add_argument(
            "-m",
            "--remap",
            nargs="+",
            default=[],
            help="Topics to be remapped: old_topic1:=new_topic1 old_topic2:=new_topic2 ...",
        )
        parser.add_argument(
            "--clock",
            type=positive_float,
            nargs="?",
            const=DEFAULT_CLOCK_HZ,
            help="Publish to /clock at a specific frequency in Hz, to act as a ROS Time Source "
            f"(default frequency: {DEFAULT_CLOCK_HZ:.0f}; not published unless asked for)",
        )
        parser.add_argument(
            "-d", "--delay", type=unsigned_float, default=0.0, help="Wait before play (each loop), in seconds"
        )
        parser.add_argument(
            "--start-offset", type=unsigned_float, default=0.0, help="Start this many seconds into the bag"
        )
        parser.add_argument(
            "--playback-duration", type=unsigned_float, help="Play this many seconds of the bag (default: all)"
        )
        parser.add_argument(
            "--disable-keyboard-controls",
            action="store_true",
            help="Accepted for upstream's sake: there are no keyboard controls",
        )

    def main(self, *, args):
        """Publish the messages; an interrupt ends playback."""
        remap = parse_remapping(args.remap)
        bag = Bag(args.bag_path)
        if args.storage and args.storage != bag.storage:
            return f"Bag '{bag.path}' is stored as {bag.storage}, not as {args.storage}"
        unknown = sorted(set(args.topics) - {topic.name for topic in bag.topics})
        if unknown:
            return f"Bag '{bag.path}' has no topics {', '.join(unknown)}"
        with DirectNode(args, name="rosbag2_player") as node:
            player = Player(node, bag, clock_hz=args.clock, rate=args.rate)
            for topic in bag.topics:
                chosen = not args.topics or topic.name in args.topics
                if chosen and topic.name not in args.exclude_topics:
                    player.add(topic, remap.get(topic.name, topic.name))
            try:
                while True:
                    node.spin_until_time(time.monotonic() + args.delay)
                    player.play(args.start_offset, args.playback_duration)
                    if not args.loop:
                        break
                player.wait_for_subscribers()
            except (KeyboardInterrupt, ExternalShutdownException):
                pass  # how a playback may end
        return 0


def parse_remapping(rules: list[str]) -> dict[str, str]:
    """``old:=new`` rules as a dict of full topic names.

    Raises:
        RuntimeError: a rule has another form.
    """
    result = {}
    for rule in rules:
        old, separator, new = rule.partition(":=")
        if not (separator and old and new):
            raise RuntimeError(f"'{rule}' is not a remapping; expected old_topic:=new_topic")
        result[f"/{old.lstrip('/')}"] = f"/{new.lstrip('/')}"
    return result


def offered_profile(topic: BagTopic) -> QoSProfile:
    """The profile to offer: the one that was recorded, or the default where the recorded ones differ."""
    profiles = [from_dict(values) for values in topic.qos_profiles]
    if not profiles:
        return QoSProfile(depth=10)
    if any(profile != profiles[0] for profile in profiles):
        print(
            f"Topic '{topic.name}' was offered by several publishers with different quality of service; "
            "it is played with the default profile"
        )
        return QoSProfile(depth=10)
    profile = profiles[0]
    if profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL:
        # late subscribers get what was latched by any of the recorded publishers
        profile.depth = max(profile.depth, min(topic.count, 1000))
    return profile


class Player:
    """Publishes a bag's messages, spaced as they were recorded divided by ``rate``."""

    def __init__(self, node: DirectNode, bag: Bag, *, clock_hz: float | None, rate: float) -> None:
        self._node = node
        self._bag = bag
        self._rate = rate
        self._publishers: dict[str, Any] = {}
        self._log = node.node.get_logger()
        self._clock_period_s = None if clock_hz is None else 1.0 / clock_hz
        self._clock: Any = None if clock_hz is None else node.node.create_publisher(Clock, CLOCK_TOPIC, 10)

    def add(self, topic: BagTopic, name: str) -> None:
        """Play ``topic`` under ``name``; a type that is not installed is left out with a warning."""
        if self._clock is not None and name == CLOCK_TOPIC:
            self._log.warning("The bag's own /clock is left out, as --clock publishes one")
            return
        try:
            message_type = topic_class(topic.type_name)
        except (RuntimeError, ValueError) as error:
            self._log.warning(f"Topic '{topic.name}' is not played: {error}")
            return
        self._publishers[topic.name] = self._node.node.create_publisher(message_type, name, offered_profile(topic))

    def play(self, offset_s: float, duration_s: float | None) -> None:
        """Publish the messages from ``offset_s`` seconds after the first one on, for ``duration_s`` seconds of it."""
        start_ns = self._bag.start_ns + round(offset_s * 1e9)
        end_ns = self._bag.end_ns if duration_s is None else start_ns + round(duration_s * 1e9)
        begin_s = time.monotonic()
        for stamp_ns, publish in self._events(start_ns, end_ns):
            due_s = begin_s + (stamp_ns - start_ns) * 1e-9 / self._rate
            self._node.spin_until_time(due_s)
            publish()

    def _events(self, start_ns: int, end_ns: int) -> Iterator[tuple[int, Any]]:
        """What to do and when (ns of the bag's clock): messages, and ticks of /clock between them."""
        tick_ns = start_ns
        # the period counts in playback time, the stamps in the bag's
        step_ns = None if self._clock_period_s is None else max(1, round(self._clock_period_s * self._rate * 1e9))
        for name, stamp_ns, data in self._bag.messages(list(self._publishers), from_ns=start_ns):
            if stamp_ns > end_ns:
                break
            while step_ns is not None and tick_ns <= stamp_ns:
                yield tick_ns, lambda now_ns=tick_ns: self._tick(now_ns)
                tick_ns += step_ns
            yield stamp_ns, lambda name=name, data=data: self._publishers[name].publish(data)

    def _tick(self, now_ns: int) -> None:
        sec, nanosec = divmod(now_ns, 10**9)
        self._clock.publish(Clock(clock=Time(sec=sec, nanosec=nanosec)))

    def wait_for_subscribers(self) -> None:
        """Let reliable subscribers acknowledge the last messages before the publishers go."""
        for publisher in self._publishers.values():
            if publisher.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE:
                publisher.wait_for_all_acked(Duration(seconds=LAST_ACK_S))
