# SPDX-License-Identifier: Apache-2.0
"""Sends one goal to ``run_episodes``, prints every action as it happens, and ends with a summary.

``ros2 run grasp_episodes run_episodes --ros-args -p episodes:=1``; the launch files start it where ``episodes`` is
more than 0.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import rclpy
from action_msgs.msg import GoalStatus
from pydantic import Field
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

from grasp_core.config import Config, ConfigError
from grasp_core.node_help import show_help
from grasp_core.ros_running import STOPPED_CODE, program
from grasp_episodes import ros_conversions, summary
from grasp_episodes.ros_parameters import parameters
from grasp_interfaces.action import RunEpisodes
from grasp_interfaces.msg import EpisodeStep, PolicyAction

KINDS = {PolicyAction.STOP: "stop", PolicyAction.STEP: "step", PolicyAction.GRASP: "grasp", PolicyAction.PUSH: "push"}
OUTCOME = {1: "succeeded", 0: "failed", -1: "not judged"}
# How often the graph is looked at for new maps of the policy (s).
LOOK_S = 1.0
LAST_WORDS_S = 2.0
SPIN_S = 0.2
# How long the manager may take to bring the robot to rest; a launch grows impatient after 5 s.
CANCEL_S = 4.3


class RunConfig(Config):
    """Parameters of ``run_episodes``; those that only name things go into the summary."""

    cell: str = "ur5"
    """Name of the cell."""
    policy: str = ""
    """Name of the policy."""
    checkpoint: str = ""
    """Its checkpoint."""
    episodes: Annotated[int, Field(ge=1)] = 1
    """How many episodes."""
    scene: str = ""
    """Scene; empty: the cell's default."""
    objects: int = -1
    """How many objects; negative: as the scene says."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the first scene; the next ones count on from it."""
    record: bool = False
    """Write a bag for each episode."""
    run_dir: str = ""
    """Folder for summary.json and pictures; empty: none are written."""
    pictures: bool = True
    """Save the policy's maps of every action."""
    manager_wait_s: float = 120.0
    """How long to wait for the episode manager."""
    stopped_code: Annotated[int, Field(ge=0, le=255)] = STOPPED_CODE
    """Exit code when it was told to stop early; launch files give 0, since a launch takes every other for a failure."""


