# SPDX-License-Identifier: Apache-2.0
import os
import re
import signal
import sys
import threading

import pytest
from launch.actions import (
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
    UnregisterEventHandler,
)
from launch.event_handlers import OnExecutionComplete, OnProcessExit, OnProcessIO, OnProcessStart, OnShutdown
from launch.events import matches_action
from launch.events.process import ShutdownProcess, SignalProcess
from launch.launch_context import LaunchContext

from launch import LaunchDescription, LaunchService

PY = [sys.executable, "-S", "-u", "-c"]
SLEEP = [*PY, "import time; print('ready'); time.sleep(60)"]


def python(code, name="child", **kwargs):
    return ExecuteProcess(cmd=[*PY, code], name=name, **{"output": "screen", **kwargs})


def user_lines(text):
    return [line.rpartition("]: ")[2] for line in text.splitlines() if "[launch.user]" in line]


def test_lines_carry_the_process_name_and_ends_are_reported(run):
    text = run(python("print('one'); print('two', end='')", name="talker")).text
    name = re.search(r"\[INFO\] \[(talker-\d+)\]: process started with pid \[(\d+)\]", text)
    assert name is not None
    assert f"[{name[1]}] one\n" in text
    assert f"[{name[1]}] two\n" in text
    assert f"[INFO] [{name[1]}]: process has finished cleanly [pid {name[2]}]" in text


def test_process_that_dies_is_reported_with_exit_code_and_command(run):
    outcome = run(python("raise SystemExit(7)", name="arm"))
    assert outcome.code == 0
    assert re.search(
        r"\[ERROR\] \[arm-\d+\]: process has died \[pid \d+, exit code 7, cmd '.*SystemExit.*'\]\.", outcome.text
    )


def test_sigkill_is_reported_by_name(run):
    outcome = run(python("import os; os.kill(os.getpid(), 9)", name="arm", on_exit=[LogInfo(msg="arm is gone")]))
    assert re.search(r"\[arm-\d+\]: process has died \[pid \d+, exit code -9, ", outcome.text)
    assert user_lines(outcome.text) == ["arm is gone"]


def test_process_that_cannot_be_started(run):
    outcome = run(ExecuteProcess(cmd=["/no/such/program"], on_exit=[LogInfo(msg="never")]))
    assert "process could not be started [cmd '/no/such/program']" in outcome.text
    assert user_lines(outcome.text) == []
    assert outcome.code == 0  # as upstream


@pytest.mark.parametrize(
    ("output", "on_screen", "in_log"),
    [
        ("screen", {"out", "err"}, set()),
        ("log", {"err"}, {"out", "err"}),
        ("both", {"out", "err"}, {"out", "err"}),
        ({"stdout": "log", "stderr": ["screen"]}, {"err"}, {"out"}),
    ],
)
def test_output_destinations(run, log_dir, output, on_screen, in_log):
    code = "import sys; print('out'); print('err', file=sys.stderr)"
    text = run(python(code, name="node", output=output)).text
    log = next(log_dir.glob("2*/launch.log")).read_text()
    assert set(re.findall(r"^\[node-\d+\] (\w+)$", text, re.MULTILINE)) == on_screen
    assert set(re.findall(r"^[\d.]+ \[node-\d+\] (\w+)$", log, re.MULTILINE)) == in_log
    assert "process started with pid" in log


def test_full_output_has_files_of_its_own(run, log_dir):
    run(python("print('out')", name="node", output="full"))
    (folder,) = log_dir.glob("2*")
    (file,) = folder.glob("node-*-stdout.log")
    assert file.read_text().endswith("out\n")
    assert (log_dir / "latest").resolve() == folder


def test_unknown_output_fails_the_launch(run):
    outcome = run(python("", output="scren"))
    assert outcome.code == 1
    assert "'scren' is not a valid output" in outcome.text


def test_environment_working_directory_and_shell(run, tmp_path):
    outcome = run(
        SetEnvironmentVariable("GRASP_A", "a"),
        ExecuteProcess(
            cmd=["echo", "$GRASP_A", "$GRASP_B", "$PWD"],
            shell=True,
            cwd=str(tmp_path),
            additional_env={"GRASP_B": "b"},
            output="screen",
        ),
    )
    assert f"] a b {tmp_path}\n" in outcome.text


