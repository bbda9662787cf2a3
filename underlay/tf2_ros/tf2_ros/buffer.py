# SPDX-License-Identifier: Apache-2.0
"""The buffer of transforms that nodes look things up in: messages in, messages out, TransformTree inside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml
from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.task import Future
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from tf2_msgs.srv import FrameGraph

from tf2_ros.buffer_interface import NO_WAIT, BufferInterface
from tf2_ros.exceptions import InvalidArgumentException, TransformException
from tf2_ros.transform_tree import DEFAULT_CACHE_TIME_NS, TransformTree

# What upstream reports as the rate of a frame that never changes.
STATIC_RATE_HZ = 10000.0


def _nanoseconds(time: Any) -> int:
    """Nanoseconds of an rclpy Time or Duration or of a builtin_interfaces message."""
    if hasattr(time, "nanoseconds"):
        return time.nanoseconds
    if hasattr(time, "nanosec"):
        return time.sec * 1_000_000_000 + time.nanosec
    raise TypeError(f"{time!r} is no time: an rclpy Time or Duration, or a builtin_interfaces message is wanted")


def _message(T_target_source: np.ndarray, stamp_ns: int, target_frame: str, source_frame: str) -> TransformStamped:
    message = TransformStamped(child_frame_id=source_frame)
    message.header.frame_id = target_frame
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = T_target_source[:3, 3].tolist()
    rotation.x, rotation.y, rotation.z, rotation.w = Rotation.from_matrix(T_target_source[:3, :3]).as_quat().tolist()
    return message


class BufferCore:
    """The part of a buffer that never waits.

    Args:
        cache_time: how long the history of a moving frame is kept; 10 s by default.
    """

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._tree = TransformTree(DEFAULT_CACHE_TIME_NS if cache_time is None else _nanoseconds(cache_time))

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a moving transform; a malformed one is logged and ignored."""
        self._set(transform, authority, is_static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at all times; a malformed one is logged and ignored."""
        self._set(transform, authority, is_static=True)

    def _set(self, transform: TransformStamped, authority: str, *, is_static: bool) -> None:
        p, q = transform.transform.translation, transform.transform.rotation
        try:
            is_new = self._tree.set(
                transform.header.frame_id,
                transform.child_frame_id,
                _nanoseconds(transform.header.stamp),
                (p.x, p.y, p.z),
                (q.x, q.y, q.z, q.w),
                is_static=is_static,
                authority=authority,
            )
        except InvalidArgumentException as error:
            # It comes from another process: one bad publisher must not end everybody who listens.
            get_logger("tf2_ros").error(f"ignored from '{authority}': {error}", throttle_duration_sec=1.0)
            return
        if not is_new:
            stamp = transform.header.stamp
            get_logger("tf2_ros").warning(
                f"ignored from '{authority}': the transform of '{transform.child_frame_id}' at {stamp.sec}."
                f"{stamp.nanosec:09d} s is there already or older than the cache goes back",
                throttle_duration_sec=10.0,
            )

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        """The transform that maps ``source_frame`` into ``target_frame``; TransformException if there is none."""
        T_target_source, stamp_ns = self._tree.lookup(target_frame, source_frame, _nanoseconds(time))
        return _message(T_target_source, stamp_ns, target_frame, source_frame)

    def lookup_transform_full_core(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> TransformStamped:
        """The same between two times, ``fixed_frame`` not moving in between; TransformException if there is none."""
        T_target_source, stamp_ns = self._tree.lookup_full(
            target_frame, _nanoseconds(target_time), source_frame, _nanoseconds(source_time), fixed_frame
        )
        return _message(T_target_source, stamp_ns, target_frame, source_frame)

    def can_transform_core(self, target_frame: str, source_frame: str, time: Time) -> tuple[bool, str]:
        """Whether the lookup would work now, and if not, why."""
        return _verdict(lambda: self._tree.check(target_frame, source_frame, _nanoseconds(time)))

    def can_transform_full_core(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> tuple[bool, str]:
        """Whether the lookup between two times would work now, and if not, why."""
        times_ns = _nanoseconds(target_time), _nanoseconds(source_time)
        return _verdict(
            lambda: self._tree.check_full(target_frame, times_ns[0], source_frame, times_ns[1], fixed_frame)
        )

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """Newest time at which every transform between the frames is known; zero if none of them moves."""
        return Time(nanoseconds=self._tree.latest_common_time_ns(target_frame, source_frame))

    def clear(self) -> None:
        """Forget the history of all moving frames; static ones stay."""
        self._tree.clear()

    def all_frames_as_yaml(self) -> str:
        """Every frame that has a parent: parent, broadcaster, rate (Hz), newest and oldest time (s), length (s)."""
        frames = {}
        for edge in self._tree.edges():
            newest_s, oldest_s = edge.stamps_ns[-1] / 1e9, edge.stamps_ns[0] / 1e9
            length_s = newest_s - oldest_s
            frames[edge.child] = {
                "parent": edge.samples[-1].parent,
                "broadcaster": edge.authority,
                "rate": STATIC_RATE_HZ if edge.is_static or length_s == 0 else (len(edge.stamps_ns) - 1) / length_s,
                "most_recent_transform": 0.0 if edge.is_static else newest_s,
                "oldest_transform": 0.0 if edge.is_static else oldest_s,
                "buffer_length": length_s,
            }
        return yaml.safe_dump(frames, sort_keys=False) if frames else "[]"

    def all_frames_as_string(self) -> str:
        """Every frame that has a parent, one line each."""
        return "".join(f"Frame {e.child} exists with parent {e.samples[-1].parent}.\n" for e in self._tree.edges())


def _verdict(check: Callable[[], None]) -> tuple[bool, str]:
    try:
        check()
    except TransformException as error:
        return False, str(error)
    return True, ""


class Buffer(BufferCore, BufferInterface):
    """A BufferCore that can wait for transforms, in the calling thread or as a future.

    Args:
        cache_time: how long the history of a moving frame is kept; 10 s by default.
        node: if given, it offers the service ``tf2_frames``, and a jump back of its clock clears the buffer.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        BufferCore.__init__(self, cache_time)
        BufferInterface.__init__(self)
        self._waiting: list[tuple[Future, Callable[[], Any], Callable[[], Any]]] = []
        self._waiting_lock = threading.Lock()
        self.clock = Clock() if node is None else node.get_clock()
        if node is not None:
            self.srv = node.create_service(FrameGraph, "tf2_frames", self._answer_frames)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        self.jump_handle = self.clock.create_jump_callback(threshold, post_callback=self.time_jump_callback)

    def _answer_frames(self, request: FrameGraph.Request, response: FrameGraph.Response) -> FrameGraph.Response:
        response.frame_yaml = self.all_frames_as_yaml()
        return response

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        """Drop what was recorded before the clock jumped back or changed: its stamps mean nothing any more."""
        get_logger("tf2_ros").warning("the clock jumped back or changed: cleared the transform buffer")
        self.clear()

    def _set(self, transform: TransformStamped, authority: str, *, is_static: bool) -> None:
        super()._set(transform, authority, is_static=is_static)
        self._serve_waiting()

    # ---- waiting in the calling thread

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """The transform that maps ``source_frame`` coordinates into ``target_frame``.

        Args:
            target_frame: name of the frame to map into.
            source_frame: name of the frame to map from.
            time: when; zero asks for the latest time at which everything in between is known.
            timeout: how long to wait for it. Another thread must feed the buffer meanwhile.

        Raises:
            LookupException, ConnectivityException, ExtrapolationException, InvalidArgumentException: see the text.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """The same, the source seen at one time and the target at another, ``fixed_frame`` not moving in between."""
        self.can_transform_full(target_frame, target_time, source_frame, source_time, fixed_frame, timeout)
        return self.lookup_transform_full_core(target_frame, target_time, source_frame, source_time, fixed_frame)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether the lookup works within ``timeout``; with ``return_debug_tuple`` also why not."""
        return self._wait(
            lambda: self.can_transform_core(target_frame, source_frame, time), timeout, return_debug_tuple
        )

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether the lookup between two times works within ``timeout``; with ``return_debug_tuple`` also why not."""
        return self._wait(
            lambda: self.can_transform_full_core(target_frame, target_time, source_frame, source_time, fixed_frame),
            timeout,
            return_debug_tuple,
        )

    def _wait(
        self, verdict: Callable[[], tuple[bool, str]], timeout: Duration, return_debug_tuple: bool
    ) -> bool | tuple[bool, str]:
        timeout_s = _nanoseconds(timeout) / 1e9
        if timeout_s > 0:
            self._tree.wait_until(lambda: verdict()[0], timeout_s)
        result = verdict()
        return result if return_debug_tuple else result[0]

    # ---- waiting as a future

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Future:
        """A future that gets the transform as soon as it can be looked up."""
        return self._future(
            lambda: self.can_transform_core(target_frame, source_frame, time)[0],
            lambda: self.lookup_transform_core(target_frame, source_frame, time),
        )

    def wait_for_transform_full_async(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> Future:
        """A future that gets the transform between two times as soon as it can be looked up."""
        arguments = (target_frame, target_time, source_frame, source_time, fixed_frame)
        return self._future(
            lambda: self.can_transform_full_core(*arguments)[0], lambda: self.lookup_transform_full_core(*arguments)
        )

    async def lookup_transform_async(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        """Await the transform."""
        return await self.wait_for_transform_async(target_frame, source_frame, time)

    async def lookup_transform_full_async(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> TransformStamped:
        """Await the transform between two times."""
        return await self.wait_for_transform_full_async(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def _future(self, is_ready: Callable[[], bool], lookup: Callable[[], TransformStamped]) -> Future:
        future: Future = Future()
        with self._waiting_lock:
            self._waiting.append((future, is_ready, lookup))
        self._serve_waiting()
        return future

    def _serve_waiting(self) -> None:
        if not self._waiting:
            return
        with self._waiting_lock:
            waiting = [entry for entry in self._waiting if not entry[0].done()]
            ready = [entry for entry in waiting if entry[1]()]
            self._waiting = [entry for entry in waiting if entry not in ready]
        for future, _, lookup in ready:
            try:
                future.set_result(lookup())
            except TransformException as error:
                future.set_exception(error)
