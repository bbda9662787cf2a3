# SPDX-License-Identifier: Apache-2.0
"""The same tables through the real drivers and through the simulator, side by side.

``python benchmarks/real_and_sim.py --json FILE`` in a shell with env.sh. For each seed it launches
``real_ur5.launch.py use_mock_hardware:=true`` (the real drivers before loopback controllers, physics behind those) and
``sim_ur5.launch.py``, lets the policy clear a table of ten, judged by the simulator's truth in both, and compares:
grasps that succeeded with Wilson intervals, tables left empty. Tables that FILE holds already are not run again, so
that a run that was interrupted goes on; ``--most`` ends one call after so many tables.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import tyro
from domain_coordinator import domain_id
from tqdm import tqdm

from grasp_core.statistics import wilson
from grasp_episodes.bag_reader import find_bag, read_messages

SIDES = ("real drivers", "simulator")
LEAVE_S = 40.0
NOT_BEGUN = "not begun"


@dataclass(frozen=True)
class Arguments:
    """Compare the real drivers with the simulator."""

    json: Path = Path("real_and_sim.json")
    """File that keeps the tables; those in it are not run again."""
    cell: str = "ur5"
    """Name of the cell."""
    policy: str = "push_grasp"
    """Name of the policy; it takes its checkpoint from models/."""
    scene: str = "blocks"
    """Scene to clear."""
    objects: int = 10
    """Objects in it."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of the scenes."""
    speed_scale: float = 1.0
    """Largest share of the joint limits in both; the cell's own share of it still holds."""
    limit_s: float = 500.0
    """A table that takes longer is ended and counts as it stands."""
    most: int = 1000
    """Tables to run in this call."""


