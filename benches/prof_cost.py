#!/usr/bin/env python3
"""What `%prof` of a pipeline costs: CPU time of the process under it and under `%time`, which runs it once in the same
way, in turns, so that a busy machine harms both alike. The pipelines take so long that `%prof` runs them once too.

Usage: benches/prof_cost.py target/release/timelab [TURNS]"""

import os
import statistics
import subprocess
import sys

PIPELINES = [
    "1..800M | map it % 4096 * 3 | filter it % 3 == 1 or it > 9 | sum",
    "1..400M | map it % 1000 | filter it > 10 | map it + 1 | derive y = it * 2 | agg a = sum(it), b = max(y)",
    "1..60M | map it % 100k | count by it | agg n = count()",
    "1..20k | pairs | map it = a * b % 77 | distinct | count",
]


def cpu(program, cell):
    process = subprocess.Popen([program, "-c", cell], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{cell} failed"
    return usage.ru_utime + usage.ru_stime


def main():
    program, turns = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    for pipeline in PIPELINES:
        ratios, plain = [], []
        for turn in range(turns):
            pair = [(cpu(program, cell), cell) for cell in sorted(["%time " + pipeline, "%prof " + pipeline], reverse=turn % 2 == 1)]
            times = {cell.startswith("%prof"): time for time, cell in pair}
            ratios.append(times[True] / times[False])
            plain.append(times[False])
        low, high = sorted(ratios)[turns // 4], sorted(ratios)[-1 - turns // 4]
        middle = statistics.median(ratios)
        print(f"{100 * (middle - 1):+.1f} % [{100 * (low - 1):+.1f} {100 * (high - 1):+.1f}] of {min(plain):.2f} s · {pipeline}", flush=True)


if __name__ == "__main__":
    main()
