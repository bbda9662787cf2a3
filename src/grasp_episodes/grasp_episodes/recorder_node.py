# SPDX-License-Identifier: Apache-2.0
"""The recorder: every episode one bag, begun and ended by the service ``record_episode``."""

from __future__ import annotations

import functools
import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from pydantic import Field
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from grasp_core import resources
from grasp_core.config import Config, ConfigError
from grasp_core.node_help import show_help
from grasp_core.ros_running import program
from grasp_episodes import ros_topics as ros
from grasp_episodes.mcap_writer import Topic
from grasp_episodes.recorder import EpisodeRecorder, Item, RecordError, add_to_manifest, checksum
from grasp_episodes.ros_parameters import parameters
from grasp_interfaces.srv import RecordEpisode

STEP, RESULT = "/episode_manager/step", "/episode_manager/result"
# What is written anew at the beginning of every bag, since it is published only once.
LATCHED = ("/tf_static", "/robot_description")
TOPICS = (
    r"/clock|/joint_states|/tf|/tf_static|/robot_description|/diagnostics|/commands/.+|/ground_truth/.+"
    rf"|/policy/(decision|markers|maps/.+|observed/.+)|{STEP}|{RESULT}"
)
LOOK_S = 0.5
STATUS_S = 0.5
# How long the last messages of an episode may be on their way (s).
LAST_WORDS_S = 3.0


class RecorderConfig(Config):
    """Parameters of the recorder."""

    record_dir: Annotated[str, Field(min_length=1)] = "recordings"
    """Folder for the bags; is made when the first episode begins."""
    topics: str = TOPICS
    """Regular expression of the topics to record, whole names; cameras are named apart."""
    cameras: str = "auto"
    """Cameras whose live pictures are recorded, separated by commas; auto: those that the policy looks through."""
    images: Literal["compressed", "raw", "none"] = "compressed"
    """Live colour as JPEG or as it is; what the policy decided on is always recorded as it is."""
    image_hz: Annotated[float, Field(gt=0.0, le=120.0)] = 4.0
    """Most live pictures a second of each topic."""
    compression: Literal["zstd", "lz4", "none"] = "zstd"
    """Compression of the chunks."""
    policy: str = ""
    """Name of the policy, for the metadata."""
    checkpoint: str = ""
    """Its checkpoint: a path, or a folder in models/; its SHA-256 goes into the metadata."""
    launch_configuration: str = "{}"
    """Arguments of the launch as a JSON object, for the metadata."""


