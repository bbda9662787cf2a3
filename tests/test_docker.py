# SPDX-License-Identifier: Apache-2.0
"""The images cannot be built where no engine runs; what can be checked without one is checked here."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def test_the_image_is_set_up_by_the_same_script_as_any_machine():
    lines = (ROOT / "docker" / "Dockerfile").read_text()
    assert "RUN ./ws setup" in lines
    assert "pip install" not in lines


def test_compose_starts_launch_files_that_there_are():
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    command = compose["services"]["sim"]["command"]
    assert (ROOT / "launch" / command.split()[3].replace("${CELL:-ur5}", "ur5")).exists()
    rviz = compose["services"]["viewer"]["command"].split()[2]
    assert (ROOT / rviz.removeprefix("/grasp_ws/").replace("${CELL:-ur5}", "ur5")).exists()
    training = compose["services"]["training"]["command"].split()
    config = training[training.index("--config") + 1].replace("${LEARN:-push_grasp}", "push_grasp")
    assert (ROOT / config).exists()
    for name, service in compose["services"].items():
        assert (service["network_mode"], service["ipc"]) == ("host", "host"), name
