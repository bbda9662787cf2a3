# SPDX-License-Identifier: Apache-2.0
import copy

import numpy as np
import pytest
import torch

from grasp_policies.push_grasp import checkpoint
from grasp_policies.push_grasp.dataset import Augmentation, build
from grasp_policies.push_grasp.learner import Learner, LearnSettings
from grasp_policies.push_grasp.online import OnlineLearner
from grasp_policies.push_grasp.primitives import Choice
from grasp_policies.push_grasp.settings import GRASP, PUSH, NetworkSettings
from grasp_policies.push_grasp.values import Evaluator

from .push_grasp_toy import ToyEpisodes, bar, toy_config

CONFIG = toy_config(network=NetworkSettings(channels=12))
SETTINGS = LearnSettings(epochs=6, batch=32, threads=1, learning_rate=4e-3)


def run(learner: Learner, begin: int, end: int) -> None:
    for step in range(begin, end):
        learner.update(step)


def test_the_toy_is_learned():
    learner = Learner(CONFIG, SETTINGS, seed=0)
    planned = learner.begin_stage(ToyEpisodes(CONFIG, 120), 0, look_ahead=False)
    run(learner, 0, planned)
    measured = learner.measure()
    assert measured["grasp_auc"] > 0.9
    assert measured["grasp_rate_best_tenth"] > 2.0 * measured["grasp_rate"]
    assert measured["push_auc"] > 0.9


def test_a_continued_run_ends_equal():
    episodes = ToyEpisodes(CONFIG, 20)
    whole = Learner(CONFIG, SETTINGS, seed=3)
    whole.begin_stage(episodes, 0, look_ahead=False)
    run(whole, 0, 4)
    kept = copy.deepcopy(whole.state())
    run(whole, 4, 8)
    again = Learner(CONFIG, SETTINGS, seed=99)
    again.seed = 3
    again.begin_stage(episodes, 0, look_ahead=False)
    again.load_state(kept)
    run(again, 4, 8)
    for one, other in zip(whole.networks[GRASP].parameters(), again.networks[GRASP].parameters(), strict=True):
        assert torch.equal(one, other)


def test_targets_are_reward_and_discounted_future():
    episodes = ToyEpisodes(CONFIG, 10)
    learner = Learner(CONFIG, SETTINGS, seed=0)
    learner.begin_stage(episodes, 0, look_ahead=False)
    tries = learner._data.tries
    np.testing.assert_allclose(learner._targets[GRASP], tries[GRASP].success)
    np.testing.assert_allclose(learner._targets[PUSH], 0.5 * tries[PUSH].changed)
    learner.begin_stage(episodes, 1, look_ahead=True)
    for primitive, reward in ((GRASP, tries[GRASP].success.astype(float)), (PUSH, 0.5 * tries[PUSH].changed)):
        different = tries[primitive].success | tries[primitive].changed
        ahead = learner._targets[primitive] - reward
        # What changed nothing has no future; what did has one of at most gamma times the largest value.
        assert (ahead[~different] == 0.0).all()
        assert (ahead[different] > 0.0).all()
        assert (ahead[different] < CONFIG.gamma * CONFIG.q_max).all()


def test_the_newest_tries_are_drawn_oftener():
    learner = Learner(CONFIG, SETTINGS.with_values(batch=2000), seed=0)
    episodes = ToyEpisodes(CONFIG, 20, stages=4)
    learner.begin_stage(episodes, 3, look_ahead=False, newest_factor=5.0)
    of_try = learner._data.tries[GRASP].episode
    newest = of_try >= 15
    drawn = learner._draw(GRASP, np.random.default_rng(0))
    among = learner._train[GRASP]
    assert set(drawn) <= set(among)
    count = newest[among].sum()
    expected = 5.0 * count / (5.0 * count + (~newest[among]).sum())
    assert newest[drawn].mean() == pytest.approx(expected, abs=0.04)
    learner.begin_stage(episodes, 3, look_ahead=False)
    assert newest[learner._draw(GRASP, np.random.default_rng(0))].mean() == pytest.approx(
        newest[among].mean(), abs=0.04
    )


@pytest.mark.parametrize(("factor", "sampling"), [(0.0, "uniform"), (5.0, "prioritised")])
def test_a_factor_that_means_nothing_is_refused(factor, sampling):
    learner = Learner(CONFIG, SETTINGS.with_values(sampling=sampling), seed=0)
    with pytest.raises(ValueError, match=f"newest_factor is {factor}"):
        learner.begin_stage(ToyEpisodes(CONFIG, 10), 0, look_ahead=False, newest_factor=factor)


@pytest.mark.parametrize("method", ["grasp_only", "reactive"])
def test_the_baselines_are_classifiers(method):
    config = toy_config(method=method, network=NetworkSettings(channels=12))
    learner = Learner(config, SETTINGS, seed=0)
    learner.begin_stage(ToyEpisodes(config, 10), 1, look_ahead=True)
    for targets in learner._targets.values():
        assert set(np.unique(targets)) <= {0.0, 1.0}
    assert (PUSH in learner.networks) == (method == "reactive")


