# SPDX-License-Identifier: Apache-2.0
"""Print the LD_LIBRARY_PATH with which the ROS wheels of this virtual environment find their shared libraries."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path


def library_path(existing: str) -> str:
    """The wheels' library folders in front of what was there, each once."""
    packages = Path(sysconfig.get_path("purelib"))
    folders = [str(Path(sys.prefix) / "lib"), *sorted(str(path) for path in packages.glob("ros_*.libs"))]
    return os.pathsep.join(dict.fromkeys([*folders, *(part for part in existing.split(os.pathsep) if part)]))


if __name__ == "__main__":
    print(library_path(os.environ.get("LD_LIBRARY_PATH", "")))
