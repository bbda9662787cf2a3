# SPDX-License-Identifier: Apache-2.0
"""Frames recorded in an MCAP bag by ``ros2 bag record`` or by this workspace; needs no ROS to read.

Topics are found by type and name where the options do not say. A colour picture is paired with the depth picture
nearest to it in time; what has no partner within ``slop_s`` is given alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from grasp_cameras.driver import (
    CameraError,
    Capabilities,
    Clock,
    EndOfRecordingError,
    RawFrame,
    ReadTimeoutError,
    import_sdk,
)
from grasp_cameras.image_codec import decode_color, decode_compressed, decode_depth, decode_intrinsics, stamp_ns
from grasp_cameras.pacing import Pacer
from grasp_core.camera import FrameError, Intrinsics
from grasp_core.config import Config

_LOG = logging.getLogger(__name__)
_MOST_WAITING = 30
_IMAGE, _COMPRESSED, _INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"


class McapOptions(Config):
    """Which bag, and which of its topics."""

    path: str
    """The .mcap file, or the folder of a rosbag2 with one."""
    color: str | None = None
    """Topic of colour images (raw or compressed); none finds it, "" leaves colour out."""
    depth: str | None = None
    """Topic of depth images; none finds it, "" leaves depth out."""
    slop_s: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02
    """Farthest apart in time that colour and depth count as one frame."""
    loop: bool = True
    """Start anew at the end."""
    real_time: bool = True
    """Play at the recorded speed rather than as fast as frames are read."""


class Mcap:
    """Plays the pictures of one bag."""

    Options: ClassVar[type[Config]] = McapOptions

    def __init__(self, options: McapOptions) -> None:
        self._reader = import_sdk("mcap.reader", "MCAP", "install mcap and mcap-ros2-support")
        self._decoder = import_sdk("mcap_ros2.decoder", "MCAP", "install mcap and mcap-ros2-support")
        self._options = options
        self._pacer = Pacer()
        self._pairs: Iterator[tuple[Any | None, Any | None]] | None = None
        self._held: tuple[Any | None, Any | None] | None = None
        self._color, self._depth = options.color, options.depth

    @property
    def capabilities(self) -> Capabilities:
        """What the topics hold (both until it is opened)."""
        return Capabilities(self._color != "", self._depth != "", False, False)

    def open(self) -> None:
        """Find the topics."""
        self._path = _bag_file(Path(self._options.path))
        try:
            with self._path.open("rb") as stream:
                summary = self._reader.make_reader(stream).get_summary()
        except (OSError, ValueError, self._mcap_error()) as error:
            raise CameraError(f"{self._path} is no readable MCAP file: {error!r}") from error
        if summary is None or not summary.channels:
            raise CameraError(f"{self._path} has no summary: it was cut off; mend it with `mcap recover`")
        types = {c.topic: summary.schemas[c.schema_id].name for c in summary.channels.values()}
        self._color = _choose(self._options.color, types, "color", (_IMAGE, _COMPRESSED), self._path)
        self._depth = _choose(self._options.depth, types, "depth", (_IMAGE,), self._path)
        if not (self._color or self._depth):
            raise CameraError(f"{self._path} has no image topics; it has {', '.join(sorted(types))}")
        self._info = {
            topic: info
            for topic in (self._color, self._depth)
            if topic and (info := _info_topic(topic)) in types and types[info] == _INFO
        }
        for topic in (self._color, self._depth):
            if topic and topic not in self._info:
                _LOG.warning("%s has no %s: frames come without intrinsics", self._path, _info_topic(topic))
        self._types = types
        self._aligned = bool(self._depth and "aligned" in self._depth)
        self._start()

    def close(self) -> None:
        """Close the file."""
        self._pacer.close()
        self._pairs = self._held = None

    def read(self, timeout_s: float) -> RawFrame:
        """The next pair of pictures, when it is due."""
        if self._pairs is None:
            raise CameraError(f"the bag {self._options.path} is not open")
        if self._held is None:
            self._held = self._next_pair()
        color, depth = self._held
        at_ns = stamp_ns((depth if color is None else color).header.stamp)  # type: ignore[union-attr]
        if self._options.real_time and not self._pacer.wait(at_ns, timeout_s):
            raise ReadTimeoutError(f"the next frame of {self._path} is due later than in {timeout_s:g} s")
        self._held = None
        return self._convert(color, depth, at_ns)

    def _next_pair(self) -> tuple[Any | None, Any | None]:
        pair = next(self._pairs, None)  # type: ignore[arg-type]
        if pair is None:
            if not self._options.loop:
                raise EndOfRecordingError(f"the bag {self._path} is over")
            self._start()
            pair = next(self._pairs, None)  # type: ignore[arg-type]
            if pair is None:
                raise CameraError(f"{self._path} has image topics without a single message")
        return pair

    def _start(self) -> None:
        self._cameras: dict[str, Intrinsics | None] = {}
        self._pacer.restart()
        self._pairs = _pair(self._messages(), self._color or "", self._depth or "", round(self._options.slop_s * 1e9))

    def _messages(self) -> Iterator[tuple[str, Any]]:
        wanted = [t for t in (self._color, self._depth) if t]
        topics = [*wanted, *self._info.values()]
        owner = {info: topic for topic, info in self._info.items()}
        with self._path.open("rb") as stream:
            reader = self._reader.make_reader(stream, decoder_factories=[self._decoder.DecoderFactory()])
            for _, channel, _, message in reader.iter_decoded_messages(topics=topics):
                if channel.topic in owner:
                    self._cameras[owner[channel.topic]] = decode_intrinsics(message)
                else:
                    yield channel.topic, message

    def _convert(self, color: Any | None, depth: Any | None, at_ns: int) -> RawFrame:
        for topic, message in ((self._color, color), (self._depth, depth)):
            if message is not None and topic in self._info and topic not in self._cameras:
                raise FrameError(f"no message on {self._info[topic]} before the first image of {topic}")
        rgb = None
        if color is not None:
            rgb = decode_compressed(color) if self._types[self._color] == _COMPRESSED else decode_color(color)
        image = None if depth is None else decode_depth(depth)
        color_camera = self._cameras.get(self._color or "") if rgb is not None else None
        depth_camera = self._cameras.get(self._depth or "") if image is not None else None
        same = self._aligned or (
            rgb is not None and image is not None and depth.header.frame_id == color.header.frame_id  # type: ignore[union-attr]
        )
        return RawFrame(
            stamp_ns=at_ns,
            clock=Clock.DEVICE,
            rgb=rgb,
            depth=image,
            color_intrinsics=color_camera,
            depth_intrinsics=depth_camera,
            T_color_depth=np.eye(4) if same else None,
            aligned_depth=image if same and rgb is not None else None,
        )

    @staticmethod
    def _mcap_error() -> type[Exception]:
        return import_sdk("mcap.exceptions", "MCAP", "install mcap").McapError


def _bag_file(path: Path) -> Path:
    if path.is_dir():
        files = sorted(path.glob("*.mcap"))
        if len(files) != 1:
            raise CameraError(f"{path} holds {len(files)} .mcap files; name the one to play")
        return files[0]
    if not path.is_file():
        raise CameraError(f"the bag {path} does not exist")
    return path


def _info_topic(topic: str) -> str:
    return f"{topic.removesuffix('/compressed').rsplit('/', 1)[0]}/camera_info"


def _choose(wanted: str | None, types: dict[str, str], kind: str, accepted: tuple[str, ...], path: Path) -> str:
    images = sorted(topic for topic, name in types.items() if name in accepted)
    if wanted is not None:
        if wanted and wanted not in images:
            raise CameraError(f"{path} has no {kind} topic {wanted}; image topics are {', '.join(images) or 'none'}")
        return wanted
    if kind == "depth":
        found = [t for t in images if "depth" in t]
        # Depth that is registered already spares the registration.
        found.sort(key=lambda t: ("aligned" not in t, t))
    else:
        found = [t for t in images if "depth" not in t and "infra" not in t]
        found.sort(key=lambda t: (t.endswith("/compressed"), "color" not in t and "rgb" not in t, t))
    return found[0] if found else ""


def _pair(
    messages: Iterator[tuple[str, Any]], color: str, depth: str, slop_ns: int
) -> Iterator[tuple[Any | None, Any | None]]:
    """Colour and depth messages that belong together, in order of time."""
    waiting: dict[str, deque[Any]] = {t: deque() for t in (color, depth) if t}
    for topic, message in messages:
        waiting[topic].append(message)
        if len(waiting) == 1:
            yield (message, None) if color else (None, message)
            waiting[topic].clear()
            continue
        if len(waiting[topic]) > _MOST_WAITING:  # the other topic fell silent
            lone = waiting[topic].popleft()
            yield (lone, None) if topic == color else (None, lone)
        while waiting[color] and waiting[depth]:
            difference = stamp_ns(waiting[color][0].header.stamp) - stamp_ns(waiting[depth][0].header.stamp)
            if abs(difference) <= slop_ns:
                yield waiting[color].popleft(), waiting[depth].popleft()
            elif difference < 0:
                yield waiting[color].popleft(), None
            else:
                yield None, waiting[depth].popleft()
    for topic, rest in waiting.items():
        for message in rest:
            yield (message, None) if topic == color else (None, message)
