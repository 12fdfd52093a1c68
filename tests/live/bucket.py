"""A server that speaks S3, for tests of archives."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from typing import Any

import fsspec

from climorch.testing.faults import until

__all__ = ["S3"]


class S3:
    """A server that speaks S3, in a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._listens, what="the server listens")
        self.fs = fsspec.filesystem("s3", use_listings_cache=False, **self.options)
        self.fs.mkdir("tape")

    @property
    def options(self) -> dict[str, Any]:
        """How to reach it."""
        return {
            "key": "a",
            "secret": "b",
            "endpoint_url": f"http://127.0.0.1:{self.port}",
            "client_kwargs": {"region_name": "eu-central-1"},
        }

    def slow_recalls(self) -> None:
        """Let what is asked back need some more looks before it is there."""
        self._tell({"progression": "manual", "times": 6})

    def _tell(self, transition: dict[str, Any]) -> None:
        body = {"model_name": "s3::keyrestore", "transition": transition}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/moto-api/state-manager/set-transition",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(asked, timeout=10).close()

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
