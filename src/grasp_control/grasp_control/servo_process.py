# SPDX-License-Identifier: Apache-2.0
"""The process that holds the link to the robot and runs the servo loop at its rate.

A process of its own, because ur_rtde keeps Python's interpreter lock while it connects, and because a loop of 500 Hz
should not share an interpreter with a node. When its node ends or dies, it brings the arm to rest and ends too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from multiprocessing.connection import Connection

import numpy as np

from grasp_control.arm_settings import ArmSettings
from grasp_control.messages import Close, FromServo, Halt, Recover, Recovered
from grasp_control.servo_loop import ServoLoop
from grasp_control.supervisor import Supervisor
from grasp_control.ur_link import UrLink
from grasp_core.geometry import Array

log = logging.getLogger(__name__)

# Until the controller's rate is known, and while it is away (Hz).
IDLE_HZ = 50.0
# How long the arm may take to come to rest at the end (s).
LAST_S = 0.6


class ServoProcess:
    """Everything between the pipe and the robot."""

    def __init__(self, pipe: Connection, settings: ArmSettings, speed_limits: Array) -> None:
        self._pipe = pipe
        self._link = UrLink(settings)
        self._loop = ServoLoop(settings, self._link, speed_limits, self._tell)
        self._supervisor = Supervisor(settings, self._link, self._loop)
        self._over = self._recovering = False

    def run(self) -> None:
        """Cycle until told to close, or until nobody is at the other end of the pipe."""
        due = time.monotonic()
        while not self._over:
            due = self._wait_until(due)
            self._loop.cycle()
            self._supervisor.look()
        end = time.monotonic() + LAST_S
        self._loop.take(Halt())
        while self._loop.moving and time.monotonic() < end:
            due = self._wait_until(due)
            self._loop.cycle()
        self._link.release()

    def _wait_until(self, due: float) -> float:
        """Let messages in until it is time for the next cycle; returns when the one after that is due."""
        while not self._over:
            left = due - time.monotonic()
            try:
                if not self._pipe.poll(max(0.0, left)):
                    break
                self._take(self._pipe.recv())
            except (EOFError, OSError):
                self._over = True
        else:
            # Nobody to listen to any more: the pipe would report that for ever.
            time.sleep(max(0.0, due - time.monotonic()))
        period_s = 1.0 / (self._link.rate_hz if self._link.connected and self._link.rate_hz else IDLE_HZ)
        return max(due + period_s, time.monotonic())

    def _take(self, message: object) -> None:
        if isinstance(message, Close):
            self._over = True
        elif not isinstance(message, Recover):
            self._loop.take(message)  # type: ignore[arg-type]
        elif self._recovering:
            self._tell(Recovered(False, "the robot is being recovered already"))
        else:
            self._recovering = True
            ok, text = self._supervisor.recover(self._let_pass)
            self._recovering = False
            self._tell(Recovered(ok, text))

    def _let_pass(self, seconds: float) -> bool:
        """Cycles while the robot recovers, so that a halt is taken meanwhile; false where everything is to end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._over:
            due = time.monotonic() + 1.0 / IDLE_HZ
            self._wait_until(due)
            self._loop.cycle()
        return not self._over

    def _tell(self, message: FromServo) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more; seen when the pipe is read
            self._pipe.send(message)


def run(pipe: Connection, settings: dict, speed_limits: list[float]) -> None:
    """Entry of the process."""
    # A terminal's Ctrl-C reaches the node as well, which then closes this process in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="[%(name)s] %(levelname)s: %(message)s")
    chosen = ArmSettings.from_mapping(settings)
    _take_priority(chosen.realtime_priority)
    ServoProcess(pipe, chosen, np.array(speed_limits)).run()


def _take_priority(priority: int) -> None:
    if priority == 0:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        log.warning("no real-time priority %d for the servo process: %s; see ulimit -r", priority, error)
