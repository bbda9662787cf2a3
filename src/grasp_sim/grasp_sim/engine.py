# SPDX-License-Identifier: Apache-2.0
"""One PyBullet world: connection, physics settings, renderer, fixed step, save and restore.

Everything else in this package reaches PyBullet through ``Engine.api``.
"""

from __future__ import annotations

import importlib.util
import logging
import tempfile
from pathlib import Path
from typing import Any, Literal

import pybullet
from pybullet_utils.bullet_client import BulletClient

from grasp_core.config import Config

log = logging.getLogger(__name__)

Renderer = Literal["auto", "egl", "tiny"]


class PhysicsSettings(Config):
    """Settings of the physics; the defaults are those that every number in the documentation was measured with."""

    step_hz: int = 240
    """Steps per simulated second."""
    solver_iterations: int = 60
    """Sequential-impulse iterations a step. Below about 50 a squeezed object slips out of the solver, not the grip."""
    gravity_m_s2: float = 9.81
    """Along -z of the base frame."""
    object_friction: float = 0.6
    """Coulomb coefficient of objects; PyBullet multiplies the two bodies' values."""
    finger_friction: float = 1.2
    """Coefficient of rubber pads: with an object 0.72 in all."""
    static_friction: float = 0.8
    """Coefficient of furniture."""
    spinning_friction_m: float = 0.002
    """Torsional friction of a contact, as the radius of a contact patch."""
    rolling_friction_m: float = 0.001
    """Rolling friction of a contact."""
    restitution: float = 0.02
    """Bounce."""


class Engine:
    """A PyBullet client.

    Args:
        settings: physics.
        renderer: ``egl`` (hardware or Mesa), ``tiny`` (software), or ``auto``: EGL where it starts, else TinyRenderer.
        gui: open PyBullet's window.
    """

    def __init__(self, settings: PhysicsSettings, renderer: Renderer = "auto", gui: bool = False) -> None:
        self.settings = settings
        self.api: Any = BulletClient(connection_mode=pybullet.GUI if gui else pybullet.DIRECT)
        self._asked = renderer
        self._gui = gui
        self._folder = tempfile.TemporaryDirectory(prefix="grasp_sim_")
        self._files = 0
        self.steps = 0
        self._plugin = -1
        self.renderer: Literal["egl", "tiny"] = self._start_renderer()
        if gui:
            self._arrange_window()
        self.reset()

    def _arrange_window(self) -> None:
        """Nothing but the scene in the window, seen from the front left, with the light behind the viewer."""
        api = self.api
        api.configureDebugVisualizer(api.COV_ENABLE_GUI, 0)
        api.configureDebugVisualizer(lightPosition=[2.5, 2.5, 4.0])
        api.resetDebugVisualizerCamera(1.9, 125.0, -28.0, [0.35, 0.0, 0.15])

    @property
    def dt_s(self) -> float:
        """Length of a step."""
        return 1.0 / self.settings.step_hz

    @property
    def time_s(self) -> float:
        """Simulated time since the last reset."""
        return self.steps * self.dt_s

    @property
    def renderer_flag(self) -> int:
        """What ``getCameraImage`` wants to hear."""
        return pybullet.ER_BULLET_HARDWARE_OPENGL if self.renderer == "egl" else pybullet.ER_TINY_RENDERER

    def reset(self) -> None:
        """Empty the world and set the clock to zero."""
        self.api.resetSimulation()
        s = self.settings
        self.api.setPhysicsEngineParameter(
            fixedTimeStep=self.dt_s,
            numSolverIterations=s.solver_iterations,
            solverResidualThreshold=0.0,
            deterministicOverlappingPairs=1,
            enableFileCaching=1,
        )
        self.api.setGravity(0.0, 0.0, -s.gravity_m_s2)
        self.steps = 0

    def step(self) -> None:
        """Advance by one step."""
        self.api.stepSimulation()
        self.steps += 1

    def load_urdf_text(self, urdf: str, fixed: bool, flags: int = 0) -> int:
        """Load a URDF given as text; mesh paths in it are absolute. Returns the body id.

        Raises:
            ValueError: PyBullet refuses it.
        """
        self._files += 1
        path = Path(self._folder.name) / f"{self._files}.urdf"
        path.write_text(urdf, encoding="utf-8")
        try:
            return int(
                self.api.loadURDF(str(path), useFixedBase=fixed, flags=flags | pybullet.URDF_USE_INERTIA_FROM_FILE)
            )
        except pybullet.error as error:
            raise ValueError(f"PyBullet cannot load this URDF: {error}") from error

    def save(self) -> int:
        """Keep the whole physical state in memory; returns its handle. Free it with ``forget``."""
        return int(self.api.saveState())

    def restore(self, handle: int) -> None:
        """Back to a saved state; the same bodies must exist as then."""
        self.api.restoreState(handle)

    def forget(self, handle: int) -> None:
        """Release a saved state."""
        self.api.removeState(handle)

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        if self.api.isConnected():
            if self._plugin >= 0:
                self.api.unloadPlugin(self._plugin)
            self.api.disconnect()
        self._folder.cleanup()

    def _start_renderer(self) -> Literal["egl", "tiny"]:
        if self._asked == "tiny":
            return "tiny"
        if self._gui:
            return "egl"
        found = importlib.util.find_spec("eglRenderer")
        if found is not None and found.origin is not None:
            self._plugin = self.api.loadPlugin(found.origin, "_eglRendererPlugin")
        if self._plugin >= 0:
            return "egl"
        if self._asked == "egl":
            raise RuntimeError(
                "the EGL renderer does not start here; install libegl1 and a driver, or use renderer=tiny"
            )
        log.info("the EGL renderer does not start here; using TinyRenderer")
        return "tiny"
