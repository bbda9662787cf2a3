# SPDX-License-Identifier: Apache-2.0
"""``make_board``: a printable ChArUco board at true scale, as PDF or PNG."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import tyro
from PIL import Image

from grasp_cameras.calibration.board import Board, BoardConfig
from grasp_core.config import ConfigError

MM_PER_INCH = 25.4
# Width and height in millimetres, upright.
PAPERS = {"a4": (210.0, 297.0), "a3": (297.0, 420.0), "letter": (215.9, 279.4)}
PRINTER_MARGIN_MM = 5.0


@dataclass
class Arguments:
    """Write a printable ChArUco board. Print at 100 %, measure a square and put its edge into the board's settings."""

    output: Path = Path("board.pdf")
    """File to write; .pdf or .png."""
    board: BoardConfig = field(default_factory=BoardConfig)
    """The board."""
    paper: str = "a4"
    """a4, a3, letter, or none for a page as large as the pattern and a square around it."""
    dpi: int = 600
    """Dots per inch."""


def board_page(board: BoardConfig, paper: str, dpi: int) -> Image.Image:
    """A page with the board in its middle, lines true to scale within half a dot.

    Raises:
        ValueError: the paper is unknown or too small, or dpi is out of 72 to 2400.
    """
    if not 72 <= dpi <= 2400:
        raise ValueError(f"dpi is {dpi}; allowed are 72 to 2400")
    width_mm, height_mm = (1e3 * v for v in board.size_m)
    if paper == "none":
        margin = 1e3 * board.square_m
        page_mm = (width_mm + 2.0 * margin, height_mm + 2.0 * margin)
    elif paper in PAPERS:
        page_mm = PAPERS[paper] if width_mm <= height_mm else PAPERS[paper][::-1]
    else:
        raise ValueError(f"paper is {paper!r}; known are {', '.join(PAPERS)} and none")
    if width_mm > page_mm[0] - 2.0 * PRINTER_MARGIN_MM or height_mm > page_mm[1] - 2.0 * PRINTER_MARGIN_MM:
        raise ValueError(
            f"the board is {width_mm:.0f} x {height_mm:.0f} mm and does not fit on {paper}: "
            f"{page_mm[0]:.0f} x {page_mm[1]:.0f} mm with a margin of {PRINTER_MARGIN_MM:.0f} mm"
        )
    per_mm = dpi / MM_PER_INCH
    page = np.full((round(page_mm[1] * per_mm), round(page_mm[0] * per_mm)), 255, dtype=np.uint8)
    size = (round(width_mm * per_mm), round(height_mm * per_mm))
    # Drawn with whole pixels a square, then brought to the exact size: rounding must not add up over the squares.
    pattern = Board(board).draw(max(8, round(board.square_m * 1e3 * per_mm)))
    exact = cv2.resize(pattern, size, interpolation=cv2.INTER_NEAREST)
    top, left = (page.shape[0] - size[1]) // 2, (page.shape[1] - size[0]) // 2
    page[top : top + size[1], left : left + size[0]] = exact
    return Image.fromarray(page)


def write_board(path: Path, board: BoardConfig, paper: str = "a4", dpi: int = 600) -> None:
    """Write the page; the file says its own scale.

    Raises:
        ValueError: another ending than .pdf or .png, or what ``board_page`` refuses.
    """
    page = board_page(board, paper, dpi)
    if path.suffix == ".pdf":
        page.save(path, "PDF", resolution=dpi)
    elif path.suffix == ".png":
        page.save(path, "PNG", dpi=(dpi, dpi))
    else:
        raise ValueError(f"{path} ends in {path.suffix!r}; .pdf and .png can be written")


def main(args: list[str] | None = None) -> None:
    """Entry point of the console script."""
    arguments = tyro.cli(Arguments, args=args)
    try:
        write_board(arguments.output, arguments.board, arguments.paper, arguments.dpi)
    except (ValueError, ConfigError, OSError) as error:
        raise SystemExit(f"make_board: {error}") from error
    width, height = (1e3 * v for v in arguments.board.size_m)
    print(f"{arguments.output}: {width:.0f} x {height:.0f} mm pattern. Print at 100 %, then measure a square.")


if __name__ == "__main__":
    main()
