# SPDX-License-Identifier: Apache-2.0
"""The printable board has its true size."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from grasp_cameras.calibration.board import Board, BoardConfig
from grasp_cameras.calibration.make_board import board_page, main, write_board

BOARD = BoardConfig()


def test_squares_have_their_edge_on_paper():
    dpi = 300
    page = np.array(board_page(BOARD, "a4", dpi))
    assert page.shape == (round(210 / 25.4 * dpi), round(297 / 25.4 * dpi))  # turned: the board is wide
    dark = np.argwhere(page < 128)
    size_mm = (dark.max(axis=0) - dark.min(axis=0) + 1) / dpi * 25.4
    assert size_mm[1] == pytest.approx(1e3 * BOARD.size_m[0], abs=0.1)
    assert size_mm[0] == pytest.approx(1e3 * BOARD.size_m[1], abs=0.1)
    found = Board(BOARD).detect(page)
    assert len(found) == 24
    # Inner corners a square apart, everywhere on the page.
    mm = found.pixels / dpi * 25.4
    order = np.argsort(found.ids)
    grid = mm[order].reshape(BOARD.squares_y - 1, BOARD.squares_x - 1, 2)
    assert np.diff(grid[..., 0], axis=1) == pytest.approx(30.0, abs=0.1)
    assert np.diff(grid[..., 1], axis=0) == pytest.approx(30.0, abs=0.1)


def test_files_say_their_scale(tmp_path):
    png, pdf = tmp_path / "b.png", tmp_path / "b.pdf"
    write_board(png, BOARD, "a4", 150)
    write_board(pdf, BOARD, "a4", 150)
    with Image.open(png) as image:
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.02)
    box = re.search(rb"/MediaBox \[ ?([\d. ]+)\]", pdf.read_bytes())
    width_pt, height_pt = [float(v) for v in box.group(1).split()][2:]
    assert (width_pt / 72 * 25.4, height_pt / 72 * 25.4) == pytest.approx((297.0, 210.0), abs=0.2)


def test_command_line(tmp_path, capsys):
    out = tmp_path / "small.png"
    main(["--output", str(out), "--board.squares-x", "5", "--board.square-m", "0.02", "--board.marker-m", "0.015",
          "--paper", "none", "--dpi", "100"])  # fmt: skip
    assert out.is_file()
    assert "100 x 100 mm pattern" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "b.bmp"], "ends in '.bmp'"),
        (["--board.square-m", "0.09"], "does not fit on a4"),
        (["--paper", "a9"], "known are a4"),
        (["--dpi", "5"], "dpi is 5"),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        main(arguments)
    assert not list(tmp_path.iterdir())
