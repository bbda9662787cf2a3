# SPDX-License-Identifier: Apache-2.0
"""Substitutions that give 'true' or 'false', or choose by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..substitution import Substitution
from ..utilities import (
    describe_substitutions,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)
from ..utilities.type_utils import coerce_to_type, is_substitution
from .basic import SubstitutionFailure

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


def _truth(context: LaunchContext, subs: list[Substitution]) -> bool:
    try:
        return coerce_to_type(perform_substitutions(context, subs), bool)
    except ValueError as error:
        raise SubstitutionFailure(str(error)) from error


def _text(value: bool) -> str:
    return "true" if value else "false"


class _Combination(Substitution):
    def __init__(self, *operands: Any) -> None:
        self._operands = [normalize_to_list_of_substitutions(operand) for operand in operands]

    def describe(self) -> str:
        """Return the operands' descriptions."""
        return f"{type(self).__name__}({' '.join(describe_substitutions(operand) for operand in self._operands)})"

    def _truths(self, context: LaunchContext) -> list[bool]:
        return [_truth(context, operand) for operand in self._operands]


class AllSubstitution(_Combination):
    """'true' if all operands are true."""

    def perform(self, context: LaunchContext) -> str:
        """Return 'true' or 'false'."""
        return _text(all(self._truths(context)))


class AnySubstitution(_Combination):
    """'true' if any operand is true."""

    def perform(self, context: LaunchContext) -> str:
        """Return 'true' or 'false'."""
        return _text(any(self._truths(context)))


class AndSubstitution(AllSubstitution):
    """'true' if both operands are true."""

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(left, right)


class OrSubstitution(AnySubstitution):
    """'true' if either operand is true."""

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(left, right)


class NotSubstitution(_Combination):
    """'true' if the operand is false."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)

    def perform(self, context: LaunchContext) -> str:
        """Return 'true' or 'false'."""
        return _text(not self._truths(context)[0])


class EqualsSubstitution(Substitution):
    """'true' if both sides are the same truth value, close numbers or equal text."""

    def __init__(self, left: Any, right: Any) -> None:
        self.left = self._normalize(left)
        self.right = self._normalize(right)

    @staticmethod
    def _normalize(side: Any) -> list[Substitution]:
        if not is_substitution(side):
            side = "" if side is None else _text(side) if isinstance(side, bool) else str(side)
        return normalize_to_list_of_substitutions(side)

    def describe(self) -> str:
        """Return both sides."""
        return f"{type(self).__name__}({describe_substitutions(self.left)} {describe_substitutions(self.right)})"

    def _equal(self, context: LaunchContext) -> bool:
        left = perform_substitutions(context, self.left)
        right = perform_substitutions(context, self.right)
        booleans = {"true": True, "1": True, "false": False, "0": False}
        if left.lower() in booleans and right.lower() in booleans:
            return booleans[left.lower()] == booleans[right.lower()]
        try:
            return math.isclose(float(left), float(right))
        except ValueError:
            return left == right

    def perform(self, context: LaunchContext) -> str:
        """Return 'true' or 'false'."""
        return _text(self._equal(context))


class NotEqualsSubstitution(EqualsSubstitution):
    """'false' where EqualsSubstitution is 'true'."""

    def perform(self, context: LaunchContext) -> str:
        """Return 'true' or 'false'."""
        return _text(not self._equal(context))


class IfElseSubstitution(Substitution):
    """One of two texts, by a condition."""

    def __init__(self, condition: Any, if_value: Any = "", else_value: Any = "") -> None:
        if isinstance(if_value, str) and isinstance(else_value, str) and if_value == else_value == "":
            raise RuntimeError("IfElseSubstitution needs an if_value, an else_value or both")
        self.condition = normalize_to_list_of_substitutions(condition)
        self.if_value = normalize_to_list_of_substitutions(if_value)
        self.else_value = normalize_to_list_of_substitutions(else_value)

    def describe(self) -> str:
        """Return condition and values."""
        parts = (self.condition, self.if_value, self.else_value)
        return f"IfElseSubstitution({', '.join(describe_substitutions(part) for part in parts)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the chosen text; the other one is not performed."""
        return perform_substitutions(context, self.if_value if _truth(context, self.condition) else self.else_value)
