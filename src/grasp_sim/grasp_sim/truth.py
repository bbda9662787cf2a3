# SPDX-License-Identifier: Apache-2.0
"""Ground truth of a world: object poses, what a hand holds. For judges, rewards and tests; never for a policy."""

from __future__ import annotations

from dataclasses import dataclass

from grasp_core.geometry import Array
from grasp_sim.scenes.build import in_scene
from grasp_sim.world import SimObject, World

# A contact counts from this force on (N): resting against a finger is no grip.
LEAST_FORCE_N = 0.02


@dataclass(frozen=True)
class Held:
    """What a hand holds: the object, the number of the hand's links on it, the mean normal force a finger (N).

    Both are 0 for what is held between other objects.
    """

    thing: SimObject
    contacts: int
    force_n: float


class GroundTruth:
    """Questions to a world that only a simulator can answer."""

    def __init__(self, world: World) -> None:
        self._world = world

    def poses(self) -> dict[int, Array]:
        """``T_base_object`` [4, 4] by object id, parked ones left out."""
        return {thing.id: self._world.pose_of(thing) for thing in self._world.present()}

    def names(self) -> dict[int, str]:
        """Model names by object id."""
        return {thing.id: thing.name for thing in self._world.present()}

    def contacts(self, gripper: str) -> dict[int, dict[int, float]]:
        """Normal force (N) by object id and robot link, of the gripper's fingers and palm."""
        world = self._world
        hand = {*world.drives[gripper].finger_links, self._palm(gripper)}
        by_body = {thing.body: thing.id for thing in world.present()}
        found: dict[int, dict[int, float]] = {}
        for contact in world.api.getContactPoints(bodyA=world.robot.body):
            thing, link, force = by_body.get(contact[2]), contact[3], contact[9]
            if thing is None or link not in hand or force < LEAST_FORCE_N:
                continue
            links = found.setdefault(thing, {})
            links[link] = links.get(link, 0.0) + force
        return found

    def held(self, gripper: str) -> list[Held]:
        """Objects held by contact, and by no furniture.

        One object is held where two parts of the hand touch it, one of them a finger. Objects that press on each other
        are held together where two parts of the hand touch any of them, as two blocks side by side in one grip, and
        what they carry between them or on top; unless one of them presses on something that stands on furniture.
        """
        contacts = self.contacts(gripper)
        fingers = {link for group in self._world.drives[gripper].finger_groups for link in group}
        held: list[Held] = []
        seen: set[int] = set()
        for first in contacts:
            if first in seen or self._supported(self._world.objects[first]):
                continue
            cluster, resting = self._cluster(first)
            seen |= cluster
            if resting:
                members = [i for i in cluster if i in contacts and self._grips(gripper, set(contacts[i]))]
            else:
                links = set().union(*(contacts.get(i, {}) for i in cluster))
                members = list(cluster) if self._grips(gripper, links) else []
            for thing_id in sorted(members):
                touched = contacts.get(thing_id, {})
                forces = [force for link, force in touched.items() if link in fingers]
                mean = sum(forces) / len(forces) if forces else 0.0
                held.append(Held(self._world.objects[thing_id], len(touched), mean))
        return held

    def fallen(self) -> list[SimObject]:
        """Objects that lie outside of the workspace."""
        return [thing for thing in self._world.present() if not in_scene(self._world, thing)]

    def _palm(self, gripper: str) -> int:
        world = self._world
        arm = next(settings for settings in world.config.arms.values() if settings.gripper == gripper)
        return world.robot.links_of([arm.tcp_frame])[0]

    def _grips(self, gripper: str, links: set[int]) -> bool:
        groups = self._world.drives[gripper].finger_groups
        touching = sum(bool(set(group) & links) for group in groups)
        return touching > 0 and touching + (self._palm(gripper) in links) >= 2

    def _cluster(self, first: int) -> tuple[set[int], bool]:
        """Unsupported objects that press on each other, and whether any presses on a supported one."""
        world = self._world
        by_body = {thing.body: thing for thing in world.present()}
        cluster, waiting, resting = {first}, [first], False
        while waiting:
            for contact in world.api.getContactPoints(world.objects[waiting.pop()].body):
                other = by_body.get(contact[2])
                if other is None or other.id in cluster or contact[9] < LEAST_FORCE_N:
                    continue
                if self._supported(other):
                    resting = True
                else:
                    cluster.add(other.id)
                    waiting.append(other.id)
        return cluster, resting

    def _supported(self, thing: SimObject) -> bool:
        world = self._world
        rests = [world.robot.statics, world.floor, *world.extra_bodies.values()]
        return any(c[9] > LEAST_FORCE_N for body in rests for c in world.api.getContactPoints(thing.body, body))
