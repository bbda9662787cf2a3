# SPDX-License-Identifier: Apache-2.0
"""Grippers as data: which joint drives which, and the opening as a function of the driver.

Every gripper has a frame `grasp_tcp`: origin between the pads, z out of the gripper (approach), x along the closing
direction, y across the fingers. Opening widths are clear distances between the pads in metres; forces are those of one
pad in newtons.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import brentq

from .resources import description_file
from .specs import Coupling, JointLimits, build, read_joints, read_yaml


@dataclass(frozen=True)
class WidthMap:
    """A length in metres as a function of the driver position q.

    linear  scale (q) + rest_m                        prismatic fingers; scale in m per m (or per rad)
    crank   gain (arm_m cos(q + phase_rad) + rest_m)  fingers on rotating bars
    linkage gain (sum of arm_m cos(ratio q + phase_rad) over terms + rest_m)    fingers of several coupled links;
    monotonic on the joint's range
    """

    form: str
    rest_m: float
    scale: float = 0.0
    arm_m: float = 0.0
    phase_rad: float = 0.0
    gain: float = 1.0
    terms: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a form that does not exist or that lacks its numbers."""
        if self.form not in ("linear", "crank", "linkage"):
            raise ValueError(f"form = {self.form!r} must be linear, crank or linkage")
        if self.form == "linear" and self.scale == 0.0:
            raise ValueError("a linear map needs scale other than 0")
        if self.form == "crank" and not self.arm_m > 0.0:
            raise ValueError(f"arm_m = {self.arm_m} must be positive for a crank")
        terms = tuple((float(arm), float(ratio), float(phase)) for arm, ratio, phase in self.terms)
        if self.form == "crank":
            terms = ((self.arm_m, 1.0, self.phase_rad),)
        if self.form == "linkage" and not terms:
            raise ValueError("a linkage needs terms: [arm_m, ratio, phase_rad] each")
        object.__setattr__(self, "terms", terms)

    def length_m(self, q: float | np.ndarray) -> float | np.ndarray:
        """Length at driver position q (rad or m)."""
        if self.form == "linear":
            return self.scale * q + self.rest_m
        q = np.asarray(q)
        return self.gain * (sum(arm * np.cos(ratio * q + phase) for arm, ratio, phase in self.terms) + self.rest_m)

    def slope(self, q: float) -> float:
        """Change of length per driver motion at q."""
        if self.form == "linear":
            return self.scale
        return -self.gain * sum(arm * ratio * math.sin(ratio * q + phase) for arm, ratio, phase in self.terms)

    def driver(self, length_m: float, lower: float, upper: float) -> float:
        """Driver position within lower..upper that has the length; the closer end where none has it."""
        if self.form == "linear":
            return min(max((length_m - self.rest_m) / self.scale, lower), upper)
        if self.form == "crank":
            cosine = (length_m / self.gain - self.rest_m) / self.arm_m
            angle = math.acos(min(1.0, max(-1.0, cosine)))
            middle = (lower + upper) / 2
            q = min((angle - self.phase_rad, -angle - self.phase_rad), key=lambda candidate: abs(candidate - middle))
            return min(max(q, lower), upper)
        at_lower, at_upper = float(self.length_m(lower)) - length_m, float(self.length_m(upper)) - length_m
        if at_lower * at_upper > 0.0:
            return lower if abs(at_lower) < abs(at_upper) else upper
        return float(brentq(lambda q: float(self.length_m(q)) - length_m, lower, upper, xtol=1e-12))


