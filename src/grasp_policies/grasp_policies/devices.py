# SPDX-License-Identifier: Apache-2.0
"""Where a network runs."""

from __future__ import annotations

import torch

from grasp_core.config import ConfigError


def torch_device(name: str) -> torch.device:
    """The device of a name as torch writes it: ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        ConfigError: there is no such device, or not on this machine, or not for this torch.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError(f"device is {name!r}, which cannot be used here ({why}); 'cpu' always can") from error
    return device
