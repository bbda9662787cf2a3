# SPDX-License-Identifier: Apache-2.0
"""A camera that stays usable: a thread that opens a driver, reads it, reports its state and reconnects."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from grasp_cameras.calibration_file import CameraCalibration
from grasp_cameras.clock import ClockMapper
from grasp_cameras.driver import CameraDriver, Clock, EndOfRecordingError, RawFrame, ReadTimeoutError
from grasp_cameras.settings import StreamSettings
from grasp_core.camera import CameraFrame, FrameError
from grasp_core.geometry import Array, NotRigidError
from grasp_core.ports import StateError

_LOG = logging.getLogger(__name__)

# A gap in the stamps longer than this many periods means that frames were lost.
GAP_PERIODS = 1.5


class StreamState(StrEnum):
    """What a camera is doing."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    SILENT = "silent"
    DISCONNECTED = "disconnected"
    ENDED = "ended"
    STOPPED = "stopped"


@dataclass(frozen=True)
class StreamReport:
    """A camera's health at one moment.

    Attributes:
        reason: why it is not connected; empty where it is.
        frames: good frames so far. bad_frames: refused ones. drops: frames that the sensor took and nobody received.
        connects: how often it was opened.
        rate_hz: achieved over the last two seconds. target_hz: what it is set to, or none.
        age_s: since the newest frame was taken, or none before the first.
        last_error: the newest problem, also after it is over.
        has_color, has_depth, calibrated: of the newest frame.
    """

    name: str
    state: StreamState
    reason: str
    frames: int
    bad_frames: int
    drops: int
    connects: int
    rate_hz: float
    target_hz: float | None
    age_s: float | None
    last_error: str
    has_color: bool
    has_depth: bool
    calibrated: bool


