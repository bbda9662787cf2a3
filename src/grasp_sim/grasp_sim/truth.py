# SPDX-License-Identifier: Apache-2.0
"""Ground truth of a world: object poses, what a hand holds. For judges, rewards and tests; never for a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grasp_core.geometry import Array
from grasp_sim.scenes.build import in_scene
from grasp_sim.world import SimObject, World

# A contact counts from this force on (N): resting against a finger is no grip.
LEAST_FORCE_N = 0.02


@dataclass(frozen=True)
class Held:
    """What a hand holds: the object, the number of contact points with it, the mean normal force a finger (N)."""

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
        """Objects held by contact: touched by two parts of the hand, one of them a finger, and by no furniture.

        Objects that touch each other are held together: of two blocks side by side each is touched by one finger only.
        """
        world = self._world
        groups = world.drives[gripper].finger_groups
        fingers = {link for group in groups for link in group}
        contacts = self.contacts(gripper)
        loose = [thing_id for thing_id in contacts if not self._supported(world.objects[thing_id])]
        held = []
        for cluster in self._clusters(loose):
            links = set().union(*(contacts[thing_id] for thing_id in cluster))
            touching = sum(bool(set(group) & links) for group in groups)
            if touching == 0 or touching + (self._palm(gripper) in links) < 2:
                continue
            for thing_id in cluster:
                forces = [force for link, force in contacts[thing_id].items() if link in fingers]
                if forces:
                    thing = world.objects[thing_id]
                    held.append(Held(thing, len(contacts[thing_id]), sum(forces) / len(forces)))
        return held

    def fallen(self) -> list[SimObject]:
        """Objects that lie outside of the workspace."""
        return [thing for thing in self._world.present() if not in_scene(self._world, thing)]

    def _palm(self, gripper: str) -> int:
        world = self._world
        arm = next(settings for settings in world.config.arms.values() if settings.gripper == gripper)
        return world.robot.links_of([arm.tcp_frame])[0]

    def _clusters(self, ids: Sequence[int]) -> list[list[int]]:
        """Those that press on each other, directly or through others of them."""
        left, found = set(ids), []
        while left:
            cluster, reached = [], [left.pop()]
            while reached:
                member = reached.pop()
                cluster.append(member)
                joined = {other for other in left if self._press(member, other)}
                left -= joined
                reached += joined
            found.append(sorted(cluster))
        return found

    def _press(self, a: int, b: int) -> bool:
        objects = self._world.objects
        return any(c[9] > LEAST_FORCE_N for c in self._world.api.getContactPoints(objects[a].body, objects[b].body))

    def _supported(self, thing: SimObject) -> bool:
        world = self._world
        rests = [world.robot.statics, world.floor, *world.extra_bodies.values()]
        return any(c[9] > LEAST_FORCE_N for body in rests for c in world.api.getContactPoints(thing.body, body))
