# SPDX-License-Identifier: Apache-2.0
"""Cuts a cell's URDF into what moves and what stands, and welds rigidly joined links together.

PyBullet gives every fixed joint a link of its own and every frame without an inertial a mass of 1 kg. Here all links
that hang rigidly together become one, with their masses, inertias and shapes combined, and everything that never
moves (furniture, posts, the robot's own base) becomes a second, static description.
"""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.geometry import Array, invert, rotation_of, transform

# Smallest mass (kg) and inertia (kg m2) that a moving link gets; lighter links make the solver diverge.
LEAST_MASS_KG = 1e-3
LEAST_INERTIA = 1e-6


@dataclass(frozen=True)
class Joint:
    """A joint that moves: limits in rad or m, rad/s or m/s, Nm or N; ``axis`` in the child link's frame."""

    name: str
    kind: str
    parent: str
    child: str
    lower: float
    upper: float
    velocity: float
    effort: float
    axis: tuple[float, float, float]


@dataclass(frozen=True)
class SimDescription:
    """A cell's description as the simulator loads it.

    Attributes:
        robot_urdf: the moving links, hung on a massless base at the root frame.
        static_urdf: the links that never move, each still a link of its own.
        joints: the moving joints by name, in the URDF's order.
        anchors: for every link of the original: the link of ``robot_urdf`` that it is welded to (the root's name for
            what never moves) and ``T_anchor_link`` [4, 4].
        root: name of the root link.
    """

    robot_urdf: str
    static_urdf: str
    joints: dict[str, Joint]
    anchors: dict[str, tuple[str, Array]]
    root: str


def split(urdf: str) -> SimDescription:
    """Split and weld a URDF.

    Raises:
        ValueError: it has no or several root links.
    """
    robot = ElementTree.fromstring(urdf)
    links = {link.get("name", ""): link for link in robot.findall("link")}
    joints = robot.findall("joint")
    parents = {_child(joint): joint for joint in joints}
    roots = [name for name in links if name not in parents]
    if len(roots) != 1:
        raise ValueError(f"a URDF has one root link; this one has {', '.join(roots) or 'none'}")
    root = roots[0]
    anchors = {name: _anchor(name, parents) for name in links}
    materials = {m.get("name", ""): m for m in robot.findall("material")}
    return SimDescription(
        robot_urdf=_robot(robot, root, links, joints, anchors, materials),
        static_urdf=_static(robot, root, links, anchors, materials),
        joints={j.get("name", ""): _joint(j) for j in joints if j.get("type") != "fixed"},
        anchors=anchors,
        root=root,
    )


def origin_of(element: Element | None) -> Array:
    """The transform of an ``origin`` tag, the identity where there is none."""
    if element is None:
        return np.eye(4)
    xyz = [float(v) for v in element.get("xyz", "0 0 0").split()]
    rpy = [float(v) for v in element.get("rpy", "0 0 0").split()]
    return transform(xyz, Rotation.from_euler("xyz", rpy))


def _child(joint: Element) -> str:
    return joint.find("child").get("link", "")  # type: ignore[union-attr]


def _parent(joint: Element) -> str:
    return joint.find("parent").get("link", "")  # type: ignore[union-attr]


def _anchor(link: str, parents: dict[str, Element]) -> tuple[str, Array]:
    T_anchor_link = np.eye(4)
    while link in parents and parents[link].get("type") == "fixed":
        T_anchor_link = origin_of(parents[link].find("origin")) @ T_anchor_link
        link = _parent(parents[link])
    return link, T_anchor_link


def _joint(joint: Element) -> Joint:
    limit = joint.find("limit")
    values = {} if limit is None else limit.attrib
    kind = joint.get("type", "")
    endless = kind == "continuous"
    return Joint(
        joint.get("name", ""),
        kind,
        _parent(joint),
        _child(joint),
        -np.inf if endless else float(values.get("lower", 0.0)),
        np.inf if endless else float(values.get("upper", 0.0)),
        float(values.get("velocity", 1.0)),
        float(values.get("effort", 100.0)),
        _axis(joint.find("axis")),
    )


def _axis(element: Element | None) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in ("1 0 0" if element is None else element.get("xyz", "1 0 0")).split())
    return (x, y, z)


def _set_origin(element: Element, T: Array) -> None:
    origin = element.find("origin")
    if origin is None:
        origin = ElementTree.SubElement(element, "origin")
    origin.set("xyz", " ".join(f"{v:.9g}" for v in T[:3, 3]))
    with warnings.catch_warnings():
        # At pitch 90 degrees the angles are not unique; any of them will do.
        warnings.simplefilter("ignore", UserWarning)
        origin.set("rpy", " ".join(f"{v:.9g}" for v in rotation_of(T).as_euler("xyz")))


def _shape(element: Element, T: Array, materials: dict[str, Element]) -> Element:
    copy = ElementTree.fromstring(ElementTree.tostring(element))
    _set_origin(copy, T @ origin_of(element.find("origin")))
    material = copy.find("material")
    if material is not None and material.find("color") is None and material.get("name") in materials:
        material.extend(list(materials[material.get("name", "")]))
    return copy


