# SPDX-License-Identifier: Apache-2.0
"""The RTDE protocol (version 2) of the imitated controller: any number of clients, each with recipes of its own."""

from __future__ import annotations

import asyncio
import itertools
import logging
import struct
from dataclasses import dataclass, field
from typing import Any

from grasp_control.loopback.controller import UrController
from grasp_control.loopback.rtde_fields import INPUTS, OUTPUTS, TYPES
from grasp_control.loopback.script_commands import ControlScript, registers_of

log = logging.getLogger(__name__)

HEADER = struct.Struct(">HB")
VERSION, CONTROLLER, OUTPUT, INPUT, START, PAUSE, DATA = 86, 118, 79, 73, 83, 80, 85
# Packages that a client which does not read may pile up before it is dropped (bytes).
MOST_UNREAD = 1 << 20


@dataclass(eq=False)
class Recipe:
    """Fields in their order on the wire."""

    number: int
    names: list[str]
    layout: struct.Struct
    counts: list[int]

    @classmethod
    def of(cls, number: int, names: list[str], table: dict[str, str]) -> Recipe:
        """The recipe of known names."""
        kinds = [TYPES[table[name]] for name in names]
        layout = struct.Struct(">" + "".join(letter * count for letter, count in kinds))
        return cls(number, names, layout, [count for _, count in kinds])

    def unpack(self, payload: bytes) -> dict[str, Any]:
        """Values by name; surplus bytes are left, and further doubles among them are read as registers to come."""
        values = self.layout.unpack_from(payload)
        named, at = {}, 0
        for name, count in zip(self.names, self.counts, strict=True):
            named[name] = values[at] if count == 1 else values[at : at + count]
            at += count
        surplus = (len(payload) - self.layout.size) // 8
        doubles = [int(name.rpartition("_")[2]) for name in self.names if "double_register" in name]
        if surplus and doubles:
            more = struct.unpack_from(f">{surplus}d", payload, self.layout.size)
            named |= {f"input_double_register_{max(doubles) + 1 + k}": value for k, value in enumerate(more)}
        return named

    def pack(self, controller: UrController) -> bytes:
        """The present values."""
        flat: list[Any] = []
        for name, count in zip(self.names, self.counts, strict=True):
            value = controller.value(name)
            if count == 1:
                flat.append(value)
            else:
                flat.extend(value if isinstance(value, list) else [value] * count)
        return bytes([self.number]) + self.layout.pack(*flat)


@dataclass(eq=False)
class Client:
    """One connection."""

    writer: asyncio.StreamWriter
    inputs: dict[int, Recipe] = field(default_factory=dict)
    output: Recipe | None = None
    every: int = 1
    started: bool = False


class RtdeServer:
    """Serves RTDE clients; ``publish`` is called once a cycle.

    Attributes:
        late_s: how much later than now packages leave (a fault).
        frozen: packages go on leaving, but with old values (a fault).
        silent: nothing leaves and nothing is read, while connections stay (a fault).
    """

    def __init__(self, controller: UrController, script: ControlScript) -> None:
        self._controller, self._script = controller, script
        self._clients: set[Client] = set()
        self._claims: dict[str, Client] = {}
        self._cycle = 0
        self._last: dict[Client, bytes] = {}
        self.late_s, self.frozen, self.silent = 0.0, False, False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it goes."""
        client = Client(writer)
        self._clients.add(client)
        try:
            while True:
                size, kind = HEADER.unpack(await reader.readexactly(HEADER.size))
                payload = await reader.readexactly(max(0, size - HEADER.size))
                if not self.silent:
                    self._answer(client, kind, payload)
        except (asyncio.IncompleteReadError, ConnectionError, struct.error) as error:
            log.debug("an RTDE client left: %s", error)
        finally:
            self._clients.discard(client)
            self._last.pop(client, None)
            self._claims = {name: owner for name, owner in self._claims.items() if owner is not client}
            writer.close()

    def drop_all(self) -> None:
        """Close every connection (a fault)."""
        for client in list(self._clients):
            client.writer.close()

    def publish(self) -> None:
        """Send every started client its package of this cycle."""
        self._cycle += 1
        if self.silent:
            return
        for client in list(self._clients):
            if not client.started or client.output is None or self._cycle % client.every:
                continue
            if client.writer.transport.get_write_buffer_size() > MOST_UNREAD:
                client.writer.close()
                continue
            if self.frozen and client in self._last:
                payload = self._last[client]
            else:
                payload = self._last[client] = client.output.pack(self._controller)
            if self.late_s > 0.0:
                asyncio.get_running_loop().call_later(self.late_s, self._send, client, DATA, payload)
            else:
                self._send(client, DATA, payload)

    def _send(self, client: Client, kind: int, payload: bytes) -> None:
        if not client.writer.is_closing():
            client.writer.write(HEADER.pack(HEADER.size + len(payload), kind) + payload)

    def _answer(self, client: Client, kind: int, payload: bytes) -> None:
        if kind == DATA:
            self._take(client, payload)
        elif kind == VERSION:
            self._send(client, kind, bytes([int(struct.unpack(">H", payload)[0] == 2)]))
        elif kind == CONTROLLER:
            self._send(client, kind, struct.pack(">4I", *self._controller.settings.version))
        elif kind == OUTPUT:
            self._send(client, kind, self._set_outputs(client, payload))
        elif kind == INPUT:
            self._send(client, kind, self._set_inputs(client, payload))
        elif kind in (START, PAUSE):
            client.started = kind == START
            self._send(client, kind, b"\x01")

    def _set_outputs(self, client: Client, payload: bytes) -> bytes:
        (hertz,) = struct.unpack_from(">d", payload)
        names = _names(payload[8:])
        types = [OUTPUTS.get(name, "NOT_FOUND") for name in names]
        if "NOT_FOUND" not in types:
            client.output = Recipe.of(1, names, OUTPUTS)
            client.every = max(1, round(self._controller.settings.rate_hz / max(hertz, 1.0)))
        return b"\x01" + ",".join(types).encode()

    def _set_inputs(self, client: Client, payload: bytes) -> bytes:
        names = _names(payload)
        number = next(n for n in itertools.count(1) if n not in client.inputs)
        types = []
        for name in names:
            owner = self._claims.get(name, client)
            types.append("IN_USE" if owner is not client else INPUTS.get(name, "NOT_FOUND"))
        if not {"IN_USE", "NOT_FOUND"} & set(types):
            self._claims.update(dict.fromkeys(names, client))
            client.inputs[number] = Recipe.of(number, names, INPUTS)
        return bytes([number]) + ",".join(types).encode()

    def _take(self, client: Client, payload: bytes) -> None:
        recipe = client.inputs.get(payload[0]) if payload else None
        if recipe is None or len(payload) - 1 < recipe.layout.size:
            log.debug("an input package without its recipe, or too short, was left out")
            return
        values = recipe.unpack(payload[1:])
        self._signals(values)
        number, ints, doubles = registers_of(values)
        if number is not None:
            self._script.take(number, ints, doubles)

    def _signals(self, values: dict[str, Any]) -> None:
        c = self._controller
        for kind, shift in (("standard", 0), ("configurable", 8), ("tool", 16)):
            mask = values.get(f"{kind}_digital_output_mask", 0) << shift
            c.digital_out = c.digital_out & ~mask | (values.get(f"{kind}_digital_output", 0) << shift) & mask
        if values.get("speed_slider_mask"):
            c.slider = min(max(values["speed_slider_fraction"], 0.0), 1.0)


def _names(payload: bytes) -> list[str]:
    return [name for name in payload.decode().split(",") if name]
