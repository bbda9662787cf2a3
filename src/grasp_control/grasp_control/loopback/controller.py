# SPDX-License-Identifier: Apache-2.0
"""The imitated UR controller: modes, program, registers, digital signals, and the cycle that moves the arm.

No sockets here: the servers hand text and registers in and read values out. Everything runs in one thread.
Register numbers and modes are those of UR's RTDE guide and of ur_rtde 1.6.5's control script.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum

import numpy as np

from grasp_control.loopback.arm_model import ArmModel
from grasp_control.loopback.motion import Hold, Motion, Stop
from grasp_control.loopback.settings import LoopbackSettings
from grasp_core.plant import Plant, PlantCommand, PlantState

log = logging.getLogger(__name__)

# The slider acts with a ramp: its full range takes a tenth of a second.
SLIDER_RATE = 10.0


class RobotMode(IntEnum):
    """UR's robot modes."""

    POWER_OFF = 3
    IDLE = 5
    RUNNING = 7


class SafetyMode(IntEnum):
    """UR's safety modes."""

    NORMAL = 1
    PROTECTIVE_STOP = 3
    ROBOT_EMERGENCY_STOP = 7


class Runtime(IntEnum):
    """UR's runtime states."""

    STOPPED = 1
    PLAYING = 2
    PAUSED = 4


# Bits of safety_status_bits by mode: normal; protective stop and stopped; robot e-stop, emergency stopped and stopped.
SAFETY_BITS = {
    SafetyMode.NORMAL: 1 << 0,
    SafetyMode.PROTECTIVE_STOP: 1 << 2 | 1 << 10,
    SafetyMode.ROBOT_EMERGENCY_STOP: 1 << 6 | 1 << 7 | 1 << 10,
}


class UrController:
    """A controller at rest in the arm's ready pose, powered on, no program running.

    Args:
        settings: what to imitate.
        arm: the arm's kinematics.
        plant: what moves.
    """

    def __init__(self, settings: LoopbackSettings, arm: ArmModel, plant: Plant) -> None:
        self.settings, self.arm, self.plant = settings, arm, plant
        self.time_s = 0.0
        self.q, self.qd, self.qdd = arm.ready.copy(), np.zeros(6), np.zeros(6)
        self.measured: PlantState | None = None
        self.motion: Motion = Hold()
        self.robot_mode, self.safety_mode = RobotMode.RUNNING, SafetyMode.NORMAL
        self.runtime = Runtime.STOPPED
        self.script = ""
        self.slider, self._slider_now = 1.0, 1.0
        self.tcp = [0.0] * 6
        self.payload = [0.0] * 4
        self.int_out, self.double_out = [0] * 24, [0.0] * 24
        self.digital_in = self.digital_out = 0
        self.refuse_scripts = False
        self.emergency_pressed = False
        self.width_m, self.force_n, self.grip, self.grip_stop = 0.11, 40.0, 0, False
        self._protective_since_s = -np.inf
        self.on_program: Callable[[], None] = lambda: None

    # --- the cycle ---

    def tick(self, dt_s: float) -> None:
        """One control cycle."""
        self.time_s += dt_s
        step = SLIDER_RATE * dt_s
        self._slider_now += min(max(self.slider - self._slider_now, -step), step)
        before = self.qd
        self.q, self.qd = self.motion.step(self.q, self.qd, dt_s, self._slider_now)
        self.qdd = (self.qd - before) / dt_s
        command = PlantCommand(
            self.time_s,
            tuple(self.q.tolist()),
            tuple(self.qd.tolist()),
            self.width_m,
            self.force_n,
            self.grip,
            self.grip_stop,
        )
        self.measured = self.plant.step(command, dt_s)
        off = float(np.abs(np.array(self.measured.q) - self.q).max())
        if off > self.settings.deviation_rad and self.safety_mode is SafetyMode.NORMAL:
            self.protective_stop(f"the joints are {off:.2f} rad off their commanded position")

    # --- program ---

    @property
    def can_run(self) -> bool:
        """Whether a program may run."""
        return self.robot_mode is RobotMode.RUNNING and self.safety_mode is SafetyMode.NORMAL

    def upload(self, script: str) -> bool:
        """Stop what runs and run this program instead; false where the controller does not take it."""
        self.stop_program()
        if self.refuse_scripts or not self.can_run:
            log.info("a program was refused")
            return False
        self.script = script
        self.runtime = Runtime.PLAYING
        self.int_out[0] = 0
        self.on_program()
        return True

    def stop_program(self) -> None:
        """As the stop button on the pendant does."""
        if self.runtime is not Runtime.STOPPED:
            self.runtime = Runtime.STOPPED
            self._halt()

    def pause_program(self) -> None:
        """As the pause button on the pendant does."""
        if self.runtime is Runtime.PLAYING:
            self.runtime = Runtime.PAUSED
            self._halt()

    def play_program(self) -> bool:
        """As the play button on the pendant does; false where there is nothing to play or it may not run."""
        if not (self.can_run and self.script):
            return False
        self.runtime = Runtime.PLAYING
        return True

    def _halt(self) -> None:
        self.motion = Stop(self.settings.stop_rad_s2)

    # --- power and safety ---

    def protective_stop(self, why: str = "told to") -> None:
        """Stop as after a collision; the program is paused."""
        log.info("protective stop: %s", why)
        self.safety_mode = SafetyMode.PROTECTIVE_STOP
        self._protective_since_s = self.time_s
        if self.runtime is Runtime.PLAYING:
            self.runtime = Runtime.PAUSED
        self._halt()

    def unlock_protective_stop(self) -> bool:
        """Release a protective stop; false while it is too young."""
        if self.safety_mode is not SafetyMode.PROTECTIVE_STOP:
            return True
        if self.time_s - self._protective_since_s < self.settings.unlock_after_s:
            return False
        # What is measured counts from here on: nothing jumps back to where it was wanted.
        if self.measured is not None:
            self.q, self.qd = np.array(self.measured.q), np.zeros(6)
        self.motion = Hold()
        self.safety_mode = SafetyMode.NORMAL
        return True

    def emergency_stop(self) -> None:
        """The red button is pressed: everything stops, power goes off."""
        self.emergency_pressed = True
        self.safety_mode = SafetyMode.ROBOT_EMERGENCY_STOP
        self.runtime = Runtime.STOPPED
        self._halt()
        self.robot_mode = RobotMode.POWER_OFF

    def release_emergency_stop(self) -> None:
        """The red button is turned back; power stays off."""
        self.emergency_pressed = False
        self.safety_mode = SafetyMode.NORMAL

    def power_on(self) -> None:
        """To idle, brakes closed."""
        if self.safety_mode is SafetyMode.NORMAL and self.robot_mode is RobotMode.POWER_OFF:
            self.robot_mode = RobotMode.IDLE

    def power_off(self) -> None:
        """Brakes close, power goes off."""
        self.stop_program()
        self.robot_mode = RobotMode.POWER_OFF

    def brake_release(self) -> None:
        """Ready to move."""
        if self.safety_mode is SafetyMode.NORMAL:
            if self.measured is not None:
                self.q, self.qd = np.array(self.measured.q), np.zeros(6)
            self.motion = Hold()
            self.robot_mode = RobotMode.RUNNING

    # --- values that RTDE clients ask for ---

    @property
    def robot_status_bits(self) -> int:
        """Power on, program running."""
        on = self.robot_mode is not RobotMode.POWER_OFF
        return int(on) | int(self.runtime is Runtime.PLAYING) << 1

    @property
    def safety_status_bits(self) -> int:
        """Bits of the safety mode."""
        return SAFETY_BITS[self.safety_mode]

    @property
    def speed_scaling(self) -> float:
        """Of the trajectory limiter: 1 while a program runs, else 0."""
        return 1.0 if self.runtime is Runtime.PLAYING else 0.0

    def value(self, name: str) -> float | int | list[float] | list[int]:
        """The present value of an RTDE output by name; zeros where nothing is imitated."""
        getter = GETTERS.get(name)
        if getter is not None:
            return getter(self)
        stem, _, number = name.rpartition("_")
        if stem == "output_int_register":
            return self.int_out[int(number) % 24]
        if stem == "output_double_register":
            return self.double_out[int(number) % 24]
        return 0

    @property
    def actual_q(self) -> list[float]:
        """Measured joint positions."""
        return list(self.measured.q) if self.measured is not None else self.q.tolist()

    @property
    def actual_qd(self) -> list[float]:
        """Measured joint velocities."""
        return list(self.measured.qd) if self.measured is not None else self.qd.tolist()


