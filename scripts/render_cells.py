# SPDX-License-Identifier: Apache-2.0
"""Renders a picture of every cell for its page: ``python scripts/render_cells.py`` writes docs/cells/<cell>.png."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import tyro

from grasp_core import resources
from grasp_core.camera import Intrinsics
from grasp_core.geometry import look_at
from grasp_sim.cameras import Look, render
from grasp_sim.cell import SimCell

ROOT = Path(__file__).resolve().parents[1]
# Eye and target in the cell's base frame, metres; a cell that is not named is seen from the general place.
VIEWS = {
    "ur5": ((1.45, -1.15, 0.95), (0.25, 0.0, 0.25)),
    "iiwa": ((1.45, -1.25, 1.05), (0.25, 0.05, 0.40)),
    "baxter": ((2.55, -1.75, 1.85), (0.35, 0.0, 0.95)),
    "hsr": ((1.65, -1.55, 1.25), (0.15, 0.0, 0.50)),
    "staubli": ((1.65, -1.35, 1.05), (0.22, 0.05, 0.40)),
}
GENERAL = ((1.8, -1.4, 1.2), (0.3, 0.0, 0.3))


@dataclass
class Arguments:
    """Render the cells."""

    cells: tuple[str, ...] = ()
    """Which; none for all."""
    folder: Path = field(default_factory=lambda: ROOT / "docs" / "cells")
    """Where the pictures go."""
    width: int = 960
    height: int = 720
    seed: int = 4


def main(args: Arguments) -> None:
    """Write one picture a cell."""
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.cells or resources.names("config", "cells"):
        cell = SimCell(name, cameras=(), renderer="auto")
        try:
            cell.reset(cell.config.default_scene, args.seed)
            eye, target = VIEWS.get(name, GENERAL)
            camera = Intrinsics.from_fov(2 * args.width, 2 * args.height, 0.75)
            look = Look(light=(1.2, -1.0, 2.2), ambient=0.6, diffuse=0.5, specular=0.05, shadow=True)
            picture = render(cell.world.engine, camera, look_at(eye, target), 0.1, 8.0, look)
            # Rendered twice as large and reduced: smooth edges.
            small = cv2.resize(picture.rgb, (args.width, args.height), interpolation=cv2.INTER_AREA)
            path = args.folder / f"{name}.png"
            cv2.imwrite(str(path), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
            print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path} by {cell.world.engine.renderer}")
        finally:
            cell.close()


if __name__ == "__main__":
    main(tyro.cli(Arguments))
