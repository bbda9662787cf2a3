# SPDX-License-Identifier: Apache-2.0
"""The loopback controllers as one program: UR controller, RG2, faults; run it in a process of its own.

``python -m grasp_control.loopback.server --controller e_series`` starts them with an ideal plant.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import tyro

from grasp_control.loopback.arm_model import ArmModel
from grasp_control.loopback.controller import UrController
from grasp_control.loopback.faults import STILL_RAD_S, Faults
from grasp_control.loopback.plant import KinematicPlant, RemotePlant
from grasp_control.loopback.rg2 import Rg2, Rg2ModbusServer
from grasp_control.loopback.rtde_server import RtdeServer
from grasp_control.loopback.script_commands import ControlScript
from grasp_control.loopback.settings import LoopbackSettings
from grasp_control.loopback.text_servers import DashboardServer, ScriptServer
from grasp_core import resources
from grasp_core.cell_config import CellConfig

log = logging.getLogger(__name__)

# Time that is made up for at once when the machine was busy (s); more is given up. No client can answer within it: in a
# longer run the servo would come to rest at an old target, and start again with a jolt.
MOST_BEHIND_S = 0.05
# How long clients may take to notice that everything ends (s).
LAST_S = 1.0


class PortTaken(RuntimeError):
    """Another program listens at one of the ports; the message says which."""


class Loopback:
    """Everything that listens, and the cycle that drives it."""

    def __init__(self, settings: LoopbackSettings) -> None:
        self.settings = settings
        config = CellConfig.from_yaml(resources.find("config", f"cells/{settings.cell}.yaml"))
        arm = ArmModel(config)
        self.ideal: KinematicPlant | None = None
        plant: Any
        self.pace: Callable[[], float] = lambda: 1.0
        if settings.plant:
            host, _, port = settings.plant.rpartition(":")
            plant = RemotePlant((host, int(port)), arm.ready)
            self.pace = plant.pace
        else:
            plant = self.ideal = KinematicPlant(arm.ready)
        self.controller = UrController(settings, arm, plant)
        self.script = ControlScript(self.controller)
        self.rtde = RtdeServer(self.controller, self.script)
        self.scripts, self.dashboard = ScriptServer(self.controller), DashboardServer(self.controller)
        self.gripper = Rg2(self.controller)
        self.modbus = Rg2ModbusServer(self.gripper, settings.host, settings.modbus_port)
        self.faults = Faults(self)
        self.still_since_s = self.moved_since_s = time.monotonic()
        self._still = True
        self._plugged_in = asyncio.Event()
        self._listeners: list[asyncio.Server] = []
        self._serving: set[asyncio.Task] = set()

    async def run(self, ready: Callable[[], None] = lambda: None, until: asyncio.Event | None = None) -> None:
        """Listen and cycle until ``until`` is set.

        Raises:
            PortTaken: somebody listens there already.
        """
        stop = until or asyncio.Event()
        control = await self._listen(self.faults.serve, self.settings.control_port)
        try:
            await self._open()
            ready()
            await self._cycle(stop)
        finally:
            control.close()
            await self._close()
            if self._serving:
                await asyncio.wait(self._serving, timeout=LAST_S)

    async def cut(self, seconds: float, silent: bool) -> None:
        """Be unreachable for a while, or until ``plug_in``."""
        self._plugged_in.clear()
        if silent:
            self.rtde.silent = self.dashboard.silent = self.modbus.silent = True
            await self._unplugged(seconds)
            self.rtde.silent = self.dashboard.silent = self.modbus.silent = False
            return
        await self._close()
        await self._unplugged(seconds)
        await self._open()

    def plug_in(self) -> None:
        """End a ``cut``."""
        self._plugged_in.set()

    async def _unplugged(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._plugged_in.wait(), seconds)

    async def _open(self) -> None:
        s = self.settings
        for serve, port in (
            (self.rtde.serve, s.rtde_port),
            (self.scripts.serve, s.script_port),
            (self.dashboard.serve, s.dashboard_port),
        ):
            self._listeners.append(await self._listen(serve, port))
        if s.gripper == "modbus":
            await self.modbus.start()

    async def _listen(self, serve: Any, port: int) -> asyncio.Server:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._serving.add(task)
            try:
                await serve(reader, writer)
            finally:
                self._serving.discard(task)

        try:
            return await asyncio.start_server(served, self.settings.host, port)
        except OSError as error:
            raise PortTaken(f"cannot listen at {self.settings.host}:{port}: {error.strerror or error}") from error

    async def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for server in (self.rtde, self.scripts, self.dashboard):
            server.drop_all()
        await self.modbus.stop()

    async def _cycle(self, stop: asyncio.Event) -> None:
        """Cycles at the controller's rate, or slower where its plant cannot keep up with real time."""
        dt_s = 1.0 / self.settings.rate_hz
        last, due_s = time.monotonic(), 0.0
        while not stop.is_set():
            now = time.monotonic()
            due_s = min(due_s + self.pace() * (now - last), MOST_BEHIND_S)
            last = now
            if due_s >= dt_s:
                while due_s >= dt_s:
                    self._one(dt_s)
                    due_s -= dt_s
                self.rtde.publish()
            await asyncio.sleep(dt_s - due_s)

    def _one(self, dt_s: float) -> None:
        if self.settings.gripper == "digital":
            self.gripper.follow_signals()
        self.script.tick()
        self.controller.tick(dt_s)
        still = bool(abs(self.controller.qd).max() < STILL_RAD_S)
        if still != self._still:
            self._still = still
            if still:
                self.still_since_s = time.monotonic()
            else:
                self.moved_since_s = time.monotonic()


def send_fault(host: str, port: int, fault: str, timeout_s: float = 5.0, **options: Any) -> dict[str, Any]:
    """Put a fault upon loopback controllers in another process and return the answer.

    Raises:
        ConnectionError: nobody listens there.
        ValueError: the fault was not taken; the message says why.
    """
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        connection.sendall(json.dumps({"fault": fault, **options}).encode() + b"\n")
        answer = json.loads(connection.makefile("rb").readline())
    if not answer.pop("ok"):
        raise ValueError(answer["error"])
    return answer


async def run_until_signalled(settings: LoopbackSettings) -> None:
    """Run until SIGINT or SIGTERM; says ``loopback controllers ready`` when clients may come."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loopback = Loopback(settings)
    where = f"{settings.host}, control port {settings.control_port}"
    await loopback.run(lambda: print(f"loopback controllers ready at {where}", flush=True), stop)


def main() -> None:
    """Command line."""
    logging.basicConfig(level=logging.INFO, format="[%(name)s] %(levelname)s: %(message)s")
    settings = tyro.cli(LoopbackSettings, description=__doc__)
    try:
        asyncio.run(run_until_signalled(settings))
    except PortTaken as error:
        raise SystemExit(f"loopback: {error}") from error


if __name__ == "__main__":
    main()
