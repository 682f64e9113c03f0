#!/usr/bin/env python3
"""How long the prompt takes to come back after Ctrl-C, in a pseudo-terminal, for each kind of work.

Each round enters a cell, waits until it runs, presses Ctrl-C after a moment, and reads until the next prompt is there.
Printed are the median and the longest of all rounds in milliseconds. To reach: at most 100 ms for all that is ours.

Usage: benches/prompt_after_ctrl_c.py [path of timelab] [rounds]
"""

import os
import pty
import select
import statistics
import sys
import tempfile
import time

# Each with what is on the screen when it runs.
CELLS = {
    "rows": ("1..100G | map it * it % 7 | sum | on rows", "rows"),
    "batch": ("1..100G | map it * it % 7 | sum | on batch", "rows"),
    "polars": ("1..100M | sort by it % 7 | on polars", "working"),
    "%timeit": ("%timeit 1..30M | sort by it % 7", "working"),
    "a command": ("!echo ready $((6 * 7)); cat", "ready 42"),
    "a command's output": ("let x = !echo ready >&2; cat", "ready\r"),
    "Rust that runs": ('rust { println!("ready {}", 6 * 7); loop {} }', "ready 42"),
    "Rust that compiles": (
        "rust { #[allow(long_running_const_eval)] "
        "const N: u64 = { let mut i = 0; while i < u64::MAX { i += 1 } i }; N }",
        "compiling Rust",
    ),
}
DEADLINE = 180


class Shell:
    def __init__(self, program, home):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            kept = {name: os.environ[name] for name in ("PATH", "RUSTUP_HOME", "CARGO_HOME") if name in os.environ}
            own = os.environ["HOME"]
            kept.setdefault("RUSTUP_HOME", f"{own}/.rustup")
            kept.setdefault("CARGO_HOME", f"{own}/.cargo")
            os.execve(program, [program], {**kept, "HOME": home, "TERM": "xterm", "NO_COLOR": "1"})
        self.seen = b""

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, text):
        """Reads until a text is there, and forgets all up to it; the time when it came."""
        end = time.monotonic() + DEADLINE
        while text.encode() not in self.seen:
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"{text!r} was not seen: {self.seen[-500:]!r}")
            self.seen += os.read(self.terminal, 65536)
        self.seen = self.seen.split(text.encode(), 1)[1]
        return time.monotonic()


def main():
    program = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "target/release/timelab")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(f"{'':22}{'median':>10}{'longest':>10}")
    for name, (cell, running) in CELLS.items():
        with tempfile.TemporaryDirectory() as home:
            shell = Shell(program, home)
            shell.wait_for("[1]› ")
            times = []
            for number in range(rounds):
                shell.type(cell + "\r")
                shell.wait_for("\n")
                shell.wait_for(running)
                time.sleep(0.2)
                pressed = time.monotonic()
                shell.type("\x03")
                times.append(1000 * (shell.wait_for(f"[{number + 2}]› ") - pressed))
            shell.type("\x04")
            os.close(shell.terminal)
            os.waitpid(shell.pid, 0)
        print(f"{name:22}{statistics.median(times):7.0f} ms{max(times):7.0f} ms", flush=True)


main()
