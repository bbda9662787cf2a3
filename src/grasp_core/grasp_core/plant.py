# SPDX-License-Identifier: Apache-2.0
"""What stands behind a loopback controller: the arm and the gripper that it would move.

A plant may live in another process (the simulated world). Then commands and states cross as datagrams, one JSON object
each; a lost one is made up for by the next. Both carry the controller's time, so that a plant which lags (a simulator
that renders) still moves along the very path that was commanded, only later.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Protocol

# Datagrams are far smaller.
LARGEST_DATAGRAM = 8192


@dataclass(frozen=True)
class PlantCommand:
    """One control cycle's command.

    Attributes:
        time_s: the controller's time.
        q, qd: wanted joint positions (rad) and velocities (rad/s), in the order of the plant's joints.
        width_m, force_n: the gripper's last command.
        grip: number of the gripper's command; a new number means a new command, 0 none so far.
        grip_stop: whether the gripper was told to stop where it is.
    """

    time_s: float
    q: tuple[float, ...]
    qd: tuple[float, ...]
    width_m: float
    force_n: float
    grip: int
    grip_stop: bool = False


@dataclass(frozen=True)
class PlantState:
    """What the plant measures.

    Attributes:
        time_s: the controller's time that this belongs to.
        q, qd: joint positions (rad) and velocities (rad/s).
        width_m: opening of the gripper.
        moving: whether its fingers move.
        gripped: whether they were stopped by something while closing.
        grip: number of the gripper's command that ``moving`` and ``gripped`` speak of.
    """

    time_s: float
    q: tuple[float, ...]
    qd: tuple[float, ...]
    width_m: float
    moving: bool
    gripped: bool
    grip: int


class Plant(Protocol):
    """An arm with a gripper, told once a cycle what is wanted."""

    def step(self, command: PlantCommand, dt_s: float) -> PlantState:
        """Take the command, advance by ``dt_s`` and return the newest state; never blocks."""
        ...


def to_datagram(value: PlantCommand | PlantState) -> bytes:
    """Bytes for ``command_of`` or ``state_of``."""
    return json.dumps(asdict(value)).encode()


def command_of(data: bytes) -> PlantCommand:
    """The command in a datagram.

    Raises:
        ValueError: it is none.
    """
    values = _mapping(data)
    try:
        return PlantCommand(**{**values, "q": tuple(values["q"]), "qd": tuple(values["qd"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"no command of a plant: {error}") from error


def state_of(data: bytes) -> PlantState:
    """The state in a datagram.

    Raises:
        ValueError: it is none.
    """
    values = _mapping(data)
    try:
        return PlantState(**{**values, "q": tuple(values["q"]), "qd": tuple(values["qd"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"no state of a plant: {error}") from error


def _mapping(data: bytes) -> dict:
    values = json.loads(data)
    if not isinstance(values, dict):
        raise ValueError(f"a datagram with {type(values).__name__} instead of an object")
    return values
