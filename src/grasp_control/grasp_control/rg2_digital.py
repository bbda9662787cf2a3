# SPDX-License-Identifier: Apache-2.0
"""An RG2 that an output of the robot opens and closes. It knows no openings in between and feels little.

Whether something is held comes from an input where one is wired; where none is, ``holding`` is none: it cannot be told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from grasp_control.gripper_driver import FingerData, refuse_preshape
from grasp_control.gripper_settings import DigitalSettings
from grasp_control.ur_link import LinkError, UrSignals
from grasp_core.observation import GripperState
from grasp_core.ports import Cancel, GripperLimits, StateError
from grasp_description.grippers import GripperSpec

LOOK_S = 0.02


class Rg2Digital:
    """Drives an RG2 with one output.

    Args:
        name: the cell's name of the gripper.
        spec: its description.
        prefix: of its joints.
        force_n: not used: force is set at the gripper.
        settings: values of ``DigitalSettings``.
    """

    def __init__(self, name: str, spec: GripperSpec, prefix: str, force_n: float, settings: Mapping[str, Any]) -> None:
        self.settings = DigitalSettings.from_mapping(settings, f"settings of gripper {name}")
        self._name, self._fingers = name, FingerData(spec, prefix)
        self._signals = UrSignals(self.settings.host, self.settings.stale_s)
        self._closing: bool | None = None
        self._since = time.monotonic()
        self._stopped = threading.Event()
        self._trouble = ""

    @property
    def name(self) -> str:
        """The cell's name of the gripper."""
        return self._name

    @property
    def limits(self) -> GripperLimits:
        """Openings and forces that it takes; only the outermost openings are reached."""
        return self._fingers.limits

    @property
    def counts(self) -> Mapping[str, int]:
        """Reconnections."""
        return {"reconnections": self._signals.connections}

    @property
    def problem(self) -> str:
        """Why it takes no command; empty where it is ready."""
        try:
            self._signals.inputs()
        except LinkError as error:
            return f"gripper {self._name}: {error}"
        return ""

    def state(self) -> GripperState:
        """Opening as far as time tells, and whether something is held where an input says so.

        Raises:
            StateError: the controller does not answer.
        """
        try:
            inputs = self._signals.inputs()
        except LinkError as error:
            raise StateError(f"gripper {self._name}: {error}") from error
        holding = bool(inputs >> self.settings.grip_input & 1) if self.settings.grip_input >= 0 else None
        closing = bool(self._closing)
        share = min(1.0, (time.monotonic() - self._since) / self.settings.travel_s)
        low, high = self.limits.min_width_m, self.limits.max_width_m
        width = high - share * (high - low) if closing else low + share * (high - low)
        if self._closing is None:
            width = high
        if closing and holding:
            # Its opening is not known: as wide as it can be told apart from closed.
            width = max(width, 0.5 * (low + high))
        return GripperState(width, 0.0, bool(holding), holding, self._fingers.positions(width))

    def move(self, width_m: float, force_n: float | None = None, cancel: Cancel | None = None) -> GripperState:
        """Open where ``width_m`` lies in the upper half of the stroke, else close; waits for the stroke.

        Raises:
            StateError: the controller does not take the signal.
        """
        close = width_m < 0.5 * (self.limits.min_width_m + self.limits.max_width_m)
        try:
            self._signals.set_output(self.settings.close_output, close)
        except LinkError as error:
            raise StateError(f"gripper {self._name}: {error}") from error
        if close != self._closing:
            self._closing, self._since = close, time.monotonic()
        self._stopped.clear()
        while time.monotonic() - self._since < self.settings.travel_s:
            if (cancel is not None and cancel.is_set()) or self._stopped.wait(LOOK_S):
                break
            if close and self.settings.grip_input >= 0 and self.state().holding:
                break
        return self.state()

    def preshape(self, positions: Mapping[str, float], cancel: Cancel | None = None) -> GripperState:
        """Refused: the fingers have no joints of their own."""
        return refuse_preshape(self._name, positions, cancel)

    def stop(self) -> None:
        """End the waiting; with this wiring the fingers cannot be stopped on their way."""
        self._stopped.set()

    def close(self) -> None:
        """Let go of the controller."""
        self._signals.close()
