# SPDX-License-Identifier: Apache-2.0
"""Who says whether a grasp succeeded, whether the scene changed, what is left: gripper, picture or simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grasp_core.actions import Grasp
from grasp_core.camera import CameraFrame
from grasp_core.cell import Outcome
from grasp_core.cell_config import BoxRegion
from grasp_core.config import Config
from grasp_core.geometry import Array
from grasp_core.observation import Observation
from grasp_core.ports import StateError


@dataclass(frozen=True)
class Judgement:
    """What became of the scene.

    Attributes:
        success: of a grasp, whether an object was brought away; of another action, whether it was executed; none where
            it cannot be told.
        changed: whether the scene is another one than before; none where it cannot be told.
        objects_left: in the work area; none where nobody can tell.
        by: who says so.
    """

    success: bool | None
    changed: bool | None
    objects_left: int | None
    by: str
    message: str = ""


class Judge(Protocol):
    """Looks before an action and after it."""

    def before(self, observation: Observation) -> None:
        """Remember the scene as it is now."""
        ...

    def after(self, outcome: Outcome) -> Judgement:
        """Judge what the action did.

        Raises:
            StateError: what is needed to judge did not come.
        """
        ...

    def objects_left(self) -> int | None:
        """How many objects are in the work area now; none where nobody can tell."""
        ...

    def note(self) -> str:
        """What the last count of objects left out, in words for people; empty where there is nothing to say."""
        ...


class GripperJudge:
    """Believes the gripper: width and effort after the lift, as the skill has read them."""

    def before(self, observation: Observation) -> None:
        """Nothing needs to be remembered."""

    def after(self, outcome: Outcome) -> Judgement:
        """What the skill says; whether a push moved something is not known."""
        changed = bool(outcome.success) if isinstance(outcome.requested, Grasp) else None
        return Judgement(outcome.success, changed, None, "gripper")

    def objects_left(self) -> int | None:
        """Nobody can tell."""
        return None

    def note(self) -> str:
        """Nothing to say."""
        return ""


class ImageJudgeConfig(Config):
    """How pictures before and after an action are compared."""

    camera: str
    """A camera with depth that stands still and sees the work area."""
    cell_m: Annotated[float, Field(gt=0.0, le=0.05)] = 0.004
    """Edge of a cell of the height grid."""
    changed_m: Annotated[float, Field(gt=0.0, le=0.2)] = 0.01
    """A cell has changed when its height differs by more than this."""
    changed_cells: Annotated[int, Field(ge=1)] = 20
    """The scene has changed when at least so many cells have."""
    removed_m3: Annotated[float, Field(gt=0.0)] = 4e-6
    """A grasp has succeeded when at least this volume is gone from the work area."""
    object_height_m: Annotated[float, Field(gt=0.0)] = 0.008
    """What is lower is the table."""
    max_height_m: Annotated[float, Field(gt=0.0)] = 0.17
    """What is higher is the arm."""


class ImageJudge:
    """Compares heights over the work area before an action and after what was held has been brought away."""

    def __init__(self, config: ImageJudgeConfig, workspace: BoxRegion, support_z_m: float) -> None:
        self._config, self._workspace, self._support_z_m = config, workspace, support_z_m
        self._before: NDArray[np.float32] | None = None

    def before(self, observation: Observation) -> None:
        """Remember the heights.

        Raises:
            StateError: the observation lacks the camera.
        """
        self._before = self.heights(self._frame(observation))

    def after(self, outcome: Outcome) -> Judgement:
        """Compare."""
        c = self._config
        if self._before is None:
            raise StateError("there is no picture from before the action")
        now = self.heights(self._frame(outcome.observation))
        known = np.isfinite(self._before) & np.isfinite(now)
        lost = np.where(known, self._before - now, 0.0)
        changed = int((np.abs(lost) > c.changed_m).sum()) >= c.changed_cells
        removed_m3 = float(np.where(known, np.maximum(self._before, 0) - np.maximum(now, 0), 0.0).sum() * c.cell_m**2)
        success = outcome.success
        if isinstance(outcome.requested, Grasp) and outcome.commanded is not None:
            success = changed and removed_m3 >= c.removed_m3
        # An empty table can be seen, a number of objects cannot.
        empty = not bool((now > c.object_height_m).sum() >= c.changed_cells)
        text = f"{1e6 * removed_m3:.0f} cm3 fewer on the table"
        return Judgement(success, changed, 0 if empty else None, "image", text)

    def objects_left(self) -> int | None:
        """Nobody can count."""
        return None

    def note(self) -> str:
        """Nothing to say."""
        return ""

    def heights(self, frame: CameraFrame) -> NDArray[np.float32]:
        """Greatest height over each cell of the work area above the table (m); NaN where nothing was seen."""
        c = self._config
        low, high = np.array(self._workspace.min_m), np.array(self._workspace.max_m)
        shape = np.ceil((high - low)[:2] / c.cell_m).astype(int)
        points = frame.points_base().reshape(-1, 3)
        height = points[:, 2] - self._support_z_m
        with np.errstate(invalid="ignore"):
            inside = np.all((points[:, :2] >= low[:2]) & (points[:, :2] < high[:2]), axis=1)
            inside &= (height > -0.05) & (height < c.max_height_m)
        cells = ((points[inside, :2] - low[:2]) / c.cell_m).astype(int)
        cells = np.minimum(cells, shape - 1)
        grid = np.full(shape, -np.inf, dtype=np.float32)
        np.maximum.at(grid, (cells[:, 0], cells[:, 1]), height[inside].astype(np.float32))
        grid[np.isinf(grid)] = np.nan
        return grid

    def _frame(self, observation: Observation) -> CameraFrame:
        if self._config.camera not in observation.frames:
            raise StateError(f"no picture of camera {self._config.camera} to judge by")
        return observation.frame(self._config.camera)


@dataclass(frozen=True)
class Truth:
    """What a simulator knows: positions [3] of the objects by number, and which were held since it was asked last."""

    positions: Mapping[int, Array]
    held: frozenset[int]


class TruthJudge:
    """Asks the simulator: an object that was held and has left the work area was grasped.

    Args:
        look: the truth now; forgets which objects were held.
        workspace: the work area; its height does not count.
    """

    MOVED_M = 0.01

    def __init__(self, look: Callable[[], Truth], workspace: BoxRegion) -> None:
        self._look, self._workspace = look, workspace
        self._before: Truth | None = None
        self._outside = 0

    def before(self, observation: Observation) -> None:
        """Remember where everything is."""
        self._before = self._look()

    def after(self, outcome: Outcome) -> Judgement:
        """Who has moved, who is gone, who was held."""
        if self._before is None:
            raise StateError("nothing is known of the scene before the action")
        now = self._look()
        left = self._inside(now)
        gone = self._inside(self._before) - left
        taken = gone & now.held
        moved = {
            number
            for number in left & set(self._before.positions)
            if np.linalg.norm(now.positions[number] - self._before.positions[number]) > self.MOVED_M
        }
        success = outcome.success
        if isinstance(outcome.requested, Grasp) and outcome.commanded is not None:
            success = bool(taken)
        text = f"{len(taken)} brought away, {len(gone - taken)} lost, {len(moved)} moved"
        return Judgement(success, bool(gone or moved), len(left), "simulator", text)

    def objects_left(self) -> int | None:
        """Objects in the work area now."""
        truth = self._look()
        inside = self._inside(truth)
        self._outside = len(truth.positions) - len(inside)
        return len(inside)

    def note(self) -> str:
        """How many objects lay outside of the work area when they were counted; for the beginning of an episode."""
        if not self._outside:
            return ""
        if self._outside == 1:
            return "1 object lay outside of the work area at the beginning and does not count"
        return f"{self._outside} objects lay outside of the work area at the beginning and do not count"

    def _inside(self, truth: Truth) -> set[int]:
        low, high = np.array(self._workspace.min_m)[:2], np.array(self._workspace.max_m)[:2]
        return {n for n, p in truth.positions.items() if np.all(p[:2] >= low) and np.all(p[:2] <= high)}
