# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.actions import Grasp, Push, Stop
from grasp_core.config import ConfigError
from grasp_core.policy import Goal
from grasp_policies.heightmaps.state import UNSEEN, State, changed
from grasp_policies.push_grasp import checkpoint
from grasp_policies.push_grasp.choosing import Passed, at_random, choose, without
from grasp_policies.push_grasp.policy import FACTORY
from grasp_policies.push_grasp.primitives import Choice, push_mask, to_action
from grasp_policies.push_grasp.settings import GRASP, PUSH, ActingSettings, PushGraspConfig
from grasp_policies.push_grasp.values import Evaluator, Values

from .push_grasp_toy import bar, table, toy_config

CONFIG = PushGraspConfig()


def flat(height_m: float = 0.0) -> State:
    size = CONFIG.map.pixels
    return State(np.full((size, size), round(height_m * 1e4), np.uint16), np.zeros((size, size, 3), np.uint8))


def some_values(primitive: int, q: list[float]) -> Values:
    pixels = np.zeros((1, 1, len(q), 2), np.int16)
    pixels[0, 0, :, 1] = 20 * np.arange(len(q))
    return Values(primitive, np.array([[q]], np.float32), pixels)


@given(st.integers(0, 223), st.integers(0, 223), st.integers(0, 15), st.floats(0.0, 0.15))
@settings(max_examples=100, deadline=None)
def test_no_push_leaves_the_map(row, column, rotation, height_m):
    # S5.4
    action = to_action(Choice(PUSH, row, column, rotation), flat(height_m), CONFIG.map, CONFIG.primitive)
    if action is None:
        return
    assert isinstance(action, Push)
    inset = CONFIG.primitive.push_inset_m
    for point in (action.start, action.start + action.length_m * action.direction):
        assert (point[:2] >= np.array(CONFIG.map.corner_m[:2]) + inset - 1e-9).all()
        assert (point[:2] <= np.array(CONFIG.map.corner_m[:2]) + 0.448 - inset + 1e-9).all()
    assert action.length_m <= CONFIG.primitive.push_length_m + 1e-9
    assert action.start[2] > height_m + CONFIG.primitive.tip_beyond_m


