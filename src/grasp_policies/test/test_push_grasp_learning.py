# SPDX-License-Identifier: Apache-2.0
import copy

import numpy as np
import pytest
import torch

from grasp_policies.push_grasp import checkpoint
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
    drawn = learner._draw(GRASP, np.random.default_rng(0))
    # A power law of exponent 2 gives rank 1 about 6 of 10 draws.
    assert 0.3 < np.mean(drawn == wrong) < 0.9


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
