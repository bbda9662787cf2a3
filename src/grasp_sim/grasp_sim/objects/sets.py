# SPDX-License-Identifier: Apache-2.0
"""Sets of objects by name (``config/objects/<name>.yaml``): where shapes come from, how they vary, what is held out."""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pybullet_data
from pydantic import Field, model_validator

from grasp_core import resources
from grasp_core.config import Config, ConfigError
from grasp_sim.objects.folder import find_models
from grasp_sim.objects.meshes import MeshData, prepare
from grasp_sim.objects.models import BrokenModelError, Colour, MeshShape, ObjectModel, Primitive

Range = tuple[float, float]
Split = Literal["train", "test", "all"]
DATA = Path(__file__).resolve().parents[1] / "data"


class ObjectSetConfig(Config):
    """What a file in ``config/objects`` may say."""

    kind: Literal["random_urdfs", "blocks", "tiles", "primitives", "folder", "mixed"]
    """1000 procedural objects of pybullet_data; our toy blocks; our large tiles; boxes, cylinders, spheres; a user's
    folder; others."""
    path: str | None = None
    """Folder of models, for kind folder; ``~`` and environment variables are expanded."""
    members: tuple[str, ...] = ()
    """Names of other sets, for kind mixed; each is as likely."""
    shapes: tuple[Literal["box", "cylinder", "sphere"], ...] = ("box", "cylinder", "sphere")
    """For kind primitives."""
    size_m: Range = (0.03, 0.05)
    """Range of a primitive's edges or diameter."""
    height_m: Range = (0.03, 0.08)
    """Range of a primitive's height."""
    max_extent_m: Range | None = None
    """Scale meshes at random so that the longest edge of the bounding box lies in this range; none keeps their size."""
    unit_m: Annotated[float, Field(gt=0.0)] = 1.0
    """Metres in a unit of the mesh files (0.001 for millimetres)."""
    fit_width_m: float | None = None
    """Shrink a mesh further until its middle edge fits between fingers that open this far."""
    min_side_m: Annotated[float, Field(ge=0.0)] = 0.005
    """Objects whose shortest edge is less after scaling are left out and counted (targeted_qt_opt, section V-A)."""
    density_kg_m3: Range = (200.0, 600.0)
    """Range of densities."""
    mass_kg: Range = (0.02, 0.5)
    """Masses are clamped to this range."""
    colours: Literal["random", "own"] = "random"
    """Random hues, or what the files say."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "folder" and not self.path:
            raise ValueError("kind folder needs path")
        if self.kind == "mixed" and not self.members:
            raise ValueError("kind mixed needs members")
        for name in ("size_m", "height_m", "max_extent_m", "density_kg_m3", "mass_kg"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value[0] <= value[1]:
                raise ValueError(f"{name} is {list(value)}; expected 0 < low <= high")
        return self


class ObjectSet:
    """Draws objects.

    Args:
        name: for messages.
        config: what is drawn.
        split: names ending in 0 (of numbered sets) or every tenth name are the test part; the rest is for training.
    """

    def __init__(self, name: str, config: ObjectSetConfig, split: Split = "all") -> None:
        self.name = name
        self.config = config
        self.split = split
        self._members = [load_object_set(member, split) for member in config.members]
        self._files = self._find_files()
        self.left_out: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objects of this split; of primitives, the shapes."""
        if self._members:
            return tuple(f"{member.name}/{name}" for member in self._members for name in member.names)
        return tuple(self._files) if self.config.kind != "primitives" else self.config.shapes

    @property
    def filtered(self) -> int:
        """How many objects were left out so far: too thin after scaling, or broken."""
        return len(self.left_out) + sum(member.filtered for member in self._members)

    def sample(self, rng: np.random.Generator, count: int) -> list[ObjectModel]:
        """Draw ``count`` objects, without repetition as long as the set has enough.

        Raises:
            BrokenModelError: too few usable ones.
        """
        if self._members:
            picks = rng.integers(0, len(self._members), size=count)
            return [self._members[k].sample(rng, 1)[0] for k in picks]
        if self.config.kind == "primitives":
            return [self._primitive(rng) for _ in range(count)]
        models: list[ObjectModel] = []
        while len(models) < count:
            usable = [name for name in self._files if name not in self.left_out]
            if not usable:
                reason = next(iter(self.left_out.values()), "it is empty")
                raise BrokenModelError(f"object set {self.name} has no usable object: {reason}")
            for index in rng.permutation(len(usable))[: count - len(models)]:
                model = self._try(usable[index], rng)
                if model is not None:
                    models.append(model)
        return models

    def model(self, name: str, rng: np.random.Generator) -> ObjectModel:
        """One object by name, with random scale, weight and colour.

        Raises:
            BrokenModelError: no such object, or its file is broken.
        """
        if self.config.kind == "primitives":
            return self._primitive(rng, name)
        for member in self._members:
            if name.startswith(f"{member.name}/"):
                return member.model(name.removeprefix(f"{member.name}/"), rng)
        if name not in self._files:
            raise BrokenModelError(f"object set {self.name} has no {name!r}")
        return self._mesh(name, prepare(*self._files[name]), rng)

    def _try(self, name: str, rng: np.random.Generator) -> ObjectModel | None:
        try:
            return self._mesh(name, prepare(*self._files[name]), rng)
        except BrokenModelError as error:
            self.left_out[name] = str(error)
            return None

    def _find_files(self) -> dict[str, tuple[Path, tuple[Path, ...]]]:
        config = self.config
        if config.kind == "random_urdfs":
            folder = Path(pybullet_data.getDataPath()) / "random_urdfs"
            found = {f"{i:03d}": folder / f"{i:03d}" / f"{i:03d}" for i in range(1000)}
            # Each file holds one group for each convex lump; PyBullet makes a hull of every group.
            files = {n: (p.with_suffix(".obj"), (p.with_suffix(".obj"),)) for n, p in found.items()}
        elif config.kind in ("blocks", "tiles"):
            parts = DATA / config.kind
            files = {p.stem: (p, tuple(sorted(parts.glob(f"{p.stem}.part*.obj")))) for p in _whole_meshes(parts)}
        elif config.kind == "folder":
            files = {name: (path, ()) for name, path in find_models(str(config.path)).items()}
        else:
            return {}
        return {name: value for k, (name, value) in enumerate(sorted(files.items())) if self._mine(k, name)}

    def _mine(self, index: int, name: str) -> bool:
        if self.split == "all" or self.config.kind in ("blocks", "tiles"):
            return True
        test = name.endswith("0") if self.config.kind == "random_urdfs" else index % 10 == 0
        return test == (self.split == "test")

    def _mesh(self, name: str, data: MeshData, rng: np.random.Generator) -> ObjectModel:
        config = self.config
        scale = config.unit_m
        raw = data.high - data.low
        if config.max_extent_m is not None:
            scale = float(rng.uniform(*config.max_extent_m)) / float(raw.max())
        if config.fit_width_m is not None:
            scale = min(scale, config.fit_width_m / float(np.sort(raw)[1]))
        extents = raw * scale
        if float(extents.min()) < config.min_side_m:
            raise BrokenModelError(
                f"{name}: its shortest edge is {1000 * extents.min():.1f} mm, "
                f"less than {1000 * config.min_side_m:.1f} mm"
            )
        mass = float(np.clip(data.volume * scale**3 * rng.uniform(*config.density_kg_m3), *config.mass_kg))
        centre = 0.5 * (data.low + data.high) * scale
        return ObjectModel(
            name,
            MeshShape(data.visual, data.convex_parts, (scale, scale, scale), _point(-centre)),
            _point(extents),
            mass,
            _point(data.com * scale - centre),
            _point(data.inertia_per_mass * scale**2 * mass),
            random_colour(rng) if config.colours == "random" else None,
        )

    def _primitive(self, rng: np.random.Generator, shape: str | None = None) -> ObjectModel:
        config = self.config
        shape = shape or str(rng.choice(list(config.shapes)))
        side, other = rng.uniform(*config.size_m, size=2)
        height = rng.uniform(*config.height_m)
        size = {"box": (side, other, height), "cylinder": (side, side, height), "sphere": (side, side, side)}[shape]
        return primitive(shape, _point(np.array(size)), rng, config.density_kg_m3, config.mass_kg)


