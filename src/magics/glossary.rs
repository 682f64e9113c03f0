//! The field's words, each with a cell that shows what it means.

pub struct Term {
    pub name: &'static str,
    pub meaning: &'static str,
    pub cell: &'static str,
}

/// The term of this name, in any case.
pub fn find(name: &str) -> Option<&'static Term> {
    ALL.iter().find(|term| term.name.to_lowercase() == name.to_lowercase())
}

/// All terms, by name.
pub static ALL: &[Term] = &[
    Term {
        name: "amortised",
        meaning: "a cost spread over many steps: a list that doubles when it is full seldom copies, so that \
                  adding is \
                  cheap on average",
        cell: "%time 1..1M | group by key = it % 2 | map key, n = len(it)",
    },
    Term {
        name: "associative",
        meaning: "(a + b) + c is a + (b + c): parts of the input can be added up apart and merged",
        cell: "1..10 | reduce acc + it",
    },
    Term {
        name: "atomic",
        meaning: "one step for all other threads: nobody sees it half done",
        cell: "%race counter --each 10k --only atomic",
    },
    Term {
        name: "big O",
        meaning: "how a cost grows with its input; O(n²): twice the input costs four times as much, as here, where \
                  each step copies all",
        cell: "%time letters 10k seed 7 | fold \"\" acc + it | map len(it)",
    },
    Term {
        name: "combiner",
        meaning: "adds up the pairs of a key where they arise, before they travel: many words become one pair \
                  for each \
                  distinct one",
        cell: "read \"samples/kjv.txt\" | words | agg pairs = count(), combined = n_distinct(word)",
    },
    Term {
        name: "CPU-bound",
        meaning: "limited by the processor: CPU time is about wall time, and more input/output speed would not help",
        cell: "%time 1..3M | map sqrt(it) | sum",
    },
    Term {
        name: "data race",
        meaning: "two threads access one variable at the same time, one of them writes, and nothing orders \
                  them; in Rust the compiler refuses it",
        cell: "%%race --live off x = 0\n  a: x = 1\n  b: let r = x",
    },
    Term { name: "deadlock", meaning: "threads that wait for each other for ever", cell: "%race deadlock --live off" },
    Term {
        name: "deterministic",
        meaning: "the same every time; random data are so where a seed is given",
        cell: "letters 5 seed 7",
    },
    Term {
        name: "engine",
        meaning: "how and where a pipeline runs; every engine gives the same table, only the cost differs",
        cell: "%same 1..10k | map it * it | sum",
    },
    Term {
        name: "false sharing",
        meaning: "threads use different variables in one cache line, and slow each other down as if they shared one",
        cell: "%race counter --each 10k --only sharded,sharded,padded",
    },
    Term {
        name: "hot key",
        meaning: "a key that has a large share of all rows: whoever gets it works while the others wait",
        cell: "read \"samples/depends.csv\" | count by depends | top 3",
    },
    Term {
        name: "I/O-bound",
        meaning: "limited by what it waits for (a disk, a network): wall time passes, CPU time does not",
        cell: "%time let nap = !sleep 0.1",
    },
    Term {
        name: "interpreter",
        meaning: "looks at the program again for every value, as a `for` of Python does; here the engine `rows`",
        cell: "%time 1..300k | map it * 3 + 1 | sum | on rows",
    },
    Term {
        name: "IQR",
        meaning: "interquartile range: how wide the middle half lies; unlike the standard deviation, outliers do not \
                  move it",
        cell: "[1, 2, 3, 4, 90] | agg low = quantile(it, 0.25), high = quantile(it, 0.75), std(it)",
    },
    Term {
        name: "lazy",
        meaning: "a name is a plan, computed when a result is asked for, and again when it is asked for again",
        cell: "let squares = 1..1M | map it * it",
    },
    Term { name: "livelock", meaning: "threads that all move, and none gets on", cell: "%race livelock --live off" },
    Term {
        name: "map",
        meaning: "looks at each row alone, so that the rows can be split among workers in any way",
        cell: "1..5 | map it * it",
    },
    Term {
        name: "median",
        meaning: "the middle value: one slow outlier moves the mean, not the median",
        cell: "[1, 2, 3, 4, 90] | agg median(it), mean(it)",
    },
    Term {
        name: "memory model",
        meaning: "which reads may see which writes: a processor may delay a write behind later reads",
        cell: "%race buffer --live off",
    },
    Term {
        name: "overhead",
        meaning: "what it costs beside the work itself; on tiny input it is nearly all",
        cell: "%time 1..2 | sum",
    },
    Term {
        name: "peak heap",
        meaning: "the most memory that was in use at one time, beside what was there before",
        cell: "%time 1..1M | sort by it desc | take 1",
    },
    Term {
        name: "pipeline breaker",
        meaning: "a stage that must see all rows before it gives one: sort, count, distinct",
        cell: "%explain 1..1M | filter it % 3 == 0 | sort by it desc | take 3",
    },
    Term {
        name: "race condition",
        meaning: "what comes out depends on who was first; engines merge parts of their own instead",
        cell: "%race ticket --live off",
    },
    Term {
        name: "reduce",
        meaning: "merges two values into one, again and again, until one is left",
        cell: "[3, 1, 2] | reduce if acc > it then acc else it",
    },
    Term {
        name: "sequential",
        meaning: "each step needs the one before, so that nothing can be done at the same time",
        cell: "1..6 | scan 0 acc + it",
    },
    Term {
        name: "shuffle",
        meaning: "brings the rows of one key together, wherever they were; on many machines it is most of the cost",
        cell: "read \"samples/packages.csv\" | count by section | top 3",
    },
    Term {
        name: "skew",
        meaning: "parts of unequal size: the largest one ends last, and decides",
        cell: "read \"samples/packages.csv\" | count by section | agg largest = max(count), middle = median(count)",
    },
    Term {
        name: "speed-up",
        meaning: "the time of the slow way divided by that of the fast one, for the same table: compare with `| on \
                  polars`",
        cell: "%time 1..300k | filter it % 7 == 1 | sum | on rows",
    },
    Term {
        name: "throughput",
        meaning: "how much goes through in a second: rows or bytes",
        cell: "%time read \"samples/kjv.txt\" | words | count",
    },
    Term {
        name: "vectorised",
        meaning: "one instruction works on a column of values, not on one value; here the engine `polars`",
        cell: "%time 1..300k | map it * 3 + 1 | sum | on polars",
    },
    Term {
        name: "wall time",
        meaning: "the time that a person waits, by the clock on the wall; CPU time is what the processor's \
                  cores spent",
        cell: "%time read \"samples/kjv.txt\" | count by len(line) | top 3",
    },
];
