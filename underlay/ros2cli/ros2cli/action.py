# SPDX-License-Identifier: Apache-2.0
"""``ros2 action``: list actions, show who serves and uses one, send a goal."""

import signal
import sys
from typing import Any, ClassVar

import rclpy.action
from action_msgs.msg import GoalStatus

from ros2cli.api.convert import message_to_yaml
from ros2cli.api.fill import fill_message, parse_fields
from ros2cli.api.graph import DirectNode, add_node_arguments, complete_action, full_name
from ros2cli.api.interfaces import complete_type, interface_class
from ros2cli.command import VerbExtension, VerbGroup

ANSWER_LIMIT_S = 10.0
STATUS_NAMES = {
    GoalStatus.STATUS_ACCEPTED: "ACCEPTED",
    GoalStatus.STATUS_EXECUTING: "EXECUTING",
    GoalStatus.STATUS_CANCELING: "CANCELING",
    GoalStatus.STATUS_SUCCEEDED: "SUCCEEDED",
    GoalStatus.STATUS_CANCELED: "CANCELED",
    GoalStatus.STATUS_ABORTED: "ABORTED",
}


class ActionCommand(VerbGroup):
    """Various action related sub-commands."""

    verbs: ClassVar[dict[str, str]] = {
        "info": "ros2cli.action:InfoVerb",
        "list": "ros2cli.action:ListVerb",
        "send_goal": "ros2cli.action:SendGoalVerb",
    }
    elsewhere = ("echo", "find", "type")


class ListVerb(VerbExtension):
    """Output a list of action names."""

    def add_arguments(self, parser, cli_name):
        """Declare ``--show-types`` and ``--count-actions``."""
        add_node_arguments(parser)
        parser.add_argument("-t", "--show-types", action="store_true", help="Additionally show the action type")
        parser.add_argument(
            "-c", "--count-actions", action="store_true", help="Only display the number of actions discovered"
        )

    def main(self, *, args):
        """Print one action a line, with its type on request."""
        with DirectNode(args) as node:
            node.settle()
            found = node.actions()
        if args.count_actions:
            print(len(found))
            return
        for name, types in found:
            print(f"{name} [{', '.join(types)}]" if args.show_types else name)


class InfoVerb(VerbExtension):
    """Print information about an action."""

    def add_arguments(self, parser, cli_name):
        """Declare the action and what to show."""
        add_node_arguments(parser)
        argument = parser.add_argument("action_name", help="Name of the ROS action to get info (e.g. '/fibonacci')")
        argument.completer = complete_action
        parser.add_argument("-t", "--show-types", action="store_true", help="Additionally show the action type")
        parser.add_argument(
            "-c",
            "--count",
            action="store_true",
            help="Only display the number of action clients and action servers",
        )

    def main(self, *, args):
        """Print the nodes that serve and use the action."""
        with DirectNode(args) as node:
            node.settle()
            name = node.expand(args.action_name)
            users = {
                "clients": _users(node, name, rclpy.action.get_action_client_names_and_types_by_node),
                "servers": _users(node, name, rclpy.action.get_action_server_names_and_types_by_node),
            }
        print(f"Action: {args.action_name}")
        for kind, nodes in users.items():
            print(f"Action {kind}: {len(nodes)}")
            for user, types in [] if args.count else nodes:
                print(f"    {user} [{', '.join(types)}]" if args.show_types else f"    {user}")


def _users(node, action_name, names_and_types_by_node):
    found = []
    for name, namespace in node.node.get_node_names_and_namespaces():
        types = dict(names_and_types_by_node(node.node, name, namespace)).get(action_name)
        if types is not None:
            found.append((full_name(name, namespace), types))
    return found


class SendGoalVerb(VerbExtension):
    """Send an action goal."""

    def add_arguments(self, parser, cli_name):
        """Declare the action, its type, the goal and ``--feedback``."""
        parser.add_argument(
            "action_name", help="Name of the ROS action (e.g. '/fibonacci')"
        ).completer = complete_action
        argument = parser.add_argument(
            "action_type", help="Type of the ROS action (e.g. 'example_interfaces/action/Fibonacci')"
        )
        argument.completer = complete_type("action")
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "goal", nargs="?", default="{}", help="Goal request values in YAML format (e.g. '{order: 10}')"
        )
        group.add_argument("--stdin", action="store_true", help="Read goal from standard input")
        parser.add_argument("-f", "--feedback", action="store_true", help="Echo feedback messages for the goal")

    def main(self, *, args):
        """Send the goal, print feedback on request and the result; an interrupt cancels the goal."""
        action_type = interface_class(args.action_type, "action")
        goal = action_type.Goal()
        fill_message(goal, parse_fields(sys.stdin.read() if args.stdin else args.goal))
        name = f"_ros2cli_send_goal_{args.action_type.replace('/', '_')}"
        # an interrupt must leave the node alive for as long as it takes to cancel the goal
        with Interrupts() as interrupts, DirectNode(args, name=name, signals=False) as node:
            client = rclpy.action.ActionClient(node.node, action_type, args.action_name)
            try:
                return _send(node, client, goal, _print_feedback if args.feedback else None, interrupts)
            finally:
                client.destroy()


class Interrupts:
    """Notes SIGINT and SIGTERM instead of acting on them; true once one has come."""

    def __init__(self) -> None:
        self._come = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self._come

    def _note(self, *_args: object) -> None:
        self._come = True


def _print_feedback(feedback):
    print(f"Feedback:\n    {message_to_yaml(feedback.feedback)}")


def _send(node, client, goal, show_feedback, interrupts):
    print("Waiting for an action server to become available...")
    node.spin_until(lambda: client.server_is_ready() or interrupts)
    if interrupts:
        raise KeyboardInterrupt
    print(f"Sending goal:\n     {message_to_yaml(goal)}")
    # from here on an interrupt waits for the answer: a goal that was accepted has to be canceled
    accepting = client.send_goal_async(goal, show_feedback)
    if not node.spin_until(accepting.done, ANSWER_LIMIT_S):
        raise RuntimeError(f"The action server has not answered the goal within {ANSWER_LIMIT_S} s")
    handle = accepting.result()
    if not handle.accepted:
        print("Goal was rejected.")
        return
    print(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n")
    finishing = handle.get_result_async()
    node.spin_until(lambda: finishing.done() or interrupts)
    if not finishing.done():
        _cancel(node, handle)
        raise KeyboardInterrupt
    result = finishing.result()
    print(f"Result:\n    {message_to_yaml(result.result)}")
    print(f"Goal finished with status: {STATUS_NAMES.get(result.status, 'UNKNOWN')}")
    return


def _cancel(node, handle):
    print("Canceling goal...")
    canceling = handle.cancel_goal_async()
    if not node.spin_until(canceling.done, ANSWER_LIMIT_S) or not canceling.result().goals_canceling:
        raise RuntimeError("Failed to cancel goal")
    print("Goal canceled.")
