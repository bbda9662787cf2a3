# SPDX-License-Identifier: Apache-2.0
"""A node's program as a process: refused, failed, told to stop early and late."""

import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

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
    running.turn(node, threads=2)
    wanted = node.rounds + 10
    running.last_words(lambda: node.rounds >= wanted, 20.0)
    say("all told" if node.rounds >= wanted else "cut off")
    running.last_words(lambda: False, 0.1)
    say("not for ever")
"""
ENDED = """
with program("short", ()) as running:
    rounds = []
    node = Node("short")
    node.create_timer(0.02, lambda: rounds.append(1))
    running.turn(node, ended=lambda: len(rounds) > 3)
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
    assert ended(process) == (0, "left in order\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_still_serves_until_all_is_told(number):
    process = started(SERVING)
    assert process.stdout.readline() == "serving\n"
    process.send_signal(number)
    assert ended(process) == (0, "all told\nnot for ever\n", "")


def test_it_ends_by_itself():
    assert ended(started(ENDED)) == (0, "told: False\n", "")
