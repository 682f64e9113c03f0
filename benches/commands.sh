#!/bin/sh
# Commands that are compared: how many of N comparisons of a program with itself have a false verdict, and how many find
# 2 % more work in a program of 20 ms, idle and beside 4 busy threads. Where hyperfine is installed, what it says in the
# same time. Usage: benches/commands.sh target/release/timelab [N] [SECONDS] [LOADS]; LOADS are numbers of busy threads,
# 0 and 4 unless specified.
set -eu
timelab=$1
count=${2:-10}
seconds=${3:-10}
loads=${4:-0 4}
loop() { echo "awk 'BEGIN { for (i = 0; i < $1; i++) x += i; print 1 }'"; }

# How many turns of the loop take 20 ms of CPU time here.
turns=$("$timelab" --format csv -c "%timeit --runs 9 !$(loop 400000)" -c 'int(0.02 / (_.user + _.system) * 400000)' 2>/dev/null | tail -1)
more=$((turns + turns / 50))
busy=
stop() { for pid in $busy; do kill "$pid" 2>/dev/null || true; done; busy=; }
trap stop EXIT
spin() { stop; i=0; while [ "$i" -lt "$1" ]; do (while :; do :; done) & busy="$busy $!"; i=$((i + 1)); done; }

# Verdicts of b beside a, one on each line.
verdicts() {
    i=0
    while [ "$i" -lt "$count" ]; do
        printf '%%compare --for %ss:\n  a: !%s\n  b: !%s\n' "$seconds" "$(loop "$1")" "$(loop "$2")" > "$folder/cells.txt"
        "$timelab" run --trust "$folder/cells.txt" 2>/dev/null | grep -E '^│ b ' | grep -oE 'faster|slower|same|not resolved' || echo none
        i=$((i + 1))
    done
}
folder=$(mktemp -d)
for load in $loads; do
    spin "$load"
    echo "== $load busy threads, $count comparisons of $seconds s"
    verdicts "$turns" "$turns" > "$folder/same"
    echo "A/A: of $(wc -l < "$folder/same") $(grep -cE 'faster|slower' "$folder/same" || true) false verdicts, $(grep -c same "$folder/same" || true) same"
    verdicts "$turns" "$more" > "$folder/more"
    echo "2 %: $(grep -c slower "$folder/more" || true) found, $(grep -cE 'faster|same' "$folder/more" || true) wrong"
    if command -v hyperfine > /dev/null; then
        runs=$((seconds * 1000 / 50))
        hyperfine -N --warmup 1 --runs "$runs" "$(loop "$turns")" "$(loop "$more")" 2>/dev/null | sed 's/^/hyperfine: /'
    else
        echo "hyperfine is not installed"
    fi
done
stop
rm -r "$folder"
