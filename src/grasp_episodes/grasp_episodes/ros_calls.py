# SPDX-License-Identifier: Apache-2.0
"""Actions and services called from a thread that does not spin: bounded in time, and stopped when told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.clock import Clock

from grasp_core.ports import Cancel, StateError

# How often a waiting call looks at ``cancel`` and at the clock (s).
LOOK_S = 0.02
SERVER_LOOK_S = 0.1
# How long a service is waited for after a cancellation (s).
CANCELLED_S = 1.0
# How long a cancelled goal may take to come to rest (s).
HALT_S = 2.0
# A motion that has reported within the first goes on beyond its time, up to the second (s).
FEEDBACK_S = 2.0
LONGEST_S = 900.0


@dataclass(frozen=True)
class Answer:
    """What became of one goal.

    Attributes:
        accepted: whether the server took it.
        status: of ``action_msgs/GoalStatus``; unknown where no result came.
        result: the action's result, or none where none came.
    """

    accepted: bool
    status: int = GoalStatus.STATUS_UNKNOWN
    result: Any = None

    @property
    def succeeded(self) -> bool:
        """Whether the goal was reached."""
        return self.status == GoalStatus.STATUS_SUCCEEDED


@dataclass(frozen=True)
class Answers:
    """What became of goals that were sent together; ``cancelled`` and ``timed_out`` say why they were ended early."""

    by_name: Mapping[str, Answer]
    cancelled: bool = False
    timed_out: bool = False


class Patience:
    """Time that runs by a node's clock, and is up too when that clock stands still for ``silence_s`` real seconds."""

    def __init__(self, clock: Clock, limit_s: float, silence_s: float) -> None:
        self._clock, self._limit_ns, self._silence_s = clock, int(limit_s * 1e9), silence_s
        self._begin_ns = self._last_ns = clock.now().nanoseconds
        self._moved = time.monotonic()

    def over(self) -> bool:
        """Whether time is up."""
        now_ns = self._clock.now().nanoseconds
        if now_ns != self._last_ns:
            self._last_ns, self._moved = now_ns, time.monotonic()
        return now_ns - self._begin_ns > self._limit_ns or time.monotonic() - self._moved > self._silence_s


def call_service(client: Client, request: Any, timeout_s: float, cancel: Cancel | None = None) -> Any:
    """A service's answer.

    Args:
        client, request: of the service.
        timeout_s: longest wait.
        cancel: once it is set, the wait is over after ``CANCELLED_S``: what tidies up is still told, but nobody waits
            long for a node that may be stopping too.

    Raises:
        StateError: nobody offers it, or no answer came in time.
    """
    begin = time.monotonic()
    deadline = begin + timeout_s

    def over() -> bool:
        nonlocal deadline
        now = time.monotonic()
        if cancel is not None and cancel.is_set():
            deadline = min(deadline, now + CANCELLED_S)
        return now >= deadline

    while not (client.service_is_ready() or client.wait_for_service(min(timeout_s, SERVER_LOOK_S))):
        if over():
            waited_s = time.monotonic() - begin
            raise StateError(f"nobody offers the service {client.srv_name} (waited {waited_s:.1f} s)")
    done = threading.Event()
    future = client.call_async(request)
    future.add_done_callback(lambda _: done.set())
    while not done.wait(SERVER_LOOK_S):
        if over():
            client.remove_pending_request(future)
            waited_s = time.monotonic() - begin
            raise StateError(f"the service {client.srv_name} did not answer within {waited_s:.1f} s")
    return future.result()


class OrderedActionClient(ActionClient):
    """An action client whose answers wait until the request they belong to is known.

    rclpy sends a request first and remembers it afterwards; an answer that another thread takes in between is dropped,
    and whoever waits for it waits for ever.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._asking = threading.Lock()
        super().__init__(*arguments, **options)

    def send_goal_async(self, *arguments: Any, **options: Any) -> Any:
        """As rclpy's."""
        with self._asking:
            return super().send_goal_async(*arguments, **options)

    def _cancel_goal_async(self, *arguments: Any, **options: Any) -> Any:
        with self._asking:
            return super()._cancel_goal_async(*arguments, **options)

    def _get_result_async(self, *arguments: Any, **options: Any) -> Any:
        with self._asking:
            return super()._get_result_async(*arguments, **options)

    async def execute(self, taken_data: Any) -> None:
        """As rclpy's, once no request is half sent."""
        with self._asking:
            pass
        await super().execute(taken_data)


