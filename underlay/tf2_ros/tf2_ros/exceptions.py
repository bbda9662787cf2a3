# SPDX-License-Identifier: Apache-2.0
"""Why a transform could not be given; the names are those that upstream's tf2 raises."""


class TransformException(Exception):
    """Base of everything that a lookup raises."""


class LookupException(TransformException):
    """A frame of the request is not known, or the frames form a loop."""


class ConnectivityException(TransformException):
    """Both frames are known, but no chain of transforms joins them."""


class ExtrapolationException(TransformException):
    """A transform on the way is not known at the time that was asked for."""


class InvalidArgumentException(TransformException):
    """A frame name or a transform is malformed."""


class TimeoutException(TransformException):
    """Nothing was found within the time allowed."""
