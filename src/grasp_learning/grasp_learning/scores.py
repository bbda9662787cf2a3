# SPDX-License-Identifier: Apache-2.0
"""From runs to numbers with intervals, and to tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from grasp_core.cell import Reason
from grasp_core.statistics import Estimate, bootstrap, wilson
from grasp_learning.runs import RunRow

METRICS = ("completion", "grasp_success", "action_efficiency")


def score(rows: Sequence[RunRow], one_action: bool = False) -> dict[str, Any]:
    """The three metrics of Visual Pushing for Grasping (section V-B) as shares from 0 to 1.

    ``completion`` counts all runs (Wilson interval). ``grasp_success`` and ``action_efficiency`` are means over
    complete runs (bootstrap over runs), as in the paper; under ``all_runs`` over all that acted. ``actions_per_run`` is
    a mean over the same runs, and ``all_grasps`` counts every grasp of every run (Wilson interval). A mean of no runs
    is none. Where the simulation is the judge, ``felt_grasps`` is what the gripper itself would have counted.

    Args:
        rows: runs.
        one_action: a run is one action. A complete one has no other than a successful grasp, so a mean over complete
            runs says nothing: the metrics are then over all runs, and ``grasp_success`` is ``all_grasps``.
    """
    made = [row for row in rows if row.ended != "skipped"]
    complete = [row for row in made if row.complete]
    means = {**_means(made), "grasp_success": _all_grasps(made)} if one_action else _means(complete)
    return {
        "completion": _told(wilson(len(complete), len(made))),
        **means,
        "over": "all runs" if one_action else "complete runs",
        "all_runs": _means(made),
        "objects": sum(row.objects or row.picked for row in made),
        "picked": sum(row.picked for row in made),
        "lost": sum(row.lost for row in made),
        "grasps": sum(len(row.grasps) for row in made),
        "pushes": sum(action.kind == "push" for row in made for action in row.actions),
        "all_grasps": _all_grasps(made),
        "felt_grasps": _felt_grasps(made),
        "grasp_after_push": _after_push(made),
        "ended": {end: sum(row.ended == end for row in rows) for end in sorted({row.ended for row in rows})},
    }


def by_place(rows: Sequence[RunRow], one_action: bool = False) -> dict[str, dict[str, Any]]:
    """Scores of each scene or case."""
    places = dict.fromkeys(row.place for row in rows)
    return {place: score([row for row in rows if row.place == place], one_action) for place in places}


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """A table of all policies, and of each policy by place where there are several."""
    lines = [
        "| policy | completion | grasp success | action efficiency | runs | picked / objects (lost) |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_line(str(result["label"]), result) for result in results]
    if any(result.get("over") == "all runs" for result in results):
        lines += ["", "A run is one action: grasp success counts the grasps of all runs, not of complete ones alone."]
    felt = [f"{r['label']} {_percent(r['felt_grasps'])}" for r in results if r.get("felt_grasps")]
    if felt:
        lines += ["", "Of all grasps the gripper itself felt held: " + ", ".join(felt) + "."]
    for result in results:
        changes = [f"`{name}`: {old} -> {new}" for name, (old, new) in result.get("differs", {}).items()]
        if changes:
            lines += ["", f"{result['label']} differs from {results[0]['label']} in " + ", ".join(changes) + "."]
    places = list(dict.fromkeys(place for result in results for place in result["by_place"]))
    if len(places) > 1:
        lines += ["", "| case | " + " | ".join(str(r["label"]) for r in results) + " |"]
        lines.append("|---" * (len(results) + 1) + "|")
        for place in places:
            cells = [_short(result["by_place"].get(place)) for result in results]
            lines.append(f"| {place} | " + " | ".join(cells) + " |")
        lines.append("")
        lines.append("A case's numbers: completion / grasp success / action efficiency in per cent.")
    return "\n".join(lines)


def _means(rows: Sequence[RunRow]) -> dict[str, Any]:
    values = {
        "grasp_success": [v for row in rows if (v := row.grasp_success) is not None],
        "action_efficiency": [v for row in rows if (v := row.efficiency) is not None],
        "actions_per_run": [float(len(row.actions)) for row in rows],
    }
    return {name: _told(bootstrap(found) if found else None) for name, found in values.items()}


def _after_push(rows: Sequence[RunRow]) -> dict[str, Any]:
    pairs = [
        bool(second.success)
        for row in rows
        for first, second in zip(row.actions, row.actions[1:], strict=False)
        if first.kind == "push" and second.kind == "grasp"
    ]
    return _told(wilson(sum(pairs), len(pairs)))


def _all_grasps(rows: Sequence[RunRow]) -> dict[str, Any]:
    grasps = [bool(grasp.success) for row in rows for grasp in row.grasps]
    return _told(wilson(sum(grasps), len(grasps)))


def _felt_grasps(rows: Sequence[RunRow]) -> dict[str, Any]:
    felt = [grasp.reason == Reason.HELD for row in rows for grasp in row.grasps]
    return _told(wilson(sum(felt), len(felt)))


def _told(estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {"mean": None, "low": None, "high": None, "n": 0}
    values = estimate.as_dict()
    return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in values.items()}


def _line(label: str, result: Mapping[str, Any]) -> str:
    completion = result["completion"]
    done = round((completion["mean"] or 0.0) * completion["n"])
    cells = [f"{_percent(completion)} ({done}/{completion['n']})"]
    cells += [_percent(result[name]) for name in METRICS[1:]]
    things = f"{result['picked']} / {result['objects']} ({result['lost']})"
    return f"| {label} | {' | '.join(cells)} | {completion['n']} | {things} |"


def _percent(values: Mapping[str, Any]) -> str:
    if values["mean"] is None:
        return "-"
    if values["low"] is None:
        return f"{100 * values['mean']:.1f} %"
    return f"{100 * values['mean']:.1f} [{100 * values['low']:.1f}, {100 * values['high']:.1f}] %"


def _short(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "-"
    means = [result[name]["mean"] for name in METRICS]
    return " / ".join("-" if mean is None else f"{100 * mean:.0f}" for mean in means)
