# SPDX-License-Identifier: Apache-2.0
"""Conditions: whether an action is carried out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._refusal import refuse_attribute
from ..condition import Condition
from ..substitution import Substitution
from ..utilities import (
    describe_substitutions,
    normalize_to_list_of_substitutions,
    perform_substitutions,
    perform_text,
)

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class InvalidConditionExpressionError(ValueError):
    """A condition's text is neither true nor false."""


def evaluate_condition_expression(context: LaunchContext, expression: Iterable[Substitution]) -> bool:
    """Return the truth of performed substitutions: 'true' and '1' or 'false' and '0', in any case.

    Raises:
        InvalidConditionExpressionError: the text is none of these.
    """
    expression = list(expression)
    text = perform_substitutions(context, expression).strip().lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise InvalidConditionExpressionError(
        f"invalid condition expression, expected one of [true, 1, false, 0] but got '{text}', "
        f"expanded from '{describe_substitutions(expression)}'"
    )


class IfCondition(Condition):
    """Holds if the expression is true."""

    def __init__(self, predicate_expression: Any) -> None:
        self._expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(predicate=self._holds)

    def _holds(self, context: LaunchContext) -> bool:
        return evaluate_condition_expression(context, self._expression)

    def describe(self) -> str:
        """Return the expression."""
        return f"{type(self).__name__}({describe_substitutions(self._expression)})"


class UnlessCondition(IfCondition):
    """Holds if the expression is false."""

    def _holds(self, context: LaunchContext) -> bool:
        return not super()._holds(context)


class LaunchConfigurationEquals(Condition):
    """Holds if a launch configuration has a value (None: is not set). Deprecated upstream, kept for old files."""

    def __init__(self, launch_configuration_name: str, expected_value: Any) -> None:
        warnings.warn(
            f"{type(self).__name__} is deprecated upstream: use IfCondition with EqualsSubstitution", stacklevel=2
        )
        self._name = launch_configuration_name
        self._expected = expected_value
        super().__init__(predicate=self._holds)

    def _holds(self, context: LaunchContext) -> bool:
        expected = None if self._expected is None else perform_text(context, self._expected)
        return context.launch_configurations.get(self._name) == expected


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """Holds where LaunchConfigurationEquals does not."""

    def _holds(self, context: LaunchContext) -> bool:
        return not super()._holds(context)


__all__ = [
    "IfCondition",
    "InvalidConditionExpressionError",
    "LaunchConfigurationEquals",
    "LaunchConfigurationNotEquals",
    "UnlessCondition",
    "evaluate_condition_expression",
]
__getattr__ = refuse_attribute(__name__, __all__)
