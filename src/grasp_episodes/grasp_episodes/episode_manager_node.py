# SPDX-License-Identifier: Apache-2.0
"""The episode manager: offers the action ``run_episodes`` and tells every action and every result on topics."""

from __future__ import annotations

import logging
import threading

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node

from grasp_core import resources
from grasp_core.cell_config import CellConfig
from grasp_core.config import ConfigError
from grasp_core.node_help import show_help
from grasp_core.ports import StateError
from grasp_core.ros_running import program
from grasp_description.cell_kinematics import CellKinematics, GripperGeometry
from grasp_episodes.judges import GripperJudge, ImageJudge, ImageJudgeConfig, Judge, TruthJudge
from grasp_episodes.ros_cell import RosCell
from grasp_episodes.ros_episodes import EpisodeSeries, Outlets
from grasp_episodes.ros_parameters import parameters
from grasp_episodes.ros_parts import GraphCell, RosDecider, RosTruth
from grasp_episodes.ros_recording import RecorderClient
from grasp_episodes.settings import ManagerConfig, RosCellOptions
from grasp_interfaces.action import RunEpisodes
from grasp_interfaces.msg import EpisodeResult, EpisodeStep

# How often a cancelled goal is told to halt until it has ended (s).
CANCEL_EVERY_S = 0.02
# How long a running episode may take to end when the graph ends; a launch grows impatient after 5 s.
LAST_WORDS_S = 3.5


class EpisodeManagerNode(Node):
    """One goal at a time; the cell behind it is a ``RosCell`` with a node of its own."""

    def __init__(self) -> None:
        super().__init__("episode_manager")
        self._config = parameters(self, ManagerConfig)
        self._cell_config = CellConfig.from_yaml(resources.find("config", f"cells/{self._config.cell}.yaml"))
        inputs, calls = MutuallyExclusiveCallbackGroup(), ReentrantCallbackGroup()
        self._judge_kind = self._config.judge or self._cell_config.skills.success
        judge_camera = self._judging_camera() if self._judge_kind == "image" else ""
        options = RosCellOptions(
            use_sim_time=bool(self.get_parameter("use_sim_time").value),
            tf_prefix=self._config.tf_prefix,
            cameras=(judge_camera,) if judge_camera else (),
            aligned_depth=self._config.aligned_depth,
            connect_timeout_s=60.0,
        )
        grippers = {name: GripperGeometry(settings) for name, settings in self._cell_config.grippers.items()}
        self.graph = GraphCell(RosCell(self._cell_config, CellKinematics(self._cell_config), grippers, options))
        self._truth = RosTruth(self, inputs, self.graph.since_ns) if self._judge_kind == "simulator" else None
        self._judge = self._make_judge(judge_camera)
        self._decider = RosDecider(self, self._config, calls)
        self._recorder = RecorderClient(self, calls, self._config.recorder_wait_s, self._config.recorder_silence_s)
        self._steps = self.create_publisher(EpisodeStep, "~/step", 50)
        self._results = self.create_publisher(EpisodeResult, "~/result", 10)
        self._series: EpisodeSeries | None = None
        self._ending, self._idle = False, threading.Event()
        self._idle.set()
        self._server = ActionServer(
            self, RunEpisodes, "run_episodes", self._run, callback_group=calls,
            goal_callback=self._admit, cancel_callback=self._cancel,
        )  # fmt: skip
        self.get_logger().info(f"ready for episodes of cell {self._cell_config.name}, judged by {self._judge_kind}")

    @property
    def idle(self) -> bool:
        """Whether no goal is under way."""
        return self._idle.is_set()

    def halt(self) -> None:
        """End what runs, and begin nothing any more; its goal is told while the node is still served."""
        self._ending = True
        series = self._series
        if series is not None:
            series.close()
        self.graph.cell.give_up()
        if self._truth is not None:
            self._truth.give_up()

    def _judging_camera(self) -> str:
        fixed = [name for name, c in self._cell_config.cameras.items() if c.depth and c.mount == "fixed"]
        camera = self._config.judge_camera or next(iter(fixed), "")
        if camera not in fixed:
            known = ", ".join(fixed) or "none"
            raise ConfigError(f"judge_camera is {camera!r}; a fixed camera with depth is needed, there is {known}")
        return camera

    def _make_judge(self, camera: str) -> Judge:
        cell = self._cell_config
        if self._judge_kind == "image":
            return ImageJudge(ImageJudgeConfig(camera=camera), cell.limits.workspace, cell.support_z_m)
        if self._truth is not None:
            return TruthJudge(self._truth.look, cell.limits.workspace)
        return GripperJudge()

    def _admit(self, goal: RunEpisodes.Goal) -> GoalResponse:
        if goal.episodes == 0 or self._ending or not self._idle.is_set():
            why = "it asks for no episode" if goal.episodes == 0 else "told to stop" if self._ending else "busy"
            self.get_logger().warning(f"a goal was refused: {why}")
            return GoalResponse.REJECT
        self._idle.clear()
        return GoalResponse.ACCEPT

    def _cancel(self, _: ServerGoalHandle) -> CancelResponse:
        series = self._series
        if series is not None:
            series.cancel()
        return CancelResponse.ACCEPT

    def _run(self, goal: ServerGoalHandle) -> RunEpisodes.Result:
        try:
            return self._run_series(goal)
        finally:
            self._series = None
            self._idle.set()

    def _run_series(self, goal: ServerGoalHandle) -> RunEpisodes.Result:
        outlets = Outlets(self._steps.publish, self._results.publish, goal.publish_feedback)
        told = {"cell": self._cell_config.name, "judge": self._judge_kind, "manager": self._config.model_dump()}
        series = EpisodeSeries(self.graph, self._decider, self._judge, self._recorder, self._config, outlets, told)
        self._series = series
        if self._ending:
            series.close()
        done = threading.Event()
        failure: list[BaseException] = []

        def work() -> None:
            try:
                series.run(goal.request)
            except Exception as error:  # noqa: BLE001 # a goal always gets a result, and the robot halts
                failure.append(error)
                self.graph.halt()
            finally:
                done.set()

        thread = threading.Thread(target=work, name="episodes", daemon=True)
        thread.start()
        while not done.wait(CANCEL_EVERY_S):
            if goal.is_cancel_requested or series.cancelled:
                series.cancel()
        if failure:
            series.result.success = False
            series.result.message = f"the episode manager failed: {type(failure[0]).__name__}: {failure[0]}"
            self.get_logger().error(series.result.message)
        if goal.is_cancel_requested:
            goal.canceled()
        elif series.result.success:
            goal.succeed()
        else:
            goal.abort()
        return series.result


def main(args: list[str] | None = None) -> None:
    """Run the manager until it is told to stop."""
    if show_help(ManagerConfig, "ros2 run grasp_episodes episode_manager_node", args):
        return
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s] [episode_manager]: %(message)s")
    with program("episode_manager", (ValueError, LookupError, OSError, StateError), args) as running:
        node = EpisodeManagerNode()
        try:
            running.spin(node, threads=6)
        finally:
            try:
                node.halt()
                running.last_words(lambda: node.idle, LAST_WORDS_S)
            finally:
                node.graph.cell.close()
