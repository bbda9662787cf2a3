# SPDX-License-Identifier: Apache-2.0
"""One episode as one bag: a folder with an MCAP file (profile ``ros2``) and the ``metadata.yaml`` of rosbag2. ROS-free.

The file is chunked, compressed with zstd and indexed. Every chunk goes to the operating system when it is full and at
each ``flush``, so that a recorder that is killed loses at most what came after the last flush.
Formats: https://mcap.dev/spec and rosbag2's metadata, version 9 (Jazzy).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

METADATA_FILE = "metadata.yaml"
METADATA_VERSION = 9
CHUNK_BYTES = 1 << 20
COMPRESSION = {"zstd": CompressionType.ZSTD, "lz4": CompressionType.LZ4, "none": CompressionType.NONE}
# Name of the record that says what the episode ran with.
EPISODE = "grasp_episode"


@dataclass(frozen=True)
class Topic:
    """A topic as a bag declares it.

    Attributes:
        name: full name.
        type_name: ``package/msg/Type``.
        definition: the message's text with everything it nests, as the encoding ``ros2msg`` wants it.
        qos: what the publishers offer, each as rosbag2's metadata writes it.
        type_hash: ``RIHS01_...`` or empty.
    """

    name: str
    type_name: str
    definition: str
    qos: tuple[Mapping[str, Any], ...] = ()
    type_hash: str = ""

    def metadata(self) -> dict[str, Any]:
        """For ``metadata.yaml``."""
        return {
            "name": self.name,
            "type": self.type_name,
            "serialization_format": "cdr",
            "offered_qos_profiles": [dict(profile) for profile in self.qos],
            "type_description_hash": self.type_hash,
        }


@dataclass
class _Channel:
    topic: Topic
    number: int
    messages: int = 0


@dataclass
class _Span:
    first_ns: int = 0
    last_ns: int = 0
    messages: int = 0

    def add(self, stamp_ns: int) -> None:
        self.first_ns = stamp_ns if not self.messages else min(self.first_ns, stamp_ns)
        self.last_ns = max(self.last_ns, stamp_ns)
        self.messages += 1


@dataclass
class EpisodeBag:
    """Writes one bag into a new folder; not for several threads at once.

    Args:
        folder: is created; the MCAP file bears its name.
        about: strings to keep as the MCAP metadata record ``grasp_episode``.
        compression: of the chunks: zstd, lz4 or none.
        distribution: name of the ROS distribution, for rosbag2's metadata.

    Raises:
        OSError: the folder exists or cannot be written.
    """

    folder: Path
    about: Mapping[str, str]
    compression: str = "zstd"
    distribution: str = ""
    _channels: dict[str, _Channel] = field(default_factory=dict)
    _schemas: dict[str, int] = field(default_factory=dict)
    _span: _Span = field(default_factory=_Span)
    _dirty: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.path = self.folder / f"{self.folder.name}_0.mcap"
        # With a buffer smaller than any record each goes straight to the operating system.
        self._stream = self.path.open("wb", buffering=2)
        self._writer = Writer(self._stream, CHUNK_BYTES, COMPRESSION[self.compression])
        self._writer.start(profile="ros2", library="grasp_episodes")
        self._writer.add_metadata(EPISODE, dict(self.about))
        self._write_metadata()

    @property
    def counts(self) -> dict[str, int]:
        """Messages written by topic."""
        return {name: channel.messages for name, channel in self._channels.items()}

    @property
    def span_s(self) -> float:
        """Time from the first message to the last."""
        return 1e-9 * (self._span.last_ns - self._span.first_ns)

    def declare(self, topic: Topic) -> None:
        """Declare a topic; again is allowed."""
        if topic.name in self._channels:
            return
        if topic.type_name not in self._schemas:
            text = topic.definition.encode()
            self._schemas[topic.type_name] = self._writer.register_schema(topic.type_name, "ros2msg", text)
        offered = yaml.safe_dump([dict(profile) for profile in topic.qos], sort_keys=False) if topic.qos else ""
        about = {"offered_qos_profiles": offered, "topic_type_hash": topic.type_hash}
        number = self._writer.register_channel(topic.name, "cdr", self._schemas[topic.type_name], about)
        self._channels[topic.name] = _Channel(topic, number)
        self._dirty = True

    def write(self, name: str, received_ns: int, published_ns: int, data: bytes) -> None:
        """Write one serialised message of a declared topic.

        Raises:
            KeyError: the topic was not declared.
            OSError: the disk does not take it.
        """
        channel = self._channels[name]
        self._writer.add_message(channel.number, received_ns, data, published_ns, channel.messages)
        channel.messages += 1
        self._span.add(received_ns)
        self._dirty = True

    def flush(self) -> None:
        """End the chunk in progress and bring ``metadata.yaml`` up to date.

        Raises:
            OSError: the disk does not take it.
        """
        if self._dirty:
            self._dirty = False
            self._writer.flush()
            self._write_metadata()

    def close(self) -> None:
        """Write index and summary; again is allowed.

        Raises:
            OSError: the disk does not take it; what was flushed before can be read.
        """
        if self._stream.closed:
            return
        try:
            self._writer.flush()
            text = yaml.safe_dump(self._metadata(), sort_keys=False)
            self._writer.add_metadata("rosbag2", {"serialized_metadata": text, "ROS_DISTRO": self.distribution})
            self._writer.finish()
        finally:
            # Closing flushes what is left of a write that failed, and fails again.
            with contextlib.suppress(OSError):
                self._stream.close()
        self._write_metadata()

    def abandon(self) -> None:
        """Let go of the file as it is, after a write has failed."""
        with contextlib.suppress(OSError):
            self._stream.close()

    def _metadata(self) -> dict[str, Any]:
        start = {"nanoseconds_since_epoch": self._span.first_ns}
        duration = {"nanoseconds": self._span.last_ns - self._span.first_ns}
        file = {
            "path": self.path.name,
            "starting_time": dict(start),
            "duration": dict(duration),
            "message_count": self._span.messages,
        }
        return {
            "version": METADATA_VERSION,
            "storage_identifier": "mcap",
            "duration": dict(duration),
            "starting_time": dict(start),
            "message_count": self._span.messages,
            "topics_with_message_count": [
                {"topic_metadata": channel.topic.metadata(), "message_count": channel.messages}
                for channel in self._channels.values()
            ],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self.path.name],
            "files": [file],
            "custom_data": dict(self.about),
            "ros_distro": self.distribution,
        }

    def _write_metadata(self) -> None:
        # A rename, so that a kill never leaves half a file.
        draft = self.folder / f".{METADATA_FILE}.new"
        text = yaml.safe_dump({"rosbag2_bagfile_information": self._metadata()}, sort_keys=False)
        try:
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, self.folder / METADATA_FILE)
        finally:
            draft.unlink(missing_ok=True)


def written_counts(path: Path) -> dict[str, int]:
    """Messages by topic as the summary of a finished MCAP file tells them.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has no summary: it was not finished.
    """
    with path.open("rb") as stream:
        summary = make_reader(stream).get_summary()
    if summary is None or summary.statistics is None:
        raise ValueError(f"{path} has no summary; it was not finished")
    counts = summary.statistics.channel_message_counts
    return {channel.topic: counts.get(number, 0) for number, channel in summary.channels.items()}


def shortfalls(expected: Mapping[str, int], found: Mapping[str, int]) -> Sequence[str]:
    """Sentences on topics of which fewer messages are in a bag than there should be."""
    return [
        f"{topic}: {found.get(topic, 0)} of {count} messages"
        for topic, count in expected.items()
        if found.get(topic, 0) < count
    ]
