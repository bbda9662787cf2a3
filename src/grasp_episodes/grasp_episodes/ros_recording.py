# SPDX-License-Identifier: Apache-2.0
"""The episode manager's end of the recorder: begins and ends bags, and notices when the recorder fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from grasp_core.ports import StateError
from grasp_episodes.ros_calls import call_service
from grasp_interfaces.srv import RecordEpisode

STATUS_GRACE_S = 2.0


class RecordingError(RuntimeError):
    """The recorder does not do what it was asked for; the message says why."""


class RecorderClient:
    """Talks to ``recorder_node``; ``problem`` is what forbids to go on."""

    def __init__(self, node: Node, group: CallbackGroup, wait_s: float, silence_s: float) -> None:
        self._client = node.create_client(RecordEpisode, "record_episode", callback_group=group)
        self._wait_s, self._silence_s = wait_s, silence_s
        self._lock, self._given_up = threading.Lock(), threading.Event()
        self._status: DiagnosticStatus | None = None
        self._heard = self._begun = 0.0
        self._recording = ""
        node.create_subscription(DiagnosticStatus, "recorder/status", self._keep, 10, callback_group=group)

    def begin(self, episode_id: str, configuration: Mapping[str, Any]) -> str:
        """Begin a bag; returns its folder.

        Raises:
            RecordingError: there is no recorder, or it cannot write.
        """
        text = json.dumps(configuration, sort_keys=True)
        request = RecordEpisode.Request(command=RecordEpisode.Request.BEGIN, episode_id=episode_id, configuration=text)
        bag = self._ask(request).bag
        with self._lock:
            self._recording, self._status = episode_id, None
            self._begun = self._heard = time.monotonic()
        return bag

    def end(self, episode_id: str, steps: int) -> str:
        """End the bag; returns what was achieved, a topic a line.

        Raises:
            RecordingError: something is missing in the bag, or it could not be written to its end.
        """
        with self._lock:
            self._recording = ""
        request = RecordEpisode.Request(command=RecordEpisode.Request.END, episode_id=episode_id, steps=steps)
        return str(self._ask(request).report)

    def give_up(self) -> None:
        """The graph ends: the recorder is not waited for any more, now or later."""
        self._given_up.set()

    def problem(self) -> str | None:
        """Why recording has failed since ``begin``; none while it is well or nothing is being recorded."""
        with self._lock:
            if not self._recording:
                return None
            silent_s = time.monotonic() - self._heard
            if silent_s > self._silence_s:
                return f"the recorder has been silent for {silent_s:.1f} s; the episode cannot be recorded"
            status = self._status
            if status is not None and status.level == DiagnosticStatus.ERROR:
                return f"recording failed: {status.message}"
            # A status from before the beginning may still have been on its way then.
            is_fresh = self._heard - self._begun > STATUS_GRACE_S
            if status is not None and is_fresh and status.hardware_id != self._recording:
                return f"the recorder was started again and has lost episode {self._recording}"
        return None

    def _ask(self, request: RecordEpisode.Request) -> RecordEpisode.Response:
        try:
            answer = call_service(self._client, request, self._wait_s, self._given_up)
        except StateError as error:
            raise RecordingError(f"{error}; start the recorder, or run without recording") from error
        if not answer.success:
            raise RecordingError(answer.message)
        return answer

    def _keep(self, status: DiagnosticStatus) -> None:
        with self._lock:
            self._status, self._heard = status, time.monotonic()
