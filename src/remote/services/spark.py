"""A Spark with its server for clients on this machine, until the end of standard input."""

import os
import signal
import subprocess
import sys

import pyspark

home = os.path.dirname(pyspark.__file__)
setting = {
    "spark.ui.enabled": "false", "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.binding.port": sys.argv[1], "spark.sql.shuffle.partitions": sys.argv[2],
    "spark.sql.warehouse.dir": os.path.join(os.getcwd(), "warehouse"),
}
command = [
    os.path.join(home, "bin", "spark-submit"), "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
    "--name", "timelab", "--master", "local[%s]" % sys.argv[2], "--driver-memory", "1g",
]
for name, value in setting.items():
    command += ["--conf", "%s=%s" % (name, value)]
environment = {**os.environ, "SPARK_HOME": home, "SPARK_LOCAL_IP": "127.0.0.1"}
server = subprocess.Popen(command + ["spark-internal"], stdin=subprocess.DEVNULL, env=environment)
sys.stdin.buffer.read()
server.send_signal(signal.SIGTERM)
try:
    server.wait(timeout=2)
except subprocess.TimeoutExpired:
    os.killpg(0, signal.SIGKILL)
