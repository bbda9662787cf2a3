# SPDX-License-Identifier: Apache-2.0
"""The pages on cameras: what is to be typed works as it stands there."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import types
from pathlib import Path

import pytest
import yaml

from grasp_cameras.driver import SdkMissingError, make_driver
from grasp_cameras.parameters import CalibrateNodeParameters, CameraNodeParameters
from grasp_cameras.settings import CameraSettings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "add_a_camera.md"


@pytest.fixture
def blocks():
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def package(tmp_path, monkeypatch, blocks):
    """The page's driver as an installed package with the page's entry point."""
    python = [code for language, code in blocks if language == "python"]
    driver, entry_points, test = python
    (tmp_path / "my_cameras").mkdir()
    (tmp_path / "my_cameras" / "__init__.py").touch()
    (tmp_path / "my_cameras" / "strobe.py").write_text(driver)
    declared = ast.literal_eval(entry_points.strip().removeprefix("entry_points=").rstrip(","))
    ((group, (line,)),) = declared.items()
    info = tmp_path / "my_cameras-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_cameras\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield test
    for name in ("my_cameras", "my_cameras.strobe"):
        sys.modules.pop(name, None)


def test_without_the_sdk_the_pages_driver_says_what_to_install(package):
    with pytest.raises(SdkMissingError, match=r"needs the Python package strobe_sdk.*install strobe-sdk"):
        make_driver("strobe")


def test_the_pages_own_test_passes(package, monkeypatch):
    sdk = types.ModuleType("strobe_sdk")
    monkeypatch.setitem(sys.modules, "strobe_sdk", sdk)
    namespace: dict = {}
    exec(compile(package, str(PAGE), "exec"), namespace)
    namespace["test_depth_reaches_the_cell"](sdk)


def test_the_pages_camera_file_is_one(package, blocks):
    (text,) = [code for language, code in blocks if language == "yaml"]
    assert CameraSettings.from_mapping(yaml.safe_load(text)).driver == "strobe"


def test_the_page_names_parameters_services_and_errors_that_exist():
    from grasp_cameras import driver
    from grasp_cameras.parameters import CalibrateNodeParameters, CameraNodeParameters

    text = PAGE.read_text(encoding="utf-8")
    parameters = set(re.findall(r"-p (\w+):=", text))
    assert parameters
    assert parameters <= set(CameraNodeParameters.model_fields) | set(CalibrateNodeParameters.model_fields)
    for name in re.findall(r"`(\w+Error)`", text):
        assert hasattr(driver, name), name


NODES = {"camera_node": CameraNodeParameters, "calibrate_node": CalibrateNodeParameters}


@pytest.mark.parametrize("page", ["cameras.md", "add_a_camera.md"])
def test_the_commands_set_parameters_that_there_are(page):
    commands = re.findall(r"ros2 run grasp_cameras (\w+) --ros-args ([^`\n]*)", (PAGE.parent / page).read_text("utf-8"))
    assert commands
    for node, arguments in commands:
        for name, value in re.findall(r"-p (?:\"?)([\w.]+):=([^ `\"]+)", arguments):
            assert name in NODES[node].model_fields, f"{node} has no parameter {name}"
            if name == "config" and not value.startswith("/"):
                CameraSettings.load(value)
