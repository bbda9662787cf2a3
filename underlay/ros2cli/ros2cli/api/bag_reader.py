# SPDX-License-Identifier: Apache-2.0
"""Bags as rosbag2 writes them, ``.mcap`` or ``.db3``, also those whose recorder was killed. ROS-free.

Whole bags are read with the library ``rosbags``. An MCAP file without its end is read record by record up to the last
complete chunk.
"""

import heapq
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
import zstandard
from mcap.exceptions import McapError
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.rosbag2 import Reader, ReaderError

from ros2cli.api.bag_writer import METADATA_FILE

MCAP_END = b"\x89MCAP0\r\n"
# what a chunk that was cut in two may raise besides the library's own errors
_CUT = (McapError, EOFError, RuntimeError, struct.error, ValueError, zstandard.ZstdError)


@dataclass
class BagTopic:
    """One topic of a bag; ``qos_profiles`` as rosbag2's metadata writes them."""

    name: str
    type_name: str
    count: int = 0
    serialization: str = "cdr"
    qos_profiles: list[dict[str, Any]] = field(default_factory=list)


class Bag:
    """A bag: a folder, or a single ``.mcap`` or ``.db3`` file.

    ``complete`` is False where the recorder did not end the file. Times are nanoseconds of the recorder's clock;
    ``start_ns`` and ``end_ns`` are those of the first and last message, zero in an empty bag.

    Raises:
        RuntimeError: there is no such bag, or nothing in it can be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise RuntimeError(f"Bag path '{path}' does not exist")
        self.path = path
        self.files = _files(path)
        self.size_bytes = sum(file.stat().st_size for file in self.files)
        self.storage = {".mcap": "mcap", ".db3": "sqlite3"}[self.files[0].suffix]
        self.ros_distro = _metadata(path).get("ros_distro") or "unknown"
        self.complete = all(_has_end(file) for file in self.files)
        self.topics: list[BagTopic] = []
        self.start_ns = self.end_ns = self.message_count = 0
        if self.complete:
            self._read_summary()
        else:
            self._scan()

    def messages(
        self, topics: Sequence[str] | None = None, *, from_ns: int | None = None
    ) -> Iterator[tuple[str, int, bytes]]:
        """Messages as (topic, time in ns, serialised bytes) in the order of their times.

        Args:
            topics: names to keep (None: all).
            from_ns: leave out messages before this time.
        """
        wanted = {topic.name for topic in self.topics} & set(topics if topics is not None else self._names())
        if not self.complete:
            streams = [_stream_messages(file) for file in self.files]
            for name, stamp_ns, data in heapq.merge(*streams, key=lambda item: item[1]):
                if name in wanted and (from_ns is None or stamp_ns >= from_ns):
                    yield name, stamp_ns, data
        elif wanted and self.message_count:
            with self._open() as reader:
                chosen = [connection for connection in reader.connections if connection.topic in wanted]
                for connection, stamp_ns, data in reader.messages(chosen, start=from_ns):
                    yield connection.topic, stamp_ns, bytes(data)

    def _names(self) -> list[str]:
        return [topic.name for topic in self.topics]

    def _open(self) -> Reader:
        return Reader(self.path)

    def _read_summary(self) -> None:
        try:
            with self._open() as reader:
                self.message_count = reader.message_count
                if self.message_count:
                    self.start_ns, self.end_ns = reader.start_time, reader.end_time - 1
                for connection in reader.connections:
                    extra: Any = connection.ext
                    profiles = [_qos_dict(profile) for profile in extra.offered_qos_profiles]
                    self.topics.append(
                        BagTopic(
                            connection.topic,
                            connection.msgtype,
                            connection.msgcount,
                            extra.serialization_format,
                            profiles,
                        )
                    )
        except (ReaderError, FileNotFoundError) as error:
            raise RuntimeError(f"Bag '{self.path}' cannot be read: {error}") from error

    def _scan(self) -> None:
        topics: dict[str, BagTopic] = {}
        stamps = []
        for file in self.files:
            for schema, channel, message in _stream_records(file):
                topic = topics.get(channel.topic)
                if topic is None:
                    profiles = yaml.safe_load(channel.metadata.get("offered_qos_profiles") or "[]")
                    topic = BagTopic(channel.topic, schema.name, 0, channel.message_encoding, profiles)
                    topics[channel.topic] = topic
                topic.count += 1
                stamps.append(message.log_time)
        self.topics = list(topics.values())
        self.message_count = len(stamps)
        if stamps:
            self.start_ns, self.end_ns = min(stamps), max(stamps)


def _metadata(path: Path) -> dict[str, Any]:
    file = path / METADATA_FILE
    if not path.is_dir() or not file.is_file():
        return {}
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return content.get("rosbag2_bagfile_information") or {}


def _files(path: Path) -> list[Path]:
    if path.is_file():
        files = [path]
    else:
        names = _metadata(path).get("relative_file_paths") or []
        files = [path / Path(name).name for name in names] or sorted([*path.glob("*.mcap"), *path.glob("*.db3")])
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise RuntimeError(f"Bag '{path}' lacks its files {missing}")
    unknown = [str(file) for file in files if file.suffix not in (".mcap", ".db3")]
    if unknown or not files:
        raise RuntimeError(f"Bag '{path}' holds no .mcap or .db3 file that can be read (found: {unknown})")
    return files


def _has_end(file: Path) -> bool:
    if file.suffix != ".mcap":
        return True
    with file.open("rb") as stream:
        stream.seek(0, 2)
        if stream.tell() < 2 * len(MCAP_END):
            return False
        stream.seek(-len(MCAP_END), 2)
        return stream.read() == MCAP_END


def _stream_records(file: Path) -> Iterator[tuple[Schema, Channel, Message]]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with file.open("rb") as stream:
        records = iter(StreamReader(stream).records)
        while True:
            try:
                record = next(records, None)
            except _CUT:
                return  # the chunk that was being written when the recorder ended
            if record is None:
                return
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message):
                channel = channels[record.channel_id]
                yield schemas[channel.schema_id], channel, record


def _stream_messages(file: Path) -> Iterator[tuple[str, int, bytes]]:
    for _, channel, message in _stream_records(file):
        yield channel.topic, message.log_time, message.data


def _qos_dict(profile: Any) -> dict[str, Any]:
    result = {}
    for name, value in profile._asdict().items():
        if hasattr(value, "_asdict"):
            result[name] = dict(value._asdict())
        else:
            result[name] = value.name.lower() if hasattr(value, "name") else value
    return result
