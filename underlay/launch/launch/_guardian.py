# SPDX-License-Identifier: Apache-2.0
"""Ends the processes that a launcher left behind because it was killed.

Run as a script by the launcher, in a session of its own: ``_guardian.py MARKER LAUNCHER_PID SIGKILL_AFTER_S LOG_FILE``.
Its standard input is a pipe that only the launcher holds, so the pipe's end is the launcher's end. A process belongs to
the launch if its environment carries the launch's marker (children of children inherit it) or if its session is that
of a process that the launcher started. Standard library only: it starts without site-packages, in some milliseconds.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Collection

MARKER_VARIABLE = "LAUNCH_PROCESS_MARKER"
"""Environment variable of every process that a launcher starts: '<launch>/<process name>'."""

_SCAN_PERIOD_S = 0.05
_QUIET_S = 0.5
_GIVE_UP_S = 60.0


def find_processes(marker: str, sessions: Collection[int]) -> list[int]:
    """Return the ids of living processes with a marker that begins so, or in one of the sessions."""
    wanted = f"\0{MARKER_VARIABLE}={marker}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        # A process may end, or belong to another user, at any of these reads.
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/stat", "rb") as stat:
                state, _parent, _group, session = stat.read().rpartition(b")")[2].split()[:4]
            if state in (b"Z", b"X"):
                continue
            if int(session) in sessions:
                found.append(int(entry))
                continue
            with open(f"/proc/{entry}/environ", "rb") as environ:
                if wanted in b"\0" + environ.read():
                    found.append(int(entry))
    return found


def signal_processes(pids: Collection[int], number: int) -> None:
    """Send a signal to processes that may have ended already."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_processes(marker: str, sessions: Collection[int], spared: Collection[int], sigkill_after_s: float) -> set[int]:
    """End all processes of a launch: SIGTERM, then SIGKILL; return the ids of those that were found.

    Args:
        marker: the launch's marker.
        sessions: the sessions that the launcher made.
        spared: processes that the kernel has sent SIGTERM to already; a second one could break their clean-up.
        sigkill_after_s: seconds from SIGTERM to SIGKILL.
    """
    begin = quiet_since = time.monotonic()
    seen: set[int] = set()
    while time.monotonic() - begin < _GIVE_UP_S:
        found = find_processes(marker, sessions)
        if found:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > _QUIET_S:
            break  # a child that was just being forked carries the marker by now
        signal_processes([pid for pid in found if pid not in seen and pid not in spared], signal.SIGTERM)
        seen.update(found)
        if time.monotonic() - begin > sigkill_after_s:
            signal_processes(found, signal.SIGKILL)
        # Processes of others announce their end to their parent only: they can but be looked at again.
        time.sleep(_SCAN_PERIOD_S)
    return seen


def watch(launcher_pid: int) -> set[int] | None:
    """Wait for the launcher's end; return the sessions that it has left, or None if it has cleaned up itself.

    The launcher writes '+PID' when it has started a process, '-PID' when nothing of it is left, 'bye' at its end.
    """
    sessions: set[int] = set()
    text = ""
    while os.getppid() == launcher_pid:
        if not select.select([0], [], [], 1.0)[0]:
            continue
        data = os.read(0, 65536)
        if not data:
            break
        *lines, text = (text + data.decode()).split("\n")
        for line in lines:
            if line == "bye":
                return None
            if line.startswith("+"):
                sessions.add(int(line[1:]))
            else:
                sessions.discard(int(line[1:]))
    return sessions


def main() -> None:
    """Watch the launcher and end what it leaves."""
    marker, launcher_pid, sigkill_after_s, log_file = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions = watch(int(launcher_pid))
    if sessions is None:
        return
    ended = end_processes(marker, sessions, spared=sessions, sigkill_after_s=float(sigkill_after_s))
    with open(log_file, "a", encoding="utf-8") as log:
        left = ", ".join(str(pid) for pid in sorted(ended)) or "none"
        log.write(
            f"{time.time():.7f} [ERROR] [launch]: the launcher was killed; processes ended in its place: {left}\n"
        )


if __name__ == "__main__":
    main()