def _robot(
    robot: Element,
    root: str,
    links: dict[str, Element],
    joints: list[Element],
    anchors: dict[str, tuple[str, Array]],
    materials: dict[str, Element],
) -> str:
    out = ElementTree.Element("robot", name=robot.get("name", "robot"))
    welded: dict[str, Element] = {}
    for name, (anchor, _) in anchors.items():
        if name == anchor:
            welded[name] = ElementTree.SubElement(out, "link", name=name)
    bodies: dict[str, list[tuple[float, Array, Array]]] = {name: [] for name in welded}
    for name, (anchor, T_anchor_link) in anchors.items():
        if anchor == root:
            continue
        for kind in ("visual", "collision"):
            for element in links[name].findall(kind):
                welded[anchor].append(_shape(element, T_anchor_link, materials))
        inertial = links[name].find("inertial")
        if inertial is not None:
            bodies[anchor].append(_inertia(inertial, T_anchor_link))
    for name, parts in bodies.items():
        welded[name].append(_inertial(parts))
    for joint in joints:
        if joint.get("type") == "fixed":
            continue
        copy = ElementTree.fromstring(ElementTree.tostring(joint))
        anchor, T_anchor_parent = anchors[_parent(joint)]
        _set_origin(copy, T_anchor_parent @ origin_of(joint.find("origin")))
        copy.find("parent").set("link", anchor)  # type: ignore[union-attr]
        mimic = copy.find("mimic")
        if mimic is not None:
            copy.remove(mimic)
        out.append(copy)
    return ElementTree.tostring(out, encoding="unicode")


def _static(
    robot: Element,
    root: str,
    links: dict[str, Element],
    anchors: dict[str, tuple[str, Array]],
    materials: dict[str, Element],
) -> str:
    out = ElementTree.Element("robot", name=f"{robot.get('name', 'robot')}_static")
    base = ElementTree.SubElement(out, "link", name="static_base")
    base.append(_inertial([]))
    for name, (anchor, T_root_link) in anchors.items():
        shapes = [*links[name].findall("visual"), *links[name].findall("collision")]
        if anchor != root or not shapes:
            continue
        link = ElementTree.SubElement(out, "link", name=name)
        link.append(_inertial([]))
        link.extend(_shape(element, np.eye(4), materials) for element in shapes)
        joint = ElementTree.SubElement(out, "joint", name=f"{name}_weld", type="fixed")
        ElementTree.SubElement(joint, "parent", link="static_base")
        ElementTree.SubElement(joint, "child", link=name)
        _set_origin(joint, T_root_link)
    return ElementTree.tostring(out, encoding="unicode")


def _inertia(inertial: Element, T_anchor_link: Array) -> tuple[float, Array, Array]:
    """Mass, centre of mass [3] and inertia about it [3, 3], both in the anchor's axes."""
    T = T_anchor_link @ origin_of(inertial.find("origin"))
    mass = float(inertial.find("mass").get("value", "0"))  # type: ignore[union-attr]
    tag = inertial.find("inertia")
    v = {k: float(tag.get(k, "0")) for k in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")}  # type: ignore[union-attr]
    matrix = np.array([[v["ixx"], v["ixy"], v["ixz"]], [v["ixy"], v["iyy"], v["iyz"]], [v["ixz"], v["iyz"], v["izz"]]])
    return mass, T[:3, 3].copy(), T[:3, :3] @ matrix @ T[:3, :3].T


def _inertial(parts: list[tuple[float, Array, Array]]) -> Element:
    mass = sum(part[0] for part in parts)
    com = np.zeros(3)
    matrix = np.eye(3) * LEAST_INERTIA
    if mass > 0.0:
        com = np.sum([m * c for m, c, _ in parts], axis=0) / mass
        for m, c, inertia in parts:
            r = c - com
            matrix = matrix + inertia + m * (r @ r * np.eye(3) - np.outer(r, r))
    out = ElementTree.Element("inertial")
    # PyBullet reads only the diagonal reliably: turn the frame into the principal axes instead.
    moments, axes = np.linalg.eigh(matrix)
    if np.linalg.det(axes) < 0.0:
        axes[:, 0] = -axes[:, 0]
    _set_origin(out, transform(com, axes))
    ElementTree.SubElement(out, "mass", value=f"{max(mass, LEAST_MASS_KG):.9g}")
    ixx, iyy, izz = np.maximum(moments, LEAST_INERTIA)
    ElementTree.SubElement(
        out, "inertia", ixx=f"{ixx:.9g}", iyy=f"{iyy:.9g}", izz=f"{izz:.9g}", ixy="0", ixz="0", iyz="0"
    )
    return out


def frame_in(description: SimDescription, frame: str, link: str) -> Array:
    """``T_link_frame`` [4, 4] of two frames that are welded to the same moving link.

    Raises:
        KeyError: an unknown frame, or the two move against each other.
    """
    for name in (frame, link):
        if name not in description.anchors:
            raise KeyError(f"no link or frame {name!r} in the description")
    anchor_frame, T_anchor_frame = description.anchors[frame]
    anchor_link, T_anchor_link = description.anchors[link]
    if anchor_frame != anchor_link:
        raise KeyError(f"{frame} is welded to {anchor_frame}, {link} to {anchor_link}: there is no fixed transform")
    return invert(T_anchor_link) @ T_anchor_frame
