#!/usr/bin/env bash
# Runs every program of the races' catalogue on real threads under the thread sanitizer, which reports each access that is
# no atomic operation and not ordered by one. It compiles `src/interleave` alone, with the standard library, so it needs
# rust-src (`rustup component add rust-src`), no nightly toolchain, and a minute or two.
# MIRI=1 runs the same crate under Miri, in fewer rounds, where a nightly toolchain has it.
# Usage: benches/thread_sanitizer.sh [path of timelab] [rounds]
set -euo pipefail
timelab=${1:-timelab}
rounds=${2:-${MIRI:+3}}
rounds=${rounds:-2000}
sources=$(cd "$(dirname "$0")/../src" && pwd)
crate=$(mktemp -d)
trap 'rm -rf "$crate"' EXIT
mkdir "$crate/src"
cat > "$crate/Cargo.toml" <<END
[package]
name = "races"
version = "0.1.0"
edition = "2024"
[dependencies]
libc = "0.2"
strsim = "0.11"
fastrand = "2"
stacker = "0.1"
END
cat > "$crate/src/main.rs" <<END
#![allow(dead_code, unused_imports)]
#[path = "$sources/diagnostic.rs"]
mod diagnostic;
#[path = "$sources/interleave/mod.rs"]
mod interleave;

use interleave::{Rounds, read, run};

const ROUNDS: u64 = $rounds;

fn main() {
    for (number, text) in include_str!("programs.txt").split("%%race ").skip(1).enumerate() {
        let program = read(text).unwrap_or_else(|problem| panic!("{problem:?}\n{text}"));
        let budget = std::time::Duration::from_secs(60);
        let seen = run(&program, Rounds::Exactly(ROUNDS), budget, &|| false).expect("the threads start");
        println!("program {}: {} rounds, {} endings", number + 1, seen.rounds, seen.endings.len());
    }
}
END
for race in $("$timelab" --format csv -c '%races' 2> /dev/null | tail -n +2 | cut -d, -f1); do
  "$timelab" -c "$race??" | grep -v '^#' || true
done | awk '/^%%race/ { inside = 1 } /^$/ { inside = 0 } inside' > "$crate/src/programs.txt"
cd "$crate"
if [[ -n ${MIRI:-} ]]; then
  MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri run --quiet
else
  target=$(rustc --version --verbose | sed -n 's/^host: //p')
  RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=thread TSAN_OPTIONS=halt_on_error=1 \
    cargo run --quiet --release -Zbuild-std --target "$target"
fi
