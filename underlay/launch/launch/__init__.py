# SPDX-License-Identifier: Apache-2.0
"""Stand-in for ROS 2's ``launch`` on machines without a ROS 2 installation.

It holds the part of upstream's Jazzy API that this workspace uses, under upstream's names and with upstream's
behaviour, so that the same launch files run in both worlds. What it does not hold it refuses by name. It adds two
promises that upstream does not make: no process outlives the launcher, however the launcher ends, and an argument
that no launch file declares is an error.
"""

from . import actions, conditions, descriptions, events, logging, substitutions
from ._refusal import refuse_attribute
from .action import Action
from .condition import Condition
from .event import Event
from .event_handler import EventHandler
from .launch_arguments import UndeclaredLaunchArgumentError, check_launch_arguments
from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .launch_description_entity import LaunchDescriptionEntity
from .launch_description_source import LaunchDescriptionSource
from .launch_introspector import LaunchIntrospector
from .launch_service import LaunchService
from .some_entities_type import SomeEntitiesType, SomeEntitiesType_types_tuple
from .some_substitutions_type import SomeSubstitutionsType, SomeSubstitutionsType_types_tuple
from .substitution import Substitution

IS_STAND_IN = True
"""True here, absent from upstream's package: tells the two worlds apart."""

__all__ = [
    "IS_STAND_IN",
    "Action",
    "Condition",
    "Event",
    "EventHandler",
    "LaunchContext",
    "LaunchDescription",
    "LaunchDescriptionEntity",
    "LaunchDescriptionSource",
    "LaunchIntrospector",
    "LaunchService",
    "SomeEntitiesType",
    "SomeEntitiesType_types_tuple",
    "SomeSubstitutionsType",
    "SomeSubstitutionsType_types_tuple",
    "Substitution",
    "UndeclaredLaunchArgumentError",
    "actions",
    "check_launch_arguments",
    "conditions",
    "descriptions",
    "events",
    "logging",
    "substitutions",
]
__getattr__ = refuse_attribute(__name__, __all__)
