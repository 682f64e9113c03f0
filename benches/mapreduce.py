#!/usr/bin/env python3
"""Word count and group-by as jobs, beside other engines in the same run: the CPU time, wall time and resident memory of
whole processes and their workers, in turns in random order; of the memory, the largest process. Then a group-by whose
pairs need ten times the memory that it gets.
Usage: benches/mapreduce.py target/release/timelab [MB] [ROUNDS]"""

import ctypes
import os
import random
import statistics
import subprocess
import sys
import tempfile

timelab = sys.argv[1]
megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 100
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5

# Workers whose shell has ended become children of this process, so that what they used is counted.
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(cell):
    """Seconds of CPU, seconds, resident bytes, and what was printed."""
    with tempfile.TemporaryFile() as out:
        start = os.times().elapsed
        child = subprocess.Popen(
            [timelab, "--format", "csv", "-c", cell], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = os.times().elapsed - start
        cpu, resident = used.ru_utime + used.ru_stime, used.ru_maxrss
        while True:
            try:
                *_, used = os.wait3(0)
            except ChildProcessError:
                break
            cpu, resident = cpu + used.ru_utime + used.ru_stime, max(resident, used.ru_maxrss)
        out.seek(0)
        printed = out.read()
    if status:
        sys.exit(f"this failed: {cell}")
    return cpu, wall, resident * 1024, printed


def compare(title, cells):
    """Runs each way once a round, in random order; what all print must be the same."""
    found = {name: [] for name in cells}
    printed = set()
    for _ in range(rounds):
        for name in random.sample(list(cells), len(cells)):
            *figures, text = run(cells[name])
            found[name].append(figures)
            printed.add(text)
    print(f"== {title}: {'same table' if len(printed) == 1 else 'DIFFERENT TABLES'}")
    for name, figures in found.items():
        cpu, wall, resident = (statistics.median(column) for column in zip(*figures))
        print(f"{name:24} {cpu:7.3f} s CPU  {wall:7.3f} s  {resident / 1e6:7.0f} MB")
    return {name: statistics.median(row[0] for row in figures) for name, figures in found.items()}


with tempfile.TemporaryDirectory() as folder:
    book = open("samples/kjv.txt", "rb").read()
    words, table = os.path.join(folder, "words.txt"), os.path.join(folder, "t.csv")
    with open(words, "wb") as file:
        for _ in range(max(1, megabytes * 1_000_000 // len(book))):
            file.write(book)
    subprocess.run(
        [timelab, "-c", f"1..{megabytes * 50_000} | map k = it * 7919 % 9973, x = it % 1000 | write \"{table}\""],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    jobs = {
        f"word count, {megabytes} MB": f'read "{words}" | words | count by lower(word) | top 3',
        "group-by": f'read "{table}" | agg sum(x), count() by k | sort by k',
    }
    for title, pipeline in jobs.items():
        ways = {engine: f"{pipeline} | on {engine}" for engine in ["polars", "batch", "threads", "mapreduce"]}
        ways["--on workers"] = f"%mapreduce --on workers {pipeline}"
        ways["--combine off"] = f"%mapreduce --combine off {pipeline}"
        cpu = compare(title, ways)
        print(f"mapreduce / threads {cpu['mapreduce'] / cpu['threads']:.2f} (at most 1.3), "
              f"mapreduce / polars {cpu['mapreduce'] / cpu['polars']:.2f}")
    # Without a combiner the pairs go through the shuffle; the groups, which must fit, are few.
    many = f"1..{megabytes * 100_000} | map k = it * 7919 % 9973, x = it | agg count(), sum(x) by k | top 3"
    in_memory = f"%mapreduce --combine off {many}"
    _, _, needed, _ = run(in_memory)
    budget = max(needed // 10, 16_000_000)
    in_a_tenth = f"%mapreduce --combine off --memory {budget} {many}"
    cpu = compare(
        f"{budget / 1e6:.0f} MB, where {needed / 1e6:.0f} MB were used in memory",
        {"in memory": in_memory, "in less": in_a_tenth},
    )
    _, _, resident, _ = run(in_a_tenth)
    print(f"CPU {cpu['in less'] / cpu['in memory']:.2f} (at most 1.5), resident {resident / 1e6:.0f} MB "
          f"(at most {(1.25 * budget + 32e6) / 1e6:.0f})")
