# SPDX-License-Identifier: Apache-2.0
"""What every buffer offers, and the register of functions that transform messages."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from std_msgs.msg import Header

NO_WAIT = Duration()


class TypeException(Exception):
    """No function is registered for a type."""

    def __init__(self, errstr: str) -> None:
        super().__init__(errstr)
        self.errstr = errstr


class NotImplementedException(Exception):
    """A buffer class lacks one of the methods that it must bring."""

    def __init__(self, errstr: str = "this buffer does not implement the method") -> None:
        super().__init__(errstr)
        self.errstr = errstr


def _refuse(kind: str, key: object) -> TypeException:
    name = getattr(key, "__name__", key)
    return TypeException(
        f"no {kind} is registered for {name}; upstream's tf2_geometry_msgs and tf2_sensor_msgs, which register them "
        "for messages, are not part of this stand-in: register a function of your own, or use lookup_transform"
    )


class TransformRegistration:
    """Functions ``(stamped object, TransformStamped) -> object`` by type, one register for all buffers."""

    _transform_by_type: ClassVar[dict[type, Callable[[Any, TransformStamped], Any]]] = {}

    def add(self, key: type, callback: Callable[[Any, TransformStamped], Any]) -> None:
        """Let ``BufferInterface.transform`` treat objects of type ``key``."""
        self._transform_by_type[key] = callback

    def get(self, key: type) -> Callable[[Any, TransformStamped], Any]:
        """The function for a type; TypeException if there is none."""
        if key not in self._transform_by_type:
            raise _refuse("transform function", key)
        return self._transform_by_type[key]


class ConvertRegistration:
    """Functions that convert between message types and others, one register for all buffers."""

    _to_msg: ClassVar[dict[type, Callable[[Any], Any]]] = {}
    _from_msg: ClassVar[dict[type, Callable[[Any], Any]]] = {}
    _convert: ClassVar[dict[tuple[type, type], Callable[[Any], Any]]] = {}

    def add_from_msg(self, key: type, callback: Callable[[Any], Any]) -> None:
        """Register how to make a ``key`` from a message."""
        self._from_msg[key] = callback

    def add_to_msg(self, key: type, callback: Callable[[Any], Any]) -> None:
        """Register how to make a message from a ``key``."""
        self._to_msg[key] = callback

    def add_convert(self, key: tuple[type, type], callback: Callable[[Any], Any]) -> None:
        """Register a direct conversion; ``key`` is (type before, type after)."""
        self._convert[key] = callback

    def get_from_msg(self, key: type) -> Callable[[Any], Any]:
        """What ``add_from_msg`` registered; TypeException if nothing."""
        if key not in self._from_msg:
            raise _refuse("conversion from a message", key)
        return self._from_msg[key]

    def get_to_msg(self, key: type) -> Callable[[Any], Any]:
        """What ``add_to_msg`` registered; TypeException if nothing."""
        if key not in self._to_msg:
            raise _refuse("conversion to a message", key)
        return self._to_msg[key]

    def get_convert(self, key: tuple[type, type]) -> Callable[[Any], Any]:
        """What ``add_convert`` registered; TypeException if nothing."""
        if key not in self._convert:
            raise _refuse("direct conversion", key)
        return self._convert[key]


def convert(a: Any, b_type: type) -> Any:
    """``a`` as a ``b_type``: directly, as a copy if it is one, or through a message."""
    registration = ConvertRegistration()
    try:
        return registration.get_convert((type(a), b_type))(a)
    except TypeException:
        if type(a) is b_type:
            return deepcopy(a)
        return registration.get_from_msg(b_type)(registration.get_to_msg(type(a))(a))


def Stamped(obj: Any, stamp: Any, frame_id: str) -> Any:
    """Give ``obj`` a header with this stamp and frame."""
    obj.header = Header(frame_id=frame_id, stamp=stamp)
    return obj


class BufferInterface:
    """Base of buffers: subclasses bring the four lookups, this class transforms objects with them."""

    def __init__(self) -> None:
        self.registration = TransformRegistration()

    def transform(
        self, object_stamped: Any, target_frame: str, timeout: Duration = NO_WAIT, new_type: type | None = None
    ) -> Any:
        """``object_stamped`` seen from ``target_frame`` at its own stamp; TypeException for an unregistered type."""
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        result = do_transform(
            object_stamped, self.lookup_transform(target_frame, header.frame_id, header.stamp, timeout)
        )
        return result if new_type is None else convert(result, new_type)

    def transform_full(
        self,
        object_stamped: Any,
        target_frame: str,
        target_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
        new_type: type | None = None,
    ) -> Any:
        """``object_stamped`` seen from ``target_frame`` at another time, ``fixed_frame`` not moving in between."""
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        transform = self.lookup_transform_full(
            target_frame, target_time, header.frame_id, header.stamp, fixed_frame, timeout
        )
        result = do_transform(object_stamped, transform)
        return result if new_type is None else convert(result, new_type)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """Implemented by subclasses."""
        raise NotImplementedException

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """Implemented by subclasses."""
        raise NotImplementedException

    def can_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> bool | tuple[bool, str]:
        """Implemented by subclasses."""
        raise NotImplementedException

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> bool | tuple[bool, str]:
        """Implemented by subclasses."""
        raise NotImplementedException