def test_env_replaces_the_environment(run, monkeypatch):
    monkeypatch.setenv("GRASP_A", "a")
    text = run(python("import os; print(os.environ.get('GRASP_A'), os.environ['B'])", env={"B": "b"})).text
    assert "] None b\n" in text


@pytest.mark.parametrize("emulated", [True, False])
def test_emulate_tty(run, emulated):
    text = run(python("import sys; print(sys.stdout.isatty())", emulate_tty=emulated)).text
    assert re.search(rf"^\[child-\d+\] {emulated}$", text, re.MULTILINE)


def test_prefix(run):
    code = "import sys; print('prefixed', sys.argv[1:])"
    outcome = run(
        SetLaunchConfiguration("launch-prefix", f'{sys.executable} -S -c "{code}"'),
        ExecuteProcess(cmd=["program", "x"], output="screen"),
    )
    assert "prefixed ['program', 'x']" in outcome.text


def test_order_of_events(run):
    first = python("import os; os.write(1, b'hello')", name="first")  # one write is one event
    second = python("", name="second")

    def note(word):
        return LogInfo(msg=word)

    outcome = run(
        RegisterEventHandler(OnProcessStart(target_action=first, on_start=[note("started")])),
        RegisterEventHandler(
            OnProcessIO(target_action=first, on_stdout=lambda event: note(event.text.decode().strip()))
        ),
        RegisterEventHandler(OnProcessExit(target_action=first, on_exit=[note("exited"), second])),
        RegisterEventHandler(OnExecutionComplete(target_action=second, on_completion=[note("complete")])),
        RegisterEventHandler(OnShutdown(on_shutdown=lambda event, context: [note(f"shutdown: {event.reason}")])),
        first,
    )
    assert user_lines(outcome.text) == ["started", "hello", "exited", "complete", "shutdown: idle"]


def test_later_handlers_come_first_and_unregistered_ones_not_at_all(run):
    action = python("")
    gone = OnProcessExit(target_action=action, on_exit=[LogInfo(msg="gone")])
    outcome = run(
        RegisterEventHandler(OnProcessExit(target_action=action, on_exit=[LogInfo(msg="first")])),
        RegisterEventHandler(OnProcessExit(target_action=action, on_exit=[LogInfo(msg="second")])),
        RegisterEventHandler(gone),
        UnregisterEventHandler(gone),
        action,
    )
    assert user_lines(outcome.text) == ["second", "first"]


def test_handler_by_function_gets_event_and_context(run):
    def on_exit(event, context):
        assert isinstance(context, LaunchContext)
        return [LogInfo(msg=f"{event.process_name.split('-')[0]} {event.returncode}")]

    assert user_lines(run(python("raise SystemExit(3)", on_exit=on_exit)).text) == ["child 3"]


def test_on_exit_shutdown_ends_the_others(run):
    outcome = run(
        python("import time; time.sleep(60)", name="other"),
        python("", name="required", on_exit=Shutdown(reason="done")),
    )
    assert outcome.code == 0
    assert re.search(r"process\[required-\d+\] was required: shutting down launched system", outcome.text)
    assert re.search(r"sending signal 'SIGINT' to process\[other-\d+\]", outcome.text)


def test_respawn_until_the_limit(run):
    outcome = run(python("raise SystemExit(1)", respawn=True, respawn_delay=0.01, respawn_max_retries=2))
    assert outcome.text.count("process started with pid") == 3
    assert outcome.text.count("process has died") == 3


def test_respawn_after_sigkill_and_no_respawn_after_shutdown(run):
    starts = []

    def on_start(event, context):
        starts.append(event.pid)
        if len(starts) == 1:
            os.kill(event.pid, signal.SIGKILL)
            return None
        return [Shutdown()]

    action = ExecuteProcess(cmd=SLEEP, respawn=True)
    outcome = run(RegisterEventHandler(OnProcessStart(target_action=action, on_start=on_start)), action)
    assert len(starts) == 2
    assert "exit code -9" in outcome.text


