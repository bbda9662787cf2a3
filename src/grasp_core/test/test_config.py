# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from grasp_core import registry, resources, statistics
from grasp_core.cell_config import CameraConfig, CellConfig, Limits
from grasp_core.config import Config, ConfigError, read_yaml


class Inner(Config):
    size_m: float = 1.0


class Outer(Config):
    one: Inner = Inner()
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = Field(default_factory=dict)
    other: int = 0


BOX = {"min_m": (0, 0, 0), "max_m": (1, 1, 1)}


def test_a_refusal_names_file_field_value_and_what_is_allowed():
    with pytest.raises(ConfigError) as error:
        Limits.from_mapping({"workspace": BOX, "max_step_m": -1, "max_stepp": 2}, "cell.yaml")
    text = str(error.value)
    assert "cell.yaml: the setting 'motion_box' is missing" in text
    assert "cell.yaml: max_step_m is -1: Input should be greater than 0" in text
    assert "there is no setting 'max_stepp'; known are workspace" in text


def test_nan_and_upside_down_boxes_are_refused():
    with pytest.raises(ConfigError, match="finite"):
        Limits.from_mapping({"workspace": BOX, "motion_box": BOX, "max_step_m": float("nan")})
    with pytest.raises(ConfigError, match="below max_m"):
        Limits.from_mapping({"workspace": {"min_m": (0, 0, 1), "max_m": (1, 1, 1)}, "motion_box": BOX})


def test_configurations_are_frozen_and_copies_are_checked():
    limits = Limits.from_mapping({"workspace": BOX, "motion_box": BOX})
    with pytest.raises(ValueError, match="frozen"):
        limits.max_step_m = 1.0
    assert limits.with_values(max_step_m=0.5).max_step_m == 0.5
    with pytest.raises(ConfigError):
        limits.with_values(max_step_m=0.0)


def test_regions_are_of_the_arms_and_inside_the_workspace():
    cell = CellConfig.from_yaml(resources.find("config", "cells/baxter.yaml"))
    limits = cell.limits.model_dump(exclude_unset=True)
    both = limits.pop("regions")
    one = {"right": both["right"]}
    for regions, words in ((one, "right, left"), ({**both, "left": limits["motion_box"]}, "that of left must lie")):
        with pytest.raises(ConfigError, match=words):
            cell.with_values(limits={**limits, "regions": regions})


def test_each_place_has_an_arm():
    cell = CellConfig.from_yaml(resources.find("config", "cells/baxter.yaml"))
    assert cell.arms_at(np.array([0.6, -0.1])) == ("right",)
    assert cell.arms_at(np.array([0.6, 0.1])) == ("left",)
    assert cell.arms_at(np.array([0.6, 0.005])) == ("left", "right")
    assert cell.arms_at(np.array([0.6, -0.5])) == ("right",)


def test_camera_range():
    with pytest.raises(ConfigError, match=r"near_m 1\.0 must be less"):
        CameraConfig.from_mapping(
            {"frame": "c", "width": 64, "height": 48, "fov_y": 1.0, "near_m": 1.0, "far_m": 1.0}, "c.yaml"
        )


@pytest.mark.parametrize(("text", "words"), [("- 1", "list"), ("a: [", "no valid YAML"), (None, "cannot be read")])
def test_files_that_are_no_configuration(tmp_path, text, words):
    path = tmp_path / "x.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_yaml(path)


def test_unknown_names_are_told_with_those_that_there_are():
    with pytest.raises(registry.UnknownNameError, match="nothing named 'no_such'"):
        registry.load("grasp.policies", "no_such")
    with pytest.raises(registry.UnknownNameError, match=r"no group 'grasp\.robots'"):
        registry.names("grasp.robots")


