# SPDX-License-Identifier: Apache-2.0
"""One object: its shape, weight and colour, and how the simulator loads it.

An object's frame sits at the centre of its bounding box, with the axes of its mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Point = tuple[float, float, float]
Colour = tuple[float, float, float, float]

WHITE: Colour = (0.8, 0.8, 0.8, 1.0)


class BrokenModelError(ValueError):
    """A model file cannot be used; the message names it and says why."""


@dataclass(frozen=True)
class Primitive:
    """``box`` (edges x, y, z), ``cylinder`` (diameter twice, height along z), ``sphere`` (diameter thrice); metres."""

    shape: str
    size_m: Point

    def urdf(self) -> str:
        """The geometry tag."""
        x, y, z = self.size_m
        if self.shape == "box":
            return f'<box size="{x:.9g} {y:.9g} {z:.9g}"/>'
        if self.shape == "cylinder":
            return f'<cylinder radius="{0.5 * x:.9g}" length="{z:.9g}"/>'
        if self.shape == "sphere":
            return f'<sphere radius="{0.5 * x:.9g}"/>'
        raise ValueError(f"no primitive {self.shape!r}; there is box, cylinder, sphere")


@dataclass(frozen=True)
class MeshShape:
    """A mesh file, scaled, then shifted by ``shift_m`` so that the object's frame is the centre of the bounding box."""

    visual: Path
    convex_parts: tuple[Path, ...]
    scale: Point
    shift_m: Point


@dataclass(frozen=True)
class ObjectModel:
    """An object as it is put into a scene.

    Attributes:
        name: unique within its set.
        shape: primitive or mesh.
        extents_m: edges of the bounding box in the object's frame.
        mass_kg: weight.
        com_m: centre of mass in the object's frame.
        inertia: diagonal about the centre of mass, kg m2.
        colour: red, green, blue, opacity in 0..1; none keeps a mesh's own.
        friction: Coulomb coefficient; none for the world's default.
    """

    name: str
    shape: Primitive | MeshShape
    extents_m: Point
    mass_kg: float
    com_m: Point
    inertia: Point
    colour: Colour | None = None
    friction: float | None = None

    def urdf(self) -> str:
        """URDF text of the object, mesh paths absolute."""
        com = " ".join(f"{v:.9g}" for v in self.com_m)
        ixx, iyy, izz = (max(v, 1e-8) for v in self.inertia)
        visual, collisions = self._geometry()
        material = ""
        if self.colour is not None:
            rgba = " ".join(f"{v:.4g}" for v in self.colour)
            material = f'<material name="colour"><color rgba="{rgba}"/></material>'
        return (
            f'<robot name="object"><link name="object"><inertial><origin xyz="{com}"/>'
            f'<mass value="{self.mass_kg:.9g}"/>'
            f'<inertia ixx="{ixx:.9g}" iyy="{iyy:.9g}" izz="{izz:.9g}" ixy="0" ixz="0" iyz="0"/></inertial>'
            f"<visual>{visual}{material}</visual>"
            + "".join(f"<collision>{collision}</collision>" for collision in collisions)
            + "</link></robot>"
        )

    def _geometry(self) -> tuple[str, list[str]]:
        if isinstance(self.shape, Primitive):
            geometry = f"<geometry>{self.shape.urdf()}</geometry>"
            return geometry, [geometry]
        origin = f'<origin xyz="{" ".join(f"{v:.9g}" for v in self.shape.shift_m)}"/>'
        scale = " ".join(f"{v:.9g}" for v in self.shape.scale)

        def mesh(path: Path) -> str:
            return f'{origin}<geometry><mesh filename="{path}" scale="{scale}"/></geometry>'

        return mesh(self.shape.visual), [mesh(part) for part in self.shape.convex_parts]
