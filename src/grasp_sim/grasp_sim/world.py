# SPDX-License-Identifier: Apache-2.0
"""A cell's physical world: robot, furniture, objects, controllers, cameras, and the step that moves them together.

The world knows no tasks. A bridge steps it in real time, ``SimCell`` as fast as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from grasp_core.cell_config import CellConfig
from grasp_core.geometry import Array, invert, quaternion_of, transform
from grasp_description.grippers import load_gripper
from grasp_description.resources import cell_urdf
from grasp_description.specs import load_cell
from grasp_sim.cameras import SimCamera
from grasp_sim.engine import Engine, PhysicsSettings, Renderer
from grasp_sim.gripper_drive import GripperDrive, StallSettings
from grasp_sim.grippers import make_drive
from grasp_sim.kinematics import description_name
from grasp_sim.objects.models import ObjectModel
from grasp_sim.robot import Robot
from grasp_sim.trajectories import Tolerances, TrajectoryController

# Where removed objects wait, far below everything.
PARKING_Z_M = -50.0
FLOOR_THICKNESS_M = 0.02
# Name of the controller that holds the joints of no arm and no gripper.
REST = "rest"


class Event(Protocol):
    """Something that happens to the scene while the clock runs: a sheet that is pulled, a hook that lets go."""

    def before_step(self, world: World) -> None:
        """Called right before each physics step."""
        ...

    def snapshot(self) -> Any:
        """State for ``restore``."""
        ...

    def restore(self, world: World, state: Any) -> None:
        """Back to a snapshot."""
        ...


@dataclass
class SimObject:
    """An object in the world. ``T_object_com`` places its centre of mass; a parked one is out of the game."""

    id: int
    name: str
    model: ObjectModel
    body: int
    T_object_com: Array
    parked: bool = False


@dataclass
class Snapshot:
    """Everything needed to go back; ``forget`` of the world frees it."""

    handle: int
    steps: int
    parked: dict[int, bool]
    controllers: dict[str, tuple]
    drives: dict[str, Any]
    events: list[Any]
    noise: dict[str, Any] = field(default_factory=dict)


class World:
    """A cell's world.

    Args:
        config: the cell.
        ready: joint positions to start from.
        settings: physics.
        renderer: see ``Engine``.
        gui: open PyBullet's window.
        tolerances: of the trajectory controllers.
    """

    def __init__(
        self,
        config: CellConfig,
        ready: Mapping[str, float],
        settings: PhysicsSettings | None = None,
        renderer: Renderer = "auto",
        gui: bool = False,
        tolerances: Tolerances | None = None,
        stall: StallSettings | None = None,
    ) -> None:
        self.config = config
        self._ready = dict(ready)
        self._tolerances = tolerances or Tolerances()
        self._stall = stall or StallSettings()
        arguments = {**config.description.arguments, "coupling": "free"}
        self._urdf = cell_urdf(description_name(config), expand_uris=True, **arguments)
        self._couplings = _couplings_of_robot(config)
        self.engine = Engine(settings or PhysicsSettings(), renderer, gui)
        self.cameras: dict[str, SimCamera] = {}
        self.reset(0)

    @property
    def api(self) -> Any:
        """PyBullet."""
        return self.engine.api

    @property
    def time_s(self) -> float:
        """Simulated time."""
        return self.engine.time_s

    @property
    def now_ns(self) -> int:
        """Simulated time in nanoseconds."""
        return round(self.engine.time_s * 1e9)

    def reset(self, seed: int) -> None:
        """Empty the scene: the robot ready, grippers open, no objects, clock at zero."""
        self.engine.reset()
        self.objects: dict[int, SimObject] = {}
        self.events: list[Event] = []
        self.extra_bodies: dict[str, int] = {}
        self._next_id = 1
        self.robot = Robot(self.engine, self._urdf, self._known(self._ready))
        self.floor = self._make_floor()
        self.drives: dict[str, GripperDrive] = {}
        for name, gripper in self.config.grippers.items():
            drive = make_drive(self.robot, self.engine, load_gripper(gripper.kind), gripper.prefix, self._stall)
            self.robot.set_positions(drive.joints_at(drive.limits.max_width_m))
            drive.hold_here()
            self.drives[name] = drive
        self.controllers: dict[str, TrajectoryController] = {}
        for arm in self.config.arms.values():
            for name, joints in arm.controllers.items():
                self.controllers[name] = TrajectoryController(name, self.robot, self.engine, joints, self._tolerances)
        self._hold_the_rest()
        self._make_cameras(seed)

    def step(self, count: int = 1) -> None:
        """Advance by steps of ``engine.dt_s``."""
        for _ in range(count):
            for controller in self.controllers.values():
                controller.update()
            for drive in self.drives.values():
                drive.update()
            self._follow()
            for event in self.events:
                event.before_step(self)
            self.engine.step()

    def step_until(self, done: Callable[[], bool], limit_s: float) -> bool:
        """Step until something is true; false where it is not within ``limit_s`` of simulated time."""
        for _ in range(int(np.ceil(limit_s * self.engine.settings.step_hz))):
            if done():
                return True
            self.step()
        return done()

    def add(self, model: ObjectModel, T_base_object: Array) -> SimObject:
        """Put an object into the world."""
        body = self.engine.load_urdf_text(model.urdf(), fixed=False)
        settings = self.engine.settings
        self.api.changeDynamics(
            body,
            -1,
            lateralFriction=settings.object_friction if model.friction is None else model.friction,
            spinningFriction=settings.spinning_friction_m,
            rollingFriction=settings.rolling_friction_m,
            restitution=settings.restitution,
            linearDamping=0.02,
            angularDamping=0.05,
            # Sticking contacts remember where they began to stick; without it a squeezed object creeps out.
            frictionAnchor=1,
        )
        dynamics = self.api.getDynamicsInfo(body, -1)
        thing = SimObject(self._next_id, model.name, model, body, transform(dynamics[3], dynamics[4]))
        self._next_id += 1
        self.objects[thing.id] = thing
        self.place(thing, T_base_object)
        return thing

    def place(self, thing: SimObject, T_base_object: Array) -> None:
        """Put an object somewhere, at rest."""
        T = T_base_object @ thing.T_object_com
        self.api.resetBasePositionAndOrientation(thing.body, T[:3, 3].tolist(), quaternion_of(T).tolist())
        self.api.resetBaseVelocity(thing.body, [0.0] * 3, [0.0] * 3)

    def park(self, thing: SimObject) -> None:
        """Take an object out of the game without deleting it, so that saved states stay valid."""
        if thing.parked:
            return
        self._set_parked(thing, True)
        self.place(thing, transform((0.5 * thing.id, 0.0, PARKING_Z_M)))
        self.forget_pictures()

    def pose_of(self, thing: SimObject) -> Array:
        """``T_base_object`` [4, 4]."""
        position, quaternion = self.api.getBasePositionAndOrientation(thing.body)
        return transform(position, quaternion) @ invert(thing.T_object_com)

    def speed_of(self, thing: SimObject) -> tuple[float, float]:
        """Speeds: m/s of the centre of mass, rad/s."""
        linear, angular = self.api.getBaseVelocity(thing.body)
        return float(np.linalg.norm(linear)), float(np.linalg.norm(angular))

    def present(self) -> list[SimObject]:
        """Objects that are not parked."""
        return [thing for thing in self.objects.values() if not thing.parked]

    def object_of_body(self, body: int) -> SimObject | None:
        """The object that a PyBullet body is, or none."""
        return next((thing for thing in self.objects.values() if thing.body == body), None)

    def forget_pictures(self) -> None:
        """Have the cameras render anew: the scene changed without the clock."""
        for camera in self.cameras.values():
            camera.forget()

    def take_over(self, positions: Mapping[str, float], velocities: Mapping[str, float] | None = None) -> None:
        """Put joints somewhere without physics and have every controller hold there."""
        positions = dict(positions)
        for name, leader, multiplier, offset in self._followers:
            if leader in positions:
                positions[name] = multiplier * positions[leader] + offset
        self.robot.set_positions(self._known(positions), velocities)
        for controller in self.controllers.values():
            controller.hold_here()
        self.forget_pictures()

    def save(self) -> Snapshot:
        """Keep everything in memory, in milliseconds."""
        return Snapshot(
            self.engine.save(),
            self.engine.steps,
            {thing.id: thing.parked for thing in self.objects.values()},
            {name: controller.snapshot() for name, controller in self.controllers.items()},
            {name: drive.snapshot() for name, drive in self.drives.items()},
            [event.snapshot() for event in self.events],
            {name: camera.rng.bit_generator.state for name, camera in self.cameras.items()},
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Back to a snapshot of this same scene.

        Raises:
            ValueError: objects were added since.
        """
        if set(snapshot.parked) != set(self.objects):
            raise ValueError("this snapshot was taken of another set of objects; take one after the scene is complete")
        for thing in self.objects.values():
            if thing.parked != snapshot.parked[thing.id]:
                self._set_parked(thing, snapshot.parked[thing.id])
        self.engine.restore(snapshot.handle)
        self.engine.steps = snapshot.steps
        for name, state in snapshot.controllers.items():
            self.controllers[name].restore(state)
        for name, state in snapshot.drives.items():
            self.drives[name].restore(state)
        for event, state in zip(self.events, snapshot.events, strict=True):
            event.restore(self, state)
        for name, state in snapshot.noise.items():
            self.cameras[name].rng.bit_generator.state = state
        self.forget_pictures()

    def forget(self, snapshot: Snapshot) -> None:
        """Free a snapshot's memory."""
        self.engine.forget(snapshot.handle)

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        self.engine.close()

    def _set_parked(self, thing: SimObject, parked: bool) -> None:
        thing.parked = parked
        # A mass of zero keeps it where it is without a floor.
        self.api.changeDynamics(thing.body, -1, mass=0.0 if parked else thing.model.mass_kg)
        if not parked:
            ixx, iyy, izz = self.api.getDynamicsInfo(thing.body, -1)[2]
            if min(ixx, iyy, izz) <= 0.0:
                self.api.changeDynamics(thing.body, -1, localInertiaDiagonal=list(thing.model.inertia))

    def _hold_the_rest(self) -> None:
        # Joints of no arm and no gripper (a head) stand still; those coupled to another (a telescope) follow it.
        taken = {joint for controller in self.controllers.values() for joint in controller.joints}
        for name in self.config.grippers:
            taken |= set(self.drives[name].joints_at(self.drives[name].limits.max_width_m))
        coupled = self._couplings
        rest = tuple(name for name in self.robot.joint_names if name not in taken and name not in coupled)
        if rest:
            self.controllers[REST] = TrajectoryController(REST, self.robot, self.engine, rest, self._tolerances)
        self._followers = [(name, *coupling) for name, coupling in coupled.items() if name in self.robot.joint_index]

    def _follow(self) -> None:
        for name, leader, multiplier, offset in self._followers:
            positions, velocities = self.robot.state_of((leader,))
            self.api.setJointMotorControl2(
                self.robot.body,
                self.robot.joint_index[name],
                self.api.POSITION_CONTROL,
                targetPosition=multiplier * float(positions[0]) + offset,
                targetVelocity=multiplier * float(velocities[0]),
                force=self.robot.description.joints[name].effort,
                positionGain=0.5,
            )

    def _known(self, positions: Mapping[str, float]) -> dict[str, float]:
        known = self.robot.joint_index if hasattr(self, "robot") else None
        if known is None:
            return dict(positions)
        return {name: value for name, value in positions.items() if name in known}

    def _make_floor(self) -> int:
        api = self.api
        shape = api.createCollisionShape(api.GEOM_BOX, halfExtents=[4.0, 4.0, 0.5 * FLOOR_THICKNESS_M])
        look = api.createVisualShape(
            api.GEOM_BOX, halfExtents=[4.0, 4.0, 0.5 * FLOOR_THICKNESS_M], rgbaColor=[0.55, 0.56, 0.58, 1.0]
        )
        z = self._floor_z() - 0.5 * FLOOR_THICKNESS_M
        body = int(api.createMultiBody(0.0, shape, look, [0.0, 0.0, z]))
        for link in range(-1, api.getNumJoints(self.robot.body)):
            api.setCollisionFilterPair(self.robot.body, body, link, -1, 0)
        return body

    def _floor_z(self) -> float:
        # The lowest point of anything that stands there.
        api, robot = self.api, self.robot
        lows = [api.getAABB(robot.statics, link)[0][2] for link in range(api.getNumJoints(robot.statics))]
        lows += [api.getAABB(robot.body, link)[0][2] for link in range(api.getNumJoints(robot.body))]
        return float(min(lows, default=0.0))

    def _make_cameras(self, seed: int) -> None:
        for index, (name, config) in enumerate(self.config.cameras.items()):
            rng = np.random.default_rng((seed, 7, index))

            def pose(frame: str = config.frame) -> Array:
                return self.robot.T_base(frame)

            self.cameras[name] = SimCamera(name, config, self.engine, pose, rng)


def _couplings_of_robot(config: CellConfig) -> dict[str, tuple[str, float, float]]:
    """Coupled joints of the robot itself (not its grippers): leader, multiplier, offset."""
    prefix = config.description.arguments.get("prefix", "")
    spec = load_cell(description_name(config)).robot_spec(config.description.arguments)
    return {
        prefix + name: (prefix + coupling.of, coupling.multiplier, coupling.offset)
        for name, coupling in spec.coupled.items()
    }
