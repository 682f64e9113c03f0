#!/usr/bin/env bash
# CPU time of one loop on the engine `rows` and in CPython, in one run: five rounds in turn, the least of each, the ratio.
# Usage: benches/rows_and_cpython.sh [path of timelab]
set -euo pipefail
timelab=${1:-timelab}
cell='1..10M | map it * 3 + 1 | filter it % 7 == 1 | sum'
loop='
def run():
    total = 0
    for it in range(1, 10_000_000):
        x = it * 3 + 1
        if x % 7 == 1:
            total += x
    return total
print(run())'
TIMEFORMAT='%U %S'
cpu() { { time "$@" >/tmp/timelab-bench-out.$$ 2>/dev/null; } 2>&1 | tail -n 1 | awk '{ print int(($1 + $2) * 1000) }'; }
rows=1000000 python=1000000
for _ in 1 2 3 4 5; do
  now=$(cpu "$timelab" --engine rows --format csv -c "$cell")
  grep -q 21428574999997 /tmp/timelab-bench-out.$$
  [ "$now" -lt "$rows" ] && rows=$now
  now=$(cpu python3 -c "$loop")
  grep -q 21428574999997 /tmp/timelab-bench-out.$$
  [ "$now" -lt "$python" ] && python=$now
done
rm -f /tmp/timelab-bench-out.$$
echo "rows $rows ms CPU · CPython $python ms CPU · ratio $(awk "BEGIN { printf \"%.3f\", $rows / $python }")"
