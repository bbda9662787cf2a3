# SPDX-License-Identifier: Apache-2.0
"""An imitated RG2: behind a Compute Box's Modbus registers (unit 65), or behind digital signals of the controller.

Registers and bits: OnRobot's connectivity manual, as community drivers use them. Lengths in tenths of a millimetre,
forces in tenths of a newton.
"""

from __future__ import annotations

import asyncio

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from grasp_control.loopback.controller import UrController
from grasp_control.rg2_registers import (
    CONTROL,
    FINGERTIP_OFFSET,
    FORCE,
    GRIP,
    GRIP_WITH_OFFSET,
    MOST_FORCE,
    MOST_WIDTH,
    STATUS,
    STOP,
    TOOL_UNIT,
    WIDTH,
    WIDTH_NOW,
    WIDTH_WITH_OFFSET,
    Status,
)

REGISTERS = 300
FINGERTIP_OFFSET_MM10 = 46
# How long a silent gripper keeps a request waiting; longer than any client does (s).
SILENCE_S = 3600.0


class Rg2:
    """The gripper's logic; commands go to the plant through the controller's cycle."""

    def __init__(self, controller: UrController) -> None:
        self._c = controller
        self._stuck = self._stuck_busy = False
        self._close_was = False

    @property
    def width_m(self) -> float:
        """Measured opening."""
        return self._c.measured.width_m if self._c.measured is not None else self._c.width_m

    @property
    def busy(self) -> bool:
        """Whether the fingers move, or a command has not yet reached them."""
        if self._stuck:
            return self._stuck_busy
        told = self._c.measured
        return told is not None and not self._c.grip_stop and (told.moving or told.grip != self._c.grip)

    @property
    def gripped(self) -> bool:
        """Whether the fingers were stopped by something."""
        told = self._c.measured
        return told is not None and told.gripped and not self.busy

    def stick(self, on: bool) -> None:
        """From now on it takes commands and its fingers do not move (a fault), or no longer."""
        self._stuck_busy = on and self.busy
        self._stuck = on

    def grip(self, width_m: float, force_n: float) -> None:
        """Open or close; ignored while busy."""
        if self._stuck:
            self._stuck_busy = True
            return
        if self.busy:
            return
        c = self._c
        c.width_m, c.force_n, c.grip_stop = width_m, force_n, False
        c.grip += 1

    def stop(self) -> None:
        """Stop the fingers; works at any time."""
        self._stuck_busy = False
        self._c.grip_stop = True

    def follow_signals(self) -> None:
        """Once a cycle with the digital wiring: an output closes and opens, an input tells of a grip."""
        c, settings = self._c, self._c.settings
        close = bool(c.digital_out >> settings.close_output & 1)
        if close != self._close_was:
            self._close_was = close
            self.grip(0.0 if close else MOST_WIDTH * 1e-4, c.force_n)
        bit = 1 << settings.grip_input
        c.digital_in = c.digital_in | bit if self.gripped else c.digital_in & ~bit

    def status(self) -> int:
        """The status register."""
        bits = Status.BUSY if self.busy else Status(0)
        return int(bits | Status.GRIP) if self.gripped else int(bits)


class Rg2ModbusServer:
    """The Compute Box's registers over Modbus TCP.

    Attributes:
        silent: requests get no reply (a fault).
        late_s: how late replies are (a fault).
    """

    def __init__(self, gripper: Rg2, host: str, port: int) -> None:
        self._gripper = gripper
        self._address = (host, port)
        self.silent, self.late_s = False, 0.0
        self._asked = [0] * 3
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Listen."""
        data = SimData(0, count=REGISTERS, values=0, datatype=DataType.REGISTERS)
        device = SimDevice(TOOL_UNIT, [data], action=self._action)
        self._server = ModbusTcpServer(device, address=self._address)
        await self._server.serve_forever(background=True)

    async def stop(self) -> None:
        """Stop listening and drop the clients; ``start`` listens again."""
        if self._server is not None:
            await self._server.shutdown()
            self._server = None

    async def _action(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        current_registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if self.silent:
            await asyncio.sleep(SILENCE_S)
        if self.late_s > 0.0:
            await asyncio.sleep(self.late_s)
        if set_values is not None:
            return self._write(address, [int(value) for value in set_values])
        self._refresh(current_registers, start_address)
        return None

    def _write(self, address: int, values: list[int]) -> ExcCodes | None:
        if address + len(values) > len(self._asked):
            return ExcCodes.ILLEGAL_ADDRESS
        asked = list(self._asked)
        asked[address : address + len(values)] = values
        if asked[FORCE] > MOST_FORCE or asked[WIDTH] > MOST_WIDTH:
            return ExcCodes.ILLEGAL_VALUE
        self._asked = asked
        control = values[CONTROL - address] if address <= CONTROL < address + len(values) else 0
        if control in (GRIP, GRIP_WITH_OFFSET):
            self._gripper.grip(1e-4 * asked[WIDTH], 0.1 * asked[FORCE])
        elif control == STOP:
            self._gripper.stop()
        return None

    def _refresh(self, registers: list[int], start: int) -> None:
        width = round(self._gripper.width_m * 1e4)
        now = {
            FINGERTIP_OFFSET: FINGERTIP_OFFSET_MM10,
            WIDTH_NOW: width,
            STATUS: self._gripper.status(),
            WIDTH_WITH_OFFSET: max(0, width - 2 * FINGERTIP_OFFSET_MM10),
        }
        for address, value in now.items():
            if 0 <= address - start < len(registers):
                registers[address - start] = value
