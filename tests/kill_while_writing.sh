#!/usr/bin/env bash
# Kills a cell that writes a parquet file, at random moments, many times: the old file must stay whole, or the new one be
# there, and nothing else be left in the folder. Usage: tests/kill_while_writing.sh [path of timelab] [times]
set -euo pipefail
timelab=$(realpath "${1:-target/release/timelab}")
times=${2:-50}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cell='1..3M | map id = it, t = "row " + text(it) | write "out.parquet"'
check() { "$timelab" --format csv -c 'read "out.parquet" | agg count(), sum(id)' 2>/dev/null | tail -n 1; }
"$timelab" -c "$cell" >/dev/null 2>&1
whole=$(check)
replaced=0
for ((i = 1; i <= times; i++)); do
  before=$(stat -c %i out.parquet)
  "$timelab" -c "$cell" >/dev/null 2>&1 &
  child=$!
  sleep "0.$(printf '%03d' $((RANDOM % 900)))"
  kill -9 "$child" 2>/dev/null || true
  wait "$child" 2>/dev/null || true
  [ "$(check)" = "$whole" ] || { echo "broken after kill $i: $(check)"; exit 1; }
  [ "$(ls -A | wc -l)" = 1 ] || { echo "left over after kill $i: $(ls -A)"; exit 1; }
  [ "$(stat -c %i out.parquet)" = "$before" ] || replaced=$((replaced + 1))
done
echo "$times kills: the file was whole each time ($whole), $replaced times the new one, and nothing was left over"
