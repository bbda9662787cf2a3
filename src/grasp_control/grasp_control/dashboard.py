# SPDX-License-Identifier: Apache-2.0
"""UR's dashboard server: a line of text for each command. It works when the servo link hangs."""

from __future__ import annotations

import socket

PORT = 29999


class DashboardError(RuntimeError):
    """The dashboard does not answer, or refuses; the message says what was asked and what came."""


def dashboard(host: str, *commands: str, timeout_s: float = 2.0) -> list[str]:
    """Replies to commands, in order, over one short connection.

    Raises:
        DashboardError: no connection, or no reply in time.
    """
    try:
        with socket.create_connection((host, PORT), timeout=timeout_s) as connection:
            lines = connection.makefile("rw", encoding="utf-8", newline="\n")
            lines.readline()  # the greeting
            replies = []
            for command in commands:
                lines.write(command + "\n")
                lines.flush()
                reply = lines.readline()
                if not reply:
                    raise DashboardError(f"the dashboard at {host} closed the connection after {command!r}")
                replies.append(reply.strip())
            return replies
    except OSError as error:
        raise DashboardError(f"the dashboard at {host} does not answer: {error}") from error
