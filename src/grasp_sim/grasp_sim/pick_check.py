# SPDX-License-Identifier: Apache-2.0
"""The picking check of a cell: a scripted grasp that knows the object's pose lifts a primitive at random places.

``ros2 run grasp_sim pick_check --cell ur5 --runs 50 --seed 0 --json FILE``, or ``python -m grasp_sim.pick_check``; with
``--ros`` through the cell's ROS graph, which is started where none is running.
It proves arm, gripper, planner and contact physics together, not a policy.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import tyro
from tqdm import tqdm

from grasp_core import resources
from grasp_core.actions import Grasp
from grasp_core.cell import Cell, Reason, SceneError
from grasp_core.cell_config import CellConfig
from grasp_core.config import ConfigError
from grasp_core.geometry import transform
from grasp_core.planning import PlanOptions
from grasp_core.ports import JointState
from grasp_core.skills.ports import CellPorts
from grasp_core.statistics import wilson
from grasp_description.grippers import GripperSpec, load_gripper
from grasp_sim.cell import SimCell, load_cell_config
from grasp_sim.kinematics import PlannerName
from grasp_sim.scripted_grasps import ROUND_MODELS, SCENE_OF_SET, Target, candidate_grasps, graspable_set

log = logging.getLogger(__name__)


class TruthSource(Protocol):
    """Tells where objects really are: a simulator, or a bridge's ground-truth topics."""

    def targets(self) -> list[Target]:
        """The objects that are there."""
        ...

    def held(self) -> set[int]:
        """Numbers of the objects that are held."""
        ...


class SimTruth:
    """Ground truth of a ``SimCell``."""

    def __init__(self, cell: SimCell) -> None:
        self._cell = cell

    def targets(self) -> list[Target]:
        """The objects that are there."""
        world = self._cell.world
        return [
            Target(t.id, t.name, world.pose_of(t), t.model.extents_m, t.name in ROUND_MODELS) for t in world.present()
        ]

    def held(self) -> set[int]:
        """Numbers of the objects that are held."""
        return {held.thing.id for gripper in self._cell.config.grippers for held in self._cell.truth.held(gripper)}


@dataclass(frozen=True)
class Run:
    """One row of the result."""

    run: int
    seed: int
    object: str
    arm: str
    x_m: float
    y_m: float
    yaw_rad: float
    success: bool
    reason: str
    message: str
    gripper_says: bool | None
    width_m: float
    seconds: float


@dataclass
class Summary:
    """What the check found."""

    cell: str
    attempts: int
    successes: int
    rate_low: float
    rate_high: float
    reasons: dict[str, int]
    simulated_by: str
    runs: list[Run] = field(default_factory=list)


def run_check(
    cell: Cell,
    truth: TruthSource,
    config: CellConfig,
    scene: str,
    runs: int,
    seed: int,
    style: Literal["top", "side"] = "top",
    reachable: Callable[[Grasp], bool] | None = None,
    progress: bool = True,
) -> Summary:
    """Try ``runs`` scenes; every failure keeps its reason.

    Args:
        cell: any cell.
        truth: where its objects are.
        config: the cell's.
        scene: name of a scene with one graspable object.
        runs, seed: run k uses seed + k.
        style: from above, or from the side.
        reachable: prefers grasps for which it holds; none takes the first.
        progress: show a bar.
    """
    gripper = load_gripper(config.grippers[config.arm()[1].gripper].kind)
    rows: list[Run] = []
    for k in tqdm(range(runs), disable=not progress, file=sys.stderr, desc=cell.name):
        rows.append(_one_run(cell, truth, config, gripper, scene, k, seed + k, style, reachable))
    successes = sum(row.success for row in rows)
    interval = wilson(successes, len(rows))
    reasons = Counter(row.reason for row in rows if not row.success)
    return Summary(
        cell.name, len(rows), successes, interval.low, interval.high, dict(reasons), type(cell).__name__, rows
    )


def _one_run(
    cell: Cell,
    truth: TruthSource,
    config: CellConfig,
    gripper: GripperSpec,
    scene: str,
    run: int,
    seed: int,
    style: Literal["top", "side"],
    reachable: Callable[[Grasp], bool] | None,
) -> Run:
    begin = time.perf_counter()
    try:
        cell.reset(scene, seed)
    except SceneError as error:
        return Run(run, seed, "", "", 0.0, 0.0, 0.0, False, "scene", str(error), None, 0.0, 0.0)
    target = truth.targets()[0]
    grasps = candidate_grasps(target, config, gripper, style)
    grasps = [replace(grasp, arm=arm) for arm in config.arms_at(target.T_base_object[:2, 3]) for grasp in grasps]
    chosen = next((g for g in grasps if reachable is None or reachable(g)), grasps[0] if grasps else None)
    x, y = target.T_base_object[:2, 3].tolist()
    if chosen is None:
        text = f"{target.name} is wider than the gripper opens"
        return Run(run, seed, target.name, "", x, y, 0.0, False, "too_wide", text, None, 0.0, 0.0)
    outcome = cell.execute(chosen)
    info: Mapping[str, Any] = outcome.info
    # The truth judges: as the cell tells it of the moment after the lift, or as it is now.
    lifted = info["grasped_id"] == target.id if "grasped_id" in info else target.id in truth.held()
    success = bool(lifted)
    reason = Reason.HELD if success else outcome.reason if outcome.reason is not Reason.HELD else "not_held_in_truth"
    T = chosen.T_base_tcp
    return Run(
        run,
        seed,
        target.name,
        chosen.arm or "",
        round(x, 4),
        round(y, 4),
        round(float(np.arctan2(T[1, 0], T[0, 0])), 4),
        success,
        str(reason),
        outcome.message,
        info.get("gripper_says", outcome.success),
        round(float(info.get("finger_width_m", 0.0)), 5),
        round(time.perf_counter() - begin, 3),
    )


