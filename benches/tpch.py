#!/usr/bin/env python3
"""Queries of the shapes of TPC-H (filter and group, filter and sum, joins and top) on parquet and csv: CPU time of
timelab and of DuckDB, in turns, and whether both give the same rows.

Usage: python3 benches/tpch.py [--timelab target/release/timelab] [--scale 1] [--turns 5] [--engine batch]
Needs: pip install duckdb==1.5.5 duckdb-extension-tpch==1.5.5 (the extension makes the data). Files go to a temporary
folder that is removed at the end. DuckDB runs on one thread, as `batch` does; `--threads 2` gives it more."""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

try:
    import duckdb
    import duckdb_extension_tpch
except ImportError as missing:
    sys.exit(f"skipped: {missing}; pip install duckdb==1.5.5 duckdb-extension-tpch==1.5.5")

PRICE = "l_extendedprice * (1 - l_discount)"

# For each shape timelab's pipeline and DuckDB's query; {lineitem} and the others are files.
QUERIES = {
    "Q1: filter, group": (
        'read "{lineitem}" | filter l_shipdate <= "1998-09-02" | agg q = sum(l_quantity), p = sum(l_extendedprice), '
        f"d = sum({PRICE}), c = sum({PRICE} * (1 + l_tax)), mean(l_quantity), mean(l_discount), n = count() "
        "by l_returnflag, l_linestatus | sort by l_returnflag, l_linestatus",
        "select l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), "
        f"sum({PRICE}), sum({PRICE} * (1 + l_tax)), avg(l_quantity), avg(l_discount), count(*) "
        "from '{lineitem}' where l_shipdate <= date '1998-09-02' group by all order by all",
    ),
    "Q6: filter, sum": (
        'read "{lineitem}" | filter l_shipdate >= "1994-01-01" and l_shipdate < "1995-01-01" and l_discount >= 0.05 '
        "and l_discount <= 0.07 and l_quantity < 24 | agg sum(l_extendedprice * l_discount)",
        "select sum(l_extendedprice * l_discount) from '{lineitem}' where l_shipdate >= date '1994-01-01' "
        "and l_shipdate < date '1995-01-01' and l_discount between 0.05 and 0.07 and l_quantity < 24",
    ),
    "Q3: joins, group, top": (
        'read "{lineitem}" | filter l_shipdate > "1995-03-15" '
        '| join (read "{orders}" | filter o_orderdate < "1995-03-15" '
        '| join semi (read "{customer}" | filter c_mktsegment == "BUILDING") on o_custkey == c_custkey) '
        f"on l_orderkey == o_orderkey | agg r = sum({PRICE}) by l_orderkey, o_orderdate, o_shippriority | top 10 by r "
        "| select l_orderkey, r",
        f"select l_orderkey, sum({PRICE}) r from '{{lineitem}}', '{{orders}}', '{{customer}}' "
        "where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and l_orderkey = o_orderkey "
        "and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15' "
        "group by l_orderkey, o_orderdate, o_shippriority order by r desc limit 10",
    ),
}

ONE_QUERY = """
import duckdb, sys
con = duckdb.connect(config={"threads": int(sys.argv[2])})
con.execute("set enable_progress_bar = false")
for row in con.sql(sys.argv[1]).fetchall():
    print(*row, sep=",")
"""


def make(folder: pathlib.Path, scale: float) -> None:
    con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    package = pathlib.Path(duckdb_extension_tpch.__file__).parent
    extension = next(package.rglob("tpch.duckdb_extension"))
    con.execute(f"load '{extension}'")
    con.execute(f"call dbgen(sf = {scale})")
    for table in ("lineitem", "orders", "customer"):
        for ending, options in (("parquet", "format parquet"), ("csv", "format csv, header true")):
            con.execute(f"copy {table} to '{folder / table}.{ending}' ({options})")


def cpu(command: list[str]) -> tuple[float, str]:
    """CPU seconds of a process, and what it printed."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    printed = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command} failed")
    return usage.ru_utime + usage.ru_stime, printed


def numbers(printed: str) -> list[list[object]]:
    def value(text: str) -> object:
        try:
            return float(text)
        except ValueError:
            return text

    return [[value(field) for field in line.split(",")] for line in printed.splitlines() if line]


def same(ours: str, theirs: str) -> bool:
    a, b = numbers(ours)[1:], numbers(theirs)
    near = lambda x, y: x == y or isinstance(x, float) and isinstance(y, float) and abs(x - y) <= 1e-6 * abs(y)
    return len(a) == len(b) and all(len(x) == len(y) and all(map(near, x, y)) for x, y in zip(a, b))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--timelab", default="target/release/timelab")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--engine", default="batch")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make(folder, options.scale)
        start, _ = cpu([options.timelab, "--format", "csv", "-c", "1"])
        start_duckdb, _ = cpu([sys.executable, "-c", ONE_QUERY, "select 1", str(options.threads)])
        print(f"start: timelab {start:.3f} s, DuckDB in Python {start_duckdb:.3f} s (taken off below)")
        print("query,format,timelab_cpu_s,duckdb_cpu_s,ratio,same")
        for what, (pipeline, query) in QUERIES.items():
            for ending in ("parquet", "csv"):
                files = {table: folder / f"{table}.{ending}" for table in ("lineitem", "orders", "customer")}
                ours, theirs, ratios = [], [], []
                for _ in range(options.turns):
                    cell = pipeline.format(**files) + f" | on {options.engine}"
                    mine, printed = cpu([options.timelab, "--format", "csv", "-c", cell])
                    other, rows = cpu([sys.executable, "-c", ONE_QUERY, query.format(**files), str(options.threads)])
                    ours.append(mine - start)
                    theirs.append(other - start_duckdb)
                    ratios.append(ours[-1] / max(theirs[-1], 1e-3))
                middle = statistics.median
                if not same(printed, rows):
                    print(printed, rows, sep="\n", file=sys.stderr)
                print(f'"{what}",{ending},{middle(ours):.3f},{middle(theirs):.3f},{middle(ratios):.2f},{same(printed, rows)}')


if __name__ == "__main__":
    main()
