# SPDX-License-Identifier: Apache-2.0
"""Upstream's names for 'text, a substitution, or a sequence of both'."""

import collections.abc
from collections.abc import Iterable

from .substitution import Substitution

SomeSubstitutionsType = str | Substitution | Iterable[str | Substitution]
SomeSubstitutionsType_types_tuple = (str, Substitution, collections.abc.Iterable)
