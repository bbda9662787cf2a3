# SPDX-License-Identifier: Apache-2.0
import importlib

import pytest
from launch.actions import ExecuteProcess, IncludeLaunchDescription, LogInfo, TimerAction
from launch.event_handlers import OnProcessExit


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("launch", "SomethingElse"),
        ("launch.actions", "OpaqueCoroutine"),
        ("launch.substitutions", "StringJoinSubstitution"),
        ("launch.conditions", "MaybeCondition"),
        ("launch.event_handlers", "OnIncludeLaunchDescription"),
        ("launch.events.process", "Strange"),
        ("launch.launch_description_sources", "FrontendLaunchDescriptionSource"),
    ],
)
def test_unsupported_name_is_refused_with_a_sentence(module, name):
    with pytest.raises(ImportError, match=f"stand-in for '{module}' does not support '{name}'. It supports: "):
        getattr(importlib.import_module(module), name)


def test_from_import_shows_the_sentence():
    with pytest.raises(ImportError, match="does not support 'OpaqueCoroutine'"):
        from launch.actions import OpaqueCoroutine  # noqa: F401


def test_front_end_is_refused():
    with pytest.raises(ImportError, match="Python launch files only"):
        importlib.import_module("launch.frontend")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ExecuteProcess(cmd=["true"], restart=True),
        lambda: LogInfo(msg="", restart=True),
        lambda: OnProcessExit(on_exit=[], restart=True),
        lambda: TimerAction(period=1.0, actions=[], restart=True),
    ],
)
def test_unknown_keyword_is_refused_with_a_sentence(make):
    with pytest.raises(TypeError, match=r"does not support the keyword argument\(s\) 'restart'\. It supports: "):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: TimerAction(period=5, actions=[]),
            r"integer 5: upstream takes a float or substitutions, so write 5\.0",
        ),
        (lambda: ExecuteProcess(cmd=["true"], sigterm_timeout=2), "so write '2'"),
        (lambda: ExecuteProcess(cmd=["true"], sigkill_timeout=0.5), "so write '0.5'"),
        (lambda: LogInfo(msg=5), "expected text"),
    ],
)
def test_what_upstream_refuses_is_refused_here(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_xml_launch_file_is_refused(run, tmp_path):
    path = tmp_path / "old.launch.xml"
    path.write_text("<launch/>")
    outcome = run(IncludeLaunchDescription(str(path)))
    assert outcome.code == 1
    assert "reads Python launch files only" in outcome.text


def test_launch_arguments_as_a_mapping_are_refused():
    with pytest.raises(TypeError, match=r"pass its items\(\)"):
        IncludeLaunchDescription("x.launch.py", launch_arguments={"a": "b"})
