# SPDX-License-Identifier: Apache-2.0
"""What a scene file (``config/scenes/<name>.yaml``) may say. Scenes fit every cell: they lie in its workspace."""

from __future__ import annotations

import functools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from grasp_core import resources
from grasp_core.cell import SceneError
from grasp_core.config import Config, ConfigError

Range = tuple[float, float]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]

# Arrangements from files, told by their suffix, and how far a seed moves one as a whole: without it every run of a
# deterministic policy on a case would be the same run.
CASE_SUFFIX = ".txt"
CASE_SHIFT_M, CASE_TURN_RAD = 0.01, 0.1


class Container(Config):
    """An open box that the scene brings along."""

    length_m: Positive = 0.36
    width_m: Positive = 0.30
    depth_m: Positive = 0.09
    wall_m: Positive = 0.006
    raise_m: Range = (0.0, 0.0)
    """How high its lowest point stands above the support (action_view: 0 to 0.15)."""
    tilt_rad: Range = (0.0, 0.0)
    """How far it leans, towards a random side (action_view: 0 to 30 degrees)."""


class Wall(Config):
    """A vertical panel at the far side of the workspace with objects hung on it."""

    distance_m: float = 0.06
    """From the far edge of the workspace towards the robot."""
    height_m: Range = (0.18, 0.42)
    """Where objects hang, above the support."""
    hold_n: Positive = 8.0
    """Force that a hook bears."""
    release_m: Positive = 0.015
    """An object pulled this far off its hook is free."""


class Sheet(Config):
    """A cloth under the pile that is pulled once during an attempt (action_view, moving scene)."""

    shift_m: Range = (0.11, 0.14)
    turn_rad: Range = (0.5, 0.7)
    duration_s: Positive = 1.2
    start_after_s: Range = (0.1, 1.0)
    """Simulated time after the first action of an attempt."""
    size_m: Positive = 0.30


class Pack(Config):
    """A slab that is cut at random into boxes; for kind pack, where ``count`` is the number of boxes."""

    side_m: Range = (0.116, 0.175)
    """Edges of the slab; more than the gripper opens, or it is taken as a whole."""
    breadth_m: Range = (0.030, 0.058)
    """Shortest edge of a box: no box is thinner, each can be grasped once it is free."""
    length_m: Positive = 0.13
    """Longest edge of a box."""
    corner_m: Range | None = None
    """Edges of the boxes at the slab's corners: the slab is two rows of boxes, large ones at the corners and what is
    ``breadth_m`` broad between them; at least 4, and ``side_m`` and ``length_m`` follow. None: cut anywhere."""
    height_m: Range = (0.036, 0.052)
    """Height of the boxes of a slab."""
    uneven_m: NotNegative = 0.002
    """How far single boxes are higher or lower."""
    density_kg_m3: Range = (450.0, 650.0)
    """Of the boxes."""
    alone: tuple[int, int] = (0, 2)
    """Fewest and most objects of the scene's set that stand alone beside the slab."""
    clearance_m: NotNegative = 0.04
    """Least distance of those to anything else."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in ("side_m", "breadth_m", "height_m", "density_kg_m3", "corner_m"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value[0] <= value[1]:
                raise ValueError(f"{name} is {list(value)}; expected 0 < low <= high")
        ignored = sorted({"side_m", "length_m"} & self.model_fields_set)
        if self.corner_m is not None and ignored:
            raise ValueError(f"{' and '.join(ignored)} beside corner_m, which decides how large the slab is")
        return self


class SceneConfig(Config):
    """A scene."""

    kind: Literal["drop", "rows", "pack", "case", "wall", "single"]
    """Dropped at random; packed in two rows; a slab cut into boxes that no hand can
    grasp at first; an arrangement from a file; hung on a wall; one object upright."""
    objects: str = "random"
    """Name of the object set."""
    count: tuple[int, int] = (4, 10)
    """Smallest and largest number of objects, uniform."""
    region_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Share of the workspace's length and width that objects are put into."""
    inset_m: Annotated[float, Field(ge=-0.03, le=0.1)] = -0.03
    """How far inside the workspace (negative: outside) the middle of a dropped object may lie when the scene is ready,
    where no container is; what lies farther out is dropped again."""
    drop_m: NotNegative = 0.06
    """Height above what lies there from which objects fall."""
    container: Container | None = None
    pack: Pack = Pack()
    wall: Wall | None = None
    sheet: Sheet | None = None
    case: str | None = None
    """File of an arrangement, for kind case; relative to config/scenes/cases, or absolute."""
    shift_m: NotNegative = 0.0
    """For kind case: the whole arrangement is moved by up to this along x and y."""
    turn_rad: NotNegative = 0.0
    """For kind case: the whole arrangement is turned by up to this about its middle."""
    gap_m: NotNegative = 0.0005
    """Between neighbours in packed rows and slabs."""
    row_turn_rad: NotNegative = 3.1416
    """Rows are turned by up to this angle."""
    settle_s: Positive = 4.0
    """Longest time to wait until objects rest."""
    rest_m_s: Positive = 0.01
    """Speed below which an object rests."""
    respawn: Annotated[int, Field(ge=0)] = 3
    """How often an object that fell out of the workspace is dropped again before it is counted as lost."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not 1 <= self.count[0] <= self.count[1]:
            raise ValueError(f"count is {list(self.count)}; expected 1 <= low <= high")
        if self.kind == "case" and not self.case:
            raise ValueError("kind case needs case")
        if self.kind == "wall" and self.wall is None:
            raise ValueError("kind wall needs wall")
        if self.pack.corner_m is not None and self.count[0] < 4:
            raise ValueError(f"count is {list(self.count)}; a slab with pack.corner_m has at least 4 boxes")
        return self


def scene_names() -> tuple[str, ...]:
    """The scenes in ``config/scenes``."""
    return resources.names("config", "scenes")


@functools.lru_cache(maxsize=64)
def load_scene(name: str) -> SceneConfig:
    """A scene by name, or the file of an arrangement (``*.txt``), which each seed moves and turns a little.

    Raises:
        SceneError: no such scene, or its file is refused.
    """
    if name.endswith(CASE_SUFFIX):
        return SceneConfig(kind="case", objects="blocks", case=name, shift_m=CASE_SHIFT_M, turn_rad=CASE_TURN_RAD)
    try:
        return SceneConfig.from_yaml(resources.find("config", f"scenes/{name}.yaml"))
    except resources.ResourceError:
        raise SceneError(f"no scene {name!r}; there is {', '.join(scene_names())}") from None
    except ConfigError as error:
        raise SceneError(str(error)) from error
