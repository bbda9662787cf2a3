# SPDX-License-Identifier: Apache-2.0
"""Bags that rosbag2 reads: a folder with one MCAP file (profile ``ros2``) and a ``metadata.yaml``. ROS-free.

Chunks are handed to the operating system as soon as they are full, and at the latest when :meth:`BagWriter.flush` is
called, so that a recorder that is killed loses no more than its last chunk.
"""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mcap.writer import CompressionType, Writer

METADATA_FILE = "metadata.yaml"
METADATA_VERSION = 9  # rosbag2 of Jazzy: quality of service as structured YAML, policies by name
CHUNK_BYTES = 768 * 1024
COMPRESSIONS = {"none": CompressionType.NONE, "lz4": CompressionType.LZ4, "zstd": CompressionType.ZSTD}


@dataclass
class _Channel:
    mcap_id: int
    metadata: dict[str, Any]
    count: int = 0


class BagWriter:
    """Writes one bag into the new folder ``folder``.

    Args:
        folder: is created; its name is that of the MCAP file too.
        compression: of each chunk, one of ``none``, ``lz4`` and ``zstd``.
        ros_distro: name to note in the metadata; empty where it is not known.

    Raises:
        FileExistsError: there is such a folder already.
    """

    def __init__(self, folder: Path, *, compression: str = "none", ros_distro: str = "") -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.path = folder / f"{folder.name}_0.mcap"
        self._ros_distro = ros_distro
        self._channels: dict[str, _Channel] = {}
        self._schemas: dict[tuple[str, str], int] = {}
        self._first_ns: int | None = None
        self._last_ns = 0
        self._dirty = False
        # a buffer smaller than any record hands every record straight to the operating system
        self._stream = open(self.path, "wb", buffering=2)  # noqa: SIM115
        self._writer = Writer(
            self._stream, chunk_size=CHUNK_BYTES, compression=COMPRESSIONS[compression], enable_crcs=True
        )
        self._writer.start(profile="ros2", library="grasp ros2cli stand-in")
        self._write_metadata_file()

    @property
    def message_count(self) -> int:
        """Messages written so far."""
        return sum(channel.count for channel in self._channels.values())

    def add_topic(
        self,
        name: str,
        type_name: str,
        definition: str,
        *,
        qos_profiles: Sequence[dict[str, Any]] = (),
        type_hash: str = "",
    ) -> None:
        """Declare a topic before its first message.

        Args:
            name: full name of the topic.
            type_name: ``package/msg/Type``.
            definition: full ``ros2msg`` definition, see :func:`ros2cli.api.definitions.full_definition`.
            qos_profiles: what the publishers offer, each as rosbag2's metadata writes it.
            type_hash: ``RIHS01_...``, or empty where it is not known.
        """
        schema = self._schemas.get((type_name, definition))
        if schema is None:
            schema = self._writer.register_schema(type_name, "ros2msg", definition.encode())
            self._schemas[type_name, definition] = schema
        profiles = [dict(profile) for profile in qos_profiles]
        mcap_id = self._writer.register_channel(
            name,
            "cdr",
            schema,
            {
                "offered_qos_profiles": yaml.safe_dump(profiles, sort_keys=False) if profiles else "",
                "topic_type_hash": type_hash,
            },
        )
        metadata = {
            "name": name,
            "type": type_name,
            "serialization_format": "cdr",
            "offered_qos_profiles": profiles,
            "type_description_hash": type_hash,
        }
        self._channels[name] = _Channel(mcap_id, metadata)
        self._dirty = True

    def write(self, topic: str, log_ns: int, publish_ns: int, data: bytes) -> None:
        """Write one serialised (CDR) message, received at ``log_ns`` and published at ``publish_ns`` (ns, epoch).

        Raises:
            KeyError: the topic was not added.
        """
        channel = self._channels[topic]
        self._writer.add_message(channel.mcap_id, log_ns, data, publish_ns, channel.count)
        channel.count += 1
        self._first_ns = log_ns if self._first_ns is None else min(self._first_ns, log_ns)
        self._last_ns = max(self._last_ns, log_ns)
        self._dirty = True

    def flush(self) -> None:
        """End the chunk in progress and bring ``metadata.yaml`` up to date, so that a kill loses nothing before."""
        if self._dirty:
            self._dirty = False
            self._writer.flush()
            self._write_metadata_file()

    def close(self) -> None:
        """Write index, summary and ``metadata.yaml``; closing twice is allowed."""
        if self._stream.closed:
            return
        try:
            self._writer.flush()
            text = yaml.safe_dump(self._metadata(), sort_keys=False)
            self._writer.add_metadata("rosbag2", {"serialized_metadata": text, "ROS_DISTRO": self._ros_distro})
            self._writer.finish()
        finally:
            self._stream.close()
        self._write_metadata_file()

    def _metadata(self) -> dict[str, Any]:
        start = {"nanoseconds_since_epoch": self._first_ns or 0}
        duration = {"nanoseconds": self._last_ns - (self._first_ns or 0) if self._first_ns is not None else 0}
        file = self.path.name
        return {
            "version": METADATA_VERSION,
            "storage_identifier": "mcap",
            "duration": dict(duration),
            "starting_time": dict(start),
            "message_count": self.message_count,
            "topics_with_message_count": [
                {"topic_metadata": channel.metadata, "message_count": channel.count}
                for channel in self._channels.values()
            ],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [file],
            "files": [
                {
                    "path": file,
                    "starting_time": dict(start),
                    "duration": dict(duration),
                    "message_count": self.message_count,
                }
            ],
            "custom_data": None,
            "ros_distro": self._ros_distro,
        }

    def _write_metadata_file(self) -> None:
        # a rename, so that a kill never leaves half a file
        draft = self.folder / f".{METADATA_FILE}.new"
        try:
            text = yaml.safe_dump({"rosbag2_bagfile_information": self._metadata()}, sort_keys=False)
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, self.folder / METADATA_FILE)
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