@dataclass(frozen=True)
class GripperSpec:
    """What a gripper's YAML file says. All names are without prefix; lengths m, forces N, speeds m/s (of the opening).

    Attributes:
        driver: the joint that the width maps speak of.
        together: further motors that get the driver's position where an opening is commanded (fingers with motors of
            their own).
        coupled: joints that follow another one rigidly.
        passive: joints on a spring, without a motor.
        tcp_height_m: distance from the root link to `grasp_tcp`.
        tip_beyond_pad_m: how far the fingers reach beyond the pads' centre.
        width, pad_height: opening, and height of the pads over the root link, by driver position.
        states: named positions of the active joints (pre-shapes); `open` and `closed` bound the width map.
        breakaway: gear ratios of a clutch that lets a distal joint go on when its proximal one is stopped (Barrett
            hand).
    """

    name: str
    root: str
    tcp_frame: str
    tcp_height_m: float
    tip_beyond_pad_m: float
    driver: str
    joints: Mapping[str, JointLimits]
    coupled: Mapping[str, Coupling]
    width: WidthMap
    stroke_m: tuple[float, float]
    force_n: tuple[float, float]
    speed_m_s: tuple[float, float]
    finger_links: tuple[str, ...]
    states: Mapping[str, Mapping[str, float]]
    vendor_looks: Mapping[str, Sequence[Mapping[str, str]]]
    pad_height: WidthMap | None = None
    passive: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    breakaway: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the nested tables and check that they fit together."""
        where = f"gripper {self.name}"
        object.__setattr__(self, "joints", read_joints(self.joints, where))
        coupled = {name: build(Coupling, values, f"{where}, coupled {name}") for name, values in self.coupled.items()}
        object.__setattr__(self, "coupled", coupled)
        object.__setattr__(self, "width", build(WidthMap, self.width, f"{where}, width"))
        if self.pad_height is not None:
            object.__setattr__(self, "pad_height", build(WidthMap, self.pad_height, f"{where}, pad_height"))
        for name in ("stroke_m", "force_n", "speed_m_s"):
            low, high = getattr(self, name)
            if not 0.0 <= low < high:
                raise ValueError(f"{where}: {name} = [{low}, {high}] must be rising and not negative")
            object.__setattr__(self, name, (float(low), float(high)))
        object.__setattr__(self, "finger_links", tuple(self.finger_links))
        object.__setattr__(self, "passive", tuple(self.passive))
        object.__setattr__(self, "together", tuple(self.together))
        names = {self.driver, *self.together, *coupled, *(c.of for c in coupled.values()), *self.passive}
        for state in self.states.values():
            names |= set(state)
        if not {"open", "closed"} <= set(self.states):
            raise ValueError(f"{where}: states must have open and closed; they have {', '.join(self.states) or 'none'}")
        if strangers := sorted(names - set(self.joints)):
            raise ValueError(f"{where}: {', '.join(strangers)} not in the joints table")

    @property
    def active(self) -> tuple[str, ...]:
        """Joints with a motor of their own: neither coupled nor passive."""
        return tuple(name for name in self.joints if name not in self.coupled and name not in self.passive)

    def width_m(self, q: float) -> float:
        """Opening at driver position q."""
        return float(self.width.length_m(q))

    def driver_position(self, width_m: float) -> float:
        """Driver position for an opening; the opening is clamped to the stroke."""
        width_m = min(max(width_m, self.stroke_m[0]), self.stroke_m[1])
        closed, opened = sorted((self.states["closed"][self.driver], self.states["open"][self.driver]))
        return self.width.driver(width_m, closed, opened)

    def driver_effort(self, force_n: float, q: float) -> float:
        """Driver torque or force (magnitude) that gives each pad `force_n` at q: virtual work, F dw = tau dq."""
        return force_n * abs(self.width.slope(q))

    def driver_speed(self, speed_m_s: float, q: float) -> float:
        """Driver speed (magnitude) that changes the opening by `speed_m_s` at q, within the joint's limit."""
        limit = self.joints[self.driver].velocity
        slope = abs(self.width.slope(q))
        return limit if slope * limit <= speed_m_s else speed_m_s / slope

    def pad_offset_m(self, width_m: float) -> float:
        """How far the pads' centre lies beyond `grasp_tcp` along the approach at an opening; negative: behind it."""
        if self.pad_height is None:
            return 0.0
        return float(self.pad_height.length_m(self.driver_position(width_m))) - self.tcp_height_m

    def all_joints(self, active: Mapping[str, float]) -> dict[str, float]:
        """Positions of all joints from those of the active ones (missing ones count as 0; passive ones rest at 0)."""
        positions = {name: float(active.get(name, 0.0)) for name in self.joints if name not in self.coupled}
        for name, coupling in self.coupled.items():
            positions[name] = coupling.multiplier * positions[coupling.of] + coupling.offset
        return positions


@functools.cache
def load_gripper(name: str) -> GripperSpec:
    """Read `urdf/grippers/<name>.yaml`.

    Raises:
        FileNotFoundError: no such gripper.
        ValueError: a key or value that is not allowed, with the place.
    """
    return build(GripperSpec, read_yaml(description_file("grippers", name, ".yaml")), f"urdf/grippers/{name}.yaml")