@pytest.mark.parametrize(("height_m", "tip_m"), [(0.05, 0.02), (0.03, 0.002), (0.0, 0.002)])
def test_a_grasp_goes_three_centimetres_below_its_pixel_but_not_into_the_table(height_m, tip_m):
    action = to_action(Choice(GRASP, 100, 50, 4), flat(height_m), CONFIG.map, CONFIG.primitive)
    assert isinstance(action, Grasp)
    assert action.T_base_tcp[2, 3] == pytest.approx(tip_m + CONFIG.primitive.tip_beyond_m)
    assert action.T_base_tcp[:2, 3] == pytest.approx([0.276 + 0.101, -0.224 + 0.201])
    # Rotation 4 of 16: the fingers close along y.
    assert abs(action.T_base_tcp[1, 0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("pixels", "rise_m", "expected"), [(301, 0.02, True), (300, 0.02, False), (2000, 0.009, False), (2000, 0.31, False)]
)
def test_a_scene_has_changed_where_enough_pixels_did(pixels, rise_m, expected):
    # F65
    after = flat()
    after.height.ravel()[:pixels] = round(rise_m * 1e4)
    assert changed(flat(), after) is expected
    assert changed(after, flat()) is expected


def test_what_was_not_seen_is_no_object_and_no_change():
    hidden = flat()
    hidden.height[:] = UNSEEN
    assert not hidden.occupied(0.006).any()
    assert not changed(flat(), hidden)


def test_the_better_primitive_is_chosen_and_the_reactive_one_needs_twice_the_score():
    acting, rng = ActingSettings(), np.random.default_rng(0)
    values = {GRASP: some_values(GRASP, [0.2, 0.5]), PUSH: some_values(PUSH, [0.8])}
    choice, value = choose(values, PushGraspConfig(), acting, rng)
    assert (choice.primitive, value) == (PUSH, pytest.approx(0.8))
    choice, value = choose(values, PushGraspConfig(method="reactive"), acting, rng)
    assert (choice.primitive, choice.column, value) == (GRASP, 20, pytest.approx(0.5))


def test_a_futile_grasp_is_passed_over():
    values = some_values(GRASP, [0.9, 0.5])
    rest = without(values, [Passed(Choice(GRASP, 0, 0, 0), 1)])
    assert np.isinf(rest.q[0, 0, 0])
    assert rest.best == pytest.approx(0.5)
    assert without(values, [Passed(Choice(PUSH, 0, 0, 0), 1)]).best == pytest.approx(0.9)


def test_nothing_is_tried_twice_until_the_scene_changes():
    policy = FACTORY.load(None, "cpu", {})
    policy.reset(Goal(), 0)
    block, elsewhere = table((0.45, 0.05, 0.05, 0.05, 0.05)), table((0.6, -0.1, 0.05, 0.05, 0.05))
    tried = [policy.act(block).action for _ in range(5)]
    for number, action in enumerate(tried):
        for other in tried[:number]:
            assert not np.allclose(action_place(action), action_place(other), atol=0.008)
    again = policy.act(elsewhere).action
    policy.reset(Goal(), 0)
    assert np.allclose(action_place(policy.act(elsewhere).action), action_place(again))
    assert np.allclose(action_place(policy.act(block).action), action_place(tried[0]))


def action_place(action):
    """Where and which way: x and y with the kind of action and its direction beside them."""
    if isinstance(action, Grasp):
        return np.array([*action.T_base_tcp[:2, 3], 0.0, 0.0, 0.0])
    return np.array([*action.start[:2], 1.0, *action.direction[:2]])


@pytest.mark.parametrize(("breadth_m", "stops"), [(0.0018, False), (0.0, True)])
def test_an_upright_side_is_an_object(breadth_m, stops):
    policy = FACTORY.load(None, "cpu", {})
    policy.reset(Goal(), 0)
    assert isinstance(policy.act(table((0.45, 0.05, 0.04, breadth_m, 0.05))).action, Stop) is stops


def test_nothing_to_do_is_told():
    assert choose({GRASP: some_values(GRASP, [-np.inf])}, CONFIG, ActingSettings(), np.random.default_rng(0)) is None
    assert at_random(flat(), CONFIG, 0.5, np.random.default_rng(0)) is None


def test_pushes_start_beside_an_object_and_towards_it():
    config = toy_config()
    state = bar(np.random.default_rng(0), np.pi / 2, (56.0, 56.0))
    mask = push_mask(state, 0.0, config.map, config.primitive)
    rows, columns = np.nonzero(mask)
    assert len(columns)
    assert columns.max() < 56
    assert not (mask & state.occupied(0.006)).any()
    del rows


def test_random_tries_are_of_both_kinds():
    config = toy_config()
    state = bar(np.random.default_rng(0), 0.3, (56.0, 56.0))
    rng = np.random.default_rng(0)
    kinds = [at_random(state, config, 0.3, rng).primitive for _ in range(300)]
    assert 0.2 < np.mean(kinds) < 0.4


def test_a_checkpoint_comes_back_equal(tmp_path):
    config = toy_config()
    networks = checkpoint.make_networks(config)
    checkpoint.save(tmp_path, networks, config, {"command": "none"})
    loaded, read = checkpoint.load(tmp_path)
    assert read == config
    state = bar(np.random.default_rng(0), 0.3, (56.0, 56.0))
    for primitive in networks:
        one = Evaluator(networks, config).values(state, primitive).q
        other = Evaluator(loaded, read).values(state, primitive).q
        np.testing.assert_array_equal(one, other)


def test_a_wrong_checkpoint_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"card\.yaml"):
        FACTORY.load(tmp_path, "cpu", {})
    config = toy_config()
    checkpoint.save(tmp_path, checkpoint.make_networks(config), config, {})
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="weights"):
        FACTORY.load(tmp_path, "cpu", {})
    with pytest.raises(ConfigError, match="epsilom"):
        FACTORY.load(None, "cpu", {"epsilom": 0.1})


@pytest.mark.parametrize("turn", [0.0, np.pi / 8, np.pi / 4])
def test_a_push_starts_at_the_height_of_the_table_beside_an_object(turn):
    """Wherever a push may come down, nothing within the square whose height it takes is an object."""
    state = flat()
    rows, columns = np.mgrid[: state.height.shape[0], : state.height.shape[1]] - 112.0
    along = np.cos(turn) * columns + np.sin(turn) * rows
    across = -np.sin(turn) * columns + np.cos(turn) * rows
    state.height[(np.abs(along) < 29) & (np.abs(across) < 12)] = 480
    mask = push_mask(state, turn, CONFIG.map, CONFIG.primitive)
    starts = np.argwhere(mask)
    assert len(starts) > 100
    for row, column in starts[:: max(1, len(starts) // 200)]:
        action = to_action(Choice(PUSH, int(row), int(column), 0), state, CONFIG.map, CONFIG.primitive)
        assert isinstance(action, Push)
        assert action.start[2] == pytest.approx(CONFIG.primitive.push_clearance_m + CONFIG.primitive.tip_beyond_m)