def test_long_respawn_delay_does_not_hold_up_the_shutdown(run):
    action = python("", respawn=True, respawn_delay=600.0, on_exit=[TimerAction(period=0.01, actions=[Shutdown()])])
    assert run(action).text.count("process started") == 1


def test_what_a_dead_process_left_behind_is_ended_before_the_respawn(run, tmp_path):
    file = tmp_path / "pids"
    code = (
        "import os, subprocess, sys; "
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True); "
        f"open({str(file)!r}, 'a').write(f'{{child.pid}}\\n'); os._exit(1)"
    )
    outcome = run(python(code, respawn=True, respawn_max_retries=1))
    pids = [int(line) for line in file.read_text().split()]
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)
    assert outcome.text.count("has left processes behind") == 2


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_service_left_by_a_starter_lives_as_long_as_the_launch(run, tmp_path):
    file = tmp_path / "pid"
    starter = python(
        f"import subprocess; p = subprocess.Popen(['sleep', '600']); open({str(file)!r}, 'w').write(str(p.pid))"
    )
    alive = []

    def look(context):
        alive.append(is_alive(int(file.read_text())))

    checker = python("", name="checker", on_exit=[OpaqueFunction(function=look)])
    run(starter, RegisterEventHandler(OnProcessExit(target_action=starter, on_exit=[checker])))
    assert alive == [True]
    assert not is_alive(int(file.read_text()))


def test_signals_by_event(run):
    code = (
        "import os, signal; "
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]); os.write(1, b'ready\\n'); "
        "signal.sigwait([signal.SIGUSR1]); os.write(1, b'usr1\\n')"
    )
    action = python(code)
    send = EmitEvent(event=SignalProcess(signal_number=signal.SIGUSR1, process_matcher=matches_action(action)))
    once = OnProcessIO(target_action=action, on_stdout=lambda event: send if b"ready" in event.text else None)
    assert "] usr1\n" in run(RegisterEventHandler(once), action).text


def test_shutdown_of_one_process_by_event(run):
    action = ExecuteProcess(cmd=SLEEP, name="one")
    end = EmitEvent(event=ShutdownProcess(process_matcher=matches_action(action)))
    ready = OnProcessIO(target_action=action, on_stdout=lambda event: end if b"ready" in event.text else None)
    outcome = run(RegisterEventHandler(ready), action)
    assert re.search(r"process has died \[pid \d+, exit code -2,", outcome.text)
    assert outcome.text.count("sending signal") == 1


def test_failing_launch_ends_what_it_had_started(run):
    def fail(event, context):
        raise ValueError("broken handler")

    action = ExecuteProcess(cmd=SLEEP, name="one")
    outcome = run(RegisterEventHandler(OnProcessStart(target_action=action, on_start=fail)), action)
    assert outcome.code == 1
    assert "broken handler" in outcome.text
    assert "sending signal 'SIGINT'" in outcome.text


def test_cached_output(run):
    action = python("import sys; print('out'); print('err', file=sys.stderr)", cached_output=True)
    run(action)
    assert action.get_stdout() == "out\n"
    assert action.get_stderr() == "err\n"
    assert action.return_code == 0


def test_timer_can_be_cancelled(run):
    timer = TimerAction(period=600.0, actions=[LogInfo(msg="never")])
    cancel = OpaqueFunction(function=lambda context: timer.cancel())
    outcome = run(timer, TimerAction(period=0.01, actions=[LogInfo(msg="elapsed"), cancel]))
    assert user_lines(outcome.text) == ["elapsed"]


def test_shutdown_from_another_thread_and_a_second_run(capsys):
    service = LaunchService()
    action = ExecuteProcess(cmd=SLEEP)
    thread = threading.Thread(target=service.shutdown)
    service.include_launch_description(
        LaunchDescription(
            [RegisterEventHandler(OnProcessStart(target_action=action, on_start=lambda *_: thread.start())), action]
        )
    )
    assert service.run() == 0
    thread.join()
    service.include_launch_description(LaunchDescription([LogInfo(msg="again")]))
    assert service.run() == 0
    assert user_lines(capsys.readouterr().out) == ["again"]
