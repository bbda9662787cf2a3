# SPDX-License-Identifier: Apache-2.0
"""The parts of an episode on a running graph: the cell, the policy behind ``infer``, the simulator's truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core.actions import Action
from grasp_core.cell import Outcome, Reason
from grasp_core.observation import Observation
from grasp_core.policy import Goal
from grasp_core.ports import StateError
from grasp_episodes import ros_episode_messages as ros
from grasp_episodes.judges import Truth
from grasp_episodes.ros_calls import GoalRunner, OrderedActionClient
from grasp_episodes.ros_cell import RosCell
from grasp_episodes.ros_conversions import nanoseconds
from grasp_episodes.runner import Decided, DecisionError
from grasp_episodes.settings import ManagerConfig
from grasp_episodes.timing import StageClock, timed_ports
from grasp_interfaces.action import Infer

# How often a wait for a server looks at its cancel event (s).
LOOK_S = 0.2
# The truth comes ten times a second; this long without is silence (s).
TRUTH_S = 3.0


class GraphCell:
    """A ``RosCell`` as the runner wants it; ``clock`` counts the time of its planner, arms and grippers."""

    def __init__(self, cell: RosCell) -> None:
        self.cell = cell
        self.clock = StageClock(cell.now_ns)
        cell.ports = timed_ports(cell.ports, self.clock)

    def observe(self) -> Observation:
        """The present observation."""
        return self.cell.observe()

    def execute(self, action: Action, observation: Observation | None = None) -> Outcome:
        """Carry out an action."""
        return self.cell.execute(action, observation)

    def cancel(self) -> None:
        """End the running action."""
        self.cell.cancel()

    def halt(self) -> None:
        """Cancel whatever the arms' controllers follow, whoever sent it."""
        for arm in self.cell.arms.values():
            arm.stop()

    def make_ready(self) -> None:
        """Grippers open, arms ready."""
        self.cell.make_ready()

    def since_ns(self) -> int:
        """Pictures from before this time show another scene."""
        return self.cell.since_ns

    def now_ns(self) -> int:
        """The graph's time."""
        return self.cell.now_ns()


class RosDecider:
    """Asks the action ``infer``."""

    def __init__(self, node: Node, config: ManagerConfig, group: CallbackGroup) -> None:
        self._node, self._config = node, config
        self._client = OrderedActionClient(node, Infer, "infer", callback_group=group)
        self._goals = GoalRunner(node.get_clock(), config.infer_timeout_s)
        self._new: tuple[Goal, int] | None = None

    def begin(self, goal: Goal, seed: int) -> None:
        """The next decision is the first of an episode."""
        self._new = (goal, seed)

    def decide(self, observation: Observation, not_before_ns: int, cancel: threading.Event) -> Decided:
        """The next action."""
        self._wait_for_policy(cancel)
        request = self._request(observation, not_before_ns)
        try:
            answers = self._goals.run({"infer": (self._client, request)}, self._config.infer_timeout_s, cancel)
        except StateError as error:
            raise DecisionError(Reason.POLICY_FAILED, str(error)) from error
        answer = answers.by_name["infer"]
        if answers.cancelled:
            raise DecisionError(Reason.CANCELLED, "cancelled while the policy was deciding")
        if answer.result is None:
            text = f"the policy did not answer within {self._config.infer_timeout_s:g} s"
            raise DecisionError(Reason.POLICY_FAILED, text if answer.accepted else "the policy did not take the goal")
        if not answer.result.success:
            raise DecisionError(_reason(answer.result.reason), answer.result.message or "the policy gave no reason")
        self._new = None
        try:
            decision = ros.decision_of(answer.result.decision)
        except ValueError as error:
            raise DecisionError(Reason.POLICY_FAILED, f"the policy's answer makes no sense: {error}") from error
        return Decided(decision, ros.stamp_of(answer.result.decision), self._node.get_clock().now().nanoseconds)

    def _wait_for_policy(self, cancel: threading.Event) -> None:
        deadline = time.monotonic() + self._config.policy_wait_s
        while not self._client.wait_for_server(LOOK_S):
            if cancel.is_set():
                raise DecisionError(Reason.CANCELLED, "cancelled while waiting for a policy")
            if time.monotonic() > deadline:
                text = f"nobody offers the action infer (waited {self._config.policy_wait_s:g} s)"
                raise DecisionError(Reason.POLICY_FAILED, text)

    def _request(self, observation: Observation, not_before_ns: int) -> Infer.Goal:
        left = observation.steps_left
        request = Infer.Goal(
            not_before=ros.time_message(not_before_ns),
            step=observation.step,
            steps_left=-1 if left is None else left,
            grippers=ros.gripper_statuses(observation),
        )
        if self._new is not None:
            goal, seed = self._new
            request.reset, request.seed = True, seed
            if goal.image is not None:
                height, width = goal.image.shape[:2]
                request.target_image = Image(height=height, width=width, encoding="rgb8", step=3 * width)
                request.target_image.data = np.ascontiguousarray(goal.image).tobytes()
        return request


class RosTruth:
    """Where the simulator's objects are and which were held, from ``/ground_truth``.

    Args:
        node, group: where it is listened to.
        since_ns: what is stamped earlier is of another scene, or of before what was done last.
    """

    def __init__(self, node: Node, group: CallbackGroup, since_ns: Callable[[], int] = lambda: 0) -> None:
        self._node, self._since_ns = node, since_ns
        self._arrived = threading.Condition()
        self._objects: MarkerArray | None = None
        self._stamp_ns = 0
        self._held: set[int] = set()
        self._given_up = False
        latest = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        options: dict[str, Any] = {"qos_profile": latest, "callback_group": group}
        node.create_subscription(MarkerArray, "ground_truth/objects", self._keep_objects, **options)
        node.create_subscription(String, "ground_truth/held", self._keep_held, **options)

    def look(self) -> Truth:
        """The truth from now on, and what was held since this was called last.

        Raises:
            StateError: nothing came, or waiting was given up.
        """
        since_ns = max(self._node.get_clock().now().nanoseconds, self._since_ns())
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._given_up or self._stamp_ns >= since_ns, TRUTH_S):
                raise StateError(f"nothing came on ground_truth/objects for {TRUTH_S:g} s; is this graph simulated?")
            if self._stamp_ns < since_ns or self._objects is None:
                raise StateError("told to stop while waiting for ground_truth/objects")
            boxes = [marker for marker in self._objects.markers if marker.action == Marker.ADD]
            held, self._held = frozenset(self._held), set()
        places = {box.id: np.array([box.pose.position.x, box.pose.position.y, box.pose.position.z]) for box in boxes}
        return Truth(places, held)

    def give_up(self) -> None:
        """Whoever waits, now or later, is told at once that nothing will come."""
        with self._arrived:
            self._given_up = True
            self._arrived.notify_all()

    def _keep_objects(self, message: MarkerArray) -> None:
        with self._arrived:
            self._objects = message
            self._stamp_ns = max((nanoseconds(marker.header.stamp) for marker in message.markers), default=0)
            self._arrived.notify_all()

    def _keep_held(self, message: String) -> None:
        with self._arrived:
            self._held |= {int(number) for number in message.data.split(",") if number}


def _reason(word: str) -> Reason:
    try:
        return Reason(word)
    except ValueError:
        return Reason.POLICY_FAILED
