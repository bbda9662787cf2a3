# SPDX-License-Identifier: Apache-2.0
"""Puts a simulated cell behind the topics, actions and services that its hardware would offer."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.time import Time
from std_srvs.srv import SetBool, Trigger

from grasp_core.ros_running import program
from grasp_description.grippers import load_gripper
from grasp_interfaces.srv import ResetScene
from grasp_sim.bridge import Bridge, BridgeSettings
from grasp_sim.cell import load_cell_config
from grasp_sim.plant_server import PlantServer
from grasp_sim.ros_bridge_topics import BridgeTopics
from grasp_sim.ros_gripper_action import GripperActions
from grasp_sim.ros_trajectory_action import TrajectoryAction
from grasp_sim.truth import GroundTruth


class SimBridgeNode(Node):
    """The bridge: parameters, publishers, actions; the world runs in ``Bridge``."""

    def __init__(self) -> None:
        super().__init__("sim_bridge")
        self.config = load_cell_config(self._declared("cell", "ur5", "name of the cell, a file in config/cells"))
        hertz = self._declared(
            "camera_hz", 0.0, "rate of every camera; 0: as the cell says", FloatingPointRange, 0.0, 100.0
        )
        if hertz > 0.0:
            slower = {name: camera.with_values(rate_hz=hertz) for name, camera in self.config.cameras.items()}
            self.config = self.config.model_copy(update={"cameras": slower})
        self._scene = self._declared("scene", "", "scene to start with; empty: the cell's default")
        self._scene = self._scene or self.config.default_scene
        objects = self._declared("objects", -1, "how many objects; -1: as the scene says", IntegerRange, -1, 1000)
        seed = self._declared("seed", 0, "seed of the scene", IntegerRange, 0, 2**31 - 1)
        self._prefix = self._declared("tf_prefix", "", "in front of every joint and robot frame")
        settings = BridgeSettings.from_mapping(
            {
                "gui": self._declared("gui", False, "open the simulator's window"),
                "renderer": self._declared("renderer", "auto", "egl, tiny or auto"),
                "real_time_factor": self._declared(
                    "real_time_factor", 1.0, "simulated seconds a real second", FloatingPointRange, 0.05, 10.0
                ),
            },
            "parameters of sim_bridge",
        )
        plant = self._declared("plant", "", "host:port of a plant for loopback controllers; empty: actions")
        self.topics = BridgeTopics(self, self.config, self._prefix, alone=not plant)
        self._cameras_on = True
        self.bridge = Bridge(self.config, settings, self.topics.on_state, self.topics.on_picture, self._sees)
        self.plant = self._make_plant(plant)
        self.topics.attach(self.bridge, self.plant)
        count = self.bridge.start(self._scene, seed, None if objects < 0 else objects)
        self.topics.tell_truth(GroundTruth(self.bridge.world))
        self._action_servers = self._offer_actions() if self.plant is None else []
        alone = MutuallyExclusiveCallbackGroup()
        self.create_service(ResetScene, "reset_scene", self._reset, callback_group=alone)
        self.create_service(Trigger, "~/stop", self._stop)
        self.create_service(SetBool, "~/cameras", self._switch_cameras)
        self.create_timer(1.0, self._diagnose)
        self.get_logger().info(f"cell {self.config.name}: scene {self._scene} with {count} objects is ready")

    def _declared(
        self, name: str, default: Any, description: str, kind: Any = None, low: Any = 0, high: Any = 0
    ) -> Any:
        descriptor = ParameterDescriptor(description=description, read_only=True)
        if kind is IntegerRange:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        elif kind is FloatingPointRange:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        return self.declare_parameter(name, default, descriptor).value

    def _make_plant(self, address: str) -> PlantServer | None:
        """Where controllers in another process move the arm: what stands between them and the world."""
        if not address:
            return None
        host, _, port = address.rpartition(":")
        if not (host and port.isdigit()):
            raise ValueError(f"parameter plant is {address!r}; it must be host:port")
        (arm, settings), *_ = self.config.arms.items()
        plant = PlantServer(self.bridge, (host, int(port)), arm, settings.gripper)
        self.bridge.on_scene = plant.attach
        return plant

    def _offer_actions(self) -> list[Any]:
        arms = [controller for arm in self.config.arms.values() for controller in arm.controllers]
        servers: list[Any] = [TrajectoryAction(self, self.bridge, name, self._prefix) for name in arms]
        for name, gripper in self.config.grippers.items():
            hand = bool(load_gripper(gripper.kind).together)
            servers.append(GripperActions(self, self.bridge, name, self._prefix, hand))
        return servers

    def _sees(self, camera: str) -> bool:
        return self._cameras_on and self.topics.wanted(camera)

    def _switch_cameras(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Let every camera fall silent, or see again: for trying out what then happens."""
        self._cameras_on = bool(request.data)
        response.success, response.message = True, f"the cameras are {'on' if request.data else 'silent'}"
        return response

    def _reset(self, request: ResetScene.Request, response: ResetScene.Response) -> ResetScene.Response:
        count = None if request.objects < 0 else request.objects
        try:
            response.objects = self.bridge.reset(request.scene or self._scene, request.seed, count)
            response.ready = Time(nanoseconds=self.bridge.now_ns).to_msg()
            response.success = True
        except (RuntimeError, ValueError, LookupError, OSError) as error:
            response.message = str(error)
        return response

    def _stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.bridge.stop_motion()
        response.success, response.message = True, "everything holds where it is"
        return response

    def _diagnose(self) -> None:
        self.topics.diagnose()
        if self.bridge.failure is not None:
            raise RuntimeError(f"the simulation broke down: {self.bridge.failure}")


def main(args: list[str] | None = None) -> None:
    """Run the bridge until it is told to stop."""
    with program("sim_bridge", (ParameterException, ValueError, LookupError, OSError), args) as running:
        node = SimBridgeNode()
        try:
            running.spin(node, threads=8)
        finally:
            # Goals that were running end now.
            node.bridge.close()
        running.last_words()
