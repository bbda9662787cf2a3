# SPDX-License-Identifier: Apache-2.0
"""Faults that can be put upon the loopback controllers, by name, and the port that takes them.

One JSON object a line: ``{"fault": "protective_stop"}``, ``{"fault": "cut", "seconds": 1.0}``. ``{"fault": "state"}``
answers with what the arm does. Each answer is an object with ``ok`` and the machine's monotonic time ``at_s``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grasp_control.loopback.controller import Runtime

if TYPE_CHECKING:
    from grasp_control.loopback.server import Loopback

# Slower than this the arm counts as standing (rad/s); the driver's own bar.
STILL_RAD_S = 0.02


class Faults:
    """The faults of one set of loopback controllers."""

    def __init__(self, loopback: Loopback) -> None:
        self._l = loopback
        self._background: set[asyncio.Task] = set()
        self.known: dict[str, Callable[..., Any]] = {
            name: getattr(self, f"_{name}")
            for name in (
                "state",
                "cut",
                "protective_stop",
                "emergency_stop",
                "release_emergency_stop",
                "stop_program",
                "slider",
                "late",
                "frozen",
                "refuse_scripts",
                "local_control",
                "gripper_silent",
                "gripper_late",
                "gripper_stuck",
                "object",
                "blocked",
                "clear",
            )
        }

    def apply(self, name: str, **options: Any) -> dict[str, Any]:
        """Put a fault into effect.

        Raises:
            ValueError: no such fault, or options that it does not take; the message says which there are.
        """
        if name not in self.known:
            raise ValueError(f"no fault {name!r}; there is {', '.join(self.known)}")
        try:
            answer = self.known[name](**options)
        except TypeError as error:
            raise ValueError(f"fault {name!r}: {error}") from error
        return {"ok": True, "at_s": time.monotonic(), **(answer or {})}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client of the control port."""
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self._reply(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the client went, or sent a line without end
        finally:
            writer.close()

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            values = json.loads(line)
            return self.apply(values.pop("fault"), **values)
        except (ValueError, KeyError, AttributeError) as error:
            return {"ok": False, "error": str(error) or "an object with the key fault is wanted"}

    # --- questions ---

    def _state(self) -> dict[str, Any]:
        c = self._l.controller
        return {
            "q": c.actual_q,
            "speed": max(abs(v) for v in c.qd.tolist()),
            "still_since_s": self._l.still_since_s,
            "moved_since_s": self._l.moved_since_s,
            "runtime": int(c.runtime),
            "playing": c.runtime is Runtime.PLAYING,
            "safety_mode": int(c.safety_mode),
            "robot_mode": int(c.robot_mode),
            "slider": c.slider,
            "width_m": self._l.gripper.width_m,
            "gripped": self._l.gripper.gripped,
            "busy": self._l.gripper.busy,
        }

    # --- faults ---

    def _cut(self, seconds: float, silent: bool = False) -> None:
        """The network is gone for a while: connections closed, or (``silent``) open and dead."""
        task = asyncio.get_running_loop().create_task(self._l.cut(float(seconds), silent))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _protective_stop(self) -> None:
        self._l.controller.protective_stop()

    def _emergency_stop(self) -> None:
        self._l.controller.emergency_stop()

    def _release_emergency_stop(self) -> None:
        self._l.controller.release_emergency_stop()

    def _stop_program(self) -> None:
        """Somebody presses stop on the pendant."""
        self._l.controller.stop_program()

    def _slider(self, fraction: float) -> None:
        """Somebody moves the speed slider."""
        self._l.controller.slider = min(max(float(fraction), 0.0), 1.0)

    def _late(self, seconds: float) -> None:
        """Packages leave late."""
        self._l.rtde.late_s = float(seconds)

    def _frozen(self, on: bool) -> None:
        """Packages repeat an old state."""
        self._l.rtde.frozen = bool(on)

    def _refuse_scripts(self, on: bool) -> None:
        self._l.controller.refuse_scripts = bool(on)

    def _local_control(self, on: bool) -> None:
        """Somebody takes the robot into local control: it takes no programs and no orders from outside."""
        self._l.dashboard.local = self._l.controller.refuse_scripts = bool(on)

    def _gripper_silent(self, on: bool) -> None:
        self._l.modbus.silent = bool(on)

    def _gripper_late(self, seconds: float) -> None:
        self._l.modbus.late_s = float(seconds)

    def _gripper_stuck(self, on: bool) -> None:
        """The fingers stay where they are, whatever is commanded."""
        self._l.gripper.stick(bool(on))
        if self._l.ideal is not None:
            self._l.ideal.stalled = bool(on)

    def _object(self, width_m: float | None) -> None:
        """Something of this width lies between the fingers (ideal plant only)."""
        self._ideal().object_width_m = width_m

    def _blocked(self, on: bool) -> None:
        """The arm stands against something (ideal plant only)."""
        self._ideal().blocked = bool(on)

    def _clear(self) -> None:
        """Everything as it was."""
        c = self._l.controller
        self._l.plug_in()
        c.refuse_scripts, c.slider = False, 1.0
        self._l.dashboard.local = False
        self._l.rtde.late_s, self._l.rtde.frozen = 0.0, False
        self._l.modbus.silent, self._l.modbus.late_s = False, 0.0
        self._gripper_stuck(False)
        if self._l.ideal is not None:
            self._l.ideal.blocked, self._l.ideal.object_width_m = False, None

    def _ideal(self) -> Any:
        if self._l.ideal is None:
            raise ValueError("only the ideal plant can do that; this one is a simulated world")
        return self._l.ideal
