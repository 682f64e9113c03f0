#!/bin/sh
# The random attack of `tests/hostile/attack.rs` in its long form: benches/attack.sh [CELLS] [FIRST_SEED]
#
# CELLS mutated cells (20,000 unless specified), a tenth as many scripts and shrinking files, a fiftieth as many signals,
# in parts of at most a few minutes. It prints a line for each part, and what a part found. Status 1 if there is anything.
cells=${1:-20000}
first=${2:-1}
part=1000
status=0

# Runs so many cases of one test, part by part.
attack() {
    seed=$first
    end=$((first + $2))
    while [ "$seed" -lt "$end" ]; do
        count=$((end - seed < $3 ? end - seed : $3))
        start=$(date +%s)
        if TIMELAB_SEED=$seed TIMELAB_CASES=$count cargo test --release --locked -- --exact "hostile::attack::$1" \
            > "$log" 2>&1 && grep -q '1 passed' "$log"; then
            found=nothing
        else
            found=SOMETHING
            status=1
        fi
        echo "$1: seeds $seed to $((seed + count - 1)) in $(($(date +%s) - start)) s: $found"
        [ "$found" = nothing ] || grep -v '^ *\(Compiling\|Running\|Finished\)' "$log"
        seed=$((seed + count))
    done
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
attack cells_end_within_their_limits "$cells" "$part"
attack no_script_does_what_needs_trust $((cells / 10)) "$part"
attack a_shrinking_file_is_no_smaller_result $((cells / 10)) "$part"
attack signals_leave_the_terminal_as_it_was $((cells / 50)) 200
exit $status
