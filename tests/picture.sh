#!/usr/bin/env bash
# Makes scripts/play.svg, the picture in the README: a tutorial is played in tmux, and what stands on the screen is drawn.
# Needs tmux and the Python package rich. Usage: tests/picture.sh [path of timelab] [python]
set -euo pipefail
timelab=$(realpath "${1:-target/release/timelab}")
python=${2:-python3}
cd "$(dirname "$0")/.."
home=$(mktemp -d)
name="picture-$$"
trap 'tmux kill-session -t "$name" 2>/dev/null; rm -rf "$home"' EXIT
screen() { tmux capture-pane -t "$name" -e -p; }
# Waits until this text stands on the screen so many times.
shows() {
  for _ in $(seq 600); do
    [ "$(screen | sed 's/\x1b\[[0-9;]*m//g' | grep -cF -- "$1")" -ge "${2:-1}" ] && return
    sleep 0.1
  done
  echo "\"$1\" was not seen:" >&2
  screen >&2
  exit 1
}
tmux new-session -d -s "$name" -x 88 -y 36 \
  "env HOME=$home TERM=screen-256color COLORTERM= $timelab play scripts/02-comparing.md"
shows "▸"
tmux send-keys -t "$name" Enter
shows "your guess"
tmux send-keys -t "$name" "ten times" Enter
shows "same result"
shows "▸" 2
screen > "$home/screen"
"$python" - "$home/screen" > scripts/play.svg <<'PYTHON'
import io
import sys

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

# That of rich loads a font from the network.
FORMAT = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="A tutorial that is played in a terminal">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="{width}" height="{height}" rx="8" fill="#1e1e1e"/>
<g transform="translate({terminal_x}, 8)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
lines = open(sys.argv[1]).read().rstrip("\n").split("\n")
console = Console(record=True, width=88, file=io.StringIO(), color_system="256", force_terminal=True)
for line in lines:
    console.print(Text.from_ansi(line), soft_wrap=True)
print(console.export_svg(title="timelab", theme=DIMMED_MONOKAI, code_format=FORMAT, unique_id="play"), end="")
PYTHON
echo "scripts/play.svg: $(wc -c < scripts/play.svg) bytes"
