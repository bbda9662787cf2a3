# SPDX-License-Identifier: Apache-2.0
"""Which episode is made next, and when there are enough."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


class CollectionError(RuntimeError):
    """Collecting cannot go on; the message says what happened to which episodes."""


@dataclass
class Plan:
    """Hands out episode numbers until the wanted tries are there; safe to use from several threads.

    Attributes:
        wanted: tries.
        tries: by number of each finished episode.
    """

    wanted: int
    tries: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()

    @property
    def done(self) -> int:
        """Tries in the unbroken run of finished episodes from number 0 on."""
        count, index = 0, 0
        while index in self.tries:
            count += self.tries[index]
            index += 1
        return count

    def next(self) -> int | None:
        """The next episode to make; none where those that run are expected to be enough, or are."""
        with self._lock:
            missing = next(i for i in range(len(self.tries) + len(self._running) + 1) if self._free(i))
            if self.done >= self.wanted:
                return None
            finished = [count for count in self.tries.values() if count]
            usual = sum(finished) / len(finished) if finished else 1.0
            ahead = sum(self.tries.values()) + usual * len(self._running)
            if ahead >= self.wanted and self._running:
                return None
            self._running.add(missing)
            return missing

    def finished(self, index: int, tries: int) -> None:
        """An episode has ended."""
        with self._lock:
            self._running.discard(index)
            self.tries[index] = tries

    def failed(self, index: int) -> None:
        """An episode has not been made; its number is free again."""
        with self._lock:
            self._running.discard(index)

    @property
    def busy(self) -> bool:
        """Whether episodes are being made."""
        return bool(self._running)

    def _free(self, index: int) -> bool:
        return index not in self.tries and index not in self._running
