# SPDX-License-Identifier: Apache-2.0
"""Objects to grasp: models, sets of them by name, and a loader for folders of meshes."""

from grasp_sim.objects.models import BrokenModelError, ObjectModel
from grasp_sim.objects.sets import ObjectSet, ObjectSetConfig, load_object_set, object_set_names

__all__ = [
    "BrokenModelError",
    "ObjectModel",
    "ObjectSet",
    "ObjectSetConfig",
    "load_object_set",
    "object_set_names",
]
