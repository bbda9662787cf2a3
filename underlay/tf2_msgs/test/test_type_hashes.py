# SPDX-License-Identifier: Apache-2.0
"""A machine with this package and one with upstream's match on the network exactly if their type hashes are equal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PACKAGE = "tf2_msgs"

# Read from upstream's tf2_msgs (rolling, October 2024), built with Jazzy's generators.
# A hash covers the names, types and order of the fields, nested types included; not comments and not constants.
UPSTREAM = dict(
    line.split()
    for line in """
action/LookupTransform RIHS01_0b8adf6bc0b5958879e3265b41a457e03558fe523890a81252c70eba97a82c5d
action/LookupTransform_Feedback RIHS01_2da0b02f990f04404ab8c98a2a68cf5bbc773ae747f96911f2d55499cfb51542
action/LookupTransform_FeedbackMessage RIHS01_10cb89922dcb103e95c185d43e8a5efa3d38db996f733151a2f3e2ac133f4839
action/LookupTransform_GetResult RIHS01_3cd1715751899e3167b5aec3e4ac194f7da9e8493a77285f9f6a4c914f5e8b24
action/LookupTransform_GetResult_Event RIHS01_3260115e0f6a676d621f191f85a72a0c82f9fcb1483965c1fbaaab0b1d651a9e
action/LookupTransform_GetResult_Request RIHS01_148f9bdc01f98922d6fb2072cb64468b89c57c7825d9d83b932c183deaa4697d
action/LookupTransform_GetResult_Response RIHS01_954de3efc36b164c4d21116abdbdcc52746e454fd9c169b55d9cfd89e83d299d
action/LookupTransform_Goal RIHS01_815efc294ad17c813c6043cdde781ff55810d49da02ed07f9237dcd20e88d498
action/LookupTransform_Result RIHS01_061d4423af5352ff5314c8effef8faab133991a78f1b2bcd1fecabad80871225
action/LookupTransform_SendGoal RIHS01_4646ff5706c86b04d0a1098d329951a9731a7517e16702905de6073cc72c8530
action/LookupTransform_SendGoal_Event RIHS01_5ab93d3d6c35b56390325099cb088c73bae176a39123f2f6dfe119582436acc5
action/LookupTransform_SendGoal_Request RIHS01_eb1312eb7aab35e35c71bb87c2ba3a94747c5a6544ea32bb2b32b0f75775b8ca
action/LookupTransform_SendGoal_Response RIHS01_c1ada93304793c08813657255e7bde2e40e2114aa634b702c3f8d4b72ae098bc
msg/TF2Error RIHS01_db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a
msg/TFMessage RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087
srv/FrameGraph RIHS01_0d1fbc6222c018ba5f33822904a2fdd4063705289956d3fdde07cd8c50fe8067
srv/FrameGraph_Event RIHS01_97e5494f0af64046abdb3f1fc91a91f0a3ac7f1132dcfe32f350601227daa817
srv/FrameGraph_Request RIHS01_4cc565da6b64726d0b0be1ce20f3a3a695679b841a79abfca2fcdc94f562b08d
srv/FrameGraph_Response RIHS01_e33d5473ce0fac04c66203779f2b719a9de0f8388b248852d3a47a019e62e36d
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
