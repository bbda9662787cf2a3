# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from grasp_core.config import ConfigError
from grasp_learning.collect import Collector, main, table
from grasp_learning.folder_lock import alone
from grasp_learning.plan import CollectionError, Plan
from grasp_learning.train import Trainer
from grasp_learning.usage import totals


def contents(collector: Collector, tries: int = 20) -> list:
    """Every episode that belongs to stage 0, without how long it took."""
    reader = collector.store.reader({0: tries})
    found = []
    for index, episode in enumerate(reader.ids):
        info = {k: v for k, v in reader.info(index).items() if k not in ("cpu_s", "wall_s")}
        found.append((episode, info, {k: v.tolist() for k, v in reader.episode(index).items()}))
    return found


def test_parallel_equals_serial(tmp_path, settings):
    run = settings(stage={"scenes": {"plain": 1.0, "other": 1.0}})
    serial, parallel = Collector(run, 0, tmp_path / "a", quiet=True), Collector(run, 0, tmp_path / "b", None, 3, True)
    assert serial.run(40)
    assert parallel.run(40)
    assert contents(serial, 40) == contents(parallel, 40)
    assert {info["scene"] for _, info, _ in contents(serial, 40)} == {"plain", "other"}


def test_stopped_and_continued_equals_uninterrupted(tmp_path, settings):
    run = settings()
    whole, parts = Collector(run, 0, tmp_path / "a", quiet=True), Collector(run, 0, tmp_path / "b", quiet=True)
    assert whole.run(20)
    assert parts.run(7)
    had = parts.count().tries
    assert 7 <= had < 20
    assert Collector(run, 0, tmp_path / "b", quiet=True).run(20)
    assert contents(whole) == contents(parts)
    assert parts.run(20), "nothing is left to do"
    assert parts.count().tries == whole.count().tries


def test_an_impossible_scene_is_skipped_and_counted(tmp_path, settings):
    collector = Collector(settings(stage={"scenes": {"sometimes": 1.0}}), 0, tmp_path, quiet=True)
    assert collector.run(20)
    count = collector.count()
    assert count.skipped > 0
    assert count.tries >= 20
    assert "cannot be made" in next(i["skipped"] for _, i, _ in contents(collector) if "skipped" in i)


def test_a_dead_worker_is_replaced_and_its_episode_made_again(tmp_path, settings):
    clean, hurt = settings(), settings(stage={"behaviour": {"die_once": str(tmp_path / "died")}})
    first, second = Collector(clean, 0, tmp_path / "a", quiet=True), Collector(hurt, 0, tmp_path / "b", quiet=True)
    assert first.run(20)
    assert second.run(20)
    assert second.lost == 1
    assert contents(first) == contents(second)


def test_an_episode_that_always_kills_is_given_up(tmp_path, settings):
    collector = Collector(
        settings(stage={"tries": 4, "behaviour": {"die_on_odd_seeds": True}}), 0, tmp_path, None, 2, True
    )
    assert collector.run(4)
    assert all(info["seed"] % 2 for _, info, _ in contents(collector) if "skipped" in info)


def test_failure_after_failure_is_told(tmp_path, settings):
    collector = Collector(settings(stage={"behaviour": {"raise": True}}), 0, tmp_path, quiet=True)
    with pytest.raises(CollectionError, match=r"(?s)in a row failed.*told to raise"):
        collector.run(20)


def test_processor_time_is_added_up_over_resumptions(tmp_path, settings):
    run = settings()
    assert Collector(run, 0, tmp_path, quiet=True).run(5)
    first = totals(tmp_path)["collect"]["cpu_s"]
    assert Collector(run, 0, tmp_path, quiet=True).run(20)
    second = totals(tmp_path)["collect"]["cpu_s"]
    workers = Collector(run, 0, tmp_path, quiet=True).count().cpu_s
    assert 0.0 < first < second
    assert second >= workers > 0.0, "the parent's time comes on top"


