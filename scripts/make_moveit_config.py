# SPDX-License-Identifier: Apache-2.0
"""Write ``config/moveit/<cell>/`` of every cell from its cell file, URDF, SRDF and limits.

python scripts/make_moveit_config.py [CELL ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from grasp_core.cell_config import CellConfig
from grasp_core.resources import find, names
from grasp_description import RobotModel
from grasp_planning.moveit_config import moveit_files

HEADER = """# SPDX-License-Identifier: Apache-2.0
# Made by scripts/make_moveit_config.py from the cell's file, URDF, SRDF and limits; change those and run it again.
"""


def texts(cell: str) -> dict[str, str]:
    """The files of a cell: text by file name."""
    config = CellConfig.from_yaml(find("config", f"cells/{cell}.yaml"))
    robot = RobotModel.from_cell(cell, **config.description.arguments)
    contents = moveit_files(config, robot)
    return {name: HEADER + yaml.safe_dump(content, sort_keys=False, width=120) for name, content in contents.items()}


def main() -> None:
    """Write the files of the cells that are named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", default=names("config", "cells"), help="cells to write; all by default")
    parser.add_argument("--output", type=Path, default=None, help="folder to write to (default: config/moveit)")
    arguments = parser.parse_args()
    output = arguments.output or find("config") / "moveit"
    for cell in arguments.cells:
        (output / cell).mkdir(parents=True, exist_ok=True)
        for name, text in texts(cell).items():
            (output / cell / name).write_text(text, encoding="utf-8")
        print(f"wrote {output / cell}")


if __name__ == "__main__":
    main()
