# SPDX-License-Identifier: Apache-2.0
"""One process a part of a run's folder: a second one would take the first's unfinished files for leftovers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from grasp_core.config import ConfigError


@contextmanager
def alone(folder: Path, part: str) -> Iterator[None]:
    """Hold a part of a run for as long as the block lasts; a process that is killed lets go of it.

    Args:
        folder: of the run; made where it is not there.
        part: ``collect`` or ``train``, which do not disturb each other.

    Raises:
        ConfigError: another process holds it, or the folder cannot be written or locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The kernel's lock or none: a mere marker file would outlive a process that is killed.
        lock = FileLock(folder / f".{part}.lock", timeout=0, fallback_to_soft=False)
        lock.acquire()
    except Timeout as error:
        raise ConfigError(f"another {part} is at work in {folder}; let it end, or take another folder") from error
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written or locked ({error.strerror}); take another folder") from error
    try:
        yield
    finally:
        lock.release()
