# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_policies.heightmaps.cutouts import full_size, turned
from grasp_policies.push_grasp.dataset import build
from grasp_policies.push_grasp.network import PATCH_PX, QNetwork
from grasp_policies.push_grasp.settings import GRASP, PUSH, NetworkSettings
from grasp_policies.push_grasp.values import Evaluator

from .push_grasp_toy import SIZE, bar, toy_config


def a_network(**values) -> QNetwork:
    torch.manual_seed(0)
    network = QNetwork(NetworkSettings(**values)).train()
    with torch.no_grad():
        network(torch.rand(8, 5, PATCH_PX, PATCH_PX))
    return network.eval()


@given(st.integers(0, 15), st.integers(30, SIZE - 30), st.integers(30, SIZE - 30))
@settings(max_examples=25, deadline=None)
def test_a_marked_pixel_is_found_where_the_lattice_says(rotation, row, column):
    # F34: turning a map and turning the pixel's coordinates agree.
    config = toy_config()
    evaluator = Evaluator({GRASP: a_network()}, config)
    image = torch.zeros(1, 1, SIZE, SIZE)
    image[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 1.0
    middle, size = 0.5 * (SIZE - 1), full_size(SIZE)
    pixels = evaluator._lattice(PUSH, (middle, middle), size)
    angle = 2 * np.pi * rotation / 16
    # The push lattice looks 20 pixels ahead: its cell for a pixel sees that pixel 20 columns behind it.
    out = turned(image, torch.tensor([[middle, middle]]), torch.tensor([angle], dtype=torch.float32), size)[0, 0]
    i, j = np.unravel_index(int(out.argmax()), out.shape)
    lattice = pixels[rotation, i // 2, min(j // 2 + 10, pixels.shape[2] - 1)]
    assert np.abs(lattice - [row, column]).max() <= 3


def test_the_middle_alone_equals_the_whole():
    network = a_network()
    patches = torch.rand(2, 5, PATCH_PX, PATCH_PX)
    with torch.no_grad():
        whole, middle = network(patches), network.at_middle(patches)
    m = whole.shape[-1] // 2
    torch.testing.assert_close(middle, whole[:, m - 1 : m + 2, m - 1 : m + 2])


def test_a_patch_is_enough_for_a_pixel_of_the_light_trunk():
    network = a_network()
    image = torch.rand(1, 5, 257, 257)
    with torch.no_grad():
        whole = network(image)
        patch = network.at_middle(image[..., 80 : 80 + PATCH_PX, 60 : 60 + PATCH_PX])
    torch.testing.assert_close(patch[:, 1, 1], whole[:, 40 + 24, 30 + 24])


@pytest.mark.parametrize("primitive", [GRASP, PUSH])
def test_what_is_learned_at_a_pixel_is_what_is_read_from_the_map(primitive):
    config = toy_config()
    network = a_network()
    state = bar(np.random.default_rng(0), 0.4, (55.0, 57.0))
    values = Evaluator({primitive: network}, config).values(state, primitive)
    considered = np.flatnonzero(np.isfinite(values.q))
    differences = []
    for index in considered[:: max(1, len(considered) // 20)]:
        choice = values.choice(int(index))
        episode = {
            "height": np.stack([state.height] * 2),
            "rgb": np.stack([state.rgb] * 2),
            "choice": np.array([[primitive, choice.row, choice.column, choice.rotation], [-1, 0, 0, 0]]),
            "success": np.zeros(2),
            "changed": np.zeros(2),
        }
        tries = build([episode], config).tries[primitive]
        patch = tries.patches(np.array([0]), np.random.default_rng(0))
        with torch.no_grad():
            logit = network.at_middle(patch)[0, 1, 1]
        differences.append(abs(config.q_max * float(torch.sigmoid(logit)) - values.q.ravel()[index]))
    # The lattice point lies up to 0.7 pixels off the whole pixel that is acted upon.
    assert np.median(differences) < 0.05 * np.ptp(values.q[np.isfinite(values.q)]) + 1e-4


def test_a_symmetric_grasp_is_weighed_once_and_a_push_both_ways():
    config = toy_config()
    state = bar(np.random.default_rng(0), 0.0, (56.0, 56.0))
    evaluator = Evaluator({GRASP: a_network(), PUSH: a_network()}, config)
    assert evaluator.values(state, GRASP).q.shape[0] == 8
    assert evaluator.values(state, PUSH).q.shape[0] == 16


def test_the_papers_network_has_the_papers_size():
    # F34: four towers and two heads, about 28 million parameters.
    count = 2 * sum(p.numel() for p in QNetwork(NetworkSettings(trunk="densenet121")).parameters())
    assert 27.5e6 < count < 28.7e6
    with torch.no_grad():
        assert QNetwork(NetworkSettings(trunk="densenet121")).eval()(torch.rand(1, 5, 97, 97)).shape == (1, 49, 49)


@pytest.mark.parametrize(("values", "channel"), [({"use_depth": False}, 0), ({"use_colour": False}, 3)])
def test_the_ablations_do_not_see_what_they_shall_not(values, channel):
    network = a_network(**values)
    image = torch.rand(1, 5, PATCH_PX, PATCH_PX)
    other = image.clone()
    other[:, channel] += 1.0
    with torch.no_grad():
        torch.testing.assert_close(network(image), network(other))
        assert not torch.allclose(network(image), network(image.flip(-1)))
