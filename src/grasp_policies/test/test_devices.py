# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from grasp_core.config import ConfigError
from grasp_policies.devices import torch_device


def test_the_cpu_is_always_there():
    assert torch_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["moon", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused_in_a_sentence(name):
    with pytest.raises(ConfigError, match=f"device is '{name}', which cannot be used here"):
        torch_device(name)
