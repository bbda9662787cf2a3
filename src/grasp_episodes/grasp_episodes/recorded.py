# SPDX-License-Identifier: Apache-2.0
"""From a bag back to what happened: observations, actions and outcomes of an episode; ROS-free."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_core import resources
from grasp_core.actions import Action, Grasp, GripperMotion, Push, Step, Stop
from grasp_core.camera import CameraFrame, Intrinsics, Rgb, depth_to_metres
from grasp_core.cell_config import CellConfig
from grasp_core.geometry import Array, transform
from grasp_core.observation import ArmObservation, GripperState, Observation
from grasp_core.recording import RecordedEpisode, RecordedStep
from grasp_episodes.bag_reader import find_bag, read_about, read_messages
from grasp_episodes.transform_tree import TransformTree

STEP_TOPIC = "/episode_manager/step"
OBSERVED = "/policy/observed/"
# Kinds of grasp_interfaces/msg/PolicyAction, and what a step does with the gripper.
KINDS = ("stop", "step", "grasp", "push")
MOTIONS = (GripperMotion.KEEP, GripperMotion.OPEN, GripperMotion.CLOSE)
# A picture belongs to a decision when their stamps are this near to each other (ns).
SAME_NS = 60_000_000


class RecordingError(ValueError):
    """A bag does not hold an episode; the message says what is missing."""


@dataclass
class Joints:
    """Joint positions over time."""

    stamps: list[int] = field(default_factory=list)
    positions: list[dict[str, float]] = field(default_factory=list)

    def at(self, stamp_ns: int) -> tuple[int, dict[str, float]]:
        """The state nearest to a time.

        Raises:
            RecordingError: there is none at all.
        """
        if not self.stamps:
            raise RecordingError("the bag holds no /joint_states")
        index = bisect_left(self.stamps, stamp_ns)
        near = min(
            (i for i in (index - 1, index) if 0 <= i < len(self.stamps)), key=lambda i: abs(self.stamps[i] - stamp_ns)
        )
        return self.stamps[near], self.positions[near]


@dataclass
class Recording:
    """All of a bag that an episode is made of.

    Attributes:
        about: the bag's own words on what it ran with.
        steps: messages ``EpisodeStep`` in their order.
        pictures: what was decided on, by camera and kind (``color``, ``depth``, ``info``) and stamp.
        live: JPEG pictures by camera and stamp.
        newest: the last live depth and camera_info of each camera.
    """

    about: dict[str, Any]
    steps: list[Any] = field(default_factory=list)
    joints: Joints = field(default_factory=Joints)
    tree: TransformTree = field(default_factory=TransformTree)
    pictures: dict[tuple[str, str], dict[int, Any]] = field(default_factory=lambda: defaultdict(dict))
    live: dict[str, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    newest: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))


def read_recording(path: Path) -> Recording:
    """Read a bag.

    Raises:
        OSError: it cannot be read.
        RecordingError: it holds no episode.
    """
    bag = find_bag(path)
    about = read_about(bag)
    if not about:
        raise RecordingError(f"{bag} does not say which episode it holds; was it recorded by the recorder node?")
    found = Recording({**about, **_loads(about, "episode"), "launch": _loads(about, "launch")})
    for item in read_messages(bag):
        _keep(found, item.topic, item.message)
    return found


def read_episode(path: Path) -> RecordedEpisode:
    """The episode in a bag.

    Raises:
        OSError: the bag cannot be read.
        RecordingError: it holds no episode, or a picture that was decided on is missing.
    """
    return episode_of(read_recording(path))


def episode_of(found: Recording) -> RecordedEpisode:
    """The episode in a recording.

    Raises:
        RecordingError: a picture that was decided on is missing.
    """
    about = found.about
    cell = CellConfig.from_yaml(resources.find("config", f"cells/{about['cell']}.yaml"))
    steps = []
    gripper = GripperState(float("nan"), float("nan"), False, None, {})
    for message in found.steps:
        observation = _observation(found, cell, message, gripper)
        steps.append(
            RecordedStep(
                observation,
                action_of(message.requested),
                float(message.value),
                bool(message.executed),
                _truth(message.success),
                _truth(message.changed),
                str(message.reason),
            )
        )
        gripper = GripperState(float(message.gripper_width), float(message.gripper_effort), False, None, {})
    last = _last(found, cell, gripper) if steps else None
    return RecordedEpisode(
        str(about["episode_id"]), cell.name, str(about["policy"]), str(about["scene"]), int(about["seed"]),
        tuple(steps), last, about,
    )  # fmt: skip


def action_of(message: Any) -> Action:
    """The action in a ``PolicyAction``, decoded by whomever.

    Raises:
        ValueError: an unknown kind, or numbers that make no action.
    """
    if message.kind >= len(KINDS):
        raise ValueError(f"an action of kind {message.kind} is not known")
    kind, arm = KINDS[message.kind], message.arm or None
    if kind == "grasp":
        g = message.grasp
        preshape = dict(zip(g.preshape_joints, g.preshape_positions, strict=True))
        width = None if g.width < 0.0 else g.width
        return Grasp(_pose(g.pose.position, g.pose.orientation), width, preshape, g.approach_distance, arm)
    if kind == "push":
        p = message.push
        return Push(_vector(p.start), _vector(p.direction), p.length, arm)
    if kind == "step":
        s = message.step
        if s.gripper >= len(MOTIONS):
            raise ValueError(f"a step does {s.gripper} with the gripper; known are 0 to {len(MOTIONS) - 1}")
        T_delta = _pose(s.delta.translation, s.delta.rotation)
        return Step(T_delta, MOTIONS[s.gripper], bool(s.terminate), s.frame, arm)
    return Stop(message.stop_reason)


def stamp_ns(time: Any) -> int:
    """Nanoseconds of a stamp, decoded by whomever."""
    # rclpy says nanosec, and so does the file.
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def jpeg_rgb(data: bytes) -> Rgb:
    """uint8 [H, W, 3] of a JPEG.

    Raises:
        RecordingError: it is none.
    """
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise RecordingError("a live picture is no JPEG")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _keep(found: Recording, topic: str, message: Any) -> None:
    if topic == STEP_TOPIC:
        found.steps.append(message)
    elif topic == "/joint_states":
        at = stamp_ns(message.header.stamp)
        if not found.joints.stamps or at > found.joints.stamps[-1]:
            found.joints.stamps.append(at)
            found.joints.positions.append(dict(zip(message.name, map(float, message.position), strict=True)))
    elif topic in ("/tf", "/tf_static"):
        for t in message.transforms:
            T = _pose(t.transform.translation, t.transform.rotation)
            stamp = stamp_ns(t.header.stamp)
            found.tree.add(t.header.frame_id, t.child_frame_id, T, stamp, topic == "/tf_static")
    elif topic.startswith(OBSERVED):
        camera, _, rest = topic.removeprefix(OBSERVED).partition("/")
        kind = "info" if rest.endswith("camera_info") else "color" if rest.startswith("color") else "depth"
        found.pictures[camera, kind][stamp_ns(message.header.stamp)] = message
    elif topic.endswith("/color/image_raw/compressed"):
        found.live[topic.split("/")[1]][stamp_ns(message.header.stamp)] = bytes(message.data)
    elif topic.endswith(("/image_rect_raw", "depth_to_color/image_raw")):
        found.newest[topic.split("/")[1]]["depth"] = message
    elif topic.endswith("/camera_info"):
        found.newest[topic.split("/")[1]]["info"] = message


def _observation(found: Recording, cell: CellConfig, step: Any, gripper: GripperState) -> Observation:
    at = stamp_ns(step.observed)
    frames = {}
    for camera in {name for name, _ in found.pictures}:
        kinds = {kind: _nearest(found.pictures[camera, kind], at, SAME_NS) for kind in ("color", "depth")}
        # A camera's description is the same for all of its pictures.
        kinds["info"] = _nearest(found.pictures[camera, "info"], at)
        if kinds["info"] is None or (kinds["color"] is None and kinds["depth"] is None):
            raise RecordingError(f"the bag lacks the picture of {camera} that action {step.step} was decided on")
        frames[camera] = _frame(found, cell, kinds)
    return _with_joints(found, cell, frames, at, int(step.step), gripper)


def _last(found: Recording, cell: CellConfig, gripper: GripperState) -> Observation | None:
    frames = {}
    for camera, newest in found.newest.items():
        if "depth" not in newest or "info" not in newest:
            continue
        at = stamp_ns(newest["depth"].header.stamp)
        frame = _frame(found, cell, {"color": None, **newest})
        pictures = found.live.get(camera, {})
        near = min(pictures, key=lambda stamp: abs(stamp - at), default=None)
        rgb = None if near is None else jpeg_rgb(pictures[near])
        frames[camera] = CameraFrame(frame.intrinsics, frame.T_base_camera, at, rgb, frame.depth_m)
    if not frames:
        return None
    at = max(frame.stamp_ns for frame in frames.values())
    return _with_joints(found, cell, frames, at, len(found.steps), gripper)


def _with_joints(
    found: Recording, cell: CellConfig, frames: Mapping[str, CameraFrame], at: int, step: int, gripper: GripperState
) -> Observation:
    stamp, joints = found.joints.at(at)
    arms = {
        name: ArmObservation(found.tree.T(cell.base_frame, arm.tcp_frame, at), gripper)
        for name, arm in cell.arms.items()
    }
    return Observation(frames, joints, arms, stamp, step)


def _frame(found: Recording, cell: CellConfig, kinds: Mapping[str, Any]) -> CameraFrame:
    info, image = kinds["info"], kinds["depth"] if kinds["depth"] is not None else kinds["color"]
    distortion = tuple(float(v) for v in info.d) if any(info.d) else ()
    lens = Intrinsics.from_matrix(np.reshape(info.k, (3, 3)), info.width, info.height, distortion)
    at = stamp_ns(image.header.stamp)
    rgb = None if kinds["color"] is None else pixels_of(kinds["color"])
    depth = None if kinds["depth"] is None else depth_to_metres(pixels_of(kinds["depth"]))
    return CameraFrame(lens, found.tree.T(cell.base_frame, image.header.frame_id, at), at, rgb, depth)


def pixels_of(image: Any) -> NDArray[Any]:
    """Pixels of a raw image: [H, W, 3] red first, or [H, W] of a depth image.

    Raises:
        RecordingError: an encoding that is not understood.
    """
    colours = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0]}
    depths = {"32FC1": np.float32, "16UC1": np.uint16}
    if image.encoding in colours:
        rows = np.frombuffer(image.data, np.uint8).reshape(image.height, image.step)
        pixels = rows[:, : 3 * image.width].reshape(image.height, image.width, 3)
        return np.ascontiguousarray(pixels[..., colours[image.encoding]])
    if image.encoding in depths:
        rows = np.frombuffer(image.data, np.uint8).reshape(image.height, image.step)
        dtype = np.dtype(depths[image.encoding])
        return np.ascontiguousarray(rows[:, : dtype.itemsize * image.width]).view(dtype)
    raise RecordingError(f"an image {image.encoding!r}; understood are {', '.join((*colours, *depths))}")


def _nearest(messages: Mapping[int, Any], at: int, within_ns: float = float("inf")) -> Any | None:
    near = min(messages, key=lambda stamp: abs(stamp - at), default=None)
    return messages[near] if near is not None and abs(near - at) <= within_ns else None


def _loads(about: Mapping[str, str], key: str) -> dict[str, Any]:
    return dict(json.loads(about.get(key) or "{}"))


def _truth(value: int) -> bool | None:
    return None if value < 0 else bool(value)


def _vector(v: Any) -> Array:
    return np.array([v.x, v.y, v.z])


def _pose(position: Any, q: Any) -> Array:
    return transform((position.x, position.y, position.z), (q.x, q.y, q.z, q.w))
