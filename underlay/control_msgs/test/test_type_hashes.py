# SPDX-License-Identifier: Apache-2.0
"""A machine with this package and one with upstream's match on the network exactly if their type hashes are equal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PACKAGE = "control_msgs"

# Read from upstream's control_msgs 5.8.0 (the jazzy branch), built with Jazzy's generators.
# A hash covers the names, types and order of the fields, nested types included; not comments and not constants.
UPSTREAM = dict(
    line.split()
    for line in """
action/FollowJointTrajectory RIHS01_738ebcb7a2d7cfa42f9f1001cc99ce3a4383d1cfe508015d9be8485e4b1c66f6
action/FollowJointTrajectory_Feedback RIHS01_3fd0aaecf71725121ae1ff7f01098a5e0da581e672be18a6b2c286cb43d96b49
action/FollowJointTrajectory_FeedbackMessage RIHS01_80398fcb9674a79081a9906e2ccf0c804dd7cb15e22e362e606ee87186beab71
action/FollowJointTrajectory_GetResult RIHS01_e3ceb38e3e1867c8dc0f46014df26e90eb93422f27e9e97f936e07f94be4bc8b
action/FollowJointTrajectory_GetResult_Event RIHS01_43161a489e52daaa5bbc2fa74f73f1804d099574fcf8f819170807d75472662a
action/FollowJointTrajectory_GetResult_Request RIHS01_ecf7ea8463d3beec7084bca75216d0b01b87b6e1e4e09679bb26093041efcbe9
action/FollowJointTrajectory_GetResult_Response RIHS01_08eefbaa146ce02ba45898d5e99160afd6c4c54a30d159aee0f2ca6035b1580f
action/FollowJointTrajectory_Goal RIHS01_8a9060704b269608f5a340934cc26e66869dd14bdac29e2e7fd9ec8b9882d205
action/FollowJointTrajectory_Result RIHS01_8002e99ed2c14c6faa522f2a93c26d744c5982f254f9e98ff9c6f19789bdb220
action/FollowJointTrajectory_SendGoal RIHS01_b13789dddc325a7a962825c45e28c77d37237ec129dd0c34dc5994562938c57f
action/FollowJointTrajectory_SendGoal_Event RIHS01_906dd566308db02673c73c654f69bdd84738589629c1bc2841ddb49059ed1c6f
action/FollowJointTrajectory_SendGoal_Request RIHS01_179c93691f1f6d1d115881ff88c3917b7cc6eac2ba4bf56766cc7c4389e19ef1
action/FollowJointTrajectory_SendGoal_Response RIHS01_e6a48ba740ae254500129a877f0b071be8663a115da1a539b74599cc97921fbf
action/GripperCommand RIHS01_e17c0e644eccf14bea84a0a93e0977182872c2eb7873ca6694900059b46dbc84
action/GripperCommand_Feedback RIHS01_8f7c520077bab528bb9161ee3b83c81eee1f8aecadb8922ce82c79d667a819c4
action/GripperCommand_FeedbackMessage RIHS01_392ff03fcd872f9dc2405cbeb2897fcf011ad9998458b6aa85c603b8a49e431d
action/GripperCommand_GetResult RIHS01_7e60a7606063d4a2728d21badac099e68b734a196ac3ab42d1d4c668eb0bb3cd
action/GripperCommand_GetResult_Event RIHS01_c6a1f7afeb87bf8b3165bd7b03ec0173ffada35f083a583144ab7ac96edc5a04
action/GripperCommand_GetResult_Request RIHS01_1a3308da3acbc62cd8a3c823de80ba9e5f9b6bb6f6056d1ad6b29f5f285f97ae
action/GripperCommand_GetResult_Response RIHS01_32ed5e1b5906767a3e9914dca4c4aed22529918f6c2360e6fb382363d4df4b45
action/GripperCommand_Goal RIHS01_607d9f41eb241e1922e90f02125e87ae6bfb78f7f64a71dc92630263d01f8b6d
action/GripperCommand_Result RIHS01_bf512d5aa6a0e4fe4d8be22b2ec4a1973c3d250fa1f65e47450322c25c45c0a0
action/GripperCommand_SendGoal RIHS01_6bf8cc4ce80cd499e7dd3258c03c50c3fa6672b469ff8355339ef1df77fcd212
action/GripperCommand_SendGoal_Event RIHS01_5c80eac98bcde7d64faf4b94f77ef69f12e442870dc1eba26d25b4681ef9ac0a
action/GripperCommand_SendGoal_Request RIHS01_1b869b7b4042272dc0f8ed65468c4e57c9e532ea5e53ce74fda0767eefbfa983
action/GripperCommand_SendGoal_Response RIHS01_0c8dda5e9d39ab5e3162b66e79b292a4258659ddfcf8722d39463f718b6c59bc
action/ParallelGripperCommand RIHS01_adfd3c1ebe8abc38ebcc0e454b6423d291d4010dd5697d14eca5b9be4726ae18
action/ParallelGripperCommand_Feedback RIHS01_ed6f7c4e5aea7f960432663c0e762e001a0a1f5cc0130d126e60041412d0543c
action/ParallelGripperCommand_FeedbackMessage RIHS01_c61f4cf99d06c5a3e24bed17c2910bdf66a30d89461e2ac7b5fd538a34b022cc
action/ParallelGripperCommand_GetResult RIHS01_e4c7f0e8a831ce5625ed20abcd13796406d945f92ebc7ad5972e0b0d29b381bd
action/ParallelGripperCommand_GetResult_Event RIHS01_bb81e07fe7a231c5de7b957f0384ea31600b8a808cf83e820e213b7216ebf12e
action/ParallelGripperCommand_GetResult_Request RIHS01_cea82415cadc3288fdfa8aaba509e9939732aaecac6edf9cb954e5a7161646ec
action/ParallelGripperCommand_GetResult_Response RIHS01_c973b1bb9b454de1c3f38a2af9d45bc1930b809f746d6d6ec91bb3c783cb09eb
action/ParallelGripperCommand_Goal RIHS01_412807b6b6acf2bf406fb0cf3b5c8f84286cd4e4d425734155aa1ff41caa0063
action/ParallelGripperCommand_Result RIHS01_51acbcd62aa44097d3877c506eab1146856fa8768628ffbe102c1699152d2afa
action/ParallelGripperCommand_SendGoal RIHS01_567c37373fed1260adbe047415688c73e4f3e94b2e3982761ecc71fd63d710a7
action/ParallelGripperCommand_SendGoal_Event RIHS01_b6164adce06de27a3ebd924f198539baf7f929315c825b266c8827de4ca79384
action/ParallelGripperCommand_SendGoal_Request RIHS01_dc8e5d95c0e15af6f03ff237eb8cfdaac14cc2b09f51b363311e98ec0a8487a0
action/ParallelGripperCommand_SendGoal_Response RIHS01_613e4f060bff03b152eeaba1f8c6baa9d0309527b28b08bc9aae28ece7ef8b47
msg/GripperCommand RIHS01_57eb8f326c9889ca8bb34ead82cc94cc09bf6bc5c3b6c09546dca3a00b589890
msg/JointComponentTolerance RIHS01_739ea7566931944d33830fa10f1bf5e7a7fbdc3172bce7a7eaac642bd6e3ffa4
msg/JointTolerance RIHS01_c254f9cece0f3b733017b6990fd46d1326e25242d6b8844398c97d9a88e7d648
msg/JointTrajectoryControllerState RIHS01_51d8dd89cc624cbe9daaeeb4d80d6de9b86168ffdc3be41fefc0953e3c26e480
""".strip().splitlines()
)


@pytest.fixture(scope="module")
def hashes() -> dict[str, str]:
    """Hash by type name without the package, read from the type descriptions that the build installed."""
    ament_index = pytest.importorskip(
        "ament_index_python.packages", reason="ament_index_python is not installed, so no built package can be found"
    )
    try:
        share = Path(ament_index.get_package_share_directory(PACKAGE))
    except ament_index.PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not built or not on AMENT_PREFIX_PATH: build the workspace and source env.sh first")
    found: dict[str, str] = {}
    for description in sorted(share.glob("*/*.json")):
        for entry in json.loads(description.read_text())["type_hashes"]:
            package, name = entry["type_name"].split("/", 1)
            if package == PACKAGE:
                found[name] = entry["hash_string"]
    return found


@pytest.mark.parametrize("name", UPSTREAM)
def test_hash_equals_upstreams(hashes: dict[str, str], name: str) -> None:
    assert name in hashes, f"{PACKAGE}/{name} is not described by the package that was built"
    assert hashes[name] == UPSTREAM[name]


def test_no_type_is_unchecked(hashes: dict[str, str]) -> None:
    """A type that is added without a row above fails here (upstream itself has more types than the stand-in)."""
    sources = Path(__file__).parents[1]
    defined = {
        f"{path.parent.name}/{path.stem}"
        for kind in ("msg", "srv", "action")
        for path in sources.glob(f"{kind}/*.{kind}")
    }
    assert defined
    assert defined <= set(UPSTREAM)
    assert defined <= set(hashes)
