# SPDX-License-Identifier: Apache-2.0
"""A Universal Robots arm as ``grasp_core.ports.Arm``: this side of the servo process."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import multiprocessing
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from grasp_control import servo_process
from grasp_control.arm_settings import ArmSettings
from grasp_control.dashboard import DashboardError, dashboard
from grasp_control.messages import (
    Cancel,
    Close,
    Done,
    Follow,
    Halt,
    Reading,
    Recover,
    Recovered,
    Release,
    SpeedScale,
    Stream,
    Tolerances,
    ToServo,
)
from grasp_core.config import ConfigError
from grasp_core.geometry import Array
from grasp_core.guard import JointLimit
from grasp_core.ports import Cancel as CancelAsked
from grasp_core.ports import JointState, JointTrajectory, MotionResult, MotionStatus, StateError

log = logging.getLogger(__name__)

# How often a waiting call looks at ``cancel`` (s).
LOOK_S = 0.005
# A halt that the servo process has not confirmed by then goes to the robot's dashboard (s).
HALT_CONFIRM_S = 0.1
END_S = 5.0
# More than the longest deceleration; a motion that was cancelled has ended by then (s).
CANCEL_S = 3.0
# A servo process that was started may take so long to say its first word, on a busy machine (s).
START_S = 60.0
# A servo process that ends sooner than this, again and again, is started again ever later, up to the second (s).
LASTS_S, MOST_WAIT_S = 10.0, 30.0


class UrArm:
    """Drives an arm through a UR controller, CB3 or e-Series.

    Args:
        name: the cell's name of the arm.
        joints: limits by joint, in the controller's order.
        settings: values of ``ArmSettings``.

    Raises:
        ConfigError: a setting is refused, or ur_rtde is not installed.
    """

    def __init__(self, name: str, joints: Mapping[str, JointLimit], settings: Mapping[str, Any]) -> None:
        if importlib.util.find_spec("rtde_control") is None:
            raise ConfigError(f"arm {name}: the driver ur_rtde needs the Python package ur_rtde: pip install ur_rtde")
        self.settings = ArmSettings.from_mapping(settings, f"settings of arm {name}")
        self._name, self._names = name, tuple(joints)
        self._limits = [limit.velocity for limit in joints.values()]
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._reading: Reading | None = None
        self._heard_at = time.monotonic()
        self._results: dict[int, Done] = {}
        self._waiting: set[int] = set()
        self._recovered: Recovered | None = None
        self._recovering = threading.Lock()
        self._closed = self._halted = False
        self._over = threading.Event()
        self._breakdowns = 0
        self._pipe: Connection
        self._start()

    # --- grasp_core.ports.Arm ---

    @property
    def name(self) -> str:
        """The cell's name of the arm."""
        return self._name

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Its joints, in the controller's order."""
        return self._names

    def state(self) -> JointState:
        """The newest joint state.

        Raises:
            StateError: none has come, or not for ``stale_s``.
        """
        reading = self._reading
        if reading is None or reading.stamp_ns == 0:
            raise StateError(f"arm {self._name}: {reading.problem if reading else 'no joint state yet'}")
        age_s = 1e-9 * (time.time_ns() - reading.stamp_ns)
        if age_s > self.settings.stale_s:
            raise StateError(
                f"the joint state of arm {self._name} is {age_s:.2f} s old; {reading.problem}".rstrip("; ")
            )
        return JointState(self._names, np.array(reading.positions), np.array(reading.velocities), reading.stamp_ns)

    def execute(self, trajectory: JointTrajectory, cancel: CancelAsked | None = None) -> MotionResult:
        """Follow the trajectory to its end."""
        return self.follow(trajectory, self.tolerances(), cancel)

    def stop(self) -> None:
        """Decelerate along the path; what runs ends as cancelled."""
        for number in list(self._waiting):
            self._tell(Cancel(number))

    # --- more than the port asks for ---

    def tolerances(
        self, path: Array | None = None, goal: Array | None = None, goal_time_s: float | None = None
    ) -> Tolerances:
        """Tolerances [n]: given where positive, the driver's own where 0 or none, infinite where negative."""
        s = self.settings
        return Tolerances(
            _chosen(path, s.path_rad, len(self._names)),
            _chosen(goal, s.goal_rad, len(self._names)),
            s.goal_time_s if goal_time_s is None else goal_time_s,
        )

    def next_number(self) -> int:
        """The place of a motion in the order in which motions were asked for; see ``follow``."""
        return next(self._numbers)

    def follow(
        self,
        trajectory: JointTrajectory,
        tolerances: Tolerances,
        cancel: CancelAsked | None = None,
        number: int | None = None,
        wait_s: float = 0.0,
    ) -> MotionResult:
        """Follow the trajectory; ends when it has, or when ``cancel`` is set and the arm has come to rest.

        It begins after ``wait_s`` of the controller's time, at rest until then.

        A motion takes over from the one before, but not where its ``number`` is the lower one: it was asked for earlier
        and only came later. Without a number it counts as the newest.
        """
        if set(trajectory.names) != set(self._names):
            text = f"arm {self._name} moves {', '.join(self._names)}; given were {', '.join(trajectory.names)}"
            return MotionResult(MotionStatus.REJECTED, self.last_state(), text)
        number = self.next_number() if number is None else number
        with self._changed:
            self._waiting.add(number)
        try:
            self._tell(Follow(number, self._ordered(trajectory), tolerances, wait_s))
            done = self._wait_for(number, cancel)
        finally:
            with self._changed:
                self._waiting.discard(number)
                self._results.pop(number, None)
        return MotionResult(done.status, self.last_state(), done.message)

    def stream(self, positions: Array, reach_s: float, deadman_s: float) -> None:
        """Go towards joint positions [n]; without a newer call within ``deadman_s`` the arm stops by itself."""
        self._tell(Stream(np.array(positions, dtype=np.float64), float(reach_s), float(deadman_s)))

    def halt(self) -> str:
        """Stop at once and take no motion until ``release``; returns in words what was done.

        Where the servo process does not confirm in time, the controller's program is stopped through the dashboard.
        """
        self._halted = True
        before = self._reading
        self._tell(Halt())
        with self._changed:
            # A reading from before says nothing about this halt.
            if self._changed.wait_for(
                lambda: self._reading is not before and self._reading is not None and self._reading.halted,
                HALT_CONFIRM_S,
            ):
                return "the arm is brought to rest; release it to go on"
        try:
            (reply,) = dashboard(self.settings.robot_ip, "stop")
        except DashboardError as error:
            return f"neither the servo process nor the dashboard answers ({error}): use the red button"
        if not reply.lower().startswith("stopped"):
            return f"the servo process does not answer, and the dashboard says {reply!r}: use the red button"
        return "the servo process did not answer in time: the program was stopped through the dashboard"

    def release(self) -> None:
        """Take motions again after ``halt``."""
        self._halted = False
        self._tell(Release())

    def recover(self) -> tuple[bool, str]:
        """Unlock, power on, start the control program again; whether that succeeded, and a sentence. Takes seconds."""
        with self._recovering:
            self._recovered = None
            self._tell(Recover())
            with self._changed:
                self._changed.wait_for(lambda: self._recovered is not None, self.settings.recover_timeout_s + END_S)
            answer: Recovered | None = self._recovered
        return (answer.ok, answer.message) if answer is not None else (False, "the servo process does not answer")

    def set_speed_scale(self, share: float) -> None:
        """Largest share of the joints' speed limits from now on.

        Raises:
            ValueError: not more than 0 and at most 1.
        """
        if not 0.0 < share <= 1.0:
            raise ValueError(f"speed_scale is {share}; allowed is more than 0 and at most 1")
        self.settings = self.settings.with_values(speed_scale=float(share))
        self._tell(SpeedScale(float(share)))

    @property
    def reading(self) -> Reading | None:
        """The newest of the servo process."""
        return self._reading

    @property
    def silent_s(self) -> float:
        """For how long the servo process has said nothing."""
        return time.monotonic() - self._heard_at

    def wait_for_reading(self, after: Reading | None, timeout_s: float) -> Reading | None:
        """The next reading that is not ``after``; none where none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._reading is not after or self._closed, timeout_s)
            return None if self._reading is after else self._reading

    def close(self) -> None:
        """Bring the arm to rest and end the servo process; safe to call twice."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._over.set()
            self._changed.notify_all()
        self._tell(Close())
        self._process.join(END_S)
        self._kill()

    # --- the servo process ---

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        arguments = (far, self.settings.model_dump(), self._limits)
        self._process = context.Process(target=servo_process.run, args=arguments, name=f"servo of {self._name}")
        self._process.daemon = True
        self._process.start()
        far.close()
        self._heard_at = self._began_at = time.monotonic()
        if self._halted:
            # A stop outlives the process that was to carry it out.
            self._tell(Halt())
        threading.Thread(target=self._listen, args=(self._pipe,), daemon=True, name=f"{self._name} listener").start()

    def _listen(self, pipe: Connection) -> None:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                self._broke_down(pipe)
                return
            with self._changed:
                self._heard_at = time.monotonic()
                if isinstance(message, Reading):
                    self._reading = message
                elif isinstance(message, Done) and message.number in self._waiting:
                    self._results[message.number] = message
                elif isinstance(message, Recovered):
                    self._recovered = message
                self._changed.notify_all()

    def _broke_down(self, pipe: Connection) -> None:
        with self._changed:
            if self._closed or pipe is not self._pipe:
                return
            for number in self._waiting:
                text = "the servo process ended; the arm holds its last target"
                self._results[number] = Done(number, MotionStatus.STOPPED, text)
            self._reading = None
            self._changed.notify_all()
        self._process.join(END_S)
        self._kill()
        lasted_s = time.monotonic() - self._began_at
        self._breakdowns = self._breakdowns + 1 if lasted_s < LASTS_S else 0
        wait_s = 0.0 if self._breakdowns < 2 else min(2.0**self._breakdowns, MOST_WAIT_S)
        log.error("the servo process of %s ended (exit code %s); a new one starts in %g s",
                  self._name, self._process.exitcode, wait_s)  # fmt: skip
        if not self._over.wait(wait_s):
            self._start()

    def look_after(self) -> None:
        """End a servo process that hangs; a new one is started. Call this now and then."""
        patience_s = self.settings.answer_timeout_s if self._reading is not None else START_S
        if self.silent_s > patience_s and self._process.is_alive():
            self._process.kill()

    def _kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
            self._process.join(END_S)

    def _tell(self, message: ToServo) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            # It has just ended; whoever waits for an answer is told so by the listener.
            return

    def _wait_for(self, number: int, cancel: CancelAsked | None) -> Done:
        asked = False
        end = np.inf
        with self._changed:
            while number not in self._results:
                if self._closed:
                    return Done(number, MotionStatus.STOPPED, "the driver is being closed")
                if not asked and cancel is not None and cancel.is_set():
                    asked, end = True, time.monotonic() + CANCEL_S
                    self._tell(Cancel(number))
                if time.monotonic() > end:
                    return Done(number, MotionStatus.STOPPED, "the servo process did not confirm the cancel")
                if self.silent_s > self.settings.answer_timeout_s:
                    return Done(number, MotionStatus.STOPPED, "the servo process does not answer")
                self._changed.wait(LOOK_S if cancel is not None else 1.0)
            return self._results[number]

    def _ordered(self, trajectory: JointTrajectory) -> JointTrajectory:
        order = [trajectory.names.index(name) for name in self._names]
        velocities = None if trajectory.velocities is None else trajectory.velocities[:, order]
        return JointTrajectory(self._names, trajectory.times_s, trajectory.positions[:, order], velocities)

    def last_state(self) -> JointState:
        """The last joint state that was heard of, however old; zeros with stamp 0 where there was none."""
        reading = self._reading
        if reading is None:
            zero = np.zeros(len(self._names))
            return JointState(self._names, zero, zero, 0)
        return JointState(self._names, np.array(reading.positions), np.array(reading.velocities), reading.stamp_ns)


def _chosen(given: Array | None, own: float, count: int) -> Array:
    """The tolerance that counts: given where positive, the driver's own where 0, none where negative."""
    default = np.full(count, own)
    if given is None:
        return default
    return np.where(given > 0.0, given, np.where(given < 0.0, np.inf, default))
