# SPDX-License-Identifier: Apache-2.0
"""``ros2 topic hz`` and ``ros2 topic bw``: how often and how much a topic carries, without decoding a message."""

import collections
import math
import sys

from rclpy.clock import Clock, ClockType
from rclpy.qos import qos_profile_sensor_data

from ros2cli.api.graph import DirectNode, add_node_arguments, complete_topic
from ros2cli.api.interfaces import topic_class
from ros2cli.api.numbers import positive_int
from ros2cli.command import VerbExtension

REPORT_PERIOD_S = 1.0
HZ_WINDOW = 10000
BW_WINDOW = 100


def _subscribe_raw(node, topic, callback):
    """Subscribe to ``topic`` as soon as it exists; ``callback`` gets the serialised message."""
    name = node.expand(topic)
    if not node.discover(lambda: node.topic_type(name)):
        print(f"WARNING: topic [{topic}] does not appear to be published yet", flush=True)
        node.spin_until(lambda: node.topic_type(name))
    node.node.create_subscription(topic_class(node.topic_type(name)), name, callback, qos_profile_sensor_data, raw=True)


class Intervals:
    """Times between the last ``window`` messages, in nanoseconds."""

    def __init__(self, window: int) -> None:
        self._deltas: collections.deque[int] = collections.deque(maxlen=window)
        self._last_ns: int | None = None
        self._fresh = False

    def add(self, now_ns: int) -> None:
        """Count a message that came at ``now_ns``; a clock that ran backwards starts the count anew."""
        if now_ns == 0:  # simulation time has not begun
            return
        if self._last_ns is not None and now_ns < self._last_ns:
            print("time has reset, resetting counters")
            self._deltas.clear()
        elif self._last_ns is not None:
            self._deltas.append(now_ns - self._last_ns)
            self._fresh = True
        self._last_ns = now_ns

    def report(self) -> tuple[float, float, float, float, int] | None:
        """(rate in Hz, shortest, longest, standard deviation in s, count), or None if nothing new came."""
        if not self._fresh or not self._deltas:
            return None
        self._fresh = False
        seconds = [delta * 1e-9 for delta in self._deltas]
        mean = math.fsum(seconds) / len(seconds)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in seconds) / len(seconds))
        return (1.0 / mean if mean > 0 else 0.0), min(seconds), max(seconds), deviation, len(seconds)


class HzVerb(VerbExtension):
    """Print the average publishing rate to screen."""

    def add_arguments(self, parser, cli_name):
        """Declare the topics, ``--window`` and ``--wall-time``."""
        argument = parser.add_argument(
            "topic_name", nargs="+", help="Names of the ROS topic to listen to (e.g. '/chatter')"
        )
        argument.completer = complete_topic
        parser.add_argument(
            "-w",
            "--window",
            dest="window_size",
            type=positive_int,
            default=HZ_WINDOW,
            metavar="WINDOW",
            help="window size, in # of messages, for calculating rate (default: %(default)s)",
        )
        parser.add_argument(
            "--wall-time",
            action="store_true",
            help="calculates rate using wall time which can be helpful when clock is not published during simulation",
        )
        add_node_arguments(parser)

    def main(self, *, args):
        """Report once a second until interrupted."""
        with DirectNode(args) as node:
            clock = Clock(clock_type=ClockType.SYSTEM_TIME) if args.wall_time else node.node.get_clock()
            meters = {topic: Intervals(args.window_size) for topic in args.topic_name}
            for topic, meter in meters.items():
                _subscribe_raw(node, topic, lambda _data, meter=meter: meter.add(clock.now().nanoseconds))
            node.node.create_timer(REPORT_PERIOD_S, lambda: _print_rates(meters))
            while True:
                node.spin_once()


def _print_rates(meters):
    reports = {topic: meter.report() for topic, meter in meters.items()}
    reports = {topic: report for topic, report in reports.items() if report is not None}
    if len(meters) == 1:
        for rate, low, high, deviation, count in reports.values():
            print(f"average rate: {rate:.3f}")
            print(f"\tmin: {low:.3f}s max: {high:.3f}s std dev: {deviation:.5f}s window: {count}")
    elif reports:
        width = max(len(topic) for topic in reports)
        header = (
            f"{'topic':<{width}}  {'rate':>10}  {'min_delta':>10}  {'max_delta':>10}  {'std_dev':>10}  {'window':>6}"
        )
        print(header, "=" * len(header), sep="\n")
        for topic, (rate, low, high, deviation, count) in reports.items():
            print(f"{topic:<{width}}  {rate:>10.3f}  {low:>10.4f}  {high:>10.4f}  {deviation:>10.5f}  {count:>6}")
        print()


class BwVerb(VerbExtension):
    """Display bandwidth used by topic."""

    def add_arguments(self, parser, cli_name):
        """Declare the topic and ``--window``."""
        argument = parser.add_argument("topic", help="Topic name to monitor for bandwidth utilization")
        argument.completer = complete_topic
        parser.add_argument(
            "-w",
            "--window",
            type=positive_int,
            default=BW_WINDOW,
            metavar="WINDOW",
            help="maximum window size, in # of messages, for calculating rate (default: %(default)s)",
        )
        add_node_arguments(parser)

    def main(self, *, args):
        """Report once a second until interrupted."""
        with DirectNode(args) as node:
            clock = node.node.get_clock()
            samples: collections.deque[tuple[int, int]] = collections.deque(maxlen=args.window)
            _subscribe_raw(node, args.topic, lambda data: samples.append((clock.now().nanoseconds, len(data))))
            print(f"Subscribed to [{args.topic}]")
            node.node.create_timer(REPORT_PERIOD_S, lambda: _print_bandwidth(samples, clock))
            while True:
                node.spin_once()


def _print_bandwidth(samples, clock):
    if len(samples) < 2:
        return
    elapsed_s = (clock.now().nanoseconds - samples[0][0]) * 1e-9
    if elapsed_s <= 0:
        print("WARNING: time is reset!", file=sys.stderr)
        samples.clear()
        return
    sizes = [size for _, size in samples]
    per_second = sum(sizes) / elapsed_s
    unit, scale = next(((u, s) for u, s in (("B", 1.0), ("KB", 1e3)) if per_second < s * 1e3), ("MB", 1e6))
    rate, mean, low, high = (
        f"{value / scale:.0f} {unit}" if unit == "B" else f"{value / scale:.2f} {unit}"
        for value in (per_second, sum(sizes) / len(sizes), min(sizes), max(sizes))
    )
    print(f"{rate}/s from {len(sizes)} messages\n\tMessage size mean: {mean} min: {low} max: {high}")
