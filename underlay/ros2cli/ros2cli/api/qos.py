# SPDX-License-Identifier: Apache-2.0
"""Quality of service: command-line options, profiles that match publishers, and rosbag2's YAML form."""

import argparse
from typing import Any

from rclpy.duration import Duration
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSPresetProfiles,
    QoSProfile,
    QoSReliabilityPolicy,
)

INFINITE_NS = 2**63 - 1
_POLICIES = {
    "history": QoSHistoryPolicy,
    "reliability": QoSReliabilityPolicy,
    "durability": QoSDurabilityPolicy,
    "liveliness": QoSLivelinessPolicy,
}
_DURATIONS = ("deadline", "lifespan", "liveliness_lease_duration")


def add_qos_arguments(parser: argparse.ArgumentParser, verb: str, default: str) -> None:
    """Declare ``--qos-profile`` and the options that override its parts."""
    parser.add_argument(
        "--qos-profile",
        choices=QoSPresetProfiles.short_keys(),
        default=default,
        help=f"Quality of service preset profile to {verb} with (default: {default})",
    )
    parser.add_argument("--qos-depth", metavar="N", type=int, help=f"Queue size setting to {verb} with")
    for name, policy in _POLICIES.items():
        parser.add_argument(
            f"--qos-{name}",
            choices=policy.short_keys(),
            help=f"Quality of service {name} setting to {verb} with (overrides that of --qos-profile)",
        )
    parser.add_argument(
        "--qos-liveliness-lease-duration-seconds",
        type=float,
        help=f"Quality of service liveliness lease duration setting to {verb} with",
    )


def overridden(args: argparse.Namespace) -> bool:
    """Whether a command line sets any part of the profile."""
    names = [*_POLICIES, "depth", "liveliness_lease_duration_seconds"]
    return any(getattr(args, f"qos_{name}") is not None for name in names)


def profile_from_arguments(args: argparse.Namespace) -> QoSProfile:
    """The preset profile with the parts that the command line overrides."""
    profile = copy_profile(QoSPresetProfiles.get_from_short_key(args.qos_profile))
    for name, policy in _POLICIES.items():
        key = getattr(args, f"qos_{name}")
        if key is not None:
            setattr(profile, name, policy.get_from_short_key(key))
    if args.qos_liveliness_lease_duration_seconds is not None:
        profile.liveliness_lease_duration = Duration(seconds=args.qos_liveliness_lease_duration_seconds)
    if args.qos_depth is not None:
        profile.depth = args.qos_depth
    elif profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL and profile.depth == 0:
        profile.depth = 1
    return profile


def copy_profile(profile: QoSProfile) -> QoSProfile:
    """An independent copy: rclpy's presets are shared objects."""
    return QoSProfile(**{name.lstrip("_"): getattr(profile, name.lstrip("_")) for name in QoSProfile.__slots__})


def matching(publishers: list[Any], base: QoSProfile, *, warn: bool = True) -> QoSProfile:
    """``base`` with reliability and durability that connect to every one of ``publishers`` (endpoint infos).

    Reliable or transient local only where all publishers offer it; none known: ``base`` as it is.
    """
    profile = copy_profile(base)
    if not publishers:
        return profile
    for name, strong, weak in (
        ("reliability", QoSReliabilityPolicy.RELIABLE, QoSReliabilityPolicy.BEST_EFFORT),
        ("durability", QoSDurabilityPolicy.TRANSIENT_LOCAL, QoSDurabilityPolicy.VOLATILE),
    ):
        offering = sum(getattr(info.qos_profile, name) == strong for info in publishers)
        setattr(profile, name, strong if offering == len(publishers) else weak)
        if warn and 0 < offering < len(publishers):
            print(
                f"Some, but not all, publishers are offering {type(strong).__name__}.{strong.name}. "
                f"Falling back to {type(strong).__name__}.{weak.name} as it will connect to all publishers"
            )
    return profile


def to_dict(profile: QoSProfile) -> dict[str, Any]:
    """``profile`` as rosbag2's metadata (version 9) writes it."""
    result: dict[str, Any] = {"history": profile.history.short_key, "depth": profile.depth}
    for name in ("reliability", "durability"):
        result[name] = getattr(profile, name).short_key
    for name in _DURATIONS[:2]:
        result[name] = _duration_dict(getattr(profile, name))
    result["liveliness"] = profile.liveliness.short_key
    result["liveliness_lease_duration"] = _duration_dict(profile.liveliness_lease_duration)
    result["avoid_ros_namespace_conventions"] = profile.avoid_ros_namespace_conventions
    return result


def _duration_dict(duration: Duration) -> dict[str, int]:
    sec, nsec = divmod(duration.nanoseconds, 10**9)
    return {"sec": sec, "nsec": nsec}


def from_dict(values: dict[str, Any], default_depth: int = 10) -> QoSProfile:
    """A profile from rosbag2's YAML, in its newer form (names) or its older one (numbers); unknown parts: defaults.

    Raises:
        RuntimeError: a part has a name that no policy has.
    """
    profile = QoSProfile(depth=int(values.get("depth") or default_depth))  # discovery does not carry the depth: 0
    for name, policy in _POLICIES.items():
        value = values.get(name)
        if value is None or value == "unknown":
            continue
        try:
            chosen = policy(value if isinstance(value, int) else policy.get_from_short_key(value))
        except (KeyError, ValueError) as error:
            raise RuntimeError(f"QoS {name} cannot be '{value}'; choose one of {policy.short_keys()}") from error
        if chosen.name != "UNKNOWN":
            setattr(profile, name, chosen)
    for name in _DURATIONS:
        value = values.get(name)
        if value:
            nanoseconds = int(value["sec"]) * 10**9 + int(value["nsec"])
            if 0 < nanoseconds < INFINITE_NS:  # both ends mean: no limit, which is the default
                setattr(profile, name, Duration(nanoseconds=nanoseconds))
    profile.avoid_ros_namespace_conventions = bool(values.get("avoid_ros_namespace_conventions", False))
    return profile