@dataclass
class Table:
    """One table, cleared or not.

    Attributes:
        side: which of ``SIDES``.
        attempts, successes: grasps by the simulator's truth.
        objects_start, objects_left: in the work area; none where the episode did not get so far.
        reasons: how actions ended, where not as wanted.
        picture_gap_s, picture_age_s: 99 % of the gaps between pictures, and of their ages when they were recorded.
        load: of the machine when the table was over.
    """

    side: str
    seed: int
    attempts: int = 0
    successes: int = 0
    objects_start: int | None = None
    objects_left: int | None = None
    seconds: float = 0.0
    ended_by: str = NOT_BEGUN
    message: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    picture_gap_s: float | None = None
    picture_age_s: float | None = None
    load: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether nothing was left."""
        return self.objects_left == 0


def run(side: str, seed: int, args: Arguments) -> Table:
    """Clear one table."""
    values: dict[str, object] = {
        "policy": args.policy, "scene": args.scene, "objects": args.objects, "seed": seed, "episodes": 1,
        "judge": "simulator", "speed_scale": args.speed_scale, "stay": "false", "viewer": "false",
        "headless_mode": "true", "log_level": "warn",
    }  # fmt: skip
    launch_file = f"sim_{args.cell}.launch.py"
    if side == SIDES[0]:
        launch_file = f"real_{args.cell}.launch.py"
        values |= {"use_mock_hardware": "true", "robot_ip": f"127.{20 + os.getpid() % 200}.0.1"}
    with tempfile.TemporaryDirectory() as folder, domain_id() as domain:
        words = [f"{name}:={value}" for name, value in {**values, "record_dir": folder}.items()]
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["ros2", "launch", "grasp_bringup", launch_file, *words],
                env={**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait(args.limit_s)
            except subprocess.TimeoutExpired:
                pass  # told by what the episode has come to until now
            finally:
                end(process)
        table = Table(side, seed, load=round(os.getloadavg()[0], 1))
        tell(table, Path(folder), log)
        return table


def end(process: subprocess.Popen) -> None:
    """End a launch in order."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def tell(table: Table, folder: Path, log: Path) -> None:
    """Fill in what the run's summary and bag tell."""
    for path in folder.glob("2*/summary.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        table.attempts, table.successes = told["attempts"], told["successes"]
        table.objects_start, table.objects_left = told["objects_start"] or None, told["objects_left"]
        table.seconds, table.reasons, table.message = told["duration_s"], told["reasons"], told["message"]
        table.ended_by = ", ".join(told["ended_by"])
    if table.ended_by == NOT_BEGUN:
        table.message = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    for bag in folder.glob("2*/*/*.mcap"):
        table.picture_gap_s, age_s = pictures(bag)
        # Simulated stamps cannot be compared with the recorder's clock.
        table.picture_age_s = age_s if table.side == SIDES[0] else None


def pictures(bag: Path) -> tuple[float | None, float | None]:
    """99 % of the gaps between the policy's pictures in real time, and of their ages by the recorder's clock (s)."""
    topic = "/fixed_camera/color/camera_info"
    heard, stamps = [], []
    for message in read_messages(find_bag(bag), frozenset({topic})):
        heard.append(1e-9 * message.received_ns)
        stamp = message.message.header.stamp
        stamps.append(stamp.sec + 1e-9 * stamp.nanosec)
    if len(heard) < 3:
        return None, None
    # The first gap is the making of the scene.
    gaps, ages = np.diff(heard)[1:], np.subtract(heard, stamps)[1:]
    return round(float(np.percentile(gaps, 99)), 3), round(float(np.percentile(ages, 99)), 3)


def report(tables: list[Table], args: Arguments) -> str:
    """A row a side in Markdown, and whether success through the drivers lies within the simulator's interval."""
    lines = [
        "| through | tables | left empty | grasps | succeeded | 95 % interval | seconds a table | what failed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    rates = {}
    for side in SIDES:
        mine = [table for table in tables if table.side == side and table.seed in args.seeds]
        good, tried = sum(t.successes for t in mine), sum(t.attempts for t in mine)
        rates[side] = rate = wilson(good, tried)
        reasons: Counter[str] = Counter()
        for table in mine:
            reasons.update(table.reasons)
        failed = ", ".join(f"{name} {count}" for name, count in reasons.most_common()) or "-"
        seconds = np.mean([t.seconds for t in mine]) if mine else float("nan")
        lines.append(
            f"| {side} | {len(mine)} | {sum(t.empty for t in mine)} | {tried} | {good} ({100 * rate.mean:.0f} %) "
            f"| {100 * rate.low:.0f} to {100 * rate.high:.0f} % | {seconds:.0f} | {failed} |"
        )
    real, sim = (rates[side] for side in SIDES)
    agree = "lies" if sim.low <= real.mean <= sim.high else "DOES NOT LIE"
    lines += ["", f"Success through the real drivers {agree} within the simulator's interval."]
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, print, write."""
    args = tyro.cli(Arguments, description=__doc__)
    tables: list[Table] = []
    if args.json.exists():
        tables = [Table(**row) for row in json.loads(args.json.read_text(encoding="utf-8"))["tables"]]
    done = {(table.side, table.seed) for table in tables}
    missing = [(side, seed) for seed in args.seeds for side in SIDES if (side, seed) not in done]
    for side, seed in tqdm(missing[: args.most], unit="table"):
        begin = time.monotonic()
        table = run(side, seed, args)
        tqdm.write(f"{side}, seed {seed}, {time.monotonic() - begin:.0f} s: {asdict(table)}")
        if table.ended_by == NOT_BEGUN:
            continue  # says nothing about either side; it is missing still
        tables.append(table)
        settings = {**asdict(args), "json": args.json.name}
        content = {"cores": os.cpu_count(), "settings": settings, "tables": [asdict(table) for table in tables]}
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(report(tables, args))
    if left := len(args.seeds) * len(SIDES) - sum(table.seed in args.seeds for table in tables):
        print(f"{left} tables are still missing; call again to go on")


if __name__ == "__main__":
    main()
