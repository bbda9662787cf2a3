# SPDX-License-Identifier: Apache-2.0
"""The imitated controller's text ports: programs on 30003, the dashboard on 29999."""

from __future__ import annotations

import asyncio

from grasp_control.loopback.controller import Runtime, SafetyMode, UrController

GREETING = "Connected: Universal Robots Dashboard Server"
# Longest program that is taken (bytes).
MOST_PROGRAM = 1 << 21
ROBOT_MODES = {3: "POWER_OFF", 5: "IDLE", 7: "RUNNING"}
SAFETY_MODES = {1: "NORMAL", 3: "PROTECTIVE_STOP", 7: "ROBOT_EMERGENCY_STOP"}
# What an e-Series does not take from outside while a person has it in local control.
REMOTE_ONLY = frozenset({"play", "stop", "pause", "power on", "power off", "brake release", "unlock protective stop"})
TOO_EARLY = (
    "Cannot unlock protective stop until 5s after occurrence. Always inspect cause of protective stop before unlocking"
)


class ScriptServer:
    """Takes programs: a program is complete with the line ``end`` that closes its outermost ``def``."""

    def __init__(self, controller: UrController) -> None:
        self._controller = controller
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it goes."""
        self._writers.add(writer)
        lines: list[str] = []
        length = 0
        try:
            while line := await reader.readline():
                text = line.decode(errors="replace").rstrip("\r\n")
                length = len(line) + length if lines else len(line)
                if length > MOST_PROGRAM:
                    break
                if not lines and not text.lstrip().startswith(("def ", "sec ")):
                    if text.strip():
                        self._controller.upload(text)
                    continue
                lines.append(text)
                if text.rstrip() == "end":
                    self._controller.upload("\n".join(lines))
                    lines = []
        except (ConnectionError, ValueError):
            pass  # the client went, or sent a line without end
        finally:
            self._writers.discard(writer)
            writer.close()

    def drop_all(self) -> None:
        """Close every connection (a fault)."""
        for writer in list(self._writers):
            writer.close()


class DashboardServer:
    """Answers the dashboard's commands, a line each."""

    def __init__(self, controller: UrController) -> None:
        self._controller = controller
        self._writers: set[asyncio.StreamWriter] = set()
        self.silent = self.local = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it goes."""
        self._writers.add(writer)
        writer.write(f"{GREETING}\n".encode())
        try:
            while line := await reader.readline():
                if self.silent:
                    continue
                writer.write(f"{self.answer(line.decode(errors='replace').strip())}\n".encode())
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the client went, or sent a line without end
        finally:
            self._writers.discard(writer)
            writer.close()

    def drop_all(self) -> None:
        """Close every connection (a fault)."""
        for writer in list(self._writers):
            writer.close()

    def answer(self, command: str) -> str:
        """The reply to one command."""
        word = command.lower()
        for start, reply in self._with_arguments().items():
            if word.startswith(start):
                return reply
        action = self._actions().get(word)
        if self.local and word in REMOTE_ONLY:
            return f"Failed to execute: {command}"
        return action() if action is not None else f'could not understand: "{command}"'

    def _with_arguments(self) -> dict[str, str]:
        return {
            "load ": "Loading program: loopback.urp",
            "popup ": "showing popup",
            "addtolog ": "Added log message",
            "setuserrole ": "Setting user role",
        }

    def _actions(self) -> dict:
        c = self._controller
        major, minor, bugfix, build = c.settings.version
        states = {Runtime.PLAYING: "PLAYING", Runtime.PAUSED: "PAUSED", Runtime.STOPPED: "STOPPED"}

        def doing(action, reply: str):
            def run() -> str:
                action()
                return reply

            return run

        return {
            "play": lambda: "Starting program" if c.play_program() else "Failed to execute: play",
            "stop": doing(c.stop_program, "Stopped"),
            "pause": doing(c.pause_program, "Pausing program"),
            "quit": lambda: "Disconnected",
            "running": lambda: f"Program running: {str(c.runtime is Runtime.PLAYING).lower()}",
            "close popup": lambda: "closing popup",
            "close safety popup": lambda: "closing safety popup",
            "polyscopeversion": lambda: f"URSoftware {major}.{minor}.{bugfix}.{build} (Jan 01 2024)",
            "programstate": lambda: f"{states[c.runtime]} loopback.urp",
            "power on": doing(c.power_on, "Powering on"),
            "power off": doing(c.power_off, "Powering off"),
            "brake release": doing(c.brake_release, "Brake releasing"),
            "unlock protective stop": lambda: "Protective stop releasing" if c.unlock_protective_stop() else TOO_EARLY,
            "robotmode": lambda: f"Robotmode: {ROBOT_MODES[int(c.robot_mode)]}",
            "safetymode": lambda: f"Safetymode: {SAFETY_MODES[int(c.safety_mode)]}",
            "safetystatus": lambda: f"Safetystatus: {SAFETY_MODES[int(c.safety_mode)]}",
            "get loaded program": lambda: "Loaded program: /programs/loopback.urp",
            "isprogramsaved": lambda: "true loopback.urp",
            "is in remote control": lambda: str(not self.local).lower(),
            "get robot model": lambda: "UR5",
            "get serial number": lambda: "20170000000",
            "restart safety": doing(self._restart_safety, "Restarting safety"),
        }

    def _restart_safety(self) -> None:
        c = self._controller
        if not c.emergency_pressed and c.safety_mode is not SafetyMode.NORMAL:
            c.release_emergency_stop()