class GoalRunner:
    """Sends goals to one or several action servers at once and sees them to their end.

    Args:
        clock: the node's; motions take time by it.
        answer_s: real time for a server to take a goal, or for the clock to stand still.
    """

    def __init__(self, clock: Clock, answer_s: float) -> None:
        self._clock, self._answer_s = clock, answer_s

    def run(
        self, goals: Mapping[str, tuple[ActionClient, Any]], limit_s: float, cancel: Cancel | None = None
    ) -> Answers:
        """Send the goals and wait; where one is not taken or fails, the others are cancelled.

        Raises:
            StateError: a server is not there, or does not say whether it takes its goal.
        """
        begin = time.monotonic()
        for name, (client, _) in goals.items():
            while not (client.server_is_ready() or client.wait_for_server(SERVER_LOOK_S)):
                if cancel is not None and cancel.is_set():
                    break
                if time.monotonic() - begin > self._answer_s:
                    raise StateError(f"nobody offers the action of {name} (waited {self._answer_s:g} s)")
        if cancel is not None and cancel.is_set():
            return Answers({name: Answer(False) for name in goals}, cancelled=True)
        return _Run(self, goals).until(Patience(self._clock, limit_s, self._answer_s), cancel)


class _Run:
    """The goals of one call to ``GoalRunner.run``."""

    def __init__(self, runner: GoalRunner, goals: Mapping[str, tuple[ActionClient, Any]]) -> None:
        self._answer_s = runner._answer_s
        self._woken = threading.Event()
        self._lock = threading.Lock()
        self._given_up = False
        self._handles: dict[str, Any] = {}
        self._answers: dict[str, Answer] = {}
        self._names = tuple(goals)
        self._begin = time.monotonic()
        self._heard = -float("inf")
        for name, (client, goal) in goals.items():
            sent = client.send_goal_async(goal, feedback_callback=self._feedback)
            sent.add_done_callback(lambda future, name=name: self._taken(name, future))

    def until(self, patience: Patience, cancel: Cancel | None) -> Answers:
        cancelled = timed_out = ended = False
        taken_by = time.monotonic() + self._answer_s
        halted_by = float("inf")
        while True:
            self._woken.wait(LOOK_S)
            self._woken.clear()
            with self._lock:
                if len(self._answers) == len(self._names):
                    break
                failed = any(not answer.succeeded for answer in self._answers.values())
                waiting = [n for n in self._names if n not in self._handles and n not in self._answers]
            now = time.monotonic()
            if waiting and now > taken_by:
                self._give_up()
                raise StateError(f"no word from the action server of {waiting[0]} whether it takes the goal")
            if not ended:
                cancelled = cancel is not None and cancel.is_set()
                timed_out = not cancelled and patience.over() and not self._under_way(now)
                if cancelled or timed_out or failed:
                    ended, halted_by = True, now + HALT_S
                    self._give_up()
            elif now > halted_by:
                timed_out = not cancelled
                break
        with self._lock:
            answers = {name: self._answers.get(name, Answer(True)) for name in self._names}
        return Answers(answers, cancelled, timed_out)

    def _feedback(self, _: Any) -> None:
        self._heard = time.monotonic()

    def _under_way(self, now: float) -> bool:
        """Whether a motion beyond its time still reports: the robot's speed slider may be low, or at 0."""
        return now - self._heard < FEEDBACK_S and now - self._begin < LONGEST_S

    def _taken(self, name: str, future: Any) -> None:
        handle = future.result()
        with self._lock:
            if not handle.accepted:
                self._answers[name] = Answer(False)
            else:
                self._handles[name] = handle
            late = self._given_up and handle.accepted
        if late:
            # Taken after we had given up: it must not run unwatched.
            handle.cancel_goal_async()
        if handle.accepted:
            handle.get_result_async().add_done_callback(lambda done: self._finished(name, done))
        self._woken.set()

    def _finished(self, name: str, future: Any) -> None:
        response = future.result()
        with self._lock:
            self._answers[name] = Answer(True, response.status, response.result)
        self._woken.set()

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            running = [handle for name, handle in self._handles.items() if name not in self._answers]
        for handle in running:
            handle.cancel_goal_async()
