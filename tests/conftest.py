# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from graph import Launch

FAILED = pytest.StashKey[bool]()
# Lines of a graph's output that a failed test tells.
TOLD = 60


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test tells what the graphs said that were open then, and leaves word for its fixtures."""
    report = yield
    before = call.when != "setup" and item.stash.get(FAILED, False)
    item.stash[FAILED] = before or report.failed
    if report.failed:
        for launch in Launch.open:
            report.sections.append(
                (f"the end of {launch.name}'s output", "\n".join(launch.text().splitlines()[-TOLD:]))
            )
    return report


@pytest.fixture
def spoilt(request):
    """Whether the test has failed by now; for fixtures that outlive a test."""
    return lambda: request.node.stash.get(FAILED, False)
