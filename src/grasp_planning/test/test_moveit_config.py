# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grasp_core.cell_config import CellConfig
from grasp_core.config import read_yaml
from grasp_core.resources import find, names
from grasp_description import RobotModel
from grasp_planning.moveit_config import OMPL_PLANNERS, PIPELINES, load_moveit_config, moveit_files

CELLS = names("config", "cells")


@pytest.fixture(scope="module")
def models() -> dict[str, tuple[CellConfig, RobotModel]]:
    configs = {cell: CellConfig.from_yaml(find("config", f"cells/{cell}.yaml")) for cell in CELLS}
    return {cell: (c, RobotModel.from_cell(cell, **c.description.arguments)) for cell, c in configs.items()}


def test_there_are_cells() -> None:
    assert CELLS


@pytest.mark.parametrize("cell", CELLS)
def test_the_committed_files_are_what_is_made_from_the_cell(cell: str, models) -> None:
    made = moveit_files(*models[cell])
    folder = find("config", f"moveit/{cell}")
    assert {path.name for path in folder.iterdir()} == set(made)
    for name, content in made.items():
        assert read_yaml(folder / name) == content, f"{cell}/{name} is stale: run scripts/make_moveit_config.py"


@pytest.mark.parametrize("cell", CELLS)
def test_every_joint_and_group_exists(cell: str, models) -> None:
    config, robot = models[cell]
    parameters = load_moveit_config(cell)
    assert set(parameters["robot_description_kinematics"]) <= set(robot.groups)
    groups = {name for name in parameters["ompl"] if isinstance(parameters["ompl"][name], dict)} - {"planner_configs"}
    assert groups == {arm.group for arm in config.arms.values()}
    for group in groups:
        assert parameters["ompl"][group]["default_planner_config"] in OMPL_PLANNERS
    limits = parameters["robot_description_planning"]["joint_limits"]
    assert set(limits) == set(robot.joint_names)
    assert all(v["max_velocity"] > 0 and v["max_acceleration"] > 0 and v["max_jerk"] > 0 for v in limits.values())
    controllers = parameters["moveit_simple_controller_manager"]
    listed = controllers["controller_names"]
    assert set(listed) == set(controllers) - {"controller_names"}
    driven = [joint for name in listed for joint in controllers[name]["joints"]]
    assert len(driven) == len(set(driven))
    assert set(driven) <= set(robot.joint_names)
    for arm in config.arms.values():
        assert set(arm.joints) <= set(driven)
    assert set(parameters["planning_pipelines"]["pipeline_names"]) == set(PIPELINES) <= set(parameters)


def test_the_script_writes_the_committed_texts(tmp_path: Path) -> None:
    script = find("config").parent / "scripts" / "make_moveit_config.py"
    if not script.exists():
        pytest.skip("scripts/ is not beside the installed configuration")
    subprocess.run([sys.executable, str(script), CELLS[0], "--output", str(tmp_path)], check=True, timeout=60)
    for path in find("config", f"moveit/{CELLS[0]}").iterdir():
        assert (tmp_path / CELLS[0] / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
