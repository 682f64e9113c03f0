//! The field's words, each with a cell that shows what it means.

pub struct Term {
    pub name: &'static str,
    pub meaning: &'static str,
    pub cell: &'static str,
}

/// Other words for terms.
pub static ALSO: &[(&str, &str)] = &[
    ("wall", "wall time"),
    ("cpu", "wall time"),
    ("cpu time", "wall time"),
    ("complexity", "big O"),
    ("big-o", "big O"),
    ("o(n)", "big O"),
    ("growth", "big O"),
    ("outliers", "outlier"),
    ("jitter", "noise"),
    ("variance", "noise"),
    ("ci", "confidence interval"),
    ("error bar", "confidence interval"),
    ("significance", "confidence interval"),
    ("speedup", "speed-up"),
    ("vectorized", "vectorised"),
    ("vectorization", "vectorised"),
    ("simd", "vectorised"),
    ("amortized", "amortised"),
    ("io-bound", "I/O-bound"),
    ("race conditions", "race condition"),
    ("dead lock", "deadlock"),
    ("tso", "memory model"),
    ("pso", "memory model"),
    ("sc", "memory model"),
    ("litmus", "memory model"),
    ("memory order", "memory model"),
];

/// The term of this name or of another word for it, in any case.
pub fn find(name: &str) -> Option<&'static Term> {
    let name = name.to_lowercase();
    let name = ALSO.iter().find(|(also, _)| *also == name).map_or(name, |(_, term)| term.to_lowercase());
    ALL.iter().find(|term| term.name.to_lowercase() == name)
}

