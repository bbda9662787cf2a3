# SPDX-License-Identifier: Apache-2.0
"""Argument types for argparse."""

from argparse import ArgumentTypeError


def positive_int(text: str) -> int:
    """A whole number above zero."""
    return _checked(text, int, lambda value: value > 0, "a positive integer")


def unsigned_int(text: str) -> int:
    """A whole number, zero or above."""
    return _checked(text, int, lambda value: value >= 0, "a non-negative integer")


def positive_float(text: str) -> float:
    """A number above zero."""
    return _checked(text, float, lambda value: value > 0.0, "a positive number")


def unsigned_float(text: str) -> float:
    """A number, zero or above."""
    return _checked(text, float, lambda value: value >= 0.0, "a non-negative number")


def _checked(text, convert, fits, wanted):
    try:
        value = convert(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise ArgumentTypeError(f"value must be {wanted}, not '{text}'")
    return value