class RecorderNode(Node):
    """Subscribes to all that is wanted as it appears; writes while an episode is being recorded."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self._config = parameters(self, RecorderConfig)
        self._pattern = re.compile(self._config.topics)
        self._checksum = checksum(self._checkpoint())
        self._inputs = MutuallyExclusiveCallbackGroup()
        self._known: set[str] = set()
        self._slots: dict[str, int] = {}
        self._latched: dict[str, dict[bytes, Item]] = {}
        self._arrived = threading.Condition()
        self._busy = threading.Lock()
        self._bag: EpisodeRecorder | None = None
        self._episode = ""
        self._status = self.create_publisher(DiagnosticStatus, "~/status", 10)
        self.create_timer(LOOK_S, self._look_around, callback_group=self._inputs)
        self.create_timer(STATUS_S, self._tell, callback_group=MutuallyExclusiveCallbackGroup())
        alone = MutuallyExclusiveCallbackGroup()
        self.create_service(RecordEpisode, "record_episode", self._serve, callback_group=alone)
        self.get_logger().info(f"records below {Path(self._config.record_dir).absolute()}")

    def close(self) -> None:
        """End the bag in progress as well as it can be."""
        bag, self._bag = self._bag, None
        if bag is not None:
            try:
                bag.finish()
            except RecordError as error:
                self.get_logger().error(str(error))

    def _checkpoint(self) -> Path | None:
        return resources.find_checkpoint(self._config.checkpoint)

    @property
    def serving(self) -> bool:
        """Whether a bag is being begun or ended."""
        return self._busy.locked()

    def _serve(self, request: RecordEpisode.Request, response: RecordEpisode.Response) -> RecordEpisode.Response:
        with self._busy:
            try:
                if request.command == RecordEpisode.Request.BEGIN:
                    self._begin(request, response)
                else:
                    self._end(request, response)
                response.success = True
            except (RecordError, ValueError) as error:
                response.message = str(error)
                self.get_logger().error(response.message)
        return response

    def _begin(self, request: RecordEpisode.Request, response: RecordEpisode.Response) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", request.episode_id):
            raise RecordError(f"episode_id {request.episode_id!r} is no name for a folder")
        self.close()
        about = {
            "episode_id": request.episode_id,
            "episode": json.dumps(json.loads(request.configuration or "{}"), sort_keys=True),
            "launch": json.dumps(json.loads(self._config.launch_configuration), sort_keys=True),
            "policy": self._config.policy,
            "checkpoint": self._config.checkpoint,
            "checkpoint_sha256": self._checksum,
        }
        folder = Path(self._config.record_dir).absolute() / request.episode_id
        bag = EpisodeRecorder(folder, about, self._config.compression)
        with self._arrived:
            self._episode, self._bag, self._slots = request.episode_id, bag, {}
            now_ns = time.time_ns()
            for items in self._latched.values():
                for item in items.values():
                    bag.put(replace(item, received_ns=now_ns))
        response.bag = str(folder)

    def _end(self, request: RecordEpisode.Request, response: RecordEpisode.Response) -> None:
        bag = self._bag
        if bag is None or self._episode != request.episode_id:
            raise RecordError(f"episode {request.episode_id} is not being recorded; was the recorder started again?")
        expected = {STEP: int(request.steps), RESULT: 1}
        with self._arrived:
            # The last messages may still be on their way.
            self._arrived.wait_for(lambda: not _missing(bag, expected) or bag.problem, LAST_WORDS_S)
            self._bag = None
        found, span_s = bag.finish()
        missing = [f"{topic}: {found.get(topic, 0)} of {n}" for topic, n in expected.items() if found.get(topic, 0) < n]
        rates = {topic: count / max(span_s, 1e-9) for topic, count in found.items()}
        lines = [f"{found[t]:7d} messages, {rates[t]:7.2f} Hz  {t}" for t in sorted(found)]
        response.bag, response.messages, response.report = str(bag.folder), sum(found.values()), "\n".join(lines)
        entry = {"episode_id": request.episode_id, "steps": int(request.steps), "seconds": round(span_s, 3)}
        add_to_manifest(bag.folder.parent, {**entry, "messages": found})
        if missing:
            raise RecordError(f"{bag.folder} lacks messages of the episode: {'; '.join(missing)}")

    def _look_around(self) -> None:
        names = dict(self.get_topic_names_and_types())
        for name, types in names.items():
            if name not in self._known and self._wanted(name, names):
                publishers = self.get_publishers_info_by_topic(name)
                if publishers and len(types) == 1:
                    self._subscribe(name, types[0], publishers)

    def _wanted(self, name: str, names: dict[str, Any]) -> bool:
        if self._pattern.fullmatch(name):
            return True
        camera = name.split("/")[1]
        if self._config.images == "none" or not re.search(r"/(image_raw|image_rect_raw|camera_info)$", name):
            return False
        if self._config.cameras == "auto":
            return any(other.startswith(f"/policy/observed/{camera}/") for other in names)
        return camera in self._config.cameras.split(",")

    def _subscribe(self, name: str, type_name: str, publishers: list[Any]) -> None:
        self._known.add(name)
        try:
            topic = ros.describe(name, type_name, publishers)
        except LookupError as error:
            self.get_logger().warning(f"{name} is not recorded: {error}")
            return
        is_live = not self._pattern.fullmatch(name)
        small = is_live and self._config.images == "compressed" and name.endswith("color/image_raw")
        target = ros.compressed_topic(topic) if small else topic
        take = functools.partial(self._take, target, is_live, small)
        kind, profile = ros.message_class(type_name), ros.profile_for(publishers)
        self.create_subscription(kind, name, take, profile, callback_group=self._inputs, raw=True)

    def _take(self, topic: Topic, is_live: bool, small: bool, data: bytes, info: dict[str, int]) -> None:
        now_ns = info.get("received_timestamp") or time.time_ns()
        item = Item(topic, now_ns, info.get("source_timestamp") or now_ns, data, ros.compress if small else None)
        with self._arrived:
            if topic.name in LATCHED:
                self._latched.setdefault(topic.name, {})[data] = item
            if self._bag is None or (is_live and not self._due(topic.name, data)):
                return
            self._bag.put(item)
            self._arrived.notify_all()

    def _due(self, name: str, data: bytes) -> bool:
        """Whether a live picture is the first of its time slot; slots follow stamps, so colour and depth pair up."""
        slot = int(ros.stamp_of(data) * self._config.image_hz)
        is_new = self._slots.get(name) != slot
        self._slots[name] = slot
        return is_new

    def _tell(self) -> None:
        bag = self._bag
        status = DiagnosticStatus(level=DiagnosticStatus.OK, name="recorder", message="waiting")
        if bag is not None:
            status.hardware_id = self._episode
            status.message = "recording"
            status.values = [KeyValue(key="messages", value=str(sum(bag.received.values())))]
            if bag.problem:
                status.level, status.message = DiagnosticStatus.ERROR, bag.problem
        self._status.publish(status)


def _missing(bag: EpisodeRecorder, expected: dict[str, int]) -> bool:
    return any(bag.received.get(topic, 0) < count for topic, count in expected.items())


def main(args: list[str] | None = None) -> None:
    """Record until told to stop."""
    if show_help(RecorderConfig, "ros2 run grasp_episodes recorder_node", args):
        return
    with program("recorder", (ConfigError, OSError, re.error), args) as running:
        node = RecorderNode()
        try:
            running.spin(node, threads=3)
            # The end of a bag that was asked for is still told.
            running.last_words(lambda: not node.serving, LAST_WORDS_S)
        finally:
            node.close()