@dataclass
class Arguments:
    """Lift a graspable primitive at random places with a scripted grasp that knows its pose."""

    cell: str = "ur5"
    """Name of the cell."""
    runs: int = 50
    """How many attempts, each in a scene of its own."""
    seed: int = 0
    """Seed of the first scene."""
    json: Path | None = None
    """File to write counts and one row a run to."""
    scene: str = "single"
    """A scene with one graspable object."""
    objects: str | None = None
    """Object set; none for the primitives that fit the cell's gripper."""
    style: Literal["top", "side"] = "top"
    """From above, or from the side."""
    motion: Literal["full", "fast"] = "full"
    """Simulate every motion, or jump through free space."""
    planner: PlannerName = "ompl"
    """ompl: searches ways around furniture; line: straight ones, blind to it."""
    renderer: Literal["auto", "egl", "tiny"] = "tiny"
    """No picture is taken; tiny starts fastest."""
    gui: bool = False
    """Watch."""
    ros: bool = False
    """Through the cell's ROS graph, in real time; a graph is started where none is running."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``pick_check``."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    args = tyro.cli(Arguments, args=arguments)
    try:
        config = load_cell_config(args.cell)
    except (resources.ResourceError, ConfigError) as error:
        raise SystemExit(f"pick_check: {error}") from error
    report(_over_ros(args, config) if args.ros else _in_process(args, config), args.json)


def _in_process(args: Arguments, config: CellConfig) -> Summary:
    cell = SimCell(
        config,
        objects=args.objects or graspable_set(config),
        motion=args.motion,
        planner=args.planner,
        renderer=args.renderer,
        cameras=(),
        gui=args.gui,
    )
    try:
        return run_check(
            cell, SimTruth(cell), cell.config, args.scene, args.runs, args.seed, args.style, _reachable_in(cell)
        )
    finally:
        cell.close()


def _over_ros(args: Arguments, config: CellConfig) -> Summary:
    defaults = Arguments()
    for name in ("objects", "motion", "planner", "renderer", "gui"):
        if getattr(args, name) != getattr(defaults, name):
            raise SystemExit(f"--{name} belongs to the graph with --ros; give it to the launch, or leave --ros out")
    # Here, so that the check without ROS runs where there is none.
    from grasp_sim.ros_pick import RosTruth, connect, running_graph

    scene = SCENE_OF_SET[graspable_set(config)] if args.scene == defaults.scene else args.scene
    truth = RosTruth()
    try:
        with running_graph(args.cell, truth):
            cell = connect(config, cameras=(), after_grasp="keep", return_to_ready=False)
            try:
                return run_check(cell, truth, config, scene, args.runs, args.seed, args.style, _reachable_in(cell))
            finally:
                cell.close()
    finally:
        truth.close()


class Planning(Protocol):
    """A cell whose planner can be asked."""

    config: CellConfig
    ports: CellPorts


def _reachable_in(cell: Planning) -> Callable[[Grasp], bool]:
    """Whether the cell's own planner finds the whole way: to the pre-grasp pose, in, and up."""

    def reachable(grasp: Grasp) -> bool:
        arm, settings = cell.config.arm(grasp.arm)
        planner, skills = cell.ports.planner, cell.config.skills
        lift = transform((0.0, 0.0, skills.lift_m))
        state = cell.ports.of(arm).arm.state()
        ways = [
            (planner.plan_to_pose, grasp.T_base_tcp @ transform((0.0, 0.0, -grasp.approach_m)), True),
            (planner.plan_line, grasp.T_base_tcp, True),
            (planner.plan_line, lift @ grasp.T_base_tcp, True),
        ]
        for plan, goal, check in ways:
            result = plan(arm, state, goal, PlanOptions(skills.speed_scale, skills.plan_timeout_s, check))
            if result.trajectory is None:
                return False
            end = dict(zip(result.trajectory.names, result.trajectory.positions[-1].tolist(), strict=True))
            state = JointState.at_rest({name: end[name] for name in settings.joints}, state.stamp_ns)
        return True

    return reachable


def report(summary: Summary, file: Path | None) -> None:
    """Print the counts and write them with all rows to ``file``."""
    print(
        f"{summary.cell}: {summary.successes} of {summary.attempts} lifted "
        f"({100 * summary.rate_low:.1f} to {100 * summary.rate_high:.1f} %)"
    )
    for reason, count in sorted(summary.reasons.items()):
        print(f"  {count} x {reason}")
    for row in summary.runs:
        if not row.success:
            print(f"  run {row.run}: {row.object} at ({row.x_m:.3f}, {row.y_m:.3f}): {row.reason}: {row.message}")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