class RunEpisodesNode(Node):
    """The client; ``run`` does it all."""

    def __init__(self) -> None:
        super().__init__("run_episodes")
        self._config = parameters(self, RunConfig)
        self._client = ActionClient(self, RunEpisodes, "run_episodes")
        self._maps: dict[str, Image] = {}
        self._subscribed: set[str] = set()
        self._told = 0
        self._begin = time.monotonic()
        self.create_subscription(EpisodeStep, "episode_manager/step", self._tell, 50)
        if self._config.run_dir and self._config.pictures:
            self.create_timer(LOOK_S, self._find_maps)

    def run(self, told: threading.Event) -> int:
        """Run the episodes, or cancel them when told to stop; the exit code."""
        c = self._config
        deadline = time.monotonic() + c.manager_wait_s
        while not self._client.wait_for_server(SPIN_S):
            if told.is_set():
                return c.stopped_code
            if time.monotonic() > deadline:
                text = f"nobody offers run_episodes after {c.manager_wait_s:g} s"
                return self._finish(RunEpisodes.Result(message=text))
        goal = RunEpisodes.Goal(episodes=c.episodes, scene=c.scene, objects=c.objects, seed=c.seed, record=c.record)
        sent = self._client.send_goal_async(goal, feedback_callback=lambda _: None)
        self._begin = time.monotonic()
        while not (sent.done() or told.is_set()):
            rclpy.spin_once(self, timeout_sec=SPIN_S)
        patience = time.monotonic() + CANCEL_S if told.is_set() else float("inf")
        if not self._answered(sent, patience):
            self._say(f"the episode manager did not say within {CANCEL_S:g} s whether it takes the goal; it may yet")
            return c.stopped_code
        handle = sent.result()
        if not handle.accepted and told.is_set():
            self._say("told to stop before the episodes began")
            return c.stopped_code
        if not handle.accepted:
            return self._finish(RunEpisodes.Result(message="the episode manager refused the goal; is it busy?"))
        answer = handle.get_result_async()
        while not (answer.done() or told.is_set()):
            rclpy.spin_once(self, timeout_sec=SPIN_S)
        cut_short = not answer.done()
        if cut_short:
            patience = min(patience, time.monotonic() + CANCEL_S)
            self._say("told to stop; cancelling the episodes")
            handle.cancel_goal_async()
            if not self._answered(answer, patience):
                self._say(f"the episode manager did not say within {CANCEL_S:g} s what became of them")
                return c.stopped_code
        result = answer.result()
        self._hear_out(sum(episode.actions for episode in result.result.results), patience)
        if result.status == GoalStatus.STATUS_CANCELED and not result.result.message:
            result.result.message = "cancelled"
        code = self._finish(result.result)
        return c.stopped_code if cut_short else code

    def _answered(self, future: Any, deadline: float) -> bool:
        """Wait for an answer; whether it came."""
        while not future.done() and time.monotonic() < deadline:
            rclpy.spin_once(self, timeout_sec=SPIN_S)
        return bool(future.done())

    def _hear_out(self, actions: int, deadline: float) -> None:
        """The last actions may still be on their way when the result is there."""
        deadline = min(deadline, time.monotonic() + LAST_WORDS_S)
        while self._told < actions and time.monotonic() < deadline:
            rclpy.spin_once(self, timeout_sec=0.1)

    def _finish(self, result: RunEpisodes.Result) -> int:
        """Tell what came of it; 0 when an object was grasped and nothing failed, otherwise 1."""
        c = self._config
        left = [episode.objects_left for episode in result.results]
        limits: dict[str, int] = {}
        for episode in result.results:
            for limit, count in zip(episode.limits, episode.limit_counts, strict=True):
                limits[limit] = limits.get(limit, 0) + count
        told = summary.Summary(
            c.cell,
            c.policy,
            c.checkpoint,
            objects_start=sum(episode.objects_start for episode in result.results),
            objects_left=None if not left or min(left) < 0 else sum(left),
            attempts=result.attempts,
            successes=result.successes,
            actions=sum(episode.actions for episode in result.results),
            duration_s=round(sum(episode.duration for episode in result.results), 2),
            bags=[episode.bag for episode in result.results if episode.bag],
            pictures=str(self._pictures) if c.run_dir and self._subscribed else "",
            episodes=len(result.results),
            ended_by=[episode.ended_by for episode in result.results],
            ends=[episode.message for episode in result.results],
            reasons=dict(zip(result.reasons, map(int, result.reason_counts), strict=True)),
            limits=limits,
            message=result.message,
        )
        self._say(told.text())
        if c.run_dir:
            self._say(f"summary: {summary.write(told, Path(c.run_dir))}")
        return 0 if result.success and result.successes > 0 else 1

    @property
    def _pictures(self) -> Path:
        return Path(self._config.run_dir) / "pictures"

    def _tell(self, step: EpisodeStep) -> None:
        self._told += 1
        kind = KINDS.get(step.requested.kind, "?")
        left = f", {step.objects_left} left" if step.objects_left >= 0 else ""
        self._say(
            f"{time.monotonic() - self._begin:6.1f} s  action {step.step:2d}: {kind:5s} {_where(step.requested)} value "
            f"{step.value:.2f} -> {OUTCOME[step.success]} ({step.reason}: {step.message}){left}"
        )
        for intervention in step.interventions:
            self._say(f"          guard: {intervention.message}")
        if self._maps:
            maps = {name: _pixels(image) for name, image in self._maps.items()}
            summary.save_pictures(maps, self._pictures, f"{step.episode_id}_{step.step:03d}")

    def _find_maps(self) -> None:
        for topic, types in self.get_topic_names_and_types():
            if topic.startswith("/policy/maps/") and topic not in self._subscribed and "sensor_msgs/msg/Image" in types:
                self._subscribed.add(topic)
                keep = functools.partial(self._maps.__setitem__, topic.rpartition("/")[2])
                latest = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
                self.create_subscription(Image, topic, keep, latest)

    def _say(self, text: str) -> None:
        print(text, flush=True)


def _where(action: PolicyAction) -> str:
    if action.kind == PolicyAction.GRASP:
        p = action.grasp.pose.position
        return f"at ({p.x:+.3f}, {p.y:+.3f}, {p.z:+.3f}) m,"
    if action.kind == PolicyAction.PUSH:
        p, d = action.push.start, action.push.direction
        turn = np.degrees(np.arctan2(d.y, d.x))
        return f"from ({p.x:+.3f}, {p.y:+.3f}) m, {100 * action.push.length:.0f} cm to {turn:+.0f} degrees,"
    return ""


def _pixels(image: Image) -> Any:
    if image.encoding == "32FC1":
        return np.frombuffer(image.data, np.float32).reshape(image.height, image.width)
    return ros_conversions.rgb_image(image)


def main(args: list[str] | None = None) -> None:
    """Run the episodes; exit code 0 when an object was grasped and nothing failed."""
    if show_help(RunConfig, "ros2 run grasp_episodes run_episodes", args):
        return
    with program("run_episodes", (ConfigError,), args) as running:
        running.listen()
        sys.exit(RunEpisodesNode().run(running.told))
