# SPDX-License-Identifier: Apache-2.0
"""An arm's driver behind the topics, actions and services that the simulator offers for it, and its stops."""

from __future__ import annotations

import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from grasp_control import ros_conversions as ros
from grasp_control.arm_guard import GuardedDriver
from grasp_control.node_parameters import ArmParameters
from grasp_control.ros_arm_actions import ArmActions
from grasp_control.ros_running import run_driver
from grasp_control.safety_node import SafetyNode
from grasp_core import registry, resources
from grasp_core.cell_config import CellConfig
from grasp_description.cell_kinematics import CellKinematics


class ArmNode(Node):
    """Parameters, publishers, actions; the arm itself is the driver's."""

    def __init__(self) -> None:
        super().__init__("arm_driver")
        self._p = p = ros.declared_parameters(self, ArmParameters, changeable=("speed_scale",))
        config = CellConfig.from_yaml(resources.find("config", f"cells/{p.cell}.yaml"))
        name, settings = config.arm(p.arm or None)
        kinematics = CellKinematics(config)
        limits = kinematics.limits()
        make = registry.load("grasp.drivers", p.driver)
        options = p.settings(robot_ip=p.robot_ip, speed_scale=p.speed_scale)
        self.arm = make(name, {joint: limits[joint] for joint in settings.joints}, options)
        self._driver = GuardedDriver(self.arm, config, kinematics)
        self._joints = self.create_publisher(JointState, "joint_states", 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._actions = [
            ArmActions(self, self._driver, controller, p.tf_prefix, p.deadman_s) for controller in settings.controllers
        ]
        self.create_service(Trigger, "~/recover", self._recover, callback_group=MutuallyExclusiveCallbackGroup())
        self.add_on_set_parameters_callback(self._set)
        self.create_timer(1.0, self._diagnose)
        self.failure: BaseException | None = None
        self._problem = "not connected yet"
        self._over = threading.Event()
        self._publisher = threading.Thread(target=self._publish, daemon=True, name="joint states")
        self._publisher.start()

    def _publish(self) -> None:
        try:
            self._pass_readings_on()
        except Exception as error:  # noqa: BLE001 # an arm that nobody hears of any more must not go on
            self.failure = error

    def _pass_readings_on(self) -> None:
        """The driver's readings as they come, no faster than ``state_hz``."""
        reading, sent_ns = None, 0
        while not self._over.is_set():
            reading = self.arm.wait_for_reading(reading, 0.5) or reading
            if reading is None or not self.context.ok():
                continue
            if reading.stamp_ns - sent_ns >= 0.9e9 / self._p.state_hz:
                sent_ns = reading.stamp_ns
                state = self.arm.joint_names, reading.positions, reading.velocities
                self._joints.publish(ros.joint_state_message(*state, self._p.tf_prefix, sent_ns))
            for actions in self._actions:
                actions.on_reading(reading)
            if (reading.problem or reading.warning) != self._problem:
                self._problem = reading.problem or reading.warning
                self._log_problem()

    def _log_problem(self) -> None:
        if self._problem:
            self.get_logger().error(f"arm {self.arm.name} does not move: {self._problem}")
        else:
            self.get_logger().info(f"arm {self.arm.name} is ready")
        self._diagnose()

    def _diagnose(self) -> None:
        self.arm.look_after()
        reading = self.arm.reading
        problem = "the servo process is silent" if reading is None or self.arm.silent_s > 1.0 else reading.problem
        values: dict[str, Any] = {"speed_scale": self.arm.settings.speed_scale}
        warning = ""
        if reading is not None:
            values |= reading.values()
            warning = reading.warning
        values |= {f"guard: {limit}": count for limit, count in self._driver.counts.items()}
        name, stamp_ns = f"{self.get_name()}: arm", self.get_clock().now().nanoseconds
        message = ros.diagnostics_message(name, self.arm.settings.robot_ip, problem, warning, values, stamp_ns)
        self._diagnostics.publish(message)

    def _recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self.arm.recover()
        return response

    def _set(self, parameters: list) -> SetParametersResult:
        try:
            for parameter in parameters:
                if parameter.name == "speed_scale":
                    self.arm.set_speed_scale(parameter.value)
        except (ValueError, TypeError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def rest(self) -> None:
        """Bring the arm to rest and let go of it."""
        self._over.set()
        self.arm.close()
        self._publisher.join(2.0)

    close = rest


def main(args: list[str] | None = None) -> None:
    """Run the driver until it is told to stop."""
    run_driver("arm_node", ArmNode, 6, lambda node: SafetyNode(node.arm), args)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
