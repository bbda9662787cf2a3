# SPDX-License-Identifier: Apache-2.0
"""How kernels are compiled: once a machine, on the threads that a volume allows."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

log = logging.getLogger(__name__)

WAIT_POLICY = "OMP_WAIT_POLICY"
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


@cache
def _launch() -> None:
    """Start numba's threads, such that they sleep while they wait for each other (OMP_WAIT_POLICY is obeyed where set).

    Threads that spin take the core from those that they wait for: on a busy machine fusing took three times as long.
    What else uses OpenMP in this process is left alone, hence the variable is set only while numba loads its own.
    """
    given = os.environ.get(WAIT_POLICY)
    os.environ.setdefault(WAIT_POLICY, "PASSIVE")
    try:
        numba.get_num_threads()
    finally:
        if given is None:
            os.environ.pop(WAIT_POLICY, None)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Run kernels of this Python thread on ``count`` CPU threads, or on all."""
    _launch()
    before = numba.get_num_threads()
    numba.set_num_threads(min(count or CORES, CORES))
    try:
        yield
    finally:
        numba.set_num_threads(before)


@intrinsic
def take(typing_context: Any, taken: Any) -> Any:
    """In a kernel: the next piece of work, counted in ``taken`` int64 [1] by all threads together.

    With a fixed share for each thread a kernel lasts as long as the thread that the machine delays most, and it shares
    the cores with drivers, planner and policy.
    """
    signature = types.int64(taken)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, arguments[0])
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", array.data, one, "monotonic")

    return signature, generate