/// All terms, by name.
pub static ALL: &[Term] = &[
    Term {
        name: "Amdahl's law",
        meaning: "the serial part of a job limits the speed-up: a job of which a tenth is serial is never ten times \
                  as fast",
        cell: "%amdahl",
    },
    Term {
        name: "amortised",
        meaning: "a cost spread over many steps: a list that doubles when it is full seldom copies, so adding is \
                  cheap on average",
        cell: "%structures growth vec push_back --n 1k",
    },
    Term {
        name: "associative",
        meaning: "(a + b) + c equals a + (b + c), so parts of the input can be combined separately and then merged",
        cell: "1..10 | reduce acc + it",
    },
    Term {
        name: "atomic",
        meaning: "done in one step: no other thread sees it half done",
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
        meaning: "combines the pairs of a key where they arise, before they are sent: many words become one pair per \
                  distinct word",
        cell: "read \"samples/kjv.txt\" | words | agg pairs = count(), combined = n_distinct(word)",
    },
    Term {
        name: "confidence interval",
        meaning: "a range that covers the true value with a stated probability; a verdict needs all of it on one side",
        cell: "%compare --for 1s 1..20k | sum, 1..20k | map it + 0 | sum",
    },
    Term {
        name: "contention",
        meaning: "threads wait for each other because they need the same thing at the same time, such as a lock",
        cell: "%contention",
    },
    Term {
        name: "CPU-bound",
        meaning: "limited by the processor: CPU time is about wall time, and faster input or output would not help",
        cell: "%time 1..3M | map sqrt(it) | sum",
    },
    Term {
        name: "data race",
        meaning: "two threads access one variable at the same time, one of them writes, and nothing orders them; \
                  Rust's compiler rejects it",
        cell: "%%race --live off x = 0\n  a: x = 1\n  b: let r = x",
    },
    Term { name: "deadlock", meaning: "threads wait for each other forever", cell: "%race deadlock --live off" },
    Term {
        name: "deterministic",
        meaning: "the same every time; random data is reproducible: pass a seed",
        cell: "letters 5 seed 7",
    },
    Term {
        name: "engine",
        meaning: "how and where a pipeline runs; every engine returns the same table at different cost",
        cell: "%same 1..10k | map it * it | sum",
    },
    Term {
        name: "event loop",
        meaning: "one thread that calls whatever is due next: while one task waits, it runs another",
        cell: "%async --requests 10",
    },
    Term {
        name: "false sharing",
        meaning: "threads use different variables in one cache line, and slow each other down as if they shared one",
        cell: "%race counter --each 10k --only sharded,sharded,padded",
    },
    Term {
        name: "global interpreter lock",
        meaning: "one lock for a whole interpreter: threads take turns computing; they can only wait at the same time",
        cell: "%concurrency --tasks 2 --each 5ms",
    },
    Term {
        name: "hot key",
        meaning: "a key with a large share of all rows: its worker is busy while the others wait",
        cell: "read \"samples/depends.csv\" | count by depends | top 3",
    },
    Term {
        name: "I/O-bound",
        meaning: "limited by waiting (for a disk, a network): wall time passes, CPU time does not",
        cell: "%time let nap = !sleep 0.1",
    },
    Term {
        name: "interpreter",
        meaning: "reads the program again for every value, like a `for` loop in Python; here the engine `rows`",
        cell: "%time 1..300k | map it * 3 + 1 | sum | on rows",
    },
    Term {
        name: "IQR",
        meaning: "interquartile range: the width of the middle half of the values; unlike the standard deviation, \
                  outliers hardly change it",
        cell: "[1, 2, 3, 4, 90] | agg low = quantile(it, 0.25), high = quantile(it, 0.75), std(it)",
    },
    Term {
        name: "lazy",
        meaning: "computed when a result is needed, and again each time: a lazy name is a plan, not a table",
        cell: "let squares = 1..1M | map it * it",
    },
    Term {
        name: "livelock",
        meaning: "threads keep reacting to each other, and none makes progress",
        cell: "%race livelock --live off",
    },
    Term {
        name: "map",
        meaning: "works on each row alone, so the rows can be split among workers in any way",
        cell: "1..5 | map it * it",
    },
    Term {
        name: "median",
        meaning: "the middle value: one slow outlier changes the mean, not the median",
        cell: "[1, 2, 3, 4, 90] | agg median(it), mean(it)",
    },
    Term {
        name: "memory model",
        meaning: "rules for which reads see which writes. sc: all happen in one order; tso: a write may be \
                  delayed behind later reads; pso: also behind later writes to other variables",
        cell: "%race buffer --live off",
    },
    Term {
        name: "noise",
        meaning: "variation of times although the work is the same: other programs, clock speed, caches",
        cell: "%timeit --for 200ms 1..10k | sum",
    },
    Term {
        name: "outlier",
        meaning: "a sample far from the others, such as one that was interrupted; it moves a mean, hardly a median",
        cell: "[1, 2, 3, 4, 90] | agg median(it), mean(it)",
    },
    Term {
        name: "overhead",
        meaning: "the cost besides the work itself; on tiny input it is nearly all of the cost",
        cell: "%time 1..2 | sum",
    },
    Term {
        name: "peak heap",
        meaning: "the most memory in use at one time, above what was in use before",
        cell: "%time 1..1M | sort by it desc | take 1",
    },
    Term {
        name: "pipeline breaker",
        meaning: "a stage that needs all rows before it returns one: sort, count, distinct",
        cell: "%explain 1..1M | filter it % 3 == 0 | sort by it desc | take 3",
    },
    Term {
        name: "race condition",
        meaning: "the result depends on which thread was first; engines avoid it: each thread merges its own part",
        cell: "%race ticket --live off",
    },
    Term {
        name: "reduce",
        meaning: "merges two values into one until one is left",
        cell: "[3, 1, 2] | reduce if acc > it then acc else it",
    },
    Term {
        name: "sequential",
        meaning: "each step needs the one before, so nothing can run at the same time",
        cell: "1..6 | scan 0 acc + it",
    },
    Term {
        name: "shuffle",
        meaning: "brings the rows of one key together; on many machines it is often most of the cost",
        cell: "read \"samples/packages.csv\" | count by section | top 3",
    },
    Term {
        name: "skew",
        meaning: "parts of unequal size: the largest one finishes last and decides the total time",
        cell: "read \"samples/packages.csv\" | count by section | agg largest = max(count), middle = median(count)",
    },
    Term {
        name: "speed-up",
        meaning: "the slow time divided by the fast one, for the same table: compare with `| on polars`",
        cell: "%time 1..300k | filter it % 7 == 1 | sum | on rows",
    },
    Term {
        name: "throughput",
        meaning: "rows or bytes per second",
        cell: "%time read \"samples/kjv.txt\" | words | count",
    },
    Term {
        name: "vectorised",
        meaning: "one instruction works on several values (SIMD); here the engines `batch` and `polars`",
        cell: "%time 1..300k | map it * 3 + 1 | sum | on polars",
    },
    Term {
        name: "wall time",
        meaning: "the time that passes on the clock; CPU time is the time that the processor's cores worked",
        cell: "%time read \"samples/kjv.txt\" | count by len(line) | top 3",
    },
];
