# SPDX-License-Identifier: Apache-2.0
"""A node's program as a process: refused, failed, told to stop early and late."""

import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from grasp_core.ros_running import PATIENCE_S, STOPPED_CODE

WAIT_S = 30.0
HEAD = """
import threading
from rclpy.node import Node
from grasp_core.ros_running import program


def say(text):
    print(text, flush=True)


"""
REFUSED = """
with program("shy", (ValueError,)) as running:
    raise ValueError("height_m is -1; it has to be more than 0")
"""
FAILED = """
with program("shy", (ValueError,)) as running:
    running.begin()
    raise ValueError("a mistake of ours")
"""
LOADING = """
with program("slow", (ValueError,)) as running:
    say("loading")
    threading.Event().wait()
say("left in order")
"""
SWALLOWING = """
class Slow(Node):
    def __init__(self):
        super().__init__("slow")
        say("loading")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say("swallowed")


with program("slow", ()) as running:
    running.spin(Slow())
say("left in order")
"""
SERVING = """
class Slow(Node):
    def __init__(self):
        super().__init__("slow")
        self.rounds = 0
        self.create_timer(0.05, self.count)

    def count(self):
        self.rounds += 1
        if self.rounds == 1:
            say("serving")


with program("slow", ()) as running:
    node = Slow()
    running.spin(node, threads=2)
    wanted = node.rounds + 10
    running.last_words(lambda: node.rounds >= wanted, 20.0)
    say("all told" if node.rounds >= wanted else "cut off")
    running.last_words(lambda: False, 0.1)
    say("not for ever")
"""
BUSY = """
class Busy(Node):
    def __init__(self):
        super().__init__("busy")
        self.create_timer(0.001, self.count)
        self.late = 0

    def count(self):
        if not self.late:
            self.late = 1
            say("serving")


with program("busy", ()) as running:
    node = Busy()
    running.spin(node, threads=2)
    node.create_timer(0.2, lambda: say("a late result"))
    running.last_words()
"""
HUNG = """
class Hung(Node):
    def __init__(self):
        super().__init__("hung")
        self.create_timer(0.01, self.hang)

    def hang(self):
        say("hanging")
        threading.Event().wait()


with program("hung", ()) as running:
    if PATIENT:
        running.listen(patient=True)
    running.spin(Hung(), threads=THREADS)
"""
ENDED = """
with program("short", ()) as running:
    rounds = []
    node = Node("short")
    node.create_timer(0.02, lambda: rounds.append(1))
    running.spin(node, ended=lambda: len(rounds) > 3)
    say(f"told: {running.told.is_set()}")
"""


def started(program):
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process):
    try:
        out, err = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
    return process.returncode, out, err


def test_who_asks_for_help_starts_nothing():
    process = subprocess.run(
        [sys.executable, "-c", HEAD + LOADING, "--help"], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert process.returncode == 0
    assert process.stdout.startswith("usage: slow --ros-args -p NAME:=VALUE")
    assert "loading" not in process.stdout


def test_a_refusal_is_a_sentence_and_a_code():
    code, _, err = ended(started(REFUSED))
    assert code == 2
    assert "[shy]: height_m is -1; it has to be more than 0" in err
    assert "Traceback" not in err


def test_the_same_error_later_is_an_error():
    code, _, err = ended(started(FAILED))
    assert code == 1
    assert "Traceback" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_while_it_is_made_it_leaves(number):
    process = started(LOADING)
    assert process.stdout.readline() == "loading\n"
    process.send_signal(number)
    code, out, err = ended(process)
    assert (code, out) == (0, "left in order\n")
    assert "Traceback" not in err


def test_a_signal_that_was_swallowed_is_not_forgotten():
    process = started(SWALLOWING)
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    assert ended(process)[:2] == (0, "swallowed\nleft in order\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_still_serves_until_all_is_told(number):
    process = started(SERVING)
    assert process.stdout.readline() == "serving\n"
    process.send_signal(number)
    code, out, err = ended(process)
    assert (code, out) == (0, "all told\nnot for ever\n")
    assert "Traceback" not in err


def test_results_have_time_to_leave_a_busy_node():
    process = started(BUSY)
    assert process.stdout.readline() == "serving\n"
    process.send_signal(signal.SIGINT)
    code, out, _ = ended(process)
    assert code == 0
    assert "a late result\n" in out


@pytest.mark.parametrize("threads", [1, 2])
def test_whoever_is_told_again_ends_where_it_is(threads):
    process = started(HUNG.replace("PATIENT", "False").replace("THREADS", str(threads)))
    assert process.stdout.readline() == "hanging\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(PATIENCE_S + 0.2)
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process)
    assert code == (STOPPED_CODE if threads == 1 else -signal.SIGTERM)
    assert "Traceback" not in err


def test_hardware_is_not_left_for_being_told_again():
    process = started(HUNG.replace("PATIENT", "True").replace("THREADS", "1"))
    assert process.stdout.readline() == "hanging\n"
    for number, wait_s in ((signal.SIGINT, PATIENCE_S + 0.2), (signal.SIGTERM, 0.5)):
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(wait_s)
    process.kill()
    process.communicate()


def test_it_ends_by_itself():
    assert ended(started(ENDED))[:2] == (0, "told: False\n")
