# SPDX-License-Identifier: Apache-2.0
"""Recorded motions are the tries that made them: what is exported is what would have been collected."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.actions import Grasp, Stop
from grasp_core.geometry import top_down
from grasp_core.recording import RecordedEpisode, RecordedStep
from grasp_policies.heightmaps.state import look
from grasp_policies.push_grasp.behaviour import CLOSING, fields_of
from grasp_policies.push_grasp.primitives import Choice, to_action
from grasp_policies.push_grasp.recorded import choice_of, tries_of
from grasp_policies.push_grasp.settings import GRASP, PUSH, PushGraspConfig

from .push_grasp_toy import table

CONFIG = PushGraspConfig()


EMPTY = look(table(), CONFIG.map)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 223), st.integers(0, 223), st.integers(0, 7))
def test_a_grasp_leads_back_to_its_pixel_and_angle(row, column, rotation):
    choice = Choice(GRASP, row, column, rotation)
    assert choice_of(to_action(choice, EMPTY, CONFIG.map, CONFIG.primitive), CONFIG) == choice


@settings(max_examples=200, deadline=None)
@given(st.integers(25, 198), st.integers(25, 198), st.integers(0, 15))
def test_a_push_leads_back_to_its_pixel_and_angle(row, column, rotation):
    action = to_action(Choice(PUSH, row, column, rotation), EMPTY, CONFIG.map, CONFIG.primitive)
    if action is not None:
        assert choice_of(action, CONFIG) == Choice(PUSH, row, column, rotation)


@pytest.mark.parametrize("action", [Stop(""), Grasp(top_down((0.9, 0.0, 0.02)))], ids=["stop", "outside"])
def test_what_this_policy_cannot_do_is_left_out(action):
    assert choice_of(action, CONFIG) is None


def recorded(*steps, last):
    made = tuple(RecordedStep(seen, action, 0.7, done, ok, None, "held") for seen, action, done, ok in steps)
    return RecordedEpisode("e", "ur5", "p", "blocks", 1, made, last)


def test_an_episode_becomes_the_arrays_that_collection_would_have_written():
    full, half, empty = (
        table((0.4, 0.1, 0.05, 0.05, 0.05), (0.6, -0.1, 0.05, 0.05, 0.04)),
        table((0.6, -0.1, 0.05, 0.05, 0.04)),
        table(),
    )
    choices = [Choice(GRASP, 162, 62, 2), Choice(GRASP, 62, 162, 5)]
    states = [look(seen, CONFIG.map) for seen in (full, half, empty)]
    first, second = (to_action(c, s, CONFIG.map, CONFIG.primitive) for c, s in zip(choices, states, strict=False))
    refused = (half, Grasp(top_down((0.5, 0.0, 0.02))), False, False)
    made = tries_of(recorded((full, first, True, True), refused, (half, second, True, False), last=half), CONFIG)
    assert {name: (v.shape[1:], str(v.dtype)) for name, v in made.fields.items()} == fields_of(CONFIG)
    assert made.fields["choice"].tolist() == [[GRASP, 162, 62, 2], [GRASP, 62, 162, 5], [CLOSING, 0, 0, 0]]
    assert made.fields["success"].tolist() == [1, 0, 0]
    assert made.fields["changed"].tolist() == [1, 0, 0]
    assert np.array_equal(made.fields["height"][0], states[0].height)
    assert np.array_equal(made.fields["rgb"][1], states[1].rgb)
    assert (made.info["tries"], made.info["successes"]) == (2, 1)


def test_a_grasp_that_nobody_judged_teaches_nothing():
    seen = table((0.4, 0.1, 0.05, 0.05, 0.05))
    action = to_action(Choice(GRASP, 162, 62, 2), look(seen, CONFIG.map), CONFIG.map, CONFIG.primitive)
    assert tries_of(recorded((seen, action, True, None), last=seen), CONFIG).info["tries"] == 0
