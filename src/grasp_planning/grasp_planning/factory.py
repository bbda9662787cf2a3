# SPDX-License-Identifier: Apache-2.0
"""Which planner works for a cell: the launch argument ``planner:=auto|ompl|moveit|line``."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import NamedTuple

from grasp_core.cell_config import CellConfig

from .embedded import EmbeddedPlanner, StraightLinePlanner
from .model import CellModel, PlanningModel
from .ompl_planner import OmplPlanner
from .requests import PlanSettings

BACKENDS = ("auto", "ompl", "moveit", "line")
_log = logging.getLogger(__name__)


class Choice(NamedTuple):
    """A back end and, in a sentence, why it was taken."""

    backend: str
    reason: str


class PlannerUnavailableError(RuntimeError):
    """The wanted back end cannot be used here; the message says what is missing."""


def choose_backend(wanted: str = "auto") -> Choice:
    """The back end that ``wanted`` means on this machine.

    Raises:
        ValueError: an unknown name.
        PlannerUnavailableError: MoveIt is wanted and not installed.
    """
    if wanted not in BACKENDS:
        raise ValueError(f"there is no planner {wanted!r}; there are {', '.join(BACKENDS)}")
    if wanted in ("ompl", "line"):
        return Choice(wanted, f"planner {wanted}, as asked for")
    if moveit_installed():
        return Choice(
            "moveit", "planner moveit, as asked for" if wanted == "moveit" else "planner moveit: it is installed"
        )
    if wanted == "moveit":
        raise PlannerUnavailableError(
            "moveit_py is not installed; install ros-<distro>-moveit-py or take planner:=ompl"
        )
    return Choice("ompl", "planner ompl: moveit_py is not installed")


def moveit_installed() -> bool:
    """Whether moveit_py could be imported."""
    try:
        return find_spec("moveit.planning") is not None
    except ModuleNotFoundError:
        return False


def make_planner(
    wanted: str, config: CellConfig, settings: PlanSettings | None = None, model: PlanningModel | None = None
) -> EmbeddedPlanner:
    """Make a cell's planner; which one and why is logged.

    Args:
        wanted: one of ``BACKENDS``; auto takes MoveIt where it is installed, else OMPL.
        config: the cell's.
        settings: of the embedded planners, and the seed.
        model: the robot, where the caller has one already that nobody else uses at the same time.

    Raises:
        ValueError: an unknown name.
        PlannerUnavailableError: MoveIt is wanted and not installed.
    """
    backend, reason = choose_backend(wanted)
    _log.info("%s: %s", config.name, reason)
    if backend == "moveit":
        # Here, since it brings ROS with it.
        from .ros_moveit_planner import MoveitPlanner

        return MoveitPlanner.from_config(config, settings)
    chosen = model or CellModel.from_config(config)
    return StraightLinePlanner(chosen, settings) if backend == "line" else OmplPlanner(chosen, settings)
