#!/usr/bin/env bash
# How often `%compare --against` calls code faster or slower that is the same: each process keeps what it measured, and is
# held against the one before. Prints false verdicts of all, for each variant.
# Usage: benches/false_baselines.sh [path of timelab] [processes]
set -euo pipefail
timelab=${1:-timelab}
processes=${2:-30}
XDG_STATE_HOME=$(mktemp -d)
export XDG_STATE_HOME
trap 'rm -rf "$XDG_STATE_HOME"' EXIT
block='letters 2k seed 7:
  fold: fold "" acc + it
  join: join ""'
engines='--on rows,batch 1..100k | map it * it | sum'
"$timelab" -c "%compare $block" -c '%baseline save block' -c "%compare $engines" -c '%baseline save engines' >/dev/null 2>&1
for _ in $(seq "$processes"); do
  "$timelab" --format csv \
    -c "%compare --against block $block" -c '%baseline save block --force' -c '_1 | map variant, against' \
    -c "%compare --against engines $engines" -c '%baseline save engines --force' -c '_4 | map variant, against' 2>/dev/null
done | awk -F, '
  /^(fold|join|rows|batch),("?faster|"?slower|"?·)/ { all[$1]++; if ($2 !~ /·/) wrong[$1]++ }
  END { for (name in all) print name ": " wrong[name] + 0 " of " all[name] " verdicts on the same code are false" }'
