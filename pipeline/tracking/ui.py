"""Serve MLflow's UI on this machine: python -m pipeline.tracking.ui."""

import os
import socket
import sys

from mlflow.entities import ViewType
from rich.console import Console

from pipeline import paths
from pipeline.errors import UserError
from pipeline.tracking import store
from pipeline.tracking.shared_view import page

HOST, PORT = "127.0.0.1", 5000


def main(uri: str, port: int = PORT) -> None:
    """
    Print the address of each experiment, and replace this process by the UI.

    Parameters
    ----------
    uri : str
        URI of the store.
    port : int, default=5000
        Port on 127.0.0.1.

    Raises
    ------
    UserError
        When the store cannot be reached, or when the port is in use.
    """
    experiments = store.connect(uri).search_experiments(ViewType.ACTIVE_ONLY)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} on {HOST} cannot be used ({error.strerror}): "
                "end what uses it, or set PORT=5001"
            ) from None
    console = Console(highlight=False, soft_wrap=True)
    console.print("Starting MLflow takes some seconds. Then open:")
    for experiment in experiments:
        if experiment.name != "Default":
            console.print(f"  {experiment.name}: http://{HOST}:{port}/{page(experiment)}")
    console.print("Ctrl-C ends it.")
    sys.stdout.flush()
    # One worker: MLflow's four take 40 s to start on two cores.
    options = ["--backend-store-uri", uri, "--host", HOST, "--port", str(port)]
    options += ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    os.environ |= {"MLFLOW_LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    os.execv(  # noqa: S606 the process becomes MLflow's, so that Ctrl-C ends it
        sys.executable, [sys.executable, "-m", "mlflow", "server", *options]
    )


def read_port(text: str) -> int:
    """
    Return the number of a port.

    Raises
    ------
    UserError
        If it is none.
    """
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise UserError(f"PORT: '{text}' is no port: expected a number from 1 to {2**16 - 1}")
    return int(text)


if __name__ == "__main__":
    try:
        paths.enter_project()
        main(paths.store_uri(), read_port(os.environ.get("PORT", str(PORT))))
    except UserError as error:
        sys.exit(f"error: {error}")
