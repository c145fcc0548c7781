"""
Run `python -m MODULE` in processes that have imported the libraries already.

Importing torch, MLflow and scikit-learn takes most of the time of a short command.
This server imports them once, and forks for each command. The project itself is
imported anew in each fork, from the folder that the command is run in.

Usage: python warm.py SOCKET. A connection sends one JSON line and gets the exit code.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys

import hydra  # noqa: F401
import lightgbm  # noqa: F401
import matplotlib.figure  # noqa: F401
import mlflow.pyfunc  # noqa: F401
import sklearn.compose
import sklearn.dummy
import sklearn.ensemble
import sklearn.linear_model  # noqa: F401
import skops.io  # noqa: F401
import torch

torch.accelerator.is_available()
# Otherwise the last collection of each fork copies the memory of all that was imported.
gc.freeze()


def become(
    module: str, arguments: list[str], cwd: str, environment: dict, out: str, err: str
) -> None:
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    extra = environment.get("PYTHONPATH", "")
    # The first entry is this file's folder; `python -m` has the working directory there.
    sys.path[:1] = [cwd, *filter(None, extra.split(os.pathsep))]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def serve(path: str) -> dict:
    """Accept commands until ended; in a fork of this process, give the command to run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection:
        command = json.loads(connection.makefile().readline())
        child = os.fork()
        if child == 0:
            return command
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(f"{code}\n".encode())
    os._exit(0)  # a fork that only waited has nothing to tidy up


if __name__ == "__main__":
    become(**serve(sys.argv[1]))
