# SPDX-License-Identifier: Apache-2.0
"""A world that runs in real time in a thread of its own, for a node to stand in front of.

Physics comes first: the thread steps until the simulated clock has caught up with the real one, and only then renders.
But nobody waits for a picture longer than ``STARVED_S``: where a busy machine leaves no time for both, the world runs
slower than real time and its cameras do not fall silent.
The world is made and rendered in that thread alone, since a graphics context belongs to the thread that made it.
A picture that would come too late is left out and counted. Everything that touches the world takes ``lock``;
``stepped`` is notified after each batch of steps, so that those who wait for a motion need not poll.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grasp_core.camera import CameraFrame
from grasp_core.cell_config import CellConfig
from grasp_core.config import Config
from grasp_sim.engine import Renderer
from grasp_sim.kinematics import CellKinematics
from grasp_sim.scenes import build_scene, load_scene
from grasp_sim.world import World

# Longest simulated time stepped without letting others at the world (s).
BATCH_S = 0.01
# When the simulation is farther behind than this, the lost time is given up: it runs slower than real time (s).
GIVE_UP_S = 0.25
# A picture that somebody has waited for so long comes before physics (s of real time).
STARVED_S = 0.2
# Told to those whose goal or errand comes too late.
ENDED = "the simulation has ended"


class BridgeSettings(Config):
    """How the world runs."""

    real_time_factor: float = 1.0
    """Simulated seconds a real second."""
    state_hz: float = 100.0
    """How often joint states are handed out, in simulated time."""
    renderer: Renderer = "auto"
    gui: bool = False


@dataclass
class Rates:
    """What was achieved since the last look."""

    real_time_factor: float = 0.0
    step_ms: float = 0.0
    pictures_hz: dict[str, float] = field(default_factory=dict)
    render_ms: float = 0.0
    late_pictures: int = 0


class _GivenUp:
    """While a scene is made: ends the making where the bridge is told to end, instead of letting the pile settle."""

    def __init__(self, told: threading.Event) -> None:
        self._told = told

    def before_step(self, world: World) -> None:
        if self._told.is_set():
            raise RuntimeError("the simulation ends before the scene is made")

    def snapshot(self) -> None:
        return None

    def restore(self, world: World, state: None) -> None:
        pass


class Bridge:
    """A cell's world in real time.

    Args:
        config: the cell.
        settings: see ``BridgeSettings``.
        on_state: called at ``state_hz`` with the time in ns, from the thread, with the lock held; keep it short.
        on_picture: called with each picture, from the thread, without the lock.
        wants: whether anybody looks at a camera now.
    """

    def __init__(
        self,
        config: CellConfig,
        settings: BridgeSettings,
        on_state: Callable[[int], None],
        on_picture: Callable[[str, CameraFrame], None],
        wants: Callable[[str], bool],
    ) -> None:
        self.config = config
        self.settings = settings
        self._on_state, self._on_picture, self._wants = on_state, on_picture, wants
        self.lock = threading.RLock()
        self.stepped = threading.Condition(self.lock)
        self.world: World
        self._errands: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._ready: Future[int] = Future()
        # A new scene sets the world's clock back; the bridge's goes on.
        self._offset_ns = 0
        self._next_state_s = 0.0
        self._next_picture_s = dict.fromkeys(config.cameras, 0.0)
        self._rendered_at = dict.fromkeys(config.cameras, time.monotonic())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)
        self._timing: deque[tuple[float, float, int]] = deque()
        self._rendered: list[tuple[str, float]] = []
        self._late = 0
        self._looked = time.monotonic()
        self._looked_sim_ns = 0
        self.failure: BaseException | None = None
        self.on_scene: Callable[[World], None] = lambda _: None
        """Called with the world, from the thread, whenever a scene was made."""

    @property
    def now_ns(self) -> int:
        """Simulated time in nanoseconds; never goes back."""
        return self._offset_ns + self.world.now_ns

    def start(self, scene: str, seed: int, count: int | None) -> int:
        """Make the world with its first scene and let the time run; returns the number of objects.

        Raises:
            SceneError: unknown scene, or it cannot be made.
        """
        self._first = (scene, seed, count)
        self._thread.start()
        try:
            return self._ready.result()
        except BaseException:
            # Also when interrupted: a thread that is still inside of the simulator keeps Python from ending.
            self.close()
            raise

    def reset(self, scene: str, seed: int, count: int | None) -> int:
        """Make a scene anew; returns the number of objects. Running motions are given up.

        Raises:
            SceneError: unknown scene, or it cannot be made.
            RuntimeError: the simulation has broken down.
        """
        answer: Future[int] = Future()
        # With the lock held: what is asked for before the end is then turned away, and nobody waits for ever.
        with self.lock:
            if self.closed or not self._thread.is_alive():
                raise RuntimeError("the simulation does not run")
            self._errands.put((lambda: self._make_scene(scene, seed, count), answer))
        return answer.result()

    def _make_scene(self, scene: str, seed: int, count: int | None) -> int:
        description = load_scene(scene)
        with self.stepped:
            self._offset_ns += self.world.now_ns
            self.world.reset(seed)
            self.world.events.append(_GivenUp(self._stop))
            try:
                rng = np.random.default_rng((seed, 1))
                report = build_scene(self.world, description, rng, count=None if count is None else (count, count))
            finally:
                self.world.events = [event for event in self.world.events if not isinstance(event, _GivenUp)]
                self._next_state_s = self.world.time_s
                self._next_picture_s = dict.fromkeys(self.config.cameras, self.world.time_s)
                self.on_scene(self.world)
                self.stepped.notify_all()
            return report.count

    def stop_motion(self) -> None:
        """Every arm and gripper to a halt, now."""
        with self.stepped:
            for controller in self.world.controllers.values():
                controller.cancel()
            for drive in self.world.drives.values():
                drive.hold_here()

    def rates(self) -> Rates:
        """What was achieved since the last call."""
        now = time.monotonic()
        with self.lock:
            span = max(now - self._looked, 1e-6)
            rates = Rates((self.now_ns - self._looked_sim_ns) * 1e-9 / span, late_pictures=self._late)
            steps = sum(count for _, _, count in self._timing)
            if steps:
                rates.step_ms = 1e3 * sum(spent for _, spent, _ in self._timing) / steps
            for name, _ in self._rendered:
                rates.pictures_hz[name] = rates.pictures_hz.get(name, 0.0) + 1.0 / span
            if self._rendered:
                rates.render_ms = 1e3 * sum(spent for _, spent in self._rendered) / len(self._rendered)
            self._looked, self._looked_sim_ns = now, self.now_ns
            self._timing.clear()
            self._rendered.clear()
        return rates

    def close(self) -> None:
        """Stop the time and let go of the world; safe to call twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def closed(self) -> bool:
        """Whether the time stands still for good; those who wait for a motion give it up."""
        return self._stop.is_set()

    def _run(self) -> None:
        try:
            self.world = World(
                self.config, CellKinematics(self.config).ready(), None, self.settings.renderer, self.settings.gui
            )
            count = self._make_scene(*self._first)
        except Exception as error:  # noqa: BLE001 # raised where the world was asked for
            self._ready.set_exception(error)
            return
        self._ready.set_result(count)
        try:
            self._loop()
        except Exception as error:
            self.failure = error
            raise
        finally:
            with self.stepped:
                self._stop.set()
                self.world.close()
                self.stepped.notify_all()
            self._turn_away()

    def _turn_away(self) -> None:
        while not self._errands.empty():
            self._errands.get()[1].set_exception(RuntimeError(ENDED))

    def _run_errands(self) -> bool:
        ran = False
        while not self._errands.empty():
            errand, answer = self._errands.get()
            ran = True
            try:
                answer.set_result(errand())
            except Exception as error:  # noqa: BLE001 # raised where the errand came from
                answer.set_exception(error)
        return ran

    def _loop(self) -> None:
        begin, begin_sim_ns = time.monotonic(), self.now_ns
        while not self._stop.is_set():
            if self._run_errands():
                begin, begin_sim_ns = time.monotonic(), self.now_ns
            factor = self.settings.real_time_factor
            behind_s = (time.monotonic() - begin) * factor - (self.now_ns - begin_sim_ns) * 1e-9
            if behind_s > GIVE_UP_S:
                begin, begin_sim_ns = time.monotonic(), self.now_ns
                behind_s = BATCH_S
            if behind_s > 0.0:
                self._step(min(behind_s, BATCH_S))
            starving = self._starving()
            if starving or behind_s <= BATCH_S:
                self._render_one(starving)
            if behind_s <= BATCH_S:
                # Pacing against the real clock; ends at once when the bridge is closed.
                ahead_s = (self.now_ns - begin_sim_ns) * 1e-9 / factor - (time.monotonic() - begin)
                if ahead_s > 0.0:
                    self._stop.wait(ahead_s)

    def _step(self, seconds: float) -> None:
        begin = time.monotonic()
        with self.stepped:
            count = max(1, round(seconds * self.world.engine.settings.step_hz))
            for _ in range(count):
                self.world.step()
                if self.world.time_s >= self._next_state_s:
                    self._next_state_s += 1.0 / self.settings.state_hz
                    self._on_state(self.now_ns)
            self._timing.append((begin, time.monotonic() - begin, count))
            self.stepped.notify_all()

    def _starving(self) -> str:
        """The camera whose picture somebody has waited for the longest, where that is too long; else nothing."""
        now, limit_s = time.monotonic(), STARVED_S / min(1.0, self.settings.real_time_factor)
        waited = [(at, name) for name, at in self._rendered_at.items() if now - at > limit_s and self._wants(name)]
        return min(waited)[1] if waited else ""

    def _render_one(self, starving: str) -> None:
        """The starving camera's picture, or the one that is due the longest, if any is due and wanted."""
        with self.lock:
            now_s = self.world.time_s
            due = [starving] if starving else self._due(now_s)
            for name in due:
                period_s = 1.0 / self.config.cameras[name].rate_hz
                missed = max(0, int((now_s - self._next_picture_s[name]) / period_s))
                self._next_picture_s[name] += (missed + 1) * period_s
                if not self._wants(name):
                    continue
                self._late += missed
                begin = time.monotonic()
                frame = self.world.cameras[name].frame(0.0)
                self._rendered_at[name] = time.monotonic()
                self._rendered.append((name, self._rendered_at[name] - begin))
                stamp_ns = self.now_ns
                break
            else:
                return
        self._on_picture(name, CameraFrame(frame.intrinsics, frame.T_base_camera, stamp_ns, frame.rgb, frame.depth_m))

    def _due(self, now_s: float) -> list[str]:
        return [name for at, name in sorted((at, name) for name, at in self._next_picture_s.items()) if at <= now_s]
