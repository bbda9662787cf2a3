# SPDX-License-Identifier: Apache-2.0
import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("grasp_core_test_gantry", Path(__file__).with_name("gantry.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture
def gantry():
    """Makes a cell of fakes round a gantry robot; see gantry.py."""
    return _module.make