GETTERS: dict[str, Callable[[UrController], float | int | list[float] | list[int]]] = {
    "timestamp": lambda c: c.time_s,
    "target_q": lambda c: c.q.tolist(),
    "target_qd": lambda c: c.qd.tolist(),
    "target_qdd": lambda c: c.qdd.tolist(),
    "actual_q": lambda c: c.actual_q,
    "actual_qd": lambda c: c.actual_qd,
    "actual_TCP_pose": lambda c: c.arm.pose(np.array(c.actual_q), c.tcp),
    "target_TCP_pose": lambda c: c.arm.pose(c.q, c.tcp),
    "actual_TCP_speed": lambda c: c.arm.speed(np.array(c.actual_q), np.array(c.actual_qd)),
    "target_TCP_speed": lambda c: c.arm.speed(c.q, c.qd),
    "actual_digital_input_bits": lambda c: c.digital_in,
    "actual_digital_output_bits": lambda c: c.digital_out,
    "joint_temperatures": lambda c: [30.0] * 6,
    "robot_mode": lambda c: int(c.robot_mode),
    "joint_mode": lambda c: [253 if c.robot_mode is RobotMode.RUNNING else 255] * 6,
    "safety_mode": lambda c: int(c.safety_mode),
    "speed_scaling": lambda c: c.speed_scaling,
    "target_speed_fraction": lambda c: c.slider,
    "actual_main_voltage": lambda c: 48.0,
    "actual_robot_voltage": lambda c: 48.0,
    "actual_joint_voltage": lambda c: [48.0] * 6,
    "runtime_state": lambda c: int(c.runtime),
    "robot_status_bits": lambda c: c.robot_status_bits,
    "safety_status_bits": lambda c: c.safety_status_bits,
    "payload": lambda c: c.payload[0],
    "payload_cog": lambda c: c.payload[1:4],
}
