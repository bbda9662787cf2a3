# SPDX-License-Identifier: Apache-2.0
"""An RG2 behind OnRobot's Compute Box, over Modbus TCP. The driver's only module that imports pymodbus.

A thread reads the registers at ``poll_hz`` and connects again after a loss. A command that was given before the loss is
not repeated: the gripper has it or has it not, and whoever waited for it is told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grasp_control.gripper_driver import FingerData, refuse_preshape
from grasp_control.gripper_settings import Rg2Settings
from grasp_control.rg2_registers import (
    CONTROL,
    FIRST_READ,
    FORCE,
    GRIP,
    READ_COUNT,
    STATUS,
    STOP,
    UNSAFE,
    WIDTH_NOW,
    Status,
)
from grasp_core.observation import GripperState
from grasp_core.ports import Cancel, GripperLimits, StateError
from grasp_description.grippers import GripperSpec

LOOK_S = 0.02
RECONNECT_S = 0.3
# A command that came while the fingers still moved is ignored by the gripper; so is what a blocked gripper gets twice.
TRIES = 2


@dataclass(frozen=True)
class Registers:
    """What was read, and when by the monotonic clock."""

    width_m: float
    status: Status
    at_s: float


class Rg2Modbus:
    """Drives an RG2 over Modbus TCP.

    Args:
        name: the cell's name of the gripper.
        spec: its description.
        prefix: of its joints.
        force_n: grip force where a command does not say.
        settings: values of ``Rg2Settings``.
    """

    def __init__(self, name: str, spec: GripperSpec, prefix: str, force_n: float, settings: Mapping[str, Any]) -> None:
        from pymodbus.client import ModbusTcpClient

        self.settings = s = Rg2Settings.from_mapping(settings, f"settings of gripper {name}")
        self._name, self._force_n, self._fingers = name, force_n, FingerData(spec, prefix)
        self._client = ModbusTcpClient(s.host, port=s.port, timeout=s.reply_s, retries=0)
        self._wire = threading.Lock()
        self._changed = threading.Condition()
        self._newest: Registers | None = None
        self._goal: tuple[float, float] | None = None
        self._trouble, self._lost = "not connected yet", True
        self._counts = {"reads": 0, "failed reads": 0, "reconnections": 0}
        self._over = threading.Event()
        self._poller = threading.Thread(target=self._poll, daemon=True, name=f"{name} registers")
        self._poller.start()

    @property
    def name(self) -> str:
        """The cell's name of the gripper."""
        return self._name

    @property
    def limits(self) -> GripperLimits:
        """Openings and forces that it takes."""
        return self._fingers.limits

    @property
    def counts(self) -> Mapping[str, int]:
        """Reads, failed reads, reconnections."""
        return dict(self._counts)

    @property
    def problem(self) -> str:
        """Why it takes no command; empty where it is ready."""
        newest = self._newest
        if newest is None or self._lost or time.monotonic() - newest.at_s > self.settings.stale_s:
            silent = "" if newest is None else f", silent for {time.monotonic() - newest.at_s:.1f} s"
            return f"gripper {self._name} at {self.settings.host}:{self.settings.port}{silent}: {self._trouble}"
        if newest.status & UNSAFE:
            return f"gripper {self._name}: a safety switch was triggered; free the fingers, switch its power off and on"
        return ""

    def state(self) -> GripperState:
        """What it reported last.

        Raises:
            StateError: nothing was heard of it, or too long ago.
        """
        newest = self._newest
        if newest is None or time.monotonic() - newest.at_s > self.settings.stale_s:
            raise StateError(self.problem)
        return self._state_of(newest)

    def move(self, width_m: float, force_n: float | None = None, cancel: Cancel | None = None) -> GripperState:
        """Open or close; returns when the opening is reached or something stops the fingers.

        Raises:
            StateError: the gripper does not answer, is blocked by its safety switches, or never ends its motion.
        """
        if problem := self.problem:
            raise StateError(problem)
        width, force = self._fingers.clamp(width_m, self._force_n if force_n is None else force_n)
        # A command is ignored while the fingers still move.
        if self._newest is not None and self._newest.status & Status.BUSY:
            self.stop()
            self._wait_until_rest(time.monotonic() + self.settings.motion_s, None)
        self._goal = (width, force)
        for _ in range(TRIES):
            self._write(FORCE, [round(10.0 * force), round(1e4 * width), GRIP])
            self._wait_until_rest(time.monotonic() + self.settings.motion_s, cancel)
            state = self.state()
            if state.holding or not state.stalled or (cancel is not None and cancel.is_set()):
                break
        return state

    def preshape(self, positions: Mapping[str, float], cancel: Cancel | None = None) -> GripperState:
        """Refused: the fingers have no joints of their own."""
        return refuse_preshape(self._name, positions, cancel)

    def stop(self) -> None:
        """Stop the fingers; a gripper that does not answer is left to itself."""
        try:
            self._write(CONTROL, [STOP])
        except StateError as error:
            self._trouble = str(error)

    def close(self) -> None:
        """End the thread and the connection."""
        self._over.set()
        self._poller.join(2.0)
        self._client.close()

    def _state_of(self, read: Registers) -> GripperState:
        gripped, busy = bool(read.status & Status.GRIP), bool(read.status & Status.BUSY)
        goal = self._goal
        short = goal is not None and abs(read.width_m - goal[0]) > self.settings.reached_m
        stalled = not busy and (gripped or short)
        holding = gripped and read.width_m > self.limits.min_width_m + self.settings.empty_m
        effort = goal[1] if gripped and goal is not None else 0.0
        return GripperState(read.width_m, effort, stalled, holding, self._fingers.positions(read.width_m))

    def _wait_until_rest(self, deadline: float, cancel: Cancel | None) -> None:
        """Until the registers, read after this call began, say that nothing moves."""
        began = time.monotonic()
        with self._changed:
            while True:
                newest = self._newest
                # What was on its way when the command went out does not count.
                fresh = newest is not None and newest.at_s > began + 0.5 / self.settings.poll_hz
                if fresh and newest is not None and not newest.status & Status.BUSY:
                    return
                if cancel is not None and cancel.is_set():
                    break
                if problem := self.problem:
                    raise StateError(problem)
                if time.monotonic() > deadline:
                    self.stop()
                    width_mm = 1e3 * newest.width_m if newest is not None else float("nan")
                    raise StateError(
                        f"gripper {self._name} did not end its motion within {self.settings.motion_s:g} s "
                        f"(opening {width_mm:.0f} mm); it was told to stop"
                    )
                self._changed.wait(LOOK_S)
        self.stop()

    def _write(self, address: int, values: list[int]) -> None:
        from pymodbus.exceptions import ModbusException

        try:
            with self._wire:
                answer = self._client.write_registers(address, values, device_id=self.settings.unit)
        except (ModbusException, OSError) as error:
            self._lost = True
            raise StateError(f"gripper {self._name} did not take a command: {error}") from error
        if answer.isError():
            raise StateError(f"gripper {self._name} refused a command: {answer}")

    def _poll(self) -> None:
        from pymodbus.exceptions import ModbusException

        period_s = 1.0 / self.settings.poll_hz
        while not self._over.wait(period_s):
            try:
                if not self._client.connected:
                    self._connect()
                with self._wire:
                    answer = self._client.read_holding_registers(
                        FIRST_READ, count=READ_COUNT, device_id=self.settings.unit
                    )
                if answer.isError():
                    raise ModbusException(str(answer))
            except (ModbusException, OSError) as error:
                self._counts["failed reads"] += 1
                self._trouble, self._lost = f"no reply ({error})", True
                with self._wire:
                    self._client.close()
                self._over.wait(RECONNECT_S)
                continue
            block = answer.registers
            status = Status(block[STATUS - FIRST_READ] & 0x7F)
            with self._changed:
                self._counts["reads"] += 1
                self._lost = False
                self._newest = Registers(1e-4 * block[WIDTH_NOW - FIRST_READ], status, time.monotonic())
                self._changed.notify_all()

    def _connect(self) -> None:
        self._counts["reconnections"] += 1
        with self._wire:
            if not self._client.connect():
                raise OSError("nobody listens there")
