# SPDX-License-Identifier: Apache-2.0
"""Signals, escalation, and the promise that no process outlives the launch."""

import os
import pty
import re
import select
import signal
import sys

import pytest

import launch

ONE = """[ExecuteProcess(cmd=[*PY, '''
import signal, time
{}
print("ready")
time.sleep(600)
'''], output="screen", name="node", sigterm_timeout="{}", sigkill_timeout="{}")]"""
FAMILY = (
    """[ExecuteProcess(cmd=[*PY, '''
import os, signal, subprocess, sys, time
{}
child = subprocess.Popen([sys.executable, "-S", "-u", "-c", """
    + '"""'
    + """
import signal, time
{}
print("grown", flush=True)
time.sleep(600)
"""
    + '"""'
    + """], start_new_session={})
print("family", os.getpid(), child.pid)
time.sleep(600)
'''], output="screen", name="node")]"""
)
IGNORE_TERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
IGNORE_INT = "signal.signal(signal.SIGINT, signal.SIG_IGN)"


def wait_until_gone(pid, timeout_s=30.0):
    """Wait for the end of any process; False if it lives on."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def family(launcher):
    launcher.wait_for("grown")
    line = next((line for line in launcher.lines if "family" in line), None) or launcher.wait_for("family")
    return [int(pid) for pid in line.split()[-2:]]


@pytest.fixture
def grown_family(start):
    """Start a process that starts another; return the launcher and both pids."""

    def start_family(parent="", child="", own_session=False, **options):
        launcher = start(FAMILY.format(parent, child, own_session), **options)
        pids = family(launcher)
        pids_of_test.extend(pids)
        return launcher, pids

    pids_of_test: list[int] = []
    yield start_family
    for pid in pids_of_test:
        if not wait_until_gone(pid, 0):
            os.kill(pid, signal.SIGKILL)


def test_sigint_is_enough(start):
    launcher = start(ONE.format("", 60, 60))
    launcher.wait_for("ready")
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.finish() == 0
    assert "user interrupted with ctrl-c (SIGINT)" in launcher.text
    assert re.search(r"process has died \[pid \d+, exit code -2,", launcher.text)


def test_sigterm_follows_sigint(start):
    launcher = start(ONE.format(IGNORE_INT, 0.2, 60))
    launcher.wait_for("ready")
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.finish() == 0
    assert "failed to terminate '0.2' seconds after receiving 'SIGINT', escalating to 'SIGTERM'" in launcher.text
    assert re.search(r"\[node-1\]: process has died \[pid \d+, exit code -15,", launcher.text)
    assert "SIGKILL" not in launcher.text


def test_sigkill_follows_sigterm(start):
    launcher = start(ONE.format(f"{IGNORE_INT}; {IGNORE_TERM}", 0.2, 0.2))
    launcher.wait_for("ready")
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.finish() == 0
    steps = re.findall(r"sending signal '(\w+)' to process\[node-1\]", launcher.text)
    assert steps == ["SIGINT", "SIGTERM", "SIGKILL"]
    assert re.search(r"exit code -9,", launcher.text)


def test_second_ctrl_c_is_noted_and_ignored(start):
    launcher = start(ONE.format(IGNORE_INT, 0.5, 60))
    launcher.wait_for("ready")
    launcher.process.send_signal(signal.SIGINT)
    launcher.wait_for("sending signal 'SIGINT'")
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.finish() == 0
    assert "ctrl-c (SIGINT) again, ignoring..." in launcher.text
    assert launcher.text.count("sending signal 'SIGINT'") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_other_signals_shut_down_in_the_same_way(start, number):
    launcher = start(ONE.format("", 60, 60))
    launcher.wait_for("ready")
    launcher.process.send_signal(number)
    assert launcher.finish() == 1
    assert f"launch terminated ({number.name})" in launcher.text
    assert "sending signal 'SIGINT' to process[node-1]" in launcher.text


def test_terminal_does_not_interrupt_the_children_itself(start):
    # Ctrl-C goes to the launcher's process group; the child must hear of it once, from the launcher.
    counting = "signal.signal(signal.SIGINT, lambda *_: print('interrupted'))"
    launcher = start(ONE.format(counting, 0.5, 60), start_new_session=True)
    launcher.wait_for("ready")
    os.killpg(launcher.process.pid, signal.SIGINT)
    assert launcher.finish() == 0
    assert launcher.text.count("[node-1] interrupted") == 1


def test_shutdown_reaches_children_of_children(grown_family):
    launcher, pids = grown_family(parent=IGNORE_INT, child=IGNORE_INT)
    launcher.process.send_signal(signal.SIGTERM)
    launcher.finish()
    assert all(wait_until_gone(pid, 0) for pid in pids)


def test_child_of_a_child_in_a_session_of_its_own_is_ended_too(grown_family):
    launcher, pids = grown_family(own_session=True)
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.finish() == 0
    assert f"has left processes behind, ending them: pid {pids[1]}" in launcher.text
    assert all(wait_until_gone(pid, 0) for pid in pids)


@pytest.mark.parametrize("own_session", [False, True])
def test_no_orphan_after_sigkill_of_the_launcher(grown_family, log_dir, own_session):
    launcher, pids = grown_family(own_session=own_session)
    launcher.process.send_signal(signal.SIGKILL)
    launcher.process.wait()
    assert all(wait_until_gone(pid) for pid in pids)


def test_no_orphan_that_ignores_sigterm(grown_family):
    launcher, pids = grown_family(parent=IGNORE_TERM, child=f"{IGNORE_TERM}; {IGNORE_INT}", own_session=True)
    launcher.process.send_signal(signal.SIGKILL)
    launcher.process.wait()
    assert all(wait_until_gone(pid) for pid in pids)


def test_children_die_with_the_launcher_even_without_a_guardian(start):
    launcher = start(ONE.format("print('pid', __import__('os').getpid())", 60, 60))
    pid = int(launcher.wait_for("] pid ").split()[-1])
    guardians = [other for other in children_of(launcher.process.pid) if other != pid]
    assert len(guardians) == 1
    os.kill(guardians[0], signal.SIGKILL)
    assert wait_until_gone(guardians[0])
    launcher.process.send_signal(signal.SIGKILL)
    assert wait_until_gone(pid)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


def test_guardian_leaves_with_the_launcher(start):
    launcher = start(ONE.format("", 60, 60))
    launcher.wait_for("ready")
    everyone = children_of(launcher.process.pid)
    assert len(everyone) == 2
    launcher.process.send_signal(signal.SIGINT)
    launcher.finish()
    assert all(wait_until_gone(pid, 0) for pid in everyone)


@pytest.mark.parametrize("own_session", [False, True])
def test_no_orphan_when_the_shell_that_launched_dies(grown_family, own_session):
    # The ': ' after it keeps the shell from handing its own process over to the launcher.
    shell = ("bash", "-c", '"$@"; :', "shell")
    launcher, pids = grown_family(through=shell, own_session=own_session)
    (launcher_pid,) = children_of(launcher.process.pid)
    launcher.process.send_signal(signal.SIGKILL)
    launcher.process.wait()
    assert all(wait_until_gone(pid) for pid in [*pids, launcher_pid])


def test_no_orphan_when_the_terminal_goes(tmp_path, start):
    # A shell on a terminal of its own; closing the terminal hangs up on everything in it.
    script = start("[LogInfo(msg='only to have the script')]")
    script.finish()
    text = (tmp_path / "launcher.py").read_text()
    code = ONE.format("print('pid', __import__('os').getpid())", 60, 60)
    (tmp_path / "launcher.py").write_text(text.replace("[LogInfo(msg='only to have the script')]", code))
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(launch.__file__))}
    pid, master = pty.fork()
    if pid == 0:
        line = f"{sys.executable} -u {tmp_path / 'launcher.py'}; :"
        os.execvpe("bash", ["bash", "-c", line], environment)
    text = ""
    while not (found := re.search(r"\] pid (\d+)", text)):
        text += os.read(master, 4096).decode()
    os.close(master)
    assert wait_until_gone(int(found[1]))
    assert wait_until_gone(pid)
    os.waitpid(pid, 0)


def test_nohup_keeps_the_launch_alive(start, tmp_path):
    head = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    launcher = start(ONE.format("", 60, 60), head=head, through=("bash", "-c", '"$@"; :', "shell"))
    launcher.wait_for("ready")
    (launcher_pid,) = children_of(launcher.process.pid)
    launcher.process.send_signal(signal.SIGKILL)
    launcher.process.wait()
    assert not wait_until_gone(launcher_pid, 0.5)
    os.kill(launcher_pid, signal.SIGINT)
    assert wait_until_gone(launcher_pid)


def test_closed_output_does_not_stop_the_shutdown(start):
    launcher = start(ONE.format("", 60, 60))
    launcher.wait_for("ready")
    pids = children_of(launcher.process.pid)
    launcher.process.stdout.close()
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.process.wait() == 0
    assert all(wait_until_gone(pid, 0) for pid in pids)
