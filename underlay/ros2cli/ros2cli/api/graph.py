# SPDX-License-Identifier: Apache-2.0
"""The node behind a command: it finds the graph by itself (there is no daemon) and waits on events with a limit."""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import rclpy
import rclpy.action
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.expand_topic_name import expand_topic_name
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden
from rclpy.validate_full_topic_name import validate_full_topic_name

from ros2cli.api.numbers import positive_float

HIDDEN_PREFIX = "_"
NODE_PREFIX = "_ros2cli"
# Fast DDS repeats a lost announcement after 3 s by default, so that discovery may take this long.
DISCOVERY_LIMIT_S = 4.0
QUIET_S = 0.6  # the graph counts as known once it has not changed for this long
POLL_S = 0.02  # rclpy does not expose the graph's guard condition, so the graph is compared this often


def add_node_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare upstream's ``--spin-time``, ``--use-sim-time`` and ``--no-daemon``."""
    parser.add_argument(
        "--spin-time",
        type=positive_float,
        help="Spin time in seconds to wait for discovery "
        f"(default: until the graph is quiet, at most {DISCOVERY_LIMIT_S} s)",
    )
    parser.add_argument("-s", "--use-sim-time", action="store_true", help="Enable ROS simulation time")
    parser.add_argument("--no-daemon", action="store_true", help="Accepted for upstream's sake: there is no daemon")


class DirectNode:
    """A context manager that holds a hidden node and its executor.

    ``node`` is the rclpy node. SIGINT raises KeyboardInterrupt and SIGTERM ExternalShutdownException, as rclpy does;
    with ``signals=False`` rclpy keeps its hands off them, and the node still works after one has come.
    """

    def __init__(self, args: argparse.Namespace, *, name: str | None = None, signals: bool = True) -> None:
        self._spin_time_s: float | None = getattr(args, "spin_time", None)
        rclpy.init(args=[], signal_handler_options=None if signals else SignalHandlerOptions.NO)
        self.node = rclpy.create_node(
            name or f"{NODE_PREFIX}_{os.getpid()}",
            start_parameter_services=False,
            parameter_overrides=[Parameter("use_sim_time", value=getattr(args, "use_sim_time", False))],
        )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def __enter__(self) -> "DirectNode":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._executor.remove_node(self.node)
        self.node.destroy_node()
        rclpy.try_shutdown()

    def spin_once(self, timeout_s: float | None = None) -> None:
        """Wait for one callback and run it.

        Raises:
            ExternalShutdownException: the process was told to end.
        """
        try:
            self._executor.spin_once(timeout_sec=timeout_s)
        except Exception as error:
            if rclpy.ok():
                raise
            # a signal between two steps of the executor shows up as one of several errors
            raise ExternalShutdownException from error

    def spin_until(self, predicate: Callable[[], Any], timeout_s: float | None = None) -> bool:
        """Run callbacks until ``predicate`` holds; False if ``timeout_s`` seconds (None: no limit) went by first."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not predicate():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self.spin_once(POLL_S)
        return True

    def spin_until_time(self, due_s: float) -> None:
        """Run callbacks until the monotonic clock reads ``due_s`` seconds; at once if it already does."""
        while (left_s := due_s - time.monotonic()) > 0:
            self.spin_once(left_s)

    def spin_future(self, future: Any) -> Any:
        """Run callbacks until ``future`` is done and return its result (or raise its exception)."""
        self._executor.spin_until_future_complete(future)
        if not future.done():
            raise ExternalShutdownException
        return future.result()

    def discover(self, predicate: Callable[[], Any]) -> bool:
        """Wait until ``predicate`` holds on the graph, at most ``--spin-time`` or the discovery limit."""
        return self.spin_until(predicate, self._spin_time_s or DISCOVERY_LIMIT_S)

    def settle(self) -> None:
        """Wait ``--spin-time`` where it was given, else until other nodes are known and the graph is quiet."""
        if self._spin_time_s is not None:
            self.spin_until_time(time.monotonic() + self._spin_time_s)
            return
        own = self.node.get_name()
        seen: Any = None
        since = time.monotonic()

        def quiet() -> bool:
            nonlocal seen, since
            nodes = self.node.get_node_names_and_namespaces()
            now = (
                sorted(nodes),
                self.node.get_topic_names_and_types(),
                self.node.get_service_names_and_types(),
            )
            if now != seen:
                seen, since = now, time.monotonic()
            return any(name != own for name, _ in nodes) and time.monotonic() - since >= QUIET_S

        self.discover(quiet)

    def topics(self, *, hidden: bool = False) -> list[tuple[str, list[str]]]:
        """Topics and their types; action-internal and other hidden ones only on request."""
        found = self.node.get_topic_names_and_types()
        return [(name, types) for name, types in found if hidden or not topic_or_service_is_hidden(name)]

    def services(self, *, hidden: bool = False) -> list[tuple[str, list[str]]]:
        """Services and their types; hidden ones only on request."""
        found = self.node.get_service_names_and_types()
        return [(name, types) for name, types in found if hidden or not topic_or_service_is_hidden(name)]

    def actions(self) -> list[tuple[str, list[str]]]:
        """Actions and their types."""
        return rclpy.action.get_action_names_and_types(self.node)

    def node_names(self, *, hidden: bool = False) -> list[str]:
        """Full names of the nodes, sorted, repeats kept; names that start with an underscore only on request."""
        return sorted(
            full_name(name, namespace)
            for name, namespace in self.node.get_node_names_and_namespaces()
            if hidden or not name.startswith(HIDDEN_PREFIX)
        )

    def expand(self, topic: str) -> str:
        """``topic`` as a full name.

        Raises:
            RuntimeError: it is not a legal name.
        """
        try:
            name = expand_topic_name(topic, self.node.get_name(), self.node.get_namespace())
            validate_full_topic_name(name)
        except (ValueError, rclpy.exceptions.InvalidTopicNameException) as error:
            raise RuntimeError(str(error)) from error
        return name

    def topic_type(self, topic: str) -> str | None:
        """The one type of a topic, or None while the topic is unknown.

        Raises:
            RuntimeError: nodes use the topic with different types.
        """
        name = self.expand(topic)
        types = dict(self.node.get_topic_names_and_types()).get(name)
        if not types:
            return None
        if len(types) > 1:
            listed = ", ".join(types)
            raise RuntimeError(f"Cannot use topic '{topic}', as it contains more than one type: [{listed}]")
        return types[0]


def full_name(name: str, namespace: str) -> str:
    """The full name of a node."""
    return f"{namespace.rstrip('/')}/{name}"


def split_node_name(name: str) -> tuple[str, str]:
    """(name, namespace) of a node's full name; a missing leading slash is added."""
    namespace, _, base = f"/{name.lstrip('/')}".rpartition("/")
    return base, namespace or "/"


def complete_from_graph(list_names: Callable[[DirectNode], list[str]]):
    """A completer (argcomplete) of names found on the graph."""

    def complete(prefix: str, parsed_args: argparse.Namespace, **_kwargs: object) -> list[str]:
        with DirectNode(parsed_args) as node:
            node.settle()
            return list_names(node)

    return complete


complete_topic = complete_from_graph(lambda node: [name for name, _ in node.topics()])
complete_service = complete_from_graph(lambda node: [name for name, _ in node.services()])
complete_action = complete_from_graph(lambda node: [name for name, _ in node.actions()])
complete_node = complete_from_graph(lambda node: node.node_names())