class CameraStream:
    """A ``grasp_core.ports.Camera`` over a driver. Start it as a context manager, or with ``start`` and ``stop``.

    Time stamps are the sensor's. A stamp of another clock than the system's is mapped onto it (``ClockMapper``); a
    stamp of the system's clock is taken as it is.

    Args:
        name: the cell's name of the camera.
        driver: made, not yet opened; the stream's thread owns it from ``start`` on.
        settings: time-outs and retries.
        calibration: replaces the driver's intrinsics, and gives the pose of a fixed camera.
        pose: the camera's pose in the base frame [4, 4] at a time in nanoseconds; none means the calibration's where
            the camera is fixed, else what the source says, else the identity.
        on_frame: called in the stream's thread with every good frame, its stamp on the system's clock.
        clock_ns: the system's clock.
    """

    def __init__(
        self,
        name: str,
        driver: CameraDriver,
        settings: StreamSettings | None = None,
        *,
        calibration: CameraCalibration | None = None,
        pose: Callable[[int], Array] | None = None,
        on_frame: Callable[[RawFrame], None] | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._name = name
        self._driver = driver
        self._settings = settings or StreamSettings()
        self._calibration = calibration
        self._pose = pose
        self._on_frame = on_frame
        self._clock_ns = clock_ns
        self._mapper = ClockMapper()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._news = threading.Condition()
        # Everything below is guarded by _news.
        self._latest: RawFrame | None = None
        self._state = StreamState.STOPPED
        self._reason = "not started"
        self._last_error = ""
        self._frames = self._bad = self._drops = self._connects = 0
        self._arrivals: deque[float] = deque(maxlen=1000)

    @property
    def name(self) -> str:
        """The cell's name of the camera."""
        return self._name

    def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._thread is not None:
            raise RuntimeError(f"camera {self._name} was started already")
        self._stop.clear()
        self._set_state(StreamState.CONNECTING, "not opened yet")
        self._thread = threading.Thread(target=self._run, name=f"camera {self._name}", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Close the camera; a driver that hangs longer than the time-out is left behind, and said so."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stop.set()
        thread.join(timeout_s)
        if thread.is_alive():
            _LOG.error("camera %s: its driver does not return from a call after %g s", self._name, timeout_s)
        self._set_state(StreamState.STOPPED, "stopped")

    def __enter__(self) -> CameraStream:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def raw(self, max_age_s: float) -> RawFrame:
        """The newest frame as the sensor gave it, not older than ``max_age_s``; waits up to that long for one.

        Raises:
            StateError: there is none.
        """
        end = time.monotonic() + max_age_s
        with self._news:
            while True:
                age_s = self._age_s()
                if age_s is not None and age_s <= max_age_s and self._latest is not None:
                    return self._latest
                left = end - time.monotonic()
                if left <= 0.0 or self._state in (StreamState.ENDED, StreamState.STOPPED):
                    raise StateError(self._why_none(age_s, max_age_s))
                self._news.wait(left)

    def frame(self, max_age_s: float) -> CameraFrame:
        """A picture not older than ``max_age_s``; waits up to that long for one.

        Raises:
            StateError: the camera is silent, not connected or not calibrated; the message says which and why.
        """
        raw = self.raw(max_age_s)
        T_base_camera = None
        if self._pose is not None:
            T_base_camera = self._pose(raw.stamp_ns)
        elif self._calibration is not None and self._calibration.mount == "fixed":
            T_base_camera = self._calibration.T_parent_camera
        try:
            return raw.to_camera_frame(T_base_camera)
        except (FrameError, NotRigidError) as error:
            raise StateError(f"camera {self._name} gives no usable frame: {error}") from error

    def report(self) -> StreamReport:
        """How the camera does now. A driver that hangs shows as silent."""
        with self._news:
            latest = self._latest
            state, reason = self._state_now()
            now = time.monotonic()
            recent = [t for t in self._arrivals if now - t < 2.0]
            rate = (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 and recent[-1] > recent[0] else 0.0
            return StreamReport(
                name=self._name,
                state=state,
                reason=reason,
                frames=self._frames,
                bad_frames=self._bad,
                drops=self._drops,
                connects=self._connects,
                rate_hz=rate,
                target_hz=self._driver.capabilities.rate_hz,
                age_s=self._age_s(),
                last_error=self._last_error,
                has_color=latest is not None and latest.rgb is not None,
                has_depth=latest is not None and latest.depth is not None,
                calibrated=latest is not None and (latest.color_intrinsics or latest.depth_intrinsics) is not None,
            )

    def _state_now(self) -> tuple[StreamState, str]:
        """State and reason; a driver that does not return from a call cannot say itself that it is silent."""
        since_s = time.monotonic() - self._arrivals[-1] if self._arrivals else 0.0
        if self._state is StreamState.CONNECTED and since_s > self._settings.silent_after_s:
            return StreamState.SILENT, f"no frame for {since_s:.2f} s"
        return self._state, self._reason

    def _age_s(self) -> float | None:
        return None if self._latest is None else (self._clock_ns() - self._latest.stamp_ns) * 1e-9

    def _why_none(self, age_s: float | None, max_age_s: float) -> str:
        what = "has sent nothing yet" if age_s is None else f"sent its newest frame {age_s:.2f} s ago"
        state, reason = self._state_now()
        why = f"; it is {state}: {reason}" if reason else f"; it is {state}"
        error = f" (last problem: {self._last_error})" if self._last_error and self._last_error != reason else ""
        return f"camera {self._name} {what}, at most {max_age_s:g} s was asked{why}{error}"

    def _set_state(self, state: StreamState, reason: str = "") -> None:
        with self._news:
            changed = (state, reason) != (self._state, self._reason)
            self._state, self._reason = state, reason
            if state in (StreamState.DISCONNECTED, StreamState.SILENT):
                self._last_error = reason
            self._news.notify_all()
        if changed:
            fault = state in (StreamState.SILENT, StreamState.DISCONNECTED)
            level = logging.WARNING if fault else logging.INFO
            _LOG.log(level, "camera %s: %s%s", self._name, state, f": {reason}" if reason else "")

    def _run(self) -> None:
        delay_s = self._settings.retry_first_s
        while not self._stop.is_set():
            frames_before = self._frames
            try:
                self._driver.open()
                with self._news:
                    self._connects += 1
                self._mapper = ClockMapper()
                self._read_until_stopped()
            except EndOfRecordingError as end:
                self._set_state(StreamState.ENDED, str(end))
                break
            # A driver may be anybody's, and vendors' libraries raise what they like: nothing may end this thread.
            except Exception as error:  # noqa: BLE001
                _LOG.debug("camera %s", self._name, exc_info=True)
                self._set_state(StreamState.DISCONNECTED, str(error) or repr(error))
            finally:
                self._close()
            if self._frames > frames_before:
                delay_s = self._settings.retry_first_s
            self._stop.wait(delay_s)
            delay_s = min(2.0 * delay_s, self._settings.retry_longest_s)

    def _close(self) -> None:
        try:
            self._driver.close()
        except Exception as error:  # noqa: BLE001 - as above; a device that is gone often refuses to be closed
            _LOG.warning("camera %s: closing it failed: %s", self._name, error)

    def _read_until_stopped(self) -> None:
        settings = self._settings
        last_good = time.monotonic()
        previous: RawFrame | None = None
        while not self._stop.is_set():
            try:
                raw = self._driver.read(settings.read_timeout_s)
                frame = self._accept(raw)
            except ReadTimeoutError as error:
                silent_s = time.monotonic() - last_good
                if silent_s > settings.reopen_after_s:
                    raise
                if silent_s > settings.silent_after_s:
                    self._set_state(StreamState.SILENT, str(error))
                continue
            except (FrameError, NotRigidError) as error:
                last_good = time.monotonic()  # it talks, so there is no use in opening it again
                self._count_bad(str(error))
                continue
            last_good = time.monotonic()
            self._publish(frame, previous)
            previous = frame

    def _accept(self, raw: RawFrame) -> RawFrame:
        """The frame with its stamp on the system's clock and the calibration's intrinsics."""
        if raw.clock is Clock.DEVICE:
            raw = raw.at(self._mapper.to_system(raw.stamp_ns, self._clock_ns()))
        return raw if self._calibration is None else self._calibration.apply(raw)

    def _publish(self, frame: RawFrame, previous: RawFrame | None) -> None:
        lost = 0 if previous is None else self._lost_between(previous, frame)
        with self._news:
            self._latest = frame
            self._frames += 1
            self._drops += lost
            self._arrivals.append(time.monotonic())
        self._set_state(StreamState.CONNECTED)
        if self._on_frame is None:
            return
        try:
            self._on_frame(frame)
        except Exception as error:  # noqa: BLE001 - a listener's fault must not look like the camera's
            self._count_bad(f"its listener failed: {error}")

    def _lost_between(self, previous: RawFrame, frame: RawFrame) -> int:
        if frame.sequence is not None and previous.sequence is not None:
            return max(0, frame.sequence - previous.sequence - 1)
        rate_hz = self._driver.capabilities.rate_hz
        periods = (frame.stamp_ns - previous.stamp_ns) * 1e-9 * (rate_hz or 0.0)
        return round(periods) - 1 if periods > GAP_PERIODS else 0

    def _count_bad(self, reason: str) -> None:
        with self._news:
            self._bad += 1
            changed = reason != self._last_error
            self._last_error = reason
        if changed:
            _LOG.error("camera %s: frame refused: %s", self._name, reason)
