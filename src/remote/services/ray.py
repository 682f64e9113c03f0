"""A head node of Ray with its server for clients on this machine, until the end of standard input."""

import os
import signal
import socket
import subprocess
import sys


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


node = subprocess.Popen([
    sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address", "127.0.0.1",
    "--port", str(free_port()), "--ray-client-server-port", sys.argv[1], "--num-cpus", sys.argv[2],
    "--include-dashboard", "false", "--disable-usage-stats", "--object-store-memory", str(256 << 20),
], stdin=subprocess.DEVNULL, env={**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"})
sys.stdin.buffer.read()
node.send_signal(signal.SIGTERM)
try:
    node.wait(timeout=2)
except subprocess.TimeoutExpired:
    pass
# What is left of it is in the group of this process.
os.killpg(0, signal.SIGKILL)
