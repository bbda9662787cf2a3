# SPDX-License-Identifier: Apache-2.0
"""A goal of ``run_episodes``: one episode after another, each with its scene, its recording and its result."""

from __future__ import annotations

import datetime
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from std_msgs.msg import Header

from grasp_core.cell import SceneError
from grasp_core.policy import Goal
from grasp_core.ports import StateError
from grasp_episodes import ros_episode_messages as ros
from grasp_episodes.judges import Judge
from grasp_episodes.ros_conversions import rgb_image
from grasp_episodes.ros_parts import GraphCell, RosDecider
from grasp_episodes.ros_recording import RecorderClient, RecordingError
from grasp_episodes.runner import EndedBy, EpisodeRecord, EpisodeRunner, Listeners, RunnerConfig, StepRecord
from grasp_episodes.settings import ManagerConfig
from grasp_interfaces.action import RunEpisodes
from grasp_interfaces.msg import EpisodeResult, EpisodeStep

log = logging.getLogger(__name__)


@dataclass
class Outlets:
    """Where what happens is told: topics of the node and feedback of the goal."""

    step: Callable[[EpisodeStep], None]
    result: Callable[[EpisodeResult], None]
    feedback: Callable[[RunEpisodes.Feedback], None]


@dataclass
class EpisodeSeries:
    """Runs the episodes of one goal; ``cancel`` may come from any thread and more than once."""

    graph: GraphCell
    decider: RosDecider
    judge: Judge
    recorder: RecorderClient
    config: ManagerConfig
    outlets: Outlets
    configuration: Mapping[str, Any]
    result: RunEpisodes.Result = field(default_factory=RunEpisodes.Result)
    _runner: EpisodeRunner | None = None
    _cancelled: bool = False
    _closing: bool = False

    def close(self) -> None:
        """Halt and end because the graph ends: the recorder, which ends too, is not waited for."""
        self._closing = True
        self.recorder.give_up()
        self.cancel()

    def cancel(self) -> None:
        """Halt and end."""
        self._cancelled = True
        if self._runner is not None:
            self._runner.cancel()
        else:
            self.graph.cancel()

    @property
    def cancelled(self) -> bool:
        """Whether the goal was cancelled."""
        return self._cancelled

    def run(self, goal: RunEpisodes.Goal) -> RunEpisodes.Result:
        """All episodes; one that fails does not keep the next from being tried, unless nothing can be recorded."""
        target = Goal(rgb_image(goal.target_image)) if goal.target_image.width else Goal()
        reasons: Counter[str] = Counter()
        problems = []
        for number in range(goal.episodes):
            if self._cancelled:
                break
            record, problem = self._episode(goal, number, target)
            reasons.update(record.reasons)
            self.result.attempts += record.attempts
            self.result.successes += record.successes
            if problem:
                problems.append(f"episode {number}: {problem}")
            elif record.ended_by in (EndedBy.FAILED, EndedBy.CANCELLED):
                problems.append(f"episode {number} ended as {record.ended_by}: {record.message}")
        self.result.success = not problems and not self._cancelled
        self.result.message = "; ".join(problems) or ("cancelled" if self._cancelled else "")
        self.result.reasons, self.result.reason_counts = list(reasons), list(reasons.values())
        return self.result

    def _episode(self, goal: RunEpisodes.Goal, number: int, target: Goal) -> tuple[EpisodeRecord, str]:
        seed, scene = goal.seed + number, goal.scene or self.graph.cell.config.default_scene
        now = datetime.datetime.now().astimezone()
        episode_id = f"{self.graph.cell.name}_{now:%Y%m%d_%H%M%S}_{number:03d}"
        guard_before = dict(self.graph.cell.guard.counts)
        record, bag, recording = EpisodeRecord(), "", False
        self._tell("resetting", episode_id, number, record)
        try:
            if goal.record:
                told = {**self.configuration, "scene": scene, "seed": seed, "objects": goal.objects, "episode": number}
                bag, recording = self.recorder.begin(episode_id, told), True
            self._make_scene(scene, seed, goal.objects)
            record = self._run(goal, number, episode_id, target, seed)
        except (SceneError, StateError, RecordingError) as error:
            record.message = str(error)
            record.ended_by = EndedBy.CANCELLED if self._cancelled else EndedBy.FAILED
            self.graph.halt()
        guard = {
            limit: count - guard_before.get(limit, 0)
            for limit, count in self.graph.cell.guard.counts.items()
            if count > guard_before.get(limit, 0)
        }
        message = ros.result_message(record, episode_id, scene, seed, bag, guard)
        self.outlets.result(message)
        self.result.results.append(message)
        problem = ""
        if recording and not self._closing:
            try:
                log.info("%s\n%s", bag, self.recorder.end(episode_id, record.actions))
            except RecordingError as error:
                problem = str(error)
        return record, problem

    def _make_scene(self, scene: str, seed: int, objects: int) -> None:
        if self.config.reset_scene:
            self.graph.cell.reset(scene, seed, objects)
        else:
            self.graph.make_ready()

    def _run(self, goal: RunEpisodes.Goal, number: int, episode_id: str, target: Goal, seed: int) -> EpisodeRecord:
        c = self.config
        limits = RunnerConfig(
            max_actions=goal.max_actions or c.max_actions,
            max_attempts=goal.max_attempts,
            stuck_after=c.stuck_after,
            retries=c.retries,
        )
        base = self.graph.cell.config.base_frame

        def tell_step(step: StepRecord, record: EpisodeRecord) -> None:
            if step.outcome.requested is not None and record.actions > step.step:
                self.outlets.step(ros.step_message(step, episode_id, base))

        listeners = Listeners(
            state=lambda state, record: self._tell(state, episode_id, number, record),
            step=tell_step,
            health=self.recorder.problem,
        )
        runner = EpisodeRunner(self.graph, self.decider, self.judge, limits, self.graph.clock, listeners)
        self._runner = runner
        try:
            return runner.run(target, seed) if not self._cancelled else EpisodeRecord(ended_by=EndedBy.CANCELLED)
        finally:
            self._runner = None

    def _tell(self, state: str, episode_id: str, number: int, record: EpisodeRecord) -> None:
        feedback = RunEpisodes.Feedback(
            episode_id=episode_id,
            episode=number,
            step=record.actions,
            state=state,
            attempts=record.attempts,
            successes=record.successes,
        )
        if record.latest is not None:
            header = Header(frame_id=self.graph.cell.config.base_frame)
            feedback.action = ros.action_message(record.latest.action, header, record.latest.value)
            feedback.value = float(record.latest.value)
        self.outlets.feedback(feedback)
