# SPDX-License-Identifier: Apache-2.0
"""Write `urdf/cells/<cell>.srdf`: groups, states, end effectors from YAML; disabled collisions by sampling."""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import combinations

import numpy as np

from .cell_data import joint_limits, tool_frames
from .grippers import load_gripper
from .resources import cell_urdf, cells, share_folder
from .robot_model import RobotModel
from .specs import load_cell
from .srdf import Chain, EndEffector, Group, Srdf, write_srdf
from .tree import KinematicTree

# a pair that touches in at least this share of the samples is a fault of the shapes, not of the pose
ALWAYS = 0.95


def skeleton(cell: str) -> Srdf:
    """Everything but the disabled collisions."""
    spec = load_cell(cell)
    robot = spec.robot_spec()
    groups: dict[str, Group] = {}
    states: dict[tuple[str, str], dict[str, float]] = {}
    for name, group in robot.groups.items():
        groups[name] = Group(name, chain=Chain(group.base, group.tip))
        for state, values in group.states.items():
            states[name, state] = dict(zip(group.joints, values, strict=True))
    effectors, passive = [], list(robot.coupled)
    for effector in spec.end_effectors:
        gripper = load_gripper(effector.gripper)
        prefix = effector.prefix
        groups[effector.group] = Group(effector.group, joints=tuple(f"{prefix}{joint}" for joint in gripper.active))
        for state, positions in gripper.states.items():
            states[effector.group, state] = {f"{prefix}{joint}": positions[joint] for joint in gripper.active}
        passive += [f"{prefix}{joint}" for joint in (*gripper.coupled, *gripper.passive)]
        effectors.append(EndEffector(f"{prefix}{gripper.name}", effector.group, effector.parent_link, effector.arm))
    for name, parts in spec.extra_groups.items():
        groups[name] = Group(name, groups=parts)
    return Srdf(
        robot=f"{cell}_cell",
        groups=groups,
        states=states,
        end_effectors=tuple(effectors),
        virtual_joint=("fixed_base", "fixed", "map", "world"),
        passive_joints=tuple(passive),
    )


def touching_counts(model: RobotModel, samples: int, seed: int) -> Counter[tuple[str, str]]:
    """How often each pair of links touches over uniformly random joints within limits."""
    rng = np.random.default_rng(seed)
    counts: Counter[tuple[str, str]] = Counter()
    for _ in range(samples):
        counts.update(model.collision.colliding_pairs(rng.uniform(model.lower, model.upper)))
    return counts


def neighbours(tree: KinematicTree, bodies: set[str]) -> set[tuple[str, str]]:
    """Pairs of bodies with one moving joint between them; links without collision shapes do not count."""
    found = set()
    for body in bodies:
        moving = 0
        above = tree.parent_of(body)
        while above is not None:
            moving += above[1]
            if above[0] in bodies:
                if moving <= 1:
                    found.add((min(body, above[0]), max(body, above[0])))
                break
            above = tree.parent_of(above[0])
    return found


def compute(cell: str, samples: int, seed: int) -> Srdf:
    """The cell's SRDF with the pairs that need no check, each with its reason.

    Adjacent  one moving joint lies between them
    Fixed     nothing moves between them
    Gripper   parts of one gripper: its fingers are meant to meet
    Default   touch in (nearly) every sample: the shapes overlap, the parts do not
    Never     touched in no sample
    User      the robot's file says that its joints' stops keep the parts apart (`kept_apart`)

    A cell with variants (two models of an arm) gets the pairs that every variant disables. Furniture and cameras stand
    where calibration puts them (xacro arguments), so no pair with them is ever disabled as Never.
    """
    base = skeleton(cell)
    found = [disabled_pairs(cell, base, samples, seed, variant) for variant in load_cell(cell).each_variant()]
    disabled = {pair: reason for pair, reason in found[0].items() if all(pair in other for other in found[1:])}
    return Srdf(**{**base.__dict__, "disabled": disabled})


def disabled_pairs(
    cell: str, base: Srdf, samples: int, seed: int, variant: dict[str, str]
) -> dict[tuple[str, str], str]:
    """The pairs to disable in one variant of the cell (xacro arguments), see `compute`."""
    spec = load_cell(cell)
    urdf = cell_urdf(cell, expand_uris=False, **variant)
    model = RobotModel(urdf, write_srdf(base, "sampling"), joint_limits(cell, "", variant), tool_frames(cell))
    counts = touching_counts(model, samples, seed)
    bodies = model.collision.links
    adjacent = neighbours(model.tree, set(bodies))
    grippers = [model.tree.below(f"{e.prefix}{load_gripper(e.gripper).root}") for e in spec.end_effectors]
    movable = set(bodies) - model.tree.below(spec.robot_spec(variant).root)
    movable |= {camera["link"] for camera in spec.cameras.values()}
    apart = {(min(pair), max(pair)) for pair in spec.robot_spec(variant).kept_apart}
    if strangers := sorted({link for pair in apart for link in pair} - set(bodies)):
        raise ValueError(f"{cell}: kept_apart names {', '.join(strangers)}, which the description lacks")
    disabled: dict[tuple[str, str], str] = {}
    for first, second in combinations(sorted(bodies), 2):
        pair = (first, second)
        if pair in adjacent:
            disabled[pair] = "Adjacent"
        elif model.collision.moving_with(first) == model.collision.moving_with(second):
            disabled[pair] = "Fixed"
        elif any(first in parts and second in parts for parts in grippers):
            disabled[pair] = "Gripper"
        elif pair in apart:
            disabled[pair] = "User"
        elif counts[pair] == 0 and first not in movable and second not in movable:
            disabled[pair] = "Never"
        elif counts[pair] >= ALWAYS * samples:
            disabled[pair] = "Default"
    return disabled


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"which cells (default: all of {', '.join(cells())})")
    parser.add_argument("--samples", type=int, default=20000, help="random configurations to test")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if strange := sorted(set(options.cells) - set(cells())):
        parser.error(f"there is no cell {', '.join(strange)}; there is {', '.join(cells())}")
    for cell in options.cells or cells():
        srdf = compute(cell, options.samples, options.seed)
        origin = f"made by make_srdf from {options.samples} samples, seed {options.seed}"
        path = share_folder() / "urdf" / "cells" / f"{cell}.srdf"
        path.write_text(write_srdf(srdf, f"{origin}; edit the YAML files and run it again"), encoding="utf-8")
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(Counter(srdf.disabled.values()).items()))
        print(f"{cell}: {len(srdf.disabled)} pairs disabled ({reasons}) -> {path.name}")


if __name__ == "__main__":
    main()