def test_other_settings_in_the_same_folder_are_refused(tmp_path, settings):
    assert Collector(settings(), 0, tmp_path, quiet=True).run(1)
    Collector(settings(stage={"tries": 99}), 0, tmp_path)
    with pytest.raises(ConfigError, match="seed: 0 then, 1 now"):
        Collector(settings(seed=1), 0, tmp_path)
    with pytest.raises(ConfigError, match=r"stages\.s0\.max_steps"):
        Collector(settings(stage={"max_steps": 3}), 0, tmp_path)


def test_total_and_more_on_the_command_line(tmp_path, settings, capsys):
    file, out = tmp_path / "run.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(settings().model_dump(mode="json")))
    common = ["--config", str(file), "--out", str(out), "--workers", "1"]

    def tries(*arguments: str) -> int:
        assert main([*common, *arguments]) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| sum"))
        return int(line.split("|")[4])

    first = tries("--total", "6")
    assert 6 <= first < 6 + 60
    assert tries("--total", "6") == first
    second = tries("--more", "5")
    assert second >= first + 5
    assert tries() >= 20
    assert main([*common, "--total", "6", "--more", "5"]) == 2
    assert "exclude" in capsys.readouterr().err
    assert main([*common, "--stage", "nonsense"]) == 2
    assert "there is s0" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["collect", "train"])
def test_two_processes_do_not_work_in_one_folder(tmp_path, settings, part):
    first = settings(stage={"tries": 3, "updates": 1})
    Collector(first, 0, tmp_path, quiet=True).run(3)
    more = settings(stage={"tries": 4, "updates": 1})

    def work():
        if part == "collect":
            return Collector(more, 0, tmp_path, quiet=True).run(4)
        return Trainer(more, 0, tmp_path, quiet=True).run()

    holder = (
        "import sys; from pathlib import Path; from grasp_learning.folder_lock import alone\n"
        "with alone(Path(sys.argv[1]), sys.argv[2]): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, str(tmp_path), part]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        begun = (tmp_path / "settings.json").read_bytes()
        with pytest.raises(ConfigError, match=f"another {part} is at work"):
            work()
        assert (tmp_path / "settings.json").read_bytes() == begun, "who is refused writes nothing"
        other.kill()
    assert work(), "a killed process lets go"


def test_a_folder_that_cannot_be_locked_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written or locked"), alone(tmp_path / "file" / "run", "train"):
        pass


def test_an_interrupt_lets_running_episodes_end(tmp_path, settings):
    file, out = tmp_path / "run.yaml", tmp_path / "out"
    run = settings(stage={"tries": 100_000}, cell_options={"sleep_s": 0.01})
    file.write_text(yaml.safe_dump(run.model_dump(mode="json")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [
        sys.executable,
        "-m",
        "grasp_learning.collect",
        "--config",
        str(file),
        "--out",
        str(out),
        "--workers",
        "2",
    ]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        episodes = out / "replay" / "episodes"
        while not (episodes.exists() and len(list(episodes.glob("*.zip"))) >= 4):
            assert process.poll() is None, "ended before it was asked to"
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "| sum |" in told
    assert not list(episodes.glob("*.part"))


def test_the_plan_hands_out_each_number_once_and_fills_gaps():
    plan = Plan(10)
    assert [plan.next(), plan.next()] == [0, 1]
    plan.failed(0)
    assert plan.next() == 0
    plan.finished(1, 4)
    plan.finished(0, 4)
    assert plan.done == 8
    assert plan.next() == 2
    assert plan.next() is None, "the one that runs is expected to be enough"
    plan.finished(2, 1)
    assert plan.next() == 3, "it was not"


def test_table_has_the_layout_of_the_paper(tmp_path, settings):
    collector = Collector(settings(), 0, tmp_path, quiet=True)
    collector.run(20)
    reader = collector.store.reader()
    wins, tries = sum(reader.info(i)["successes"] for i in range(len(reader))), reader.tries()
    assert f"| s0 | {wins} | {tries - wins} | {tries} | {wins / tries:.2%} |" in table(reader.statistics(), ["s0"])
    assert np.isclose(wins / tries, 0.5, atol=0.35)
