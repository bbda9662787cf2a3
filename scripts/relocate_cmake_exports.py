# SPDX-License-Identifier: Apache-2.0
"""Point the ROS wheels' CMake exports at this interpreter.

The wheels were built in a manylinux image whose Python lives under /opt/python; the exported targets carry that include
folder along and CMake refuses a target whose include folder does not exist. Safe to run twice.

Usage: python scripts/relocate_cmake_exports.py
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy

BUILDER_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")
BUILDER_NUMPY = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/(?:_core|core)/include")


def relocate(prefix: Path) -> int:
    """Rewrite every export below ``prefix``/share; return how many files changed."""
    python_include = sysconfig.get_path("include")
    numpy_include = numpy.get_include()
    changed = 0
    for path in sorted((prefix / "share").glob("*/cmake/*Export*.cmake")):
        text = path.read_text()
        new = BUILDER_NUMPY.sub(numpy_include, text)
        new = BUILDER_INCLUDE.sub(python_include, new)
        if new != text:
            path.write_text(new)
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"{relocate(Path(sys.prefix))} CMake export files now name {sysconfig.get_path('include')}")
