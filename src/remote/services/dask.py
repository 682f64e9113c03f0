"""A scheduler of Dask with workers on this machine, until the end of standard input."""

import sys

from distributed import LocalCluster

if __name__ == "__main__":
    cluster = LocalCluster(
        host="127.0.0.1", scheduler_port=int(sys.argv[1]), n_workers=int(sys.argv[2]), threads_per_worker=1,
        dashboard_address=None, processes=True, memory_limit="1GiB",
    )
    sys.stdin.buffer.read()
    cluster.close()
