# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from grasp_learning.settings import LearningSettings

HERE = Path(__file__).resolve().parent
# Worker processes get this path too: they import the toy system by name.
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))


@pytest.fixture
def settings():
    """Makes settings of a toy run; values replace those of all stages, or of the run."""

    def make(stages: int = 1, stage: dict[str, Any] | None = None, **values: Any) -> LearningSettings:
        rows = [{"name": f"s{i}", "tries": 20, "scenes": {"plain": 1.0}, **(stage or {})} for i in range(stages)]
        short = {"log_every": 5, "checkpoint_every": 10, "measure_every": 20}
        return LearningSettings.from_mapping(
            {"recipe": "toy_system:RECIPE", "stages": rows, **short, **values}, "test settings"
        )

    return make
