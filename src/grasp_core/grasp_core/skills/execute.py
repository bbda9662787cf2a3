# SPDX-License-Identifier: Apache-2.0
"""From a decision to an outcome: the guard first, then the skill."""

from __future__ import annotations

from grasp_core.actions import Action, Grasp, Push, Step
from grasp_core.cell import Intervention, Reason
from grasp_core.guard import Guard, Refused
from grasp_core.observation import Observation
from grasp_core.ports import StateError
from grasp_core.skills.grasp import grasp
from grasp_core.skills.ports import CellPorts, SkillFailure, SkillResult
from grasp_core.skills.push import push
from grasp_core.skills.step import step


def execute_action(
    ports: CellPorts, guard: Guard, action: Action, observation: Observation
) -> tuple[SkillResult, tuple[Intervention, ...]]:
    """Carry out an action; whatever goes wrong is in the result, with a reason. Arms end at rest.

    Args:
        ports: the cell's; its arms and grippers stand behind the same guard.
        guard: clips or refuses the action.
        action: as decided.
        observation: what it was decided on.
    """
    with guard.listen() as heard:
        result = _run(ports, guard, action, observation)
    return result, tuple(heard)


def _run(ports: CellPorts, guard: Guard, action: Action, observation: Observation) -> SkillResult:
    admitted: Action | None = None
    try:
        admitted, _ = guard.admit(action, observation)
        return _dispatch(ports, admitted, observation)
    except SkillFailure as failure:
        return SkillResult(admitted, False, failure.reason, failure.message)
    except Refused as refusal:
        return SkillResult(admitted, False, Reason.REFUSED_BY_GUARD, str(refusal))
    except StateError as error:
        return SkillResult(admitted, False, Reason.STALE_STATE, str(error))
    except KeyError as error:
        # An arm, a camera or a joint that this cell does not have.
        return SkillResult(admitted, False, Reason.INVALID_ACTION, str(error.args[0]))


def _dispatch(ports: CellPorts, action: Action, observation: Observation) -> SkillResult:
    if isinstance(action, Grasp):
        return grasp(ports, action)
    if isinstance(action, Push):
        return push(ports, action)
    if isinstance(action, Step):
        return step(ports, action, observation)
    return SkillResult(action, None, Reason.STOPPED_BY_POLICY, action.reason)
