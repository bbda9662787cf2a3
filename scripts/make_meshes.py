#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the light meshes of our own under urdf/meshes: `make_meshes.py [--out FOLDER] [MODEL ...]`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from pathlib import Path

import mesh_shapes
from mesh_shapes.model import write_model

HELPERS = {"solids", "model"}


def main() -> None:
    """Build every model (or the named ones) and write them."""
    models = sorted(module.name for module in pkgutil.iter_modules(mesh_shapes.__path__) if module.name not in HELPERS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"which to write (default: all of {', '.join(models)})"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).resolve().parents[1] / "urdf" / "meshes", help="target folder"
    )
    options = parser.parse_args()
    if unknown := sorted(set(options.models) - set(models)):
        parser.error(f"no model {', '.join(unknown)}; choose from {', '.join(models)}")
    for name in options.models or models:
        for model in importlib.import_module(f"mesh_shapes.{name}").build():
            write_model(model, options.out)
            faces = sum(len(solid.faces) for solids in model.parts.values() for solid in solids)
            size = sum(path.stat().st_size for path in (options.out / model.name).iterdir())
            print(f"{model.name}: {len(model.parts)} meshes, {faces} triangles, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
