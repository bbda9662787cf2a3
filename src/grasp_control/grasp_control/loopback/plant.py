# SPDX-License-Identifier: Apache-2.0
"""Plants: ideal kinematics in this process, or a world behind a socket."""

from __future__ import annotations

import contextlib
import socket
from collections import deque

import numpy as np

from grasp_core.geometry import Array
from grasp_core.plant import LARGEST_DATAGRAM, PlantCommand, PlantState, state_of, to_datagram

# The opening of an RG2 changes at most this fast (m/s).
GRIPPER_SPEED_M_S = 0.11
# The opening of an RG2 closes no farther than its stroke (m).
STROKE_M = 0.11
# Commands remembered for comparing a late state with what was wanted then.
REMEMBERED = 2000
# A plant that is later than this slows its controller down, to a stop almost at twice as much (s): later than a picture
# takes to be rendered, soon enough that pictures of it are not old when they come.
LAG_S = 0.1
SLOWEST = 0.1


class KinematicPlant:
    """Joints that follow exactly, one cycle late, and a gripper that closes on an object of a given width.

    Attributes:
        object_width_m: width of what lies between the fingers, none for nothing.
        blocked: the arm stands against something and does not move.
        stalled: the fingers are stuck.
    """

    def __init__(self, q: Array, width_m: float = STROKE_M) -> None:
        self.object_width_m: float | None = None
        self.blocked = self.stalled = False
        self._q, self._qd = q.copy(), np.zeros_like(q)
        self._width_m, self._grip, self._gripped = width_m, 0, False

    def step(self, command: PlantCommand, dt_s: float) -> PlantState:
        """One cycle."""
        if self.blocked:
            self._qd = np.zeros_like(self._qd)
        else:
            self._q, self._qd = np.array(command.q), np.array(command.qd)
        moving = self._move_fingers(command, dt_s)
        return PlantState(
            command.time_s,
            tuple(self._q.tolist()),
            tuple(self._qd.tolist()),
            self._width_m,
            moving,
            self._gripped,
            command.grip,
        )

    def _move_fingers(self, command: PlantCommand, dt_s: float) -> bool:
        if command.grip != self._grip:
            self._grip, self._gripped = command.grip, False
        if self.stalled or command.grip == 0 or command.grip_stop:
            return False
        goal, closing = command.width_m, command.width_m < self._width_m - 1e-9
        thing = self.object_width_m
        if closing and thing is not None and thing <= self._width_m + 1e-9:
            goal = max(goal, thing)
        step_m = GRIPPER_SPEED_M_S * dt_s
        if abs(goal - self._width_m) <= step_m:
            arrived_now = self._width_m != goal
            self._width_m = goal
            self._gripped = self._gripped or goal > command.width_m + 1e-6
            return arrived_now
        self._width_m += float(np.sign(goal - self._width_m)) * step_m
        return True


class RemotePlant:
    """A plant in another process. Its states come late; how far it was off its path is added to what is wanted now.

    Args:
        address: host and port of the plant.
        q: joint positions to report until it answers.
    """

    def __init__(self, address: tuple[str, int], q: Array) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._wanted: deque[tuple[float, Array]] = deque(maxlen=REMEMBERED)
        self._off = np.zeros_like(q)
        self._state: PlantState | None = None
        self._sent_s = 0.0

    def pace(self) -> float:
        """How fast the controller's time may run so that the plant keeps up: 1, less where its answers lag behind."""
        late_s = self._sent_s - self._state.time_s - LAG_S if self._state is not None else 0.0
        return min(1.0, max(SLOWEST, 1.0 - late_s / LAG_S))

    @property
    def answered(self) -> bool:
        """Whether it has ever answered."""
        return self._state is not None

    def step(self, command: PlantCommand, dt_s: float) -> PlantState:
        """Send the command; read what has come."""
        q = np.array(command.q)
        self._sent_s = command.time_s
        self._wanted.append((command.time_s, q))
        with contextlib.suppress(OSError):  # nobody listens yet; seen by the age of its answers
            self._socket.sendto(to_datagram(command), self._address)
        while (state := self._receive()) is not None:
            self._state = state
            times = np.array([at for at, _ in self._wanted])
            nearest = int(np.abs(times - state.time_s).argmin())
            self._off = np.array(state.q) - self._wanted[nearest][1]
        if self._state is None:
            return PlantState(command.time_s, command.q, command.qd, STROKE_M, False, False, 0)
        told = self._state
        measured = tuple((q + self._off).tolist())
        return PlantState(command.time_s, measured, command.qd, told.width_m, told.moving, told.gripped, told.grip)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _receive(self) -> PlantState | None:
        try:
            return state_of(self._socket.recv(LARGEST_DATAGRAM))
        except (BlockingIOError, ConnectionError):
            return None
        except ValueError:
            return self._receive()
