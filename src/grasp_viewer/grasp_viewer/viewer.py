# SPDX-License-Identifier: Apache-2.0
"""The page of one cell: the server, its scene and its panels."""

from __future__ import annotations

import socket

import viser

from grasp_core import resources
from grasp_core.cell_config import CellConfig
from grasp_viewer.config import ViewerConfig
from grasp_viewer.panels import Panels
from grasp_viewer.scene import Scene


class Viewer:
    """Serves the page from the moment it is made.

    Args:
        config: where to listen.
        cell: the cell shown.

    Raises:
        OSError: the address is not this machine's.
    """

    def __init__(self, config: ViewerConfig, cell: CellConfig) -> None:
        # The server itself would wait for ever on an address that is not this machine's.
        with socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET) as probe:
            try:
                probe.bind((config.host, 0))
            except OSError as error:
                reason = f"the viewer cannot listen on host {config.host!r}: {error.strerror or error}"
                raise OSError(f"{reason}; take an address of this machine, such as 127.0.0.1") from error
        self._server = viser.ViserServer(host=config.host, port=config.port, label=f"{cell.name} cell", verbose=False)
        self.scene = Scene(self._server, cell.limits.workspace)
        scenes = [name for name in resources.names("config", "scenes") if name != cell.default_scene]
        self.panels = Panels(self._server, f"{cell.name} cell", tuple(cell.cameras), (cell.default_scene, *scenes))

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        host = self._server.get_host()
        name = "localhost" if host in ("127.0.0.1", "0.0.0.0") else host
        return f"http://{name}:{self._server.get_port()}"

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return bool(self._server.get_clients())

    def close(self) -> None:
        """Serve no more."""
        self._server.stop()
