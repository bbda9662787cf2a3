# SPDX-License-Identifier: Apache-2.0
"""What a camera file (``config/cameras/<name>.yaml``) may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from grasp_core import resources
from grasp_core.config import Config

Seconds = Annotated[float, Field(gt=0.0, le=600.0)]


class StreamSettings(Config):
    """When a camera counts as silent or gone, and how it is retried."""

    read_timeout_s: Seconds = 0.5
    """Longest wait for one frame."""
    silent_after_s: Seconds = 1.0
    """Without a frame for so long it is reported as silent."""
    reopen_after_s: Seconds = 5.0
    """Without a frame for so long it is closed and opened again."""
    retry_first_s: Seconds = 0.5
    """Pause before the first attempt to reconnect; doubled with each."""
    retry_longest_s: Seconds = 10.0
    """Longest pause between attempts."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.retry_first_s > self.retry_longest_s:
            raise ValueError(f"retry_first_s {self.retry_first_s} exceeds retry_longest_s {self.retry_longest_s}")
        if self.silent_after_s > self.reopen_after_s:
            raise ValueError(f"silent_after_s {self.silent_after_s} exceeds reopen_after_s {self.reopen_after_s}")
        return self


class CameraSettings(Config):
    """One camera: its driver, the driver's options and how its stream behaves."""

    driver: str
    """Name in the entry point group grasp.cameras."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The driver's own options."""
    stream: StreamSettings = StreamSettings()
    calibration: str | None = None
    """Calibration file that replaces the driver's intrinsics; relative to the file that names it."""

    @classmethod
    def load(cls, name_or_path: str) -> Self:
        """From a path, or from config/cameras by name.

        Raises:
            ConfigError: the file refuses to be read. ResourceError: no such name.
        """
        path = Path(name_or_path)
        if path.suffix not in (".yaml", ".yml"):
            path = resources.find("config", f"cameras/{name_or_path}.yaml")
        settings = cls.from_yaml(path)
        if settings.calibration is None:
            return settings
        return settings.with_values(calibration=str((path.parent / settings.calibration).resolve()))
