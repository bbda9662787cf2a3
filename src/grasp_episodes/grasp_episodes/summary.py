# SPDX-License-Identifier: Apache-2.0
"""What a run of episodes has come to, on the screen and in ``summary.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# The end of a lane that always points at the newest run.
LATEST = "latest"


@dataclass
class Summary:
    """All episodes of one run together; ``objects_left`` is none where nobody can tell."""

    cell: str
    policy: str
    checkpoint: str
    objects_start: int = 0
    objects_left: int | None = 0
    attempts: int = 0
    successes: int = 0
    actions: int = 0
    duration_s: float = 0.0
    bags: list[str] = field(default_factory=list)
    pictures: str = ""
    episodes: int = 0
    ended_by: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    """The same in a sentence each."""
    reasons: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    message: str = ""

    def text(self) -> str:
        """A few lines for people."""
        left = "unknown" if self.objects_left is None else str(self.objects_left)
        rate = f" ({100.0 * self.successes / self.attempts:.0f} %)" if self.attempts else ""
        lines = [
            f"{self.policy} on {self.cell}: {self.successes} of {self.attempts} grasps succeeded{rate}, "
            f"{self.actions} actions in {self.duration_s:.0f} s, ended: {', '.join(self.ended_by) or 'not begun'}",
            f"objects at the beginning {self.objects_start or 'unknown'}, left {left}",
        ]
        lines += [f"episode {number}: {end}" for number, end in enumerate(self.ends) if end]
        lines += [f"what failed: {_counts(self.reasons)}"] if self.reasons else []
        lines += [f"the guard stepped in: {_counts(self.limits)}"] if self.limits else []
        lines += [f"bag: {bag}" for bag in self.bags]
        lines += [f"pictures: {self.pictures}"] if self.pictures else []
        lines += [f"problem: {self.message}"] if self.message else []
        return "\n".join(lines)


def write(summary: Summary, folder: Path) -> Path:
    """Write ``summary.json`` into the run's folder and point ``latest`` beside the folder at it; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "summary.json"
    draft = folder / ".summary.json.new"
    draft.write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)
    link, fresh = folder.parent / LATEST, folder.parent / f".{LATEST}.new"
    if link.is_symlink() or not link.exists():
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.name)
        os.replace(fresh, link)
    return path


def picture(values: NDArray[Any]) -> NDArray[Any]:
    """A map to look at, uint8 [H, W, 3], blue first.

    Args:
        values: colours [H, W, 3], red first, or numbers [H, W], shown from their least to their greatest.
    """
    if values.ndim == 3:
        return cv2.cvtColor(values.astype(np.uint8), cv2.COLOR_RGB2BGR)
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 1.0)
    scaled = np.where(finite, (values - low) / max(high - low, 1e-9), 0.0)
    return cv2.applyColorMap((255.0 * scaled).astype(np.uint8), cv2.COLORMAP_VIRIDIS)


def save_pictures(maps: Mapping[str, NDArray[Any]], folder: Path, stem: str) -> Sequence[Path]:
    """Write each map as ``<stem>_<name>.png``; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, values in maps.items():
        path = folder / f"{stem}_{name}.png"
        done, data = cv2.imencode(".png", picture(values))
        if not done:
            raise OSError(f"{path} cannot be encoded")
        path.write_bytes(data.tobytes())
        paths.append(path)
    return paths


def _counts(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(values.items(), key=lambda item: -item[1]))
