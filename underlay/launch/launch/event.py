# SPDX-License-Identifier: Apache-2.0
"""The base class of events."""


class Event:
    """Something that happened, for event handlers to match."""

    name = "launch.Event"
