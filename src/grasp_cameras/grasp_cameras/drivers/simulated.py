# SPDX-License-Identifier: Apache-2.0
"""A camera whose pictures come from a function: a simulator, a renderer, a test."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from grasp_cameras.driver import CameraError, Capabilities, Clock, EndOfRecordingError, RawFrame, ReadTimeoutError
from grasp_cameras.pacing import Pacer
from grasp_core.camera import CameraFrame
from grasp_core.config import Config

Source = Callable[[], CameraFrame | None]


class SimulatedOptions(Config):
    """Where the pictures come from."""

    source: str = ""
    """``package.module:function`` that makes the picture source when called; empty where the program hands one over."""
    rate_hz: Annotated[float, Field(gt=0.0, le=1000.0)] = 30.0


class Simulated:
    """Takes a picture from a function at a steady rate.

    Args:
        options: see there.
        source: gives the picture of this moment, or none where the simulation is over; instead of ``options.source``.
    """

    Options: ClassVar[type[Config]] = SimulatedOptions

    def __init__(self, options: SimulatedOptions, source: Source | None = None) -> None:
        if (source is None) == (not options.source):
            raise CameraError(
                "a simulated camera takes one source: options.source (package.module:function) or a function"
            )
        self._options = options
        self._source = source
        self._pacer = Pacer()
        self._count = 0

    @classmethod
    def of(cls, source: Source, rate_hz: float = 30.0) -> Self:
        """The camera of a function."""
        return cls(SimulatedOptions(rate_hz=rate_hz), source)

    @property
    def capabilities(self) -> Capabilities:
        """Everything; the pictures say what they have."""
        return Capabilities(True, True, True, True, pose=True, rate_hz=self._options.rate_hz)

    def open(self) -> None:
        """Import the source where it is named."""
        if self._source is None:
            module, _, function = self._options.source.partition(":")
            try:
                self._source = getattr(importlib.import_module(module), function)()
            except (ImportError, AttributeError, ValueError) as error:
                raise CameraError(f"the picture source {self._options.source!r} cannot be made: {error}") from error
        self._pacer.restart()
        self._count = 0

    def close(self) -> None:
        """End any wait."""
        self._pacer.close()

    def read(self, timeout_s: float) -> RawFrame:
        """The picture of this moment, when the next is due."""
        if self._source is None:
            raise CameraError("the simulated camera is not open")
        if not self._pacer.wait(round(self._count * 1e9 / self._options.rate_hz), timeout_s):
            raise ReadTimeoutError(f"the next picture is due later than in {timeout_s:g} s")
        self._count += 1
        frame = self._source()
        if frame is None:
            raise EndOfRecordingError("the simulation is over")
        has_color, has_depth = frame.rgb is not None, frame.depth_m is not None
        return RawFrame(
            stamp_ns=frame.stamp_ns or time.time_ns(),
            # Simulated time is a clock of its own unless it says nothing.
            clock=Clock.DEVICE if frame.stamp_ns else Clock.SYSTEM,
            rgb=frame.rgb,
            depth=frame.depth_m,
            color_intrinsics=frame.intrinsics if has_color else None,
            depth_intrinsics=frame.intrinsics if has_depth else None,
            T_color_depth=np.eye(4),
            aligned_depth=frame.depth_m if has_color else None,
            T_base_camera=frame.T_base_camera,
            sequence=self._count,
        )
