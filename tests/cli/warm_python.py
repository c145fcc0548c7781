"""
Run `python -m MODULE ARGUMENTS` in a fork of the server of warm.py, as if in this process.

Usage: python warm_python.py SOCKET -m MODULE ARGUMENTS. The fork gets the signals that this
process gets, and is killed when it is. Any other Python, such as a worker of joblib, which
inherits open files, is started as usual.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

_, server, *words = sys.argv
if words[0] != "-m" or words[1].partition(".")[0] not in ("dvc", "pipeline", "pytest"):
    os.execv(sys.executable, [sys.executable, *words])
_, module, *arguments = words
command = {
    "module": module,
    "arguments": arguments,
    "cwd": str(Path.cwd()),
    "environment": dict(os.environ),
}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(server)
    line = f"{json.dumps(command)}\n".encode()
    socket.send_fds(connection, [line[:1]], [0, 1, 2])
    connection.sendall(line[1:])
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda signum, _: connection.sendall(bytes([signum])))
    code = int(connection.makefile().readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