def primitive(
    shape: str,
    size_m: tuple[float, float, float],
    rng: np.random.Generator,
    density_kg_m3: Range = (200.0, 600.0),
    mass_kg: Range = (0.02, 0.5),
) -> ObjectModel:
    """A box, cylinder or sphere with random weight and colour; sizes as in ``Primitive``."""
    x, y, z = size_m
    fill = {"box": 1.0, "cylinder": np.pi / 4.0, "sphere": np.pi / 6.0}[shape]
    mass = float(np.clip(x * y * z * fill * rng.uniform(*density_kg_m3), *mass_kg))
    if shape == "box":
        inertia = mass / 12.0 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    elif shape == "cylinder":
        side = mass * (3.0 * (0.5 * x) ** 2 + z * z) / 12.0
        inertia = np.array([side, side, 0.5 * mass * (0.5 * x) ** 2])
    else:
        inertia = np.full(3, 0.4 * mass * (0.5 * x) ** 2)
    return ObjectModel(
        shape, Primitive(shape, size_m), size_m, mass, (0.0, 0.0, 0.0), _point(inertia), random_colour(rng)
    )


def random_colour(rng: np.random.Generator) -> Colour:
    """A clear colour of any hue."""
    r, g, b = colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0.45, 0.9)), float(rng.uniform(0.55, 0.95)))
    return (r, g, b, 1.0)


def object_set_names() -> tuple[str, ...]:
    """The sets in ``config/objects``."""
    return resources.names("config", "objects")


@functools.lru_cache(maxsize=32)
def _config(name: str) -> ObjectSetConfig:
    try:
        return ObjectSetConfig.from_yaml(resources.find("config", f"objects/{name}.yaml"))
    except resources.ResourceError:
        raise ConfigError(f"no object set {name!r}; there is {', '.join(object_set_names())}") from None


def load_object_set(name: str, split: Split = "all") -> ObjectSet:
    """The set of a file in ``config/objects``.

    Raises:
        ConfigError: no such set, or its file is refused.
    """
    return ObjectSet(name, _config(name), split)


def _whole_meshes(folder: Path) -> Sequence[Path]:
    return [p for p in sorted(folder.glob("*.obj")) if ".part" not in p.name]


def _point(v: np.ndarray) -> tuple[float, float, float]:
    return (float(v[0]), float(v[1]), float(v[2]))
