# SPDX-License-Identifier: Apache-2.0
"""Events that a launch emits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._refusal import refuse_attribute
from ..event import Event
from . import process


class ExecutionComplete(Event):
    """An action is complete."""

    name = "launch.events.ExecutionComplete"

    def __init__(self, *, action: Any) -> None:
        self.action = action


class IncludeLaunchDescription(Event):
    """A launch description is to be visited."""

    name = "launch.events.IncludeLaunchDescription"

    def __init__(self, launch_description: Any) -> None:
        self.launch_description = launch_description


class Shutdown(Event):
    """The launch is to shut down."""

    name = "launch.events.Shutdown"

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.reason = reason
        self.due_to_sigint = due_to_sigint


class TimerEvent(Event):
    """A timer's period has passed."""

    name = "launch.events.TimerEvent"

    def __init__(self, *, timer_action: Any) -> None:
        self.timer_action = timer_action


def matches_action(target_action: Any) -> Callable[[Any], bool]:
    """Return a matcher for exactly this action."""
    return lambda action: action is target_action


__all__ = ["ExecutionComplete", "IncludeLaunchDescription", "Shutdown", "TimerEvent", "matches_action", "process"]
__getattr__ = refuse_attribute(__name__, __all__)
