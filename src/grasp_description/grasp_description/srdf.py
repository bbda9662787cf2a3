# SPDX-License-Identifier: Apache-2.0
"""Read, write and prefix SRDF files."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Chain:
    """The joints between two links."""

    base: str
    tip: str


@dataclass(frozen=True)
class Group:
    """A named set of joints: a chain, single joints, or other groups, in any mix."""

    name: str
    chain: Chain | None = None
    joints: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class EndEffector:
    """A group of gripper joints mounted on `parent_link` of the arm group `parent_group`."""

    name: str
    group: str
    parent_link: str
    parent_group: str


@dataclass(frozen=True)
class Srdf:
    """Content of an SRDF file: `states` by (group, state), `disabled` reasons by the sorted pair of links."""

    robot: str
    groups: Mapping[str, Group] = field(default_factory=dict)
    states: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    end_effectors: tuple[EndEffector, ...] = ()
    virtual_joint: tuple[str, str, str, str] = ("", "", "", "")
    passive_joints: tuple[str, ...] = ()
    disabled: Mapping[tuple[str, str], str] = field(default_factory=dict)


def parse_srdf(text: str) -> Srdf:
    """Read SRDF text.

    Raises:
        ValueError: the text is no SRDF.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"the SRDF is not valid XML: {error}") from error
    if root.tag != "robot":
        raise ValueError(f"an SRDF's root element is <robot>, not <{root.tag}>")
    groups = {}
    for item in root.findall("group"):
        chain = item.find("chain")
        groups[item.get("name", "")] = Group(
            name=item.get("name", ""),
            chain=None if chain is None else Chain(chain.get("base_link", ""), chain.get("tip_link", "")),
            joints=tuple(joint.get("name", "") for joint in item.findall("joint")),
            groups=tuple(group.get("name", "") for group in item.findall("group")),
        )
    states = {
        (item.get("group", ""), item.get("name", "")): {
            joint.get("name", ""): float(joint.get("value", "nan")) for joint in item.findall("joint")
        }
        for item in root.findall("group_state")
    }
    effectors = tuple(
        EndEffector(e.get("name", ""), e.get("group", ""), e.get("parent_link", ""), e.get("parent_group", ""))
        for e in root.findall("end_effector")
    )
    virtual = root.find("virtual_joint")
    keys = ("name", "type", "parent_frame", "child_link")
    disabled = {}
    for item in root.findall("disable_collisions"):
        first, second = sorted((item.get("link1", ""), item.get("link2", "")))
        disabled[first, second] = item.get("reason", "")
    return Srdf(
        robot=root.get("name", ""),
        groups=groups,
        states=states,
        end_effectors=effectors,
        virtual_joint=("", "", "", "") if virtual is None else tuple(virtual.get(key, "") for key in keys),  # type: ignore[arg-type]
        passive_joints=tuple(item.get("name", "") for item in root.findall("passive_joint")),
        disabled=disabled,
    )


def write_srdf(srdf: Srdf, comment: str) -> str:
    """Return SRDF text in a fixed order, so that equal content gives equal bytes."""
    lines = [
        '<?xml version="1.0"?>',
        f"<!-- SPDX-License-Identifier: Apache-2.0\n  {comment}\n-->",
        f'<robot name="{srdf.robot}">',
    ]
    if srdf.virtual_joint[0]:
        name, kind, parent, child = srdf.virtual_joint
        lines.append(f'  <virtual_joint name="{name}" type="{kind}" parent_frame="{parent}" child_link="{child}"/>')
    for group in srdf.groups.values():
        lines.append(f'  <group name="{group.name}">')
        if group.chain:
            lines.append(f'    <chain base_link="{group.chain.base}" tip_link="{group.chain.tip}"/>')
        lines += [f'    <joint name="{name}"/>' for name in group.joints]
        lines += [f'    <group name="{name}"/>' for name in group.groups]
        lines.append("  </group>")
    for (group_name, state), values in srdf.states.items():
        lines.append(f'  <group_state name="{state}" group="{group_name}">')
        lines += [f'    <joint name="{joint}" value="{value:.9g}"/>' for joint, value in values.items()]
        lines.append("  </group_state>")
    for e in srdf.end_effectors:
        lines.append(
            f'  <end_effector name="{e.name}" group="{e.group}" '
            f'parent_link="{e.parent_link}" parent_group="{e.parent_group}"/>'
        )
    lines += [f'  <passive_joint name="{name}"/>' for name in srdf.passive_joints]
    for (first, second), reason in sorted(srdf.disabled.items()):
        lines.append(f'  <disable_collisions link1="{first}" link2="{second}" reason="{reason}"/>')
    return "\n".join([*lines, "</robot>"]) + "\n"


def add_prefix(text: str, prefix: str, prefixed_urdf: str) -> str:
    """Put `prefix` before every link and joint name that carries it in `prefixed_urdf` (furniture and world do not)."""
    urdf = ElementTree.fromstring(prefixed_urdf)
    names = {item.get("name", "") for item in [*urdf.findall("link"), *urdf.findall("joint")]}
    renamed = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    root = ElementTree.fromstring(text)
    link_or_joint = {
        "chain": ("base_link", "tip_link"),
        "joint": ("name",),
        "end_effector": ("parent_link",),
        "passive_joint": ("name",),
        "virtual_joint": ("child_link",),
        "disable_collisions": ("link1", "link2"),
    }
    for item in root.iter():
        for key in link_or_joint.get(item.tag, ()):
            if (value := item.get(key)) in renamed:
                item.set(key, f"{prefix}{value}")
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(root, encoding="unicode")
