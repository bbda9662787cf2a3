# SPDX-License-Identifier: Apache-2.0
"""ur_rtde behind a small interface: states in, servo targets out. The only module that imports it.

Its constructors keep Python's interpreter lock while they wait for the robot, so this belongs into a process of its own
(``servo_process``).
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from grasp_control.arm_settings import ArmSettings
from grasp_core.geometry import Array

log = logging.getLogger(__name__)

RTDE_PORT = 30004
PROBE_S = 1.0
PLAYING = 2
# How often inputs are read (Hz).
SIGNALS_HZ = 25.0
# What is asked of the controller each cycle, no more: a package is sent hundreds of times a second.
VARIABLES = [
    "timestamp",
    "actual_q",
    "actual_qd",
    "actual_digital_input_bits",
    "robot_mode",
    "safety_mode",
    "speed_scaling",
    "target_speed_fraction",
    "runtime_state",
]


class LinkError(RuntimeError):
    """The robot cannot be reached or does not take the program; the message says which and why."""


@dataclass(frozen=True)
class RobotState:
    """One package of the controller; ``time_s`` is its own clock."""

    time_s: float
    q: Array
    qd: Array
    digital_in: int
    robot_mode: int
    safety_mode: int
    speed_scaling: float
    slider: float
    runtime: int


class UrLink:
    """A connection for states and, once ``take_control`` succeeded, one for commands."""

    def __init__(self, settings: ArmSettings) -> None:
        self._settings = settings
        self._receive: Any = None
        self._control: Any = None
        self.rate_hz = 0.0 if settings.rate == "auto" else float(settings.rate)

    @property
    def connected(self) -> bool:
        """Whether the connection for states stands."""
        return self._receive is not None and self._receive.isConnected()

    @property
    def controlling(self) -> bool:
        """Whether there is a connection for commands."""
        return self._control is not None and self._control.isConnected()

    def connect(self) -> None:
        """Open the connection for states.

        Raises:
            LinkError: nobody answers.
        """
        import rtde_receive

        self.close()
        host = self._settings.robot_ip
        try:
            # The library itself waits for minutes where an address does not answer at all.
            socket.create_connection((host, RTDE_PORT), timeout=PROBE_S).close()
            self._receive = rtde_receive.RTDEReceiveInterface(host, self.rate_hz or -1.0, VARIABLES)
        except (OSError, RuntimeError) as error:
            raise LinkError(f"no RTDE connection to {host}:{RTDE_PORT}: {error}") from error
        if not self.rate_hz:
            self.rate_hz = self._measured_rate_hz()

    def take_control(self) -> None:
        """Open the connection for commands and have the controller run the control program.

        Raises:
            LinkError: another client controls the robot, or the program does not run.
        """
        import rtde_control

        self.drop_control()
        try:
            control = rtde_control.RTDEControlInterface(self._settings.robot_ip, self.rate_hz)
        except (OSError, RuntimeError) as error:
            raise LinkError(f"the controller does not take the control program: {error}") from error
        if not control.isProgramRunning():
            control.disconnect()
            raise LinkError(
                "the control program was sent, but the controller does not run it; an e-Series takes programs only in "
                "Remote Control"
            )
        self._control = control

    def state(self) -> RobotState | None:
        """The newest package; none without connection."""
        receive = self._receive
        if receive is None:
            return None
        return RobotState(
            receive.getTimestamp(),
            np.array(receive.getActualQ()),
            np.array(receive.getActualQd()),
            receive.getActualDigitalInputBits(),
            receive.getRobotMode(),
            receive.getSafetyMode(),
            receive.getSpeedScaling(),
            receive.getTargetSpeedFraction(),
            receive.getRuntimeState(),
        )

    def servo(self, q: Array, dt_s: float) -> bool:
        """Command the next joint positions [6]; false where they did not go out."""
        s = self._settings
        control = self._control
        return control is not None and bool(
            control.servoJ(q.tolist(), 0.0, 0.0, dt_s, s.servo_lookahead_s, s.servo_gain)
        )

    def release(self) -> None:
        """End the control program where it runs, then close everything."""
        if self.controlling and self.connected and self._receive.getRuntimeState() == PLAYING:
            self._control.stopScript()
        self.close()

    def drop_control(self) -> None:
        """Close the connection for commands."""
        if self._control is not None:
            self._control.disconnect()
            self._control = None

    def close(self) -> None:
        """Close both connections; safe to call at any time."""
        self.drop_control()
        if self._receive is not None:
            self._receive.disconnect()
            self._receive = None

    def _measured_rate_hz(self) -> float:
        """125 or 500, told from the steps of the controller's clock."""
        times: list[float] = []
        end = time.monotonic() + PROBE_S
        while len(times) < 5 and time.monotonic() < end:
            now = self._receive.getTimestamp()
            if not times or now != times[-1]:
                times.append(now)
        steps = np.diff(times)
        return 125.0 if len(steps) == 0 or float(steps.min()) > 0.004 else 500.0


class UrSignals:
    """Digital signals of a controller: outputs to set, inputs to read. Connects by itself, and again after a loss.

    Args:
        host: address of the controller.
        stale_s: inputs that are older count as none.
    """

    def __init__(self, host: str, stale_s: float) -> None:
        self._host, self._stale_s = host, stale_s
        self._receive: Any = None
        self._io: Any = None
        self._lock = threading.Lock()
        self._seen = (-1.0, -np.inf)
        self.connections = 0

    def inputs(self) -> int:
        """Bits of the inputs: 0-7 standard, 8-15 configurable, 16-17 tool.

        Raises:
            LinkError: no connection, or its states have stopped.
        """
        with self._lock:
            self._connect()
            time_s, now = self._receive.getTimestamp(), time.monotonic()
            if time_s != self._seen[0]:
                self._seen = (time_s, now)
            if now - self._seen[1] > self._stale_s:
                self._drop()
                raise LinkError(f"the controller at {self._host} is silent")
            return int(self._receive.getActualDigitalInputBits())

    def set_output(self, number: int, on: bool) -> None:
        """Switch an output, numbered as the inputs.

        Raises:
            LinkError: no connection, or the controller does not take it.
        """
        with self._lock:
            self._connect()
            setters = (self._io.setStandardDigitalOut, self._io.setConfigurableDigitalOut, self._io.setToolDigitalOut)
            if not setters[number // 8](number % 8, on):
                raise LinkError(f"the controller at {self._host} did not switch output {number}")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _connect(self) -> None:
        import rtde_io
        import rtde_receive

        if self._receive is not None and self._receive.isConnected():
            return
        self._drop()
        try:
            socket.create_connection((self._host, RTDE_PORT), timeout=PROBE_S).close()
            self._receive = rtde_receive.RTDEReceiveInterface(
                self._host, SIGNALS_HZ, ["timestamp", "actual_digital_input_bits"]
            )
            self._io = rtde_io.RTDEIOInterface(self._host)
        except (OSError, RuntimeError) as error:
            self._drop()
            raise LinkError(f"no RTDE connection to {self._host}:{RTDE_PORT}: {error}") from error
        self.connections += 1
        self._seen = (-1.0, time.monotonic())

    def _drop(self) -> None:
        for part in (self._receive, self._io):
            if part is not None:
                part.disconnect()
        self._receive = self._io = None
