#!/usr/bin/env bash
# How often `%compare --against` calls code faster or slower that is the same: each process keeps what it measured, and is
# held against the one before. Prints false verdicts of all, for each variant.
# Usage: benches/false_baselines.sh [path of timelab] [processes] [threads that keep the processors busy]
set -euo pipefail
timelab=${1:-timelab}
processes=${2:-30}
busy=${3:-0}
XDG_STATE_HOME=$(mktemp -d)
export XDG_STATE_HOME
spinning=()
trap 'for pid in "${spinning[@]}"; do kill "$pid"; done; rm -rf "$XDG_STATE_HOME"' EXIT
for _ in $(seq "$busy"); do
  (while :; do :; done) &
  spinning+=($!)
done
block=' letters 2k seed 7:
  fold: fold "" acc + it
  join: join ""'
engines=' --on rows,batch 1..100k | map it * it | sum'
rust=':
  sorted: rust { let mut all: Vec<u64> = (0..2000).map(|x| std::hint::black_box(x) * 7919 % 2003).collect(); all.sort(); all[7] }
  boxes: rust { (0..300u64).map(|x| *std::hint::black_box(Box::new(x))).sum::<u64>() - 44843 }'
"$timelab" -c "%compare$block" -c '%baseline save block' -c "%compare$engines" -c '%baseline save engines' \
  -c "%compare$rust" -c '%baseline save rust' >/dev/null 2>&1
for at in $(seq "$processes"); do
  [ ! -t 2 ] || printf '\r%s of %s processes' "$at" "$processes" >&2
  "$timelab" --format csv \
    -c "%compare --against block$block" -c '%baseline save block --force' -c '_1 | map variant, against' \
    -c "%compare --against engines$engines" -c '%baseline save engines --force' -c '_4 | map variant, against' \
    -c "%compare --against rust$rust" -c '%baseline save rust --force' -c '_7 | map variant, against' 2>/dev/null
done | awk -F, '
  /^(fold|join|rows|batch|sorted|boxes),("?[0-9.]*×? ?faster|"?[0-9.]*×? ?slower|"?·|"?not resolved)/ {
    all[$1]++
    if ($2 ~ /faster|slower/) wrong[$1]++
  }
  END { for (name in all) print name ": " wrong[name] + 0 " of " all[name] " verdicts on the same code are false" }'
