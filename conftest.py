# SPDX-License-Identifier: Apache-2.0
"""Keep tests apart: every test process has a ROS domain of its own and sees only this machine."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

_stack = ExitStack()
# The domain of this test process, for a check that it stays.
_OWN = "GRASP_TEST_OWN_DOMAIN"


def _own_domain(stack: ExitStack) -> str | None:
    """A ROS domain that no other test on this machine uses until ``stack`` closes; none without the ROS packages."""
    try:
        from domain_coordinator import domain_id
    except ImportError:
        return None
    return str(stack.enter_context(domain_id()))


def pytest_configure(config: pytest.Config) -> None:
    """Take a ROS domain and a log folder for this test process."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("ROS_LOG_DIR", _stack.enter_context(tempfile.TemporaryDirectory(prefix="grasp_test_log_")))
    domain = _own_domain(_stack)
    if domain is not None:
        os.environ["ROS_DOMAIN_ID"] = os.environ[_OWN] = domain


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give both back."""
    _stack.close()


@pytest.fixture(autouse=True)
def _domain_stays():
    """A test that left another domain behind would let those after it meet the graphs of other test processes."""
    before = os.environ.get("ROS_DOMAIN_ID")
    yield
    after = os.environ.get("ROS_DOMAIN_ID")
    assert after == os.environ.get(_OWN, before), f"ROS_DOMAIN_ID is {after} after the test, it was {before}"


@pytest.fixture(autouse=True, scope="module")
def _no_node_lingers():
    """A node refused half made lives in a cycle, and so in the graph of a domain that others are given next."""
    yield
    if "rclpy" in sys.modules:
        gc.collect()


@pytest.fixture
def shared_data() -> Path:
    """Folder with recorded data beside the checkout; a user's machine has none."""
    path = Path(__file__).resolve().parent.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"the recorded data in {path} is not on this machine")
    return path


@pytest.fixture
def graph_environment(tmp_path: Path):
    """Environment for the processes of one graph: a ROS domain and a log folder of its own."""
    with ExitStack() as stack:
        domain = _own_domain(stack)
        if domain is None:
            pytest.fail("domain_coordinator is not installed; run the tests through ./ws test")
        yield {**os.environ, "ROS_DOMAIN_ID": domain, "ROS_LOG_DIR": str(tmp_path / "log")}
