# SPDX-License-Identifier: Apache-2.0
"""Write ``config/rviz/<cell>.rviz`` of every cell from its cell file and ``config/rviz/cell.rviz``, which all share.

python scripts/make_rviz_config.py [CELL ...]
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from grasp_core.cell_config import CellConfig
from grasp_core.resources import find, names

HEADER = """# SPDX-License-Identifier: Apache-2.0
# Made by scripts/make_rviz_config.py from the cell's file and cell.rviz; change those and run it again.
"""
# The maps that a policy shows, those to look at first; a policy that is not named shows none.
MAPS = {
    "push_grasp": ("grasp_q", "push_q", "colour"),
    "highest_point": ("height_m", "top_view"),
}
PLUGINS = "rviz_default_plugins"


def topic(name: str, *, latched: bool = False, best_effort: bool = False) -> dict[str, Any]:
    """A topic and how RViz listens to it."""
    return {
        "Value": name,
        "Depth": 1 if latched else 5,
        "History Policy": "Keep Last",
        "Reliability Policy": "Best Effort" if best_effort else "Reliable",
        "Durability Policy": "Transient Local" if latched else "Volatile",
    }


def image(title: str, where: dict[str, Any], enabled: bool) -> dict[str, Any]:
    """A picture in a window of its own; values that are no colours are stretched from least to greatest."""
    return {
        "Class": f"{PLUGINS}/Image", "Name": title, "Enabled": enabled, "Normalize Range": True, "Topic": where,
    }  # fmt: skip


def camera_displays(config: CellConfig) -> list[dict[str, Any]]:
    """A picture of every camera, and the cloud of every camera with depth."""
    displays = []
    for name, camera in config.cameras.items():
        colour = f"/{name}/color/image_raw"
        if camera.rgb:
            displays.append(image(name, topic(colour, best_effort=True), enabled=not displays))
        if camera.depth:
            displays.append(
                {
                    "Class": f"{PLUGINS}/DepthCloud",
                    "Name": f"{name} cloud",
                    "Enabled": camera.mount == "fixed",
                    "Depth Map Topic": f"/{name}/depth/image_rect_raw",
                    "Depth Map Transport Hint": "raw",
                    "Color Image Topic": colour if camera.rgb else "",
                    "Color Transport Hint": "raw",
                    "Color Transformer": "RGB8" if camera.rgb else "AxisColor",
                    "Reliability Policy": "Best Effort",
                    "Style": "Flat Squares",
                    "Size (m)": 0.003,
                    "Auto Size": {"Value": False},
                }
            )
    return displays


def displays(config: CellConfig) -> list[dict[str, Any]]:
    """Everything beside what ``cell.rviz`` has."""
    shown = [
        *camera_displays(config),
        {
            "Class": f"{PLUGINS}/PointCloud2", "Name": "Fused cloud", "Enabled": True, "Style": "Flat Squares",
            "Size (m)": 0.003, "Color Transformer": "RGB8", "Topic": topic("/fusion_node/cloud"),
        },
        {"Class": f"{PLUGINS}/Marker", "Name": "Fused mesh", "Enabled": False, "Topic": topic("/fusion_node/mesh")},
        {
            "Class": f"{PLUGINS}/MarkerArray", "Name": "Grasps", "Enabled": True,
            "Topic": topic("/policy/markers", latched=True),
        },
        {
            "Class": f"{PLUGINS}/MarkerArray", "Name": "Simulated objects", "Enabled": False,
            "Topic": topic("/ground_truth/objects", latched=True),
        },
    ]  # fmt: skip
    policies = [name for name in (config.default_policy, config.baseline_policy) if name in MAPS]
    for policy in policies:
        first = policy == policies[0]
        maps = [image(name, topic(f"/policy/maps/{name}", latched=True), first) for name in MAPS[policy]]
        shown.append({"Class": "rviz_common/Group", "Name": f"Maps of {policy}", "Enabled": first, "Displays": maps})
    return shown


def text(config: CellConfig, base: dict[str, Any]) -> str:
    """The file of a cell."""
    made = copy.deepcopy(base)
    manager = made["Visualization Manager"]
    manager["Displays"] += displays(config)
    manager["Global Options"]["Fixed Frame"] = config.base_frame
    box = config.limits.workspace
    centre = 0.5 * (np.array(box.min_m) + np.array(box.max_m))
    manager["Views"]["Current"]["Focal Point"] = dict(zip("XYZ", centre.round(3).tolist(), strict=True))
    return HEADER + yaml.safe_dump(made, sort_keys=False, width=120)


def main() -> None:
    """Write the files of the cells that are named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", default=names("config", "cells"), help="cells to write; all by default")
    parser.add_argument("--output", type=Path, default=None, help="folder to write to (default: config/rviz)")
    arguments = parser.parse_args()
    output = arguments.output or find("config") / "rviz"
    base = yaml.safe_load(find("config", "rviz/cell.rviz").read_text(encoding="utf-8"))
    for cell in arguments.cells:
        config = CellConfig.from_yaml(find("config", f"cells/{cell}.yaml"))
        (output / f"{cell}.rviz").write_text(text(config, base), encoding="utf-8")
        print(f"wrote {output / f'{cell}.rviz'}")


if __name__ == "__main__":
    main()
