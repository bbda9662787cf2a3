# SPDX-License-Identifier: Apache-2.0
"""Check the house rules that a machine can check; see docs/architecture.md.

Who may import whom, where ROS, the simulator, the learning library and vendor SDKs may appear, how long a file may be,
that no condition names a robot, and that every file carries its licence line.

Usage: python scripts/check_rooms.py
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "grasp_core": set(),
    "grasp_description": {"grasp_core"},
    "grasp_planning": {"grasp_core", "grasp_description"},
    "grasp_sim": {"grasp_core", "grasp_description", "grasp_planning"},
    "grasp_cameras": {"grasp_core"},
    "grasp_fusion": {"grasp_core"},
    "grasp_control": {"grasp_core", "grasp_description"},
    "grasp_policies": {"grasp_core", "grasp_fusion"},
    "grasp_learning": {"grasp_core", "grasp_sim", "grasp_policies"},
    "grasp_demonstrations": {"grasp_core", "grasp_fusion"},
    "grasp_episodes": {"grasp_core", "grasp_description"},
    "grasp_viewer": {"grasp_core", "grasp_description", "grasp_episodes"},
    "grasp_bringup": {"grasp_core"},
}
ROS_MODULES = {"rclpy", "tf2_ros", "cv_bridge", "moveit", "grasp_interfaces", "ament_index_python"}
CONFINED = {
    "pybullet": {"grasp_sim"},
    "torch": {"grasp_policies", "grasp_learning", "grasp_fusion"},
}
CELLS = {"ur5", "iiwa", "baxter", "hsr", "staubli"}
LONGEST_FILE = 500


def tracked(pattern: str) -> list[Path]:
    """Files that git knows or would take, matching a pattern."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", pattern]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in out.split("\0") if name and (ROOT / name).exists()]


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Top-level names of imported modules with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0], node.lineno


def may_use_ros(path: Path) -> bool:
    """ROS belongs in nodes and in modules whose name says so."""
    return path.name.endswith("_node.py") or path.name.startswith("ros_")


def check_package_file(path: Path, package: str, tree: ast.AST) -> Iterator[str]:
    """Imports and conditions of one file in src/<package>/<package>/."""
    for module, line in imports(tree):
        where = f"{path.relative_to(ROOT)}:{line}"
        if (module in ROS_MODULES or module.endswith("_msgs")) and not may_use_ros(path):
            yield f"{where}: imports {module}; ROS belongs in *_node.py and ros_*.py"
        if module in CONFINED and package not in CONFINED[module]:
            yield f"{where}: imports {module}, which belongs in {', '.join(sorted(CONFINED[module]))}"
        if module in MAY_IMPORT and module != package and module not in MAY_IMPORT.get(package, set()):
            yield f"{where}: {package} may not import {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            named = {
                c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)
            } & CELLS
            if named:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: a condition names {', '.join(named)}; robots are data"


def main() -> int:
    """Print every break of a rule; return 1 when there is one."""
    problems = []
    for path in tracked("*.py"):
        text = path.read_text(encoding="utf-8")
        relative = path.relative_to(ROOT)
        if text.strip() and "SPDX-License-Identifier" not in text[:200]:
            problems.append(f"{relative}: the licence line is missing at its top")
        if text.count("\n") > LONGEST_FILE:
            problems.append(
                f"{relative}: {text.count(chr(10))} lines; at most {LONGEST_FILE}: what is the second room?"
            )
        parts = relative.parts
        if len(parts) >= 4 and parts[0] == "src" and parts[1] == parts[2]:
            problems.extend(check_package_file(path, parts[1], ast.parse(text)))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