def test_data_files_are_found_or_where_they_were_looked_for_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("GRASP_CONFIG_DIR", str(tmp_path))
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "toy.yaml").write_text("{}")
    assert resources.find("config", "cells/toy.yaml") == tmp_path / "cells" / "toy.yaml"
    assert resources.names("config", "cells") == ("toy",)
    with pytest.raises(resources.ResourceError, match="cells has toy"):
        resources.find("config", "cells/none.yaml")


def test_a_refusal_in_a_nested_setting_names_the_settings_of_that_place():
    for values in ({"one": {"size": 2}}, {"many": [{"size": 2}]}, {"named": {"left": {"size": 2}}}):
        with pytest.raises(ConfigError, match=r"there is no setting '.*size'; known are size_m$"):
            Outer.from_mapping(values, "x")
    with pytest.raises(ConfigError, match="known are one, many, named, other"):
        Outer.from_mapping({"size": 2}, "x")


def test_wilson_matches_published_values():
    # Agresti & Coull 1998 quote 0.722 .. 1.000 for 10 of 10.
    estimate = statistics.wilson(10, 10)
    assert (estimate.mean, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(0.722, abs=5e-4)
    assert statistics.wilson(25, 40).low == pytest.approx(0.47, abs=0.006)
    assert statistics.wilson(0, 0).n == 0


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_rate(trials, data):
    successes = data.draw(st.integers(0, trials))
    estimate = statistics.wilson(successes, trials)
    assert 0.0 <= estimate.low <= estimate.mean <= estimate.high <= 1.0 or trials == 0


def test_bootstrap_is_seeded_and_brackets_the_mean():
    values = [0.0, 1.0, 1.0, 1.0, 0.0, 1.0]
    one, two = statistics.bootstrap(values, seed=3), statistics.bootstrap(values, seed=3)
    assert one == two
    assert one.low < one.mean < one.high
    with pytest.raises(ValueError, match="no values"):
        statistics.bootstrap([])


def test_a_mean_of_one_run_has_no_interval():
    estimate = statistics.bootstrap([0.7])
    assert (estimate.mean, estimate.n) == (0.7, 1)
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


def test_what_comes_in_groups_is_no_surer_for_being_repeated():
    rng = np.random.default_rng(0)
    values = rng.random(40) < 0.7
    plain = statistics.bootstrap(values.astype(float))
    alone = statistics.bootstrap_groups(values, np.arange(40))
    repeated = statistics.bootstrap_groups(np.repeat(values, 10), np.repeat(np.arange(40), 10))
    assert (alone.mean, repeated.mean, repeated.n) == (plain.mean, plain.mean, 400)
    for found in (alone, repeated):
        assert found.low == pytest.approx(plain.low, abs=0.03)
        assert found.high == pytest.approx(plain.high, abs=0.03)
    shuffled = statistics.bootstrap_groups(np.repeat(values, 10), np.tile(np.arange(40), 10))
    assert shuffled.high - shuffled.low < 0.6 * (repeated.high - repeated.low)


def test_one_group_tells_no_spread():
    found = statistics.bootstrap_groups([1.0, 0.0], [3, 3])
    assert (found.mean, found.n) == (0.5, 2)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    with pytest.raises(ValueError, match="0 values in groups of 0"):
        statistics.bootstrap_groups([], [])
    with pytest.raises(ValueError, match="2 values in groups of 1"):
        statistics.bootstrap_groups([1.0, 0.0], [1])


def test_classes_weigh_alike_in_every_draw():
    rng = np.random.default_rng(0)
    yes, groups = rng.random(600) < 0.2, np.repeat(np.arange(60), 10)
    always = statistics.bootstrap_groups(yes, groups, yes)
    assert (always.mean, always.low, always.high) == (0.5, 0.5, 0.5)
    right = np.where(yes, rng.random(600) < 0.9, rng.random(600) < 0.6)
    found = statistics.bootstrap_groups(right, groups, yes)
    assert found.mean == pytest.approx(0.5 * (right[yes].mean() + right[~yes].mean()))
    assert found.low < found.mean < found.high
