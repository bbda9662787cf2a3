# SPDX-License-Identifier: Apache-2.0
"""Upstream's other place for the descriptions of parameters."""

from launch._refusal import refuse_attribute

from ..parameter_descriptions import Parameter, ParameterFile, ParameterValue

__all__ = ["Parameter", "ParameterFile", "ParameterValue"]
__getattr__ = refuse_attribute(__name__, __all__)
