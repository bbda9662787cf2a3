# SPDX-License-Identifier: Apache-2.0
"""A gripper's driver behind the topics and actions that the simulator offers for it."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from grasp_control import ros_conversions as ros
from grasp_control.node_parameters import GripperParameters
from grasp_control.ros_gripper_actions import GripperActions
from grasp_control.ros_running import run_driver
from grasp_core import registry, resources
from grasp_core.cell_config import CellConfig
from grasp_core.config import ConfigError
from grasp_core.ports import StateError
from grasp_description.grippers import load_gripper


class GripperNode(Node):
    """Parameters, publishers, actions; the gripper itself is the driver's."""

    def __init__(self) -> None:
        super().__init__("gripper_driver")
        self._p = p = ros.declared_parameters(self, GripperParameters)
        config = CellConfig.from_yaml(resources.find("config", f"cells/{p.cell}.yaml"))
        name = p.gripper or next(iter(config.grippers))
        if name not in config.grippers:
            raise ConfigError(f"cell {p.cell} has no gripper {name!r}; it has {', '.join(config.grippers)}")
        settings = config.grippers[name]
        make = registry.load("grasp.drivers", p.driver)
        options = p.settings()
        self.gripper = make(name, load_gripper(settings.kind), settings.prefix, settings.force_n, options)
        self._joints = self.create_publisher(JointState, "joint_states", 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._actions = GripperActions(self, self.gripper, settings.controller, settings.force_n)
        own = MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, "~/stop", self._stop, callback_group=own)
        self.create_timer(1.0 / p.state_hz, self._publish, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_timer(1.0, self._diagnose)
        self._problem: str | None = None
        self.failure: BaseException | None = None

    def _publish(self) -> None:
        problem = self.gripper.problem
        if problem.partition(", silent")[0] != (self._problem or "").partition(", silent")[0] or self._problem is None:
            self._problem = problem
            if problem:
                self.get_logger().error(problem)
            else:
                self.get_logger().info(f"gripper {self.gripper.name} is ready")
            self._diagnose()
        try:
            state = self.gripper.state()
        except StateError:
            return
        positions = state.positions
        self._actions.on_state(state)
        names, zeros = list(positions), [0.0] * len(positions)
        stamp_ns = self.get_clock().now().nanoseconds
        prefix = self._p.tf_prefix
        self._joints.publish(ros.joint_state_message(names, list(positions.values()), zeros, prefix, stamp_ns))

    def _diagnose(self) -> None:
        stamp_ns = self.get_clock().now().nanoseconds
        name, counts = f"{self.get_name()}: gripper", self.gripper.counts
        problem = self.gripper.problem
        self._diagnostics.publish(ros.diagnostics_message(name, self._p.driver, problem, "", counts, stamp_ns))

    def _stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.gripper.stop()
        response.success, response.message = True, "the fingers were told to stop"
        return response

    def rest(self) -> None:
        """Stop the fingers."""
        self.gripper.stop()

    def close(self) -> None:
        """Let go of the gripper."""
        self.gripper.close()


def main(args: list[str] | None = None) -> None:
    """Run the driver until it is told to stop."""
    run_driver("gripper_node", GripperNode, 5, args=args)


if __name__ == "__main__":
    main()
