"""A server of Sail on this machine, until the end of standard input."""

import os
import sys

from pysail.spark import SparkConnectServer

server = SparkConnectServer(ip="127.0.0.1", port=int(sys.argv[1]))
server.start(background=True)
sys.stdin.buffer.read()
# Threads that still run a query must not hold it up.
os._exit(0)
