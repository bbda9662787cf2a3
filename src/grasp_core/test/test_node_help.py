# SPDX-License-Identifier: Apache-2.0
from typing import Annotated, Literal

from pydantic import Field

from grasp_core.config import Config
from grasp_core.node_help import show_help


class Board(Config):
    squares: Annotated[int, Field(ge=3, le=30)] = 7
    """Squares across."""


class Parameters(Config):
    """Looks
    around."""

    corner: tuple[float, float]
    """Where it begins."""
    rate_hz: Annotated[float, Field(gt=0.0)] = 30.0
    mode: Literal["fast", "exact"] = "fast"
    """How."""
    limit: float | None = None
    board: Board = Board()


def test_help_names_every_parameter_with_its_default_its_range_and_what_it_means(capsys):
    assert show_help(Parameters, "ros2 run lab node", ["node", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("usage: ros2 run lab node --ros-args -p NAME:=VALUE ... Looks around. parameters:")
    for part in (
        "corner [must be set] Where it begins.",
        "rate_hz [30.0] More than 0.",
        "mode ['fast'] How. One of fast, exact.",
        "limit [none]",
        "board.squares [7] Squares across. From 3 to 30.",
    ):
        assert part in text


def test_nothing_is_printed_unless_asked(capsys):
    assert not show_help(Parameters, "ros2 run lab node", ["--ros-args", "-p", "mode:=exact"])
    assert capsys.readouterr().out == ""
