# SPDX-License-Identifier: Apache-2.0
"""A simulated world as the plant of loopback controllers in another process (``grasp_core.plant``).

Commands carry the controller's time. The world's steps take what was wanted at their own moment, a little in the past,
so that a world which has stopped to render catches up along the path that was commanded, and does not jump. A world
that is slower than real time slows its controller down. Where it is the controller that is held up, the world comes to
rest along the path within the time it is behind, and then goes on from there: no step and no stop throws a held object.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from bisect import bisect_right
from collections import deque
from typing import Any

import numpy as np

from grasp_core.geometry import Array
from grasp_core.plant import LARGEST_DATAGRAM, PlantCommand, PlantState, command_of, to_datagram
from grasp_sim.bridge import Bridge
from grasp_sim.world import World

# The world is so far behind a controller that runs (s): nearer than that its time runs slower, in proportion.
DELAY_S = 0.05
# From standing still its time takes so long to run as fast as the world's own (s); it never runs faster.
RAMP_S = 0.1
# Fingers that were told to move count as moving for so long at least (s).
STARTS_WITHIN_S = 0.1
# States are sent so often (s of the world's time).
ANSWER_S = 0.008
# Commands remembered.
REMEMBERED = 1000


class PathTime:
    """Where a world is on its controller's path, in the controller's time (s): close behind, without a jerk.

    Attributes:
        at_s: the moment whose targets count now.
        rate: how fast it runs, 0 to 1.
    """

    def __init__(self, newest_s: float) -> None:
        self.at_s, self.rate = newest_s, 0.0

    def advance(self, dt_s: float, newest_s: float) -> None:
        """Let ``dt_s`` of the world's time pass, with commands known up to a moment."""
        behind_s = newest_s - self.at_s
        self.rate = min(self.rate + dt_s / RAMP_S, behind_s / max(DELAY_S, dt_s), 1.0)
        self.at_s += self.rate * dt_s


class PlantServer:
    """Moves a world's arm and gripper as a controller commands, and answers with what they do.

    Args:
        bridge: the world that runs; this becomes one of its events.
        address: host and port to listen at.
        arm, gripper: names in the cell.

    Raises:
        OSError: somebody listens there already.
    """

    def __init__(self, bridge: Bridge, address: tuple[str, int], arm: str, gripper: str) -> None:
        self._bridge, self._arm, self._gripper = bridge, arm, gripper
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self._peer: Any = None
        self._commands: deque[PlantCommand] = deque(maxlen=REMEMBERED)
        self._path: PathTime | None = None
        self._last_s = 0.0
        self._stamp_offset_ns = 0
        self._grip, self._stopped, self._told_s = 0, False, -math.inf
        self._next_answer_s = -math.inf
        self._joints = bridge.config.arms[arm].joints

    def attach(self, world: World) -> None:
        """A scene was made: the arm goes on where its controller has it."""
        world.events.append(self)
        self._path, self._told_s = None, -math.inf
        if self._commands:
            world.take_over(dict(zip(self._joints, self._commands[-1].q, strict=True)))

    def stamp_ns(self, now_ns: int) -> int:
        """The system time that belongs to a moment of the bridge's time."""
        return time.time_ns() if self._path is None else now_ns + self._stamp_offset_ns

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    # --- an event of the world ---

    def before_step(self, world: World) -> None:
        """Take commands, move, answer."""
        self._receive()
        if not self._commands:
            return
        now_s = self._bridge.now_ns * 1e-9
        path = self._follow(now_s)
        q, qd, command = self._at(path.at_s)
        self._move(world, q, path.rate * qd)
        self._grip_as_told(world, command)
        if now_s >= self._next_answer_s and self._peer is not None:
            self._next_answer_s = now_s + ANSWER_S
            self._answer(world, path.at_s)

    def snapshot(self) -> Any:
        """Nothing of it belongs to the world."""
        return None

    def restore(self, world: World, state: Any) -> None:
        """Nothing to bring back."""

    def _receive(self) -> None:
        while True:
            try:
                data, self._peer = self._socket.recvfrom(LARGEST_DATAGRAM)
                command = command_of(data)
            except BlockingIOError:
                return
            except (ValueError, ConnectionError):
                continue  # not for us
            if self._commands and command.time_s <= self._commands[-1].time_s - 1.0:
                # The controller was started anew: its clock begins again.
                self._commands.clear()
                self._path, self._grip = None, 0
            if not self._commands or command.time_s > self._commands[-1].time_s:
                self._commands.append(command)

    def _follow(self, now_s: float) -> PathTime:
        newest_s = self._commands[-1].time_s
        if self._path is None:
            self._path, self._last_s = PathTime(newest_s), now_s
        self._path.advance(now_s - self._last_s, newest_s)
        self._last_s = now_s
        behind_ns = round((newest_s - self._path.at_s) * 1e9)
        self._stamp_offset_ns = time.time_ns() - behind_ns - round(now_s * 1e9)
        return self._path

    def _at(self, wanted_s: float) -> tuple[Array, Array, PlantCommand]:
        """Positions and velocities wanted at a moment, and the last command before it."""
        commands = self._commands
        k = bisect_right(commands, wanted_s, key=lambda c: c.time_s)
        before, after = commands[max(k - 1, 0)], commands[min(k, len(commands) - 1)]
        span = after.time_s - before.time_s
        share = 0.0 if span <= 0.0 else min(max((wanted_s - before.time_s) / span, 0.0), 1.0)
        q = (1.0 - share) * np.array(before.q) + share * np.array(after.q)
        return q, np.array(after.qd), before

    def _move(self, world: World, q: Array, qd: Array) -> None:
        robot, api = world.robot, world.api
        known = [robot.description.joints[name] for name in self._joints]
        speeds = np.array([joint.velocity for joint in known])
        api.setJointMotorControlArray(
            robot.body,
            [robot.joint_index[name] for name in self._joints],
            api.POSITION_CONTROL,
            targetPositions=q.tolist(),
            targetVelocities=np.clip(qd, -speeds, speeds).tolist(),
            forces=[joint.effort for joint in known],
            positionGains=[0.3] * len(known),
            velocityGains=[1.0] * len(known),
        )

    def _grip_as_told(self, world: World, command: PlantCommand) -> None:
        drive = world.drives[self._gripper]
        if command.grip != self._grip:
            self._grip, self._stopped, self._told_s = command.grip, False, world.time_s
            drive.command_width(command.width_m, command.force_n)
        if command.grip_stop and not self._stopped:
            self._stopped = True
            drive.hold_here()

    def _answer(self, world: World, wanted_s: float) -> None:
        positions, velocities = world.robot.state_of(self._joints)
        drive = world.drives[self._gripper]
        state = drive.state()
        answer = PlantState(
            wanted_s,
            tuple(positions.tolist()),
            tuple(velocities.tolist()),
            state.width_m,
            not self._stopped and (not drive.settled or world.time_s < self._told_s + STARTS_WITHIN_S),
            bool(state.holding),
            self._grip,
        )
        with contextlib.suppress(OSError):  # the controller is gone, or not there yet
            self._socket.sendto(to_datagram(answer), self._peer)
