# SPDX-License-Identifier: Apache-2.0
"""Bringing a device's time stamps onto the system's clock."""

from __future__ import annotations

from collections import deque


class ClockMapper:
    """Maps stamps of a device clock to system time by an estimated offset.

    A frame arrives some delay after its capture, and the delay is never negative, so the smallest difference between
    arrival and device stamp seen lately is the offset plus the smallest delay. A mapped stamp is therefore late by that
    smallest delay (a few milliseconds over USB) and free of the jitter of the others. It never lies in the future. The
    window lets the offset follow a clock that drifts.

    A clock that jumps (a recording that starts over, a device that restarts), or that does not run at the rate it
    claims, starts the estimate anew.

    Args:
        window: how many frames the estimate looks back.
        jump_ns: largest believable delay; beyond it the clock has jumped.
    """

    def __init__(self, window: int = 300, jump_ns: int = 250_000_000) -> None:
        self._differences: deque[int] = deque(maxlen=window)
        self._jump_ns = jump_ns
        self._last_ns: int | None = None

    @property
    def offset_ns(self) -> int | None:
        """System time minus device time; none before the first frame."""
        return min(self._differences) if self._differences else None

    def to_system(self, device_ns: int, arrival_ns: int) -> int:
        """The system time of a device stamp that arrived at ``arrival_ns`` of the system's clock."""
        backwards = self._last_ns is not None and device_ns < self._last_ns
        difference = arrival_ns - device_ns
        offset = self.offset_ns
        if backwards or (offset is not None and abs(difference - offset) > self._jump_ns):
            self._differences.clear()
        self._differences.append(difference)
        self._last_ns = device_ns
        return device_ns + min(self._differences)
