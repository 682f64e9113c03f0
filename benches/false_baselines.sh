#!/usr/bin/env bash
# How often `%compare --against` calls code faster or slower that is the same: each process keeps what it measured, and is
# held against those before. Pipelines, engines and blocks of Rust. Prints false verdicts of all, for each variant: those with
# five saves or more, and those of the weaker rule before.
# A process took 34 s at a load of 10, most of that for the compiler of Rust, and 65 s beside 4 busy threads more. It ends
# after so many processes, or so many seconds and the process that runs then (ten minutes unless specified), whichever comes first.
# Usage: benches/false_baselines.sh [path of timelab] [processes] [busy threads beside them] [seconds]
set -euo pipefail
timelab=${1:-timelab}
processes=${2:-30}
busy=${3:-0}
seconds=${4:-600}
XDG_STATE_HOME=$(mktemp -d)
export XDG_STATE_HOME
load=()
trap 'rm -rf "$XDG_STATE_HOME"; ((${#load[@]})) && kill "${load[@]}"' EXIT
for _ in $(seq "$busy"); do
  (while :; do :; done) &
  load+=($!)
done
block='letters 2k seed 7:
  fold: fold "" acc + it
  join: join ""'
engines='--on rows,batch 1..100k | map it * it | sum'
rust=':
  sum: rust { let mut s = 0u64; for i in 0..std::hint::black_box(20000u64) { s = s.wrapping_mul(31) ^ i; } std::hint::black_box(s); 2000 }
  sort: rust { let mut v: Vec<u64> = (0..2000u64).map(|i| i * 7919 % 10007).collect(); v.sort(); v.len() as i64 }'
# What `--against` says rests on the medians: a second of samples is enough for them.
compare='%compare --for 1s'
"$timelab" -c "$compare $block" -c '%baseline save block' -c "$compare $engines" -c '%baseline save engines' \
  -c "$compare $rust" -c '%baseline save rust' >/dev/null 2>&1
for process in $(seq "$processes"); do
  if ((SECONDS >= seconds)); then
    echo "stopped after $SECONDS s and $((process - 1)) of $processes processes" >&2
    break
  fi
  "$timelab" --format csv \
    -c "$compare --against block $block" -c '%baseline save block --force' -c '_1 | map variant, against' \
    -c "$compare --against engines $engines" -c '%baseline save engines --force' -c '_4 | map variant, against' \
    -c "$compare --against rust $rust" -c '%baseline save rust --force' -c '_7 | map variant, against' 2>/dev/null |
    sed "s/^/$process,/"
  echo "$process of $processes processes, $SECONDS s" >&2
done | awk -F, '
  $2 ~ /^(fold|join|rows|batch|sum|sort)$/ && NF == 3 {
    rule = $1 < 5 ? "weaker rule" : "five saves or more"
    all[$2 ", " rule]++
    total++
    if ($3 !~ /·/) { wrong[$2 ", " rule]++; false_ones++ }
  }
  END {
    for (name in all) print name ": " wrong[name] + 0 " of " all[name] " verdicts on the same code are false" | "sort"
    close("sort")
    print "in all: " false_ones + 0 " of " total + 0
  }'
