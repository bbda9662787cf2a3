# SPDX-License-Identifier: Apache-2.0
"""How kernels are compiled: once a machine, on the threads that a volume allows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba

log = logging.getLogger(__name__)

# CPU threads that kernels may use at most.
CORES: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]


def kernel(*, parallel: bool = True) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with numba, without the interpreter lock, kept on disk for the next process.

    Where neither the source folder nor the user's cache folder is writable it is compiled for this process only; set
    ``NUMBA_CACHE_DIR`` to a writable folder to keep it.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {
            "parallel": parallel,
            "nogil": True,
            "error_model": "numpy",
            "fastmath": {"contract"},
        }
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:
            log.warning("%s is compiled anew in every process (%s); set NUMBA_CACHE_DIR", function.__name__, error)
            return numba.njit(**options)(function)

    return decorate


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Run kernels of this Python thread on ``count`` CPU threads, or on all."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(count or CORES, CORES))
    try:
        yield
    finally:
        numba.set_num_threads(before)
