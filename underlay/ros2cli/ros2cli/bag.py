# SPDX-License-Identifier: Apache-2.0
"""``ros2 bag``: the group, and ``ros2 bag info``."""

import datetime
import sys
from pathlib import Path
from typing import ClassVar

from ros2cli.api.bag_reader import Bag
from ros2cli.command import VerbExtension, VerbGroup


class BagCommand(VerbGroup):
    """Various rosbag related sub-commands."""

    verbs: ClassVar[dict[str, str]] = {
        "info": "ros2cli.bag:InfoVerb",
        "play": "ros2cli.bag_play:PlayVerb",
        "record": "ros2cli.bag_record:RecordVerb",
    }
    elsewhere = ("burst", "convert", "list", "reindex")


class InfoVerb(VerbExtension):
    """Print information about a bag to the screen."""

    def add_arguments(self, parser, cli_name):
        """Declare the bag."""
        parser.add_argument("bag_path", type=Path, help="Bag to read: its folder, or a .mcap or .db3 file")

    def main(self, *, args):
        """Print files, size, times, counts and topics."""
        bag = Bag(args.bag_path)
        print(describe(bag))
        if not bag.complete:
            print(
                "The recording was cut off; this is what was written up to its last chunk.",
                file=sys.stderr,
            )


def describe(bag: Bag) -> str:
    """What ``ros2 bag info`` prints."""
    indent = "\n" + 19 * " "
    topics = [
        f"Topic: {topic.name} | Type: {topic.type_name} | Count: {topic.count} | "
        f"Serialization Format: {topic.serialization}"
        for topic in bag.topics
    ]
    lines = [
        "",
        f"Files:             {indent.join(file.name for file in bag.files)}",
        f"Bag size:          {format_size(bag.size_bytes)}",
        f"Storage id:        {bag.storage}",
        f"ROS Distro:        {bag.ros_distro}",
        f"Duration:          {_seconds(bag.end_ns - bag.start_ns)}s",
        f"Start:             {format_time(bag.start_ns)}",
        f"End:               {format_time(bag.end_ns)}",
        f"Messages:          {bag.message_count}",
        f"Topic information: {indent.join(topics)}",
    ]
    return "\n".join(lines)


def format_size(size_bytes: int) -> str:
    """A size with its binary unit: ``14.7 KiB``."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_time(stamp_ns: int) -> str:
    """Local date and time of a stamp, and the stamp in seconds."""
    seconds, rest = divmod(stamp_ns, 10**9)
    local = datetime.datetime.fromtimestamp(seconds).astimezone()
    return f"{local.strftime('%b %e %Y %H:%M:%S')}.{rest:09d} ({_seconds(stamp_ns)})"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
