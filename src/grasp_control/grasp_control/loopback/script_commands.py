# SPDX-License-Identifier: Apache-2.0
"""What ur_rtde's control script does on the controller: takes a command number and values from registers and moves.

The flag in output integer register 0 is 1 when a command may come, and 2 when an ordinary one has ended, until the
client clears it with command 0. Servo and speed commands are taken every cycle and leave the flag at 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from grasp_control.loopback.arm_model import matrix_of, pose_of
from grasp_control.loopback.controller import Runtime, UrController
from grasp_control.loopback.motion import Curve, Hold, Line, Servo, Speed, Stop
from grasp_core.geometry import Array, interpolate

READY, DONE = 1, 2
CLEAR, STOP_SCRIPT = 0, 255
# Taken every cycle without a hand-shake; servoC (12) too, which ur_rtde does not wait for.
REALTIME = frozenset({6, 9, 10, 11, 12, 24, 25, 26, 27, 38, 55, 58, 66, 67, 68, 69, 70, 71})
# Points of a straight line of the tool.
LINE_POINTS = 50
# Lines of an uploaded path: movej([...]) or movel(p[...]), then a=, v=.
PATH_LINE = re.compile(r"^\s*(movej|movel|movep)\((p?)\[([^\]]*)\]\s*,\s*(.*)$", re.MULTILINE)
NUMBER = re.compile(r"([avr])\s*=\s*([-+.\deE]+)")


class ControlScript:
    """The running control script; moves ``controller``."""

    def __init__(self, controller: UrController) -> None:
        self._c = controller
        self._waiting = False
        self._operation, self._writes = 0, 0
        controller.on_program = self.begin

    def begin(self) -> None:
        """A program was uploaded: ready for commands where it is the control script."""
        self._waiting = False
        self._c.int_out[0] = READY if "rtde_control" in self._c.script else 0

    def tick(self) -> None:
        """Once a cycle, before the motion: end what has come to its end."""
        if self._c.runtime is not Runtime.PLAYING:
            self._waiting = False
            return
        if "rtde_control" not in self._c.script:
            # Any other program is over at once: what it would do is not imitated.
            self._c.runtime = Runtime.STOPPED
            return
        if self._c.motion.done and self._operation_running:
            self._progress(0, running=False)
        if self._waiting and self._c.motion.done:
            self._waiting = False
            self._c.int_out[0] = DONE

    @property
    def _operation_running(self) -> bool:
        return bool(self._c.int_out[2] & (1 << 15))

    def take(self, number: int, ints: Sequence[int], doubles: Sequence[float]) -> None:
        """A command with its values: integer registers from 1 on, double registers from 0 on."""
        c = self._c
        if c.runtime is not Runtime.PLAYING:
            return
        if number == CLEAR:
            if c.int_out[0] == DONE:
                c.int_out[0] = READY
            return
        if number == STOP_SCRIPT:
            c.stop_program()
            return
        if number in REALTIME:
            if not self._waiting:
                self._realtime(number, list(doubles))
            c.int_out[0] = READY
            return
        if c.int_out[0] != READY or self._waiting:
            return
        c.int_out[0] = 0
        waits = self._ordinary(number, list(ints), list(doubles))
        if waits:
            self._waiting = True
        else:
            c.int_out[0] = DONE

    def _realtime(self, number: int, d: list[float]) -> None:
        c = self._c
        if number == 11:
            self._servo(np.array(d[0:6]), d[9])
        elif number in (24, 12):
            q = c.arm.joints_at(d[0:6], c.tcp, c.q)
            if q is None:
                c.protective_stop("a servo target cannot be reached")
            else:
                self._servo(q, d[9] if number == 24 else 0.1)
        elif number == 9:
            c.motion = Speed(np.array(d[0:6]), d[6], d[7])
        elif number == 10:
            # UR's acceleration is the tool's; a joint's is of the same order for an arm of about a metre.
            c.motion = Speed(c.arm.joint_rates(c.q, d[0:6]), 4.0 * d[6], d[7])
        elif number == 26:
            c.double_out[0] = 1.0 / c.settings.rate_hz
        elif number == 27:
            c.double_out[0:6] = c.actual_q
        elif number == 58:
            c.double_out[0:6] = c.arm.pose(np.array(c.actual_q), [0.0] * 6)

    def _servo(self, target: Array, lookahead_s: float) -> None:
        c = self._c
        if not np.isfinite(target).all():
            c.protective_stop("a servo target is not finite")
            return
        if not isinstance(c.motion, Servo):
            c.motion = Servo(c.arm.speed_limits, 4.0 * c.arm.acceleration_limits)
        c.motion.aim(target, lookahead_s)

    def _ordinary(self, number: int, i: list[int], d: list[float]) -> bool:
        """Carry out an ordinary command; true where its end has to be waited for."""
        c = self._c
        asynchronous = bool(i[0]) if i else False
        if number in (1, 4):
            goal = np.array(d[0:6]) if number == 1 else None
            return self._line(goal, d, asynchronous, tool=number == 4)
        if number in (2, 3):
            goal = c.arm.joints_at(d[0:6], c.tcp, c.q)
            if goal is None:
                c.protective_stop("a target cannot be reached")
                return False
            return self._line(goal, d, asynchronous, tool=number == 3)
        if number in (15, 16, 33, 34):
            # Decelerations of the tool (33) are taken for joints' likewise.
            c.motion = Stop(max(d[0], 0.1))
            return not (asynchronous and number in (33, 34))
        if number == 45:
            return self._path(asynchronous)
        self._answer(number, d)
        return False

    def _line(self, goal: Array | None, d: list[float], asynchronous: bool, tool: bool) -> bool:
        c = self._c
        if tool:
            end = goal if goal is not None else np.array(d[0:6])
            curve = self._tool_line(end, d[6], d[7])
            if curve is None:
                c.protective_stop("the straight line cannot be followed")
                return False
            c.motion = curve
        else:
            assert goal is not None
            c.motion = Line([goal], d[6], d[7])
        if asynchronous:
            self._progress(0, running=True, begin=True)
        return not asynchronous

    def _tool_line(self, end: Array, speed: float, acceleration: float) -> Curve | None:
        c = self._c
        T_a, T_b = c.arm.T_base_flange(c.q), c.arm.T_base_flange(end)
        length = max(float(np.linalg.norm(T_b[:3, 3] - T_a[:3, 3])), 0.1 * float(np.abs(end - c.q).max()), 1e-6)
        rows, seed = [], c.q
        for T in interpolate(T_a, T_b, LINE_POINTS):
            found = c.arm.joints_at(pose_of(T), [0.0] * 6, seed)
            if found is None or np.abs(found - seed).max() > 0.5:
                return None
            seed = found
            rows.append(found)
        table = np.array(rows)
        table[0] = c.q
        at = np.linspace(0.0, length, LINE_POINTS)
        return Curve(lambda s: np.array([np.interp(s, at, column) for column in table.T]), length, speed, acceleration)

    def _path(self, asynchronous: bool) -> bool:
        """The points that were injected into the script; blends are not imitated: it comes to rest at each."""
        c = self._c
        points, speed, acceleration, seed = [], 1.05, 1.4, c.q
        for kind, pose, text, rest in PATH_LINE.findall(c.script):
            try:
                values = [float(word) for word in text.split(",")]
            except ValueError:
                continue  # a line of the script itself, which moves to variables
            if len(values) != 6:
                continue
            options = {name: float(value) for name, value in NUMBER.findall(rest)}
            goal = c.arm.joints_at(values, c.tcp, seed) if pose else np.array(values)
            if goal is None:
                c.protective_stop("a point of the path cannot be reached")
                return False
            if kind == "movej":
                speed, acceleration = options.get("v", speed), options.get("a", acceleration)
            points.append(goal)
            seed = goal
        if not points:
            return False
        c.motion = Line(points, speed, acceleration)
        if asynchronous:
            self._progress(0, running=True, begin=True)
        return not asynchronous

    def _progress(self, value: int, running: bool, begin: bool = False) -> None:
        if begin:
            self._operation = (self._operation + 1) % 128
        self._writes = (self._writes + 1) % 128
        bits = self._operation << 24 | self._writes << 16 | int(running) << 15 | (value & 0x7FFF)
        self._c.int_out[2] = bits

    def _answer(self, number: int, d: list[float]) -> None:
        """Questions and settings; what is not imitated (forces, free drive) is taken and does nothing."""
        c = self._c
        if number == 29:
            c.tcp = d[0:6]
        elif number == 17:
            c.payload = d[0:4]
        elif number == 40:
            c.double_out[0:6] = c.tcp
        elif number == 43:
            c.double_out[0:6] = c.arm.pose(np.array(c.actual_q), c.tcp)
        elif number == 44:
            c.double_out[0:6] = c.arm.pose(np.array(d[0:6]), d[6:12] if len(d) >= 12 else c.tcp)
        elif number in (46, 30):
            seed = np.array(d[6:12]) if number == 30 else c.q
            found = c.arm.joints_at(d[0:6], c.tcp, seed)
            c.double_out[0:6] = [0.0] * 6 if found is None else found.tolist()
        elif number in (60, 61):
            c.int_out[1] = int(c.arm.joints_at(d[0:6], c.tcp, c.q) is not None)
        elif number in (36, 37, 47):
            c.int_out[1] = 1 if number != 47 else int(isinstance(c.motion, Hold) or c.motion.done)
        elif number == 39:
            c.double_out[0:6] = pose_of(matrix_of(d[0:6]) @ matrix_of(d[6:12]))


def registers_of(values: Mapping[str, int | float]) -> tuple[int | None, list[int], list[float]]:
    """Command number, further integers and doubles of an input packet; no number where it commands nothing.

    The upper range (24 on) means the same as the lower.
    """
    ints: dict[int, int] = {}
    doubles: dict[int, float] = {}
    for name, value in values.items():
        stem, _, number = name.rpartition("_")
        if stem == "input_int_register":
            ints[int(number) % 24] = int(value)
        elif stem == "input_double_register":
            doubles[int(number) % 24] = float(value)
    count = max(doubles, default=-1) + 1
    rest = [ints.get(k, 0) for k in range(1, max(ints, default=0) + 1)]
    return ints.get(0), rest, [doubles.get(k, 0.0) for k in range(count)]
