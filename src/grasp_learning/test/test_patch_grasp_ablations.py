# SPDX-License-Identifier: Apache-2.0
"""Which variants of a ``patch_grasp`` run are learned, and what each changes."""

from __future__ import annotations

from pathlib import Path

from grasp_learning.patch_grasp_ablations import plot, settings_of, variants
from grasp_learning.settings import LearningSettings, load_settings


def test_each_variant_changes_what_its_name_says(tmp_path: Path) -> None:
    values = load_settings(Path("patch_grasp.yaml")).model_dump(mode="json")
    found = {v.name: v for v in variants(4, 41000, (1000, 40000, 80000))}
    assert "80000_tries" not in found
    made = {n: LearningSettings.from_mapping(settings_of(values, v), n) for n, v in found.items()}
    assert [s.tries for s in made["1000_tries"].stages] == [1000]
    assert len(made["3_stages"].stages) == 3
    assert made["no_aggregation"].system_settings().learn.aggregate is False
    assert made["rgb"].system_settings().policy.network.use_depth is False
    assert made["no_rotation"].system_settings().learn.rotate is False
    assert made["4_stages"].system_settings() == load_settings(Path("patch_grasp.yaml")).system_settings()
    assert values["stages"][0]["tries"] == 41000
    row = {"method": "1000_tries", "accuracy": 0.6, "low": 0.5, "high": 0.7, "trained_on": 1000}
    plot([row], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
