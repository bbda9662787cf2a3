# SPDX-License-Identifier: Apache-2.0
"""Typed view of the YAML files beside the xacro files: joint limits, arms, states, cells."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .resources import description_file

T = TypeVar("T")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        ValueError: the file does not hold a mapping.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} must hold a mapping, not {type(content).__name__}")
    return content


def build(kind: type[T], content: Any, where: str) -> T:
    """Make the dataclass `kind` from a mapping, as YAML gives it.

    Raises:
        ValueError: a key that the dataclass does not know, or one that it needs and does not get; `where` names the
            place.
    """
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(content, Mapping):
        raise ValueError(f"{where}: must be a mapping of {', '.join(sorted(known))}, not {content!r}")
    if unknown := sorted(set(content) - known):
        raise ValueError(f"{where}: unknown key {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    try:
        return kind(**content)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


@dataclass(frozen=True)
class JointLimits:
    """Limits of one joint; rad or m, rad/s or m/s, Nm or N, rad/s2 or m/s2, rad/s3 or m/s3."""

    lower: float
    upper: float
    velocity: float
    effort: float
    acceleration: float
    jerk: float

    def __post_init__(self) -> None:
        """Refuse limits that no joint can have."""
        for name in ("lower", "upper"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} = {getattr(self, name)} must be finite")
        if not self.lower < self.upper:
            raise ValueError(f"lower = {self.lower} must be below upper = {self.upper}")
        for name in ("velocity", "effort", "acceleration", "jerk"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} = {value} must be positive and finite")


def read_joints(content: Mapping[str, Any], where: str) -> dict[str, JointLimits]:
    """Read the `joints` table of a robot or gripper file."""
    return {name: build(JointLimits, values, f"{where}, joint {name}") for name, values in content.items()}


@dataclass(frozen=True)
class Coupling:
    """q = multiplier * q_of + offset."""

    of: str
    multiplier: float
    offset: float = 0.0


@dataclass(frozen=True)
class GroupSpec:
    """A serial chain of joints: from link `base` to link `tip`, with named joint states in the order of `joints`."""

    base: str
    tip: str
    joints: tuple[str, ...]
    states: Mapping[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        """Turn lists into tuples and check the states' lengths."""
        object.__setattr__(self, "joints", tuple(self.joints))
        object.__setattr__(
            self, "states", {name: tuple(float(v) for v in values) for name, values in self.states.items()}
        )
        for name, values in self.states.items():
            if len(values) != len(self.joints):
                raise ValueError(f"state {name} has {len(values)} values for {len(self.joints)} joints")
        if "ready" not in self.states:
            raise ValueError(f"states must have 'ready'; they have {', '.join(self.states) or 'none'}")


@dataclass(frozen=True)
class RobotSpec:
    """What a robot's YAML file says. All names are without prefix.

    ``kept_apart`` names pairs of links that the joints' own stops keep apart although their simplified shapes touch.
    """

    name: str
    root: str
    joints: Mapping[str, JointLimits]
    groups: Mapping[str, GroupSpec]
    vendor_looks: Mapping[str, Sequence[Mapping[str, str]]]
    coupled: Mapping[str, Coupling] = field(default_factory=dict)
    kept_apart: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Read the nested tables and check names and states against the joints."""
        object.__setattr__(self, "joints", read_joints(self.joints, self.name))
        coupled = {
            name: build(Coupling, values, f"{self.name}, coupled {name}") for name, values in self.coupled.items()
        }
        object.__setattr__(self, "coupled", coupled)
        object.__setattr__(self, "kept_apart", tuple((first, second) for first, second in self.kept_apart))
        if strangers := sorted({*coupled, *(c.of for c in coupled.values())} - set(self.joints)):
            raise ValueError(f"{self.name}, coupled: {', '.join(strangers)} not in the joints table")
        groups = {name: build(GroupSpec, values, f"{self.name}, group {name}") for name, values in self.groups.items()}
        object.__setattr__(self, "groups", groups)
        for name, group in groups.items():
            for joint in group.joints:
                if joint not in self.joints:
                    raise ValueError(f"{self.name}, group {name}: joint {joint} is not in the joints table")
            for state, values in group.states.items():
                for joint, value in zip(group.joints, values, strict=True):
                    limit = self.joints[joint]
                    if not limit.lower <= value <= limit.upper:
                        raise ValueError(
                            f"{self.name}, state {state}: {joint} = {value} is outside {limit.lower}..{limit.upper}"
                        )


@dataclass(frozen=True)
class EndEffectorSpec:
    """A gripper mounted on an arm; the cell's xacro puts `prefix` before the gripper's names, the tcp included."""

    gripper: str
    arm: str
    parent_link: str
    prefix: str = ""

    @property
    def group(self) -> str:
        """Name of the gripper's joint group in the SRDF."""
        return f"{self.prefix}gripper"


@dataclass(frozen=True)
class CellSpec:
    """What `urdf/cells/<cell>.yaml` says: which robot and grippers stand in the cell, and its cameras' frames.

    `robot` may hold xacro arguments in braces ("iiwa{model}"); `variants` then lists their values, the default first.
    """

    name: str
    robot: str
    end_effectors: tuple[EndEffectorSpec, ...]
    cameras: Mapping[str, Mapping[str, str]]
    extra_groups: Mapping[str, tuple[str, ...]]
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the nested tables."""
        effectors = tuple(build(EndEffectorSpec, item, f"{self.name}, end_effectors") for item in self.end_effectors)
        object.__setattr__(self, "end_effectors", effectors)
        for name in ("extra_groups", "variants"):
            object.__setattr__(self, name, {key: tuple(values) for key, values in getattr(self, name).items()})

    def robot_name(self, arguments: Mapping[str, str | float] | None = None) -> str:
        """Name of the robot file for the given xacro arguments.

        Raises:
            ValueError: an argument has a value that is not listed in `variants`.
        """
        chosen = {name: values[0] for name, values in self.variants.items()}
        for name, value in (arguments or {}).items():
            if name in chosen:
                if str(value) not in self.variants[name]:
                    raise ValueError(f"{self.name}: {name} = {value} is not one of {', '.join(self.variants[name])}")
                chosen[name] = str(value)
        return self.robot.format(**chosen)

    def robot_spec(self, arguments: Mapping[str, str | float] | None = None) -> RobotSpec:
        """Contents of the robot file for the given xacro arguments."""
        return load_robot(self.robot_name(arguments))

    def each_variant(self) -> list[dict[str, str]]:
        """Every combination of the variants' values, as xacro arguments."""
        return [dict(zip(self.variants, values, strict=True)) for values in itertools.product(*self.variants.values())]


@functools.cache
def load_robot(name: str) -> RobotSpec:
    """Read `urdf/robots/<name>.yaml`.

    Raises:
        FileNotFoundError: no such robot.
        ValueError: a key or value that is not allowed, with the place.
    """
    return build(RobotSpec, read_yaml(description_file("robots", name, ".yaml")), f"urdf/robots/{name}.yaml")


@functools.cache
def load_cell(name: str) -> CellSpec:
    """Read `urdf/cells/<name>.yaml`; raises like `load_robot`."""
    return build(CellSpec, read_yaml(description_file("cells", name, ".yaml")), f"urdf/cells/{name}.yaml")
