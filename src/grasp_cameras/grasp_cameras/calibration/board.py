# SPDX-License-Identifier: Apache-2.0
"""The ChArUco board: a chessboard with markers in its white squares, so that a part of it is enough.

The board's frame has its origin at the printed board's upper left corner, x to the right, y down, z into the board.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from grasp_core.camera import FrameError
from grasp_core.config import Config
from grasp_core.geometry import Array

Dictionary = Literal[
    "DICT_4X4_50",
    "DICT_4X4_100",
    "DICT_4X4_250",
    "DICT_5X5_50",
    "DICT_5X5_100",
    "DICT_5X5_250",
    "DICT_6X6_50",
    "DICT_6X6_100",
    "DICT_6X6_250",
    "DICT_APRILTAG_36h11",
]
_MARKERS = {"50": 50, "100": 100, "250": 250, "36h11": 587}


class BoardConfig(Config):
    """A ChArUco board as printed. Measure the print: every length of the calibration scales with it."""

    squares_x: Annotated[int, Field(ge=3, le=40)] = 7
    """Squares across."""
    squares_y: Annotated[int, Field(ge=3, le=40)] = 5
    """Squares down."""
    square_m: Annotated[float, Field(gt=0.001, lt=1.0)] = 0.03
    """Edge of a square, metres."""
    marker_m: Annotated[float, Field(gt=0.001, lt=1.0)] = 0.022
    """Edge of a marker, metres."""
    dictionary: Dictionary = "DICT_5X5_100"
    """Marker dictionary of OpenCV."""
    legacy: bool = False
    """Board printed by OpenCV before 4.6, whose first square is white where the number of rows is even."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.marker_m >= 0.95 * self.square_m:
            raise ValueError(f"marker_m {self.marker_m} leaves no border in square_m {self.square_m}; at most 95 %")
        needed, there = self.squares_x * self.squares_y // 2, _MARKERS[self.dictionary.rsplit("_", 1)[1]]
        if needed > there:
            raise ValueError(f"the board needs {needed} markers, {self.dictionary} has {there}")
        return self

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the pattern."""
        return self.squares_x * self.square_m, self.squares_y * self.square_m

    @property
    def corners_m(self) -> Array:
        """Inner corners in the board's frame [n, 3], in the order of their numbers."""
        u, v = np.meshgrid(np.arange(1, self.squares_x), np.arange(1, self.squares_y))
        return self.square_m * np.stack([u.ravel(), v.ravel(), np.zeros(u.size)], axis=1).astype(np.float64)


@dataclass(frozen=True)
class Detection:
    """Corners of the board found in one picture.

    Attributes:
        ids: int [n], which corners.
        pixels: float64 [n, 2].
        points_board: float64 [n, 3], the same corners on the board, metres.
        size: width and height of the picture.
    """

    ids: NDArray[np.int64]
    pixels: Array = field(repr=False)
    points_board: Array = field(repr=False)
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.ids)


class Board:
    """Draws the board and finds it in pictures."""

    def __init__(self, config: BoardConfig) -> None:
        self.config = config
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, config.dictionary))
        size = (config.squares_x, config.squares_y)
        self._board = cv2.aruco.CharucoBoard(size, config.square_m, config.marker_m, dictionary)
        self._board.setLegacyPattern(config.legacy)
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        self._detector = cv2.aruco.CharucoDetector(self._board, cv2.aruco.CharucoParameters(), parameters)

    def draw(self, pixels_per_square: int) -> NDArray[np.uint8]:
        """Grey picture [squares_y * p, squares_x * p] of the pattern without a margin."""
        c = self.config
        size = (c.squares_x * pixels_per_square, c.squares_y * pixels_per_square)
        return np.asarray(self._board.generateImage(size, marginSize=0, borderBits=1), dtype=np.uint8)

    def detect(self, image: NDArray[np.uint8], least_corners: int = 6) -> Detection | None:
        """The board's corners in a grey [H, W] or RGB [H, W, 3] picture; none where fewer than that show.

        Raises:
            FrameError: the picture is empty.
        """
        if image.size == 0:
            raise FrameError(f"the picture is empty: {image.shape}")
        grey = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        corners, ids, _, _ = self._detector.detectBoard(grey)
        if ids is None or len(ids) < least_corners:
            return None
        index = ids.ravel().astype(np.int64)
        points = self.config.corners_m[index]
        # Corners of a single row or column do not fix a pose.
        if np.linalg.matrix_rank(points[:, :2] - points[0, :2], tol=1e-9) < 2:
            return None
        pixels = self._refine(grey, np.asarray(corners, dtype=np.float32).reshape(-1, 2), points)
        return Detection(index, pixels, points, (grey.shape[1], grey.shape[0]))

    def _refine(self, grey: NDArray[np.uint8], pixels: NDArray[np.float32], points: Array) -> Array:
        """Corners to a few hundredths of a pixel.

        OpenCV 4.11's ChArUco detector reports every corner half a pixel too far right and down (seen on rendered
        boards; its own sub-pixel search agrees with the rendering), so the search is run once more on its result.
        """
        # The window must end before the markers begin: their edges would pull the corner.
        gap = 0.5 * (self.config.square_m - self.config.marker_m)
        pixels_per_m = np.sqrt(_spread(pixels) / _spread(points[:, :2]))
        half = int(np.clip(gap * pixels_per_m, 2, 11))
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
        refined = cv2.cornerSubPix(grey, pixels.reshape(-1, 1, 2).copy(), (half, half), (-1, -1), stop)
        return np.asarray(refined, dtype=np.float64).reshape(-1, 2)


def _spread(points: NDArray[np.floating]) -> float:
    """Area that points [n, 2] spread over, as the root of their covariance's determinant."""
    return float(np.sqrt(np.linalg.det(np.cov(points.T.astype(np.float64)))))
