#!/bin/sh
# Runs random pipelines on real Dask, Ray, Beam, Sail and Spark on this machine, one after the other, and compares them
# with `rows`.
# Installs pinned versions into environments under the user's cache folder (about 1.5 GB with Spark) and starts servers
# on loopback only, which end with it.
#
#   benches/remote-engines.sh [dask] [ray] [beam] [sail] [spark]
#
# TIMELAB_CASES says how many pipelines (200 unless specified). An engine that cannot be installed is skipped by name.
set -u
cd "$(dirname "$0")/.." || exit 2
cache="${XDG_CACHE_HOME:-$HOME/.cache}/timelab/remote"
mkdir -p "$cache"
server=
workers=
failed=0

end_servers() {
    for pid in $workers $server; do kill "$pid" 2>/dev/null; done
    for pid in $workers $server; do wait "$pid" 2>/dev/null; done
    server= workers=
}
trap end_servers EXIT
trap 'exit 130' INT TERM

# install NAME PACKAGE…: an environment with these packages.
install() {
    name=$1
    shift
    [ -x "$cache/$name/bin/python" ] && "$cache/$name/bin/python" -m pip freeze 2>/dev/null | grep -q "^$1" && return 0
    python3 -m venv "$cache/$name" && "$cache/$name/bin/python" -m pip install -q "$@"
}

# listening PORT: waits until somebody listens there.
listening() {
    tries=0
    until python3 -c "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 1)" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -gt 120 ] && return 1
        sleep 0.5
    done
}

# agree ENGINE: the test, with the addresses that are set.
agree() {
    TIMELAB_REMOTE=$1 cargo test --release --locked random_pipelines_agree_elsewhere -- --nocapture || failed=1
}

for engine in ${*:-dask ray beam sail spark}; do
    echo "== $engine"
    case $engine in
    dask)
        install dask distributed==2026.8.0 dask==2026.8.0 pyarrow || { echo "dask: skipped, it cannot be installed"; continue; }
        "$cache/dask/bin/dask" scheduler --host 127.0.0.1 --port 48786 --no-dashboard >/dev/null 2>&1 &
        server=$!
        listening 48786 || { echo "dask: skipped, its scheduler does not start"; end_servers; continue; }
        for _ in 1 2; do
            "$cache/dask/bin/dask" worker tcp://127.0.0.1:48786 --host 127.0.0.1 --nthreads 1 --memory-limit 1GiB \
                --no-dashboard --no-nanny >/dev/null 2>&1 &
            workers="$workers $!"
        done
        export DASK_SCHEDULER_ADDRESS=tcp://127.0.0.1:48786 VIRTUAL_ENV="$cache/dask"
        agree dask
        ;;
    ray)
        # It starts here with the shell's own driver.
        install ray 'ray[client]==2.60.0' pyarrow==26.0.1 || { echo "ray: skipped, it cannot be installed"; continue; }
        VIRTUAL_ENV="$cache/ray" agree ray
        ;;
    beam)
        install beam apache-beam==2.77.0 pyarrow || { echo "beam: skipped, it cannot be installed"; continue; }
        VIRTUAL_ENV="$cache/beam" agree beam
        ;;
    sail)
        install sail pysail==0.7.2 || { echo "sail: skipped, it cannot be installed"; continue; }
        "$cache/sail/bin/sail" spark server --ip 127.0.0.1 --port 45051 >/dev/null 2>&1 &
        server=$!
        listening 45051 || { echo "sail: skipped, it does not start"; end_servers; continue; }
        export SPARK_REMOTE=sc://127.0.0.1:45051
        # What %plan prints is run where there is a PySpark: the next engine of this script installs one.
        [ -x "$cache/spark/bin/python" ] && export TIMELAB_PYSPARK="$cache/spark/bin/python"
        agree spark
        cargo test --release --locked printed_programs_agree -- --nocapture || failed=1
        ;;
    spark)
        command -v java >/dev/null || { echo "spark: skipped, there is no Java"; continue; }
        install spark 'pyspark[connect]==4.3.0' || { echo "spark: skipped, it cannot be installed"; continue; }
        home=$("$cache/spark/bin/python" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))' 2>/dev/null)
        SPARK_HOME=$home SPARK_LOCAL_IP=127.0.0.1 "$home/bin/spark-submit" \
            --class org.apache.spark.sql.connect.service.SparkConnectServer --name timelab --master 'local[2]' \
            --driver-memory 2g --conf spark.ui.enabled=false --conf spark.connect.grpc.binding.address=127.0.0.1 \
            --conf spark.connect.grpc.binding.port=45002 --conf spark.sql.shuffle.partitions=4 \
            --conf spark.sql.warehouse.dir="$cache/warehouse" spark-internal >/dev/null 2>&1 &
        server=$!
        listening 45002 || { echo "spark: skipped, it does not start"; end_servers; continue; }
        export SPARK_REMOTE=sc://127.0.0.1:45002 TIMELAB_PYSPARK="$cache/spark/bin/python"
        agree spark
        cargo test --release --locked printed_programs_agree -- --nocapture || failed=1
        ;;
    *)
        echo "unknown engine $engine: dask, ray, beam, sail or spark"
        failed=1
        ;;
    esac
    end_servers
done
exit $failed
