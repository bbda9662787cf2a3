# SPDX-License-Identifier: Apache-2.0
"""The viewer node: a running cell in the browser; its buttons start, stop and lay out episodes."""

from __future__ import annotations

from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from grasp_core import resources
from grasp_core.cell_config import CellConfig
from grasp_core.node_help import show_help
from grasp_core.ros_running import program
from grasp_episodes.ros_parameters import parameters
from grasp_interfaces.action import RunEpisodes
from grasp_interfaces.msg import EpisodeResult, EpisodeStep
from grasp_interfaces.srv import ResetScene
from grasp_viewer.config import ViewerConfig
from grasp_viewer.panels import Counts, Request
from grasp_viewer.ros_conversions import KINDS, step_line
from grasp_viewer.ros_inputs import LATEST, Inputs
from grasp_viewer.ros_show import Show
from grasp_viewer.viewer import Viewer

ACTION, STEP, RESULT = "/run_episodes", "/episode_manager/step", "/episode_manager/result"
RUNNING = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


class ViewerNode(Node):
    """One thread: messages are kept as they come, and shown at the configured rates while somebody looks."""

    def __init__(self, **options: Any) -> None:
        super().__init__("viewer", **options)
        self._config = parameters(self, ViewerConfig)
        cell = CellConfig.from_yaml(resources.find("config", f"cells/{self._config.cell}.yaml"))
        self.page = Viewer(self._config, cell)
        self._inputs = Inputs(self)
        self._show = Show(self._config, cell, self.page, self._inputs)
        self._counts, self._running, self._state = Counts(), False, ""
        self._run = ActionClient(self, RunEpisodes, ACTION)
        self._cancel = self.create_client(CancelGoal, f"{ACTION}/_action/cancel_goal")
        self._reset = self.create_client(ResetScene, "/reset_scene")
        self.create_subscription(EpisodeStep, STEP, self._on_step, 50)
        self.create_subscription(EpisodeResult, RESULT, self._on_result, 10)
        self.create_subscription(GoalStatusArray, f"{ACTION}/_action/status", self._on_status, LATEST)
        self.create_subscription(RunEpisodes.Impl.FeedbackMessage, f"{ACTION}/_action/feedback", self._on_feedback, 10)
        # Not simulated time: the page lives on when the simulation stands still.
        self.create_timer(1.0 / self._config.motion_hz, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"the viewer is at {self.page.address}")

    def _tick(self) -> None:
        while not self.page.panels.requests.empty():
            self._obey(self.page.panels.requests.get())
        self._show.tick((STEP, RESULT))
        if self.page.watched:
            head = "**running**" if self._running else "**idle**"
            self.page.panels.tell_state(f"{head} {self._state if self._running else ''}")
            self.page.panels.tell_counts(self._counts)

    def _obey(self, request: Request) -> None:
        tell = self.page.panels.tell_answer
        self.get_logger().info(f"asked in the browser for {request.kind}")
        if request.kind == "stop":
            self._stop()
        elif self._running:
            tell("episodes are running; stop them first")
        elif request.kind == "start":
            if not self._run.server_is_ready():
                return tell("nobody offers run_episodes; is the episode manager up?")
            goal = RunEpisodes.Goal(
                episodes=request.episodes, scene=request.scene, objects=request.objects, seed=request.seed, record=True
            )
            tell("starting")
            self._run.send_goal_async(goal).add_done_callback(self._on_accepted)
        else:
            if not self._reset.service_is_ready():
                return tell("nobody offers reset_scene; on a real robot lay out the objects yourself")
            tell("making a new scene")
            wanted = ResetScene.Request(scene=request.scene, seed=request.seed, objects=request.objects)
            self._reset.call_async(wanted).add_done_callback(self._on_reset)
        return None

    def _stop(self) -> None:
        if not self._cancel.service_is_ready():
            return self.page.panels.tell_answer("nobody offers run_episodes; there is nothing to stop")
        # An empty goal id with a zero stamp: whoever's goals they are.
        self.page.panels.tell_answer("stopping")
        self._cancel.call_async(CancelGoal.Request()).add_done_callback(self._on_cancelled)
        return None

    def _on_accepted(self, future: Any) -> None:
        handle = future.result()
        if not handle.accepted:
            return self.page.panels.tell_answer("the episode manager refused; is it busy?")
        self.page.panels.tell_answer("started")
        handle.get_result_async().add_done_callback(self._on_over)
        return None

    def _on_over(self, future: Any) -> None:
        told = future.result().result
        self.page.panels.tell_answer(f"over: {told.message or f'{told.successes} of {told.attempts} grasps held'}")

    def _on_cancelled(self, future: Any) -> None:
        stopped = len(future.result().goals_canceling)
        self.page.panels.tell_answer("stopping what was running" if stopped else "nothing was running")

    def _on_reset(self, future: Any) -> None:
        answer = future.result()
        told = f"a new scene with {answer.objects} objects" if answer.success else f"no new scene: {answer.message}"
        self.page.panels.tell_answer(told)

    def _on_step(self, step: EpisodeStep) -> None:
        self._inputs.note(STEP)
        attempted = step.executed and step.requested.kind == step.requested.GRASP
        self._counts.add_action(step_line(step), attempted=attempted, succeeded=attempted and step.success == 1)

    def _on_result(self, _: EpisodeResult) -> None:
        self._inputs.note(RESULT)
        self._counts.episodes += 1

    def _on_status(self, message: GoalStatusArray) -> None:
        self._running = any(status.status in RUNNING for status in message.status_list)

    def _on_feedback(self, message: Any) -> None:
        told = message.feedback
        kind = KINDS.get(told.action.kind, "?")
        self._state = f"episode {told.episode + 1}, action {told.step}: {told.state} ({kind} {told.value:.2f})"

    def destroy_node(self) -> None:
        """Take the page away before the node."""
        self.page.close()
        super().destroy_node()


def main(args: list[str] | None = None) -> None:
    """Run the node until it is told to stop."""
    if show_help(ViewerConfig, "ros2 run grasp_viewer viewer_node", args):
        return
    with program("viewer", (ValueError, LookupError, OSError), args) as running:
        node = ViewerNode()
        try:
            running.spin(node)
        finally:
            node.destroy_node()


if __name__ == "__main__":
    main()