def test_prioritised_tries_are_those_that_were_wrong():
    learner = Learner(CONFIG, SETTINGS.with_values(sampling="prioritised"), seed=0)
    learner.begin_stage(ToyEpisodes(CONFIG, 20), 0, look_ahead=False)
    among = learner._train[GRASP]
    learner._errors[GRASP][:] = 0.0
    wrong = among[7]
    learner._errors[GRASP][wrong] = 1.0
    assert learner._by_rank(GRASP, among, 4000, np.random.default_rng(0)).tolist().count(wrong) > 0
    # F55: the density of a rank grows with it (exponent 2), so that the upper half gets three quarters of the draws.
    learner._errors[GRASP][among] = np.random.default_rng(1).permutation(len(among))
    drawn = learner._by_rank(GRASP, among, 4000, np.random.default_rng(0))
    assert np.mean(learner._errors[GRASP][drawn] > 0.5 * len(among)) == pytest.approx(0.75, abs=0.04)
    assert len(learner._draw(GRASP, np.random.default_rng(0))) == SETTINGS.batch


@pytest.mark.parametrize("primitive", [GRASP, PUSH])
def test_every_drawn_try_brings_one_with_the_opposite_outcome(primitive):
    # F55
    learner = Learner(CONFIG, SETTINGS.with_values(sampling="opposite"), seed=0)
    learner.begin_stage(ToyEpisodes(CONFIG, 20), 0, look_ahead=False)
    tries = learner._data.tries[primitive]
    outcome = tries.success if primitive == GRASP else tries.changed
    for seed in range(5):
        drawn = learner._draw(primitive, np.random.default_rng(seed))
        assert len(drawn) == SETTINGS.batch
        half = SETTINGS.batch // 2
        assert outcome[drawn[:half]].sum() == (~outcome[drawn[half:]]).sum()
    outcome[:] = True
    assert len(learner._draw(primitive, np.random.default_rng(0))) == SETTINGS.batch
    learner.update(0)


def test_updates_beyond_the_plan_still_learn():
    learner = Learner(CONFIG, SETTINGS, seed=0)
    planned = learner.begin_stage(ToyEpisodes(CONFIG, 10), 0, look_ahead=False)
    assert learner.update(0)["learning_rate"] == SETTINGS.learning_rate
    before = [p.clone() for p in learner.networks[GRASP].parameters()]
    assert 0.0 < learner.update(planned)["learning_rate"] < 0.1 * SETTINGS.learning_rate
    after = list(learner.networks[GRASP].parameters())
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_moved_and_mirrored_patch_still_shows_its_pixel():
    config = toy_config()
    episode = ToyEpisodes(config, 1).episode(0)
    marked = {**episode, "height": np.zeros_like(episode["height"]), "choice": episode["choice"].copy()}
    marked["choice"][:-1] = (GRASP, 50, 60, 3)
    marked["height"][:, 49:52, 59:62] = 500
    tries = build([marked], config).tries[GRASP]
    index = np.zeros(24, np.int64)
    shift = np.random.default_rng(0).integers(-6, 7, (24, 2))
    how = Augmentation(colour=False, height_noise_m=0.0)
    patches = tries.patches(index, np.random.default_rng(1), how, shift)[:, 0].numpy()
    middle = patches.shape[-1] // 2
    for patch, moved in zip(patches, shift, strict=True):
        rows, columns = np.nonzero(patch > 0.5 * patch.max())
        assert np.abs([rows.mean() - middle - moved[0], columns.mean() - middle - moved[1]]).max() < 0.6


def test_learning_while_acting_moves_towards_the_reward_and_is_undone():
    # F56
    config = toy_config()
    networks = checkpoint.make_networks(config)
    state = bar(np.random.default_rng(0), 0.3, (56.0, 56.0))
    choice = Choice(GRASP, 56, 56, 4)

    def value() -> float:
        values = Evaluator(networks, config).values(state, GRASP)
        distance = np.abs(values.pixels - np.array([56, 56])).max(axis=-1) + np.where(np.isinf(values.q), 999, 0)
        return float(values.q[4].ravel()[distance[4].argmin()])

    first = value()
    learner = OnlineLearner(networks, config, 0.05)
    losses = [learner.learn(choice, state, state, True, True, 0.9) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert value() > first
    learner.restore()
    assert value() == first


def test_the_reactive_baseline_learns_while_acting_that_a_push_changed_something():
    config = toy_config(method="reactive")
    state = bar(np.random.default_rng(0), 0.3, (56.0, 56.0))
    choice = Choice(PUSH, 56, 20, 0)
    networks = checkpoint.make_networks(config)
    with torch.no_grad():
        networks[PUSH].head[-1].bias.fill_(8.0)  # all but sure: right for a classifier, too high for a reward of 0.5
    assert OnlineLearner(networks, config, 1e-3).learn(choice, state, state, False, True, 0.0) < 0.01
