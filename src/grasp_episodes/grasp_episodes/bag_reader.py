# SPDX-License-Identifier: Apache-2.0
"""Reading a bag of an episode, also one whose recorder was killed: up to its last whole chunk. ROS-free."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from mcap.exceptions import McapError
from mcap.records import Channel, Message, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap_ros2.decoder import DecoderFactory

from grasp_episodes.mcap_writer import EPISODE

# What a chunk that was cut in two may raise besides the library's own errors.
CUT = (McapError, EOFError, RuntimeError, struct.error, ValueError, zstandard.ZstdError)


@dataclass(frozen=True)
class BagMessage:
    """One message: its topic, its type, when it was received (ns), its fields."""

    topic: str
    type_name: str
    received_ns: int
    message: Any


def find_bag(path: Path) -> Path:
    """The MCAP file that a path means: itself, or the one in a bag's folder.

    Raises:
        FileNotFoundError: there is none.
    """
    if path.is_file():
        return path
    found = sorted(path.glob("*.mcap"))
    if not found:
        raise FileNotFoundError(f"{path} is no MCAP file and no folder with one")
    return found[0]


def read_messages(path: Path, topics: frozenset[str] | None = None) -> Iterator[BagMessage]:
    """Decoded messages in the order in which they were written; ``topics`` none means all.

    Raises:
        OSError: the file cannot be read.
    """
    factory = DecoderFactory()
    decoders: dict[int, Any] = {}
    for schema, channel, message in _records(path):
        if topics is None or channel.topic in topics:
            if channel.id not in decoders:
                decoders[channel.id] = factory.decoder_for(channel.message_encoding, schema)
            yield BagMessage(channel.topic, schema.name, message.log_time, decoders[channel.id](message.data))


def read_about(path: Path) -> dict[str, str]:
    """What the episode ran with; empty where the bag does not say.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        try:
            for record in StreamReader(stream).records:
                if isinstance(record, Metadata) and record.name == EPISODE:
                    return dict(record.metadata)
        except CUT:
            return {}
    return {}


def _records(path: Path) -> Iterator[tuple[Schema, Channel, Message]]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with path.open("rb") as stream:
        records = iter(StreamReader(stream).records)
        while True:
            try:
                record = next(records)
            except StopIteration:
                return
            except CUT:
                # The recorder was killed here; what came before is whole.
                return
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message):
                channel = channels[record.channel_id]
                yield schemas[channel.schema_id], channel, record
