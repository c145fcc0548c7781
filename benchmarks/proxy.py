"""A server of MLflow's, and what stands before it and lets it be gone or silent."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Seconds that the server may take to start, and to end.
LONGEST_START, LONGEST_END = 120, 60


class Proxy:
    """
    Stand before a server on this machine.

    Parameters
    ----------
    port : int
        Port of the server.
    own : int, default=any that is free
        Port of the proxy.
    """

    def __init__(self, port: int, own: int = 0) -> None:
        self.target = port
        self.mode = "open"
        self.sockets: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", own))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode: str) -> None:
        """Set the mode: ``open``, ``gone`` (connections are closed) or ``silent`` (no answers)."""
        self.mode = mode
        if mode != "open":
            for one in self.sockets:
                _shut(one)

    def _accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            self.sockets.append(client)
            if self.mode == "gone":
                client.close()
            elif self.mode == "open":
                server = socket.create_connection(("127.0.0.1", self.target))
                self.sockets.append(server)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_pass_on, args=pair, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        _shut(one)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def serve(folder: Path) -> Iterator[int]:
    """Run a server of MLflow's on ``mlflow.db`` and ``artifacts`` in a folder; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = ["-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + LONGEST_START
        while True:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text())
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LONGEST_END)
