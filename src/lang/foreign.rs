//! Words that people bring from other tools, and what stands in their place here. Help, hints and completion use it.

use crate::diagnostic::Diagnostic;

/// Words of other tools that lead to one thing.
pub struct Foreign {
    pub words: &'static [&'static str],
    /// What to use instead: one sentence without a full stop.
    pub leads: &'static str,
    /// A cell to type.
    pub cell: &'static str,
}

impl Foreign {
    pub fn hint(&self) -> String {
        format!("{}: {}", self.leads, self.cell.lines().next().unwrap_or_default())
    }
}

/// The entry of a word, in any case; brackets after it do not count.
pub fn find(word: &str) -> Option<&'static Foreign> {
    let word = word.trim_end_matches("()").to_lowercase();
    ALL.iter().find(|foreign| foreign.words.contains(&word.as_str()))
}

/// Adds to an error about an unknown word what it leads to, or else the known name that is most like it.
pub fn suggest<'a>(error: Box<Diagnostic>, word: &str, names: impl IntoIterator<Item = &'a str>) -> Box<Diagnostic> {
    match find(word) {
        Some(foreign) => error.hint(foreign.hint()),
        None => error.near(word, names),
    }
}

macro_rules! words {
    ($([$($word:literal),+] $leads:literal, $cell:literal;)+) => {
        /// All entries, by subject.
        pub static ALL: &[Foreign] = &[$(Foreign { words: &[$($word),+], leads: $leads, cell: $cell }),+];
    };
}

words! {
    ["first", "slice_head"] "`take n` keeps the first rows", "1..10 | take 3";
    ["tail", "slice_tail"] "`reverse | take n | reverse` keeps the last rows",
        "1..10 | reverse | take 3 | reverse";
    ["offset", "iloc"] "`skip n` leaves out the first rows", "1..10 | skip 7";
    ["nlargest", "nsmallest", "topk"] "`top n by e` keeps the rows with the largest values, `asc` the smallest",
        "1..10 | top 2 by it % 7";
    ["query", "keep"] "`filter` keeps the rows for which a condition is true", "1..10 | filter it > 7";
    ["having"] "a `filter` after `agg … by` keeps groups", "1..10 | count by rest = it % 4 | filter count > 2";
    ["with_columns", "with_column", "mutate", "assign", "transform", "apply"]
        "`derive` adds columns, `map` makes new rows", "1..4 | derive square = it * it";
    ["order", "order_by", "orderby", "arrange", "sort_values", "sort_by"] "`sort by e` brings rows in order",
        "[3, 1, 2] | sort by it desc";
    ["groupby", "group_by", "aggregate", "summarise", "summarize", "rollup"]
        "`agg … by` computes values of each group, `group by` collects its rows",
        "1..10 | agg n = count(), total = sum(it) by rest = it % 3";
    ["value_counts", "histogram", "tally", "counter"] "`count by e` counts the rows of each key",
        "1..10 | count by rest = it % 3";
    ["avg", "average"] "`mean` is the average", "[1, 2, 6] | mean";
    ["nunique", "count_distinct"] "`n_distinct` counts different values", "[1, 1, 2] | agg n = n_distinct(it)";
    ["uniq", "unique", "drop_duplicates", "dedup", "deduplicate"] "`distinct` keeps each row once",
        "[1, 1, 2] | distinct";
    ["explode", "unnest", "flatten", "selectmany"] "`flat_map` makes a row of each element of a list",
        "[\"a b\", \"c\"] | flat_map words(it)";
    ["merge", "lookup", "vlookup"] "`join … on` brings the rows of two tables together",
        "1..4 | map k = it | join (2..6 | map k = it, double = it * 2) on k";
    ["union", "union_all", "append", "rbind", "vstack", "extend"] "`concat` puts tables one after the other",
        "1..3 | concat (7..9)";
    ["hstack", "cbind"] "`zip` puts tables side by side", "1..4 | zip (1..4 | map square = it * it)";
    ["cache", "memoize", "memoise", "checkpoint", "materialize"] "`persist` computes once and keeps the table",
        "let big = 1..1k | map it * it | persist";
    ["case", "when", "iif", "ifelse", "switch", "match"] "`if … then … else …` chooses a value",
        "1..4 | map if it % 2 == 0 then \"even\" else \"odd\"";
    ["isnull", "isna", "is_na", "isnan", "notnull"] "`is_null(x)` finds nulls", "[1, null] | filter is_null(it)";
    ["fillna", "fill_null", "ifnull", "nvl", "dropna"] "`coalesce(x, 0)` replaces null",
        "[1, null] | map coalesce(it, 0)";
    ["cast", "astype", "str", "to_string", "parse"] "`int(x)`, `float(x)`, `text(x)` and `bool(x)` convert",
        "[\"12\"] | map int(it) + 1";
    ["size", "wc", "length", "nrow", "strlen", "char_length"]
        "`len(x)` is the length of a text or a list, `count` the number of rows", "[\"née\"] | map len(it)";
    ["substr", "substring", "left", "mid"] "`slice(text, start, count)` is a part of a text",
        "[\"timelab\"] | map slice(it, 0, 4)";
    ["concat_ws", "paste", "sprintf", "printf"] "`format(\"{} {}\", a, b)` makes a text of values",
        "[1, 2] | map format(\"{} of {}\", it, 2)";
    ["grep", "like", "includes", "find"] "a `filter` with `contains` or `matches` finds lines",
        "[\"apple\", \"fig\"] | filter contains(it, \"pp\")";
    ["cut", "awk", "sed", "tr", "strsplit"] "`split(text, sep)[n]` takes a field, `replace` replaces",
        "[\"a:b:c\"] | map split(it, \":\")[1]";
    ["regex", "regexp", "re", "rlike"] "`matches(text, \"pattern\")` looks for a regular expression",
        "[\"ab1\", \"ab\"] | filter matches(it, \"[0-9]$\")";
    ["describe", "schema", "dtypes", "info", "summary", "typeof", "columns"]
        "`%whos` shows names with types and sizes, `agg` computes figures of a column",
        "1..10 | agg n = count(), low = min(it), middle = median(it), high = max(it)";
    ["show", "print", "echo", "puts", "display", "collect", "println", "console"]
        "a cell prints its result, `peek` shows rows inside a pipeline, `%last` the whole last table",
        "1..4 | peek 2 | sum";
    ["exit", "quit", "logout", "bye"] "`exit`, `quit` or Ctrl-D on an empty line leave the shell", "%help shell";
    ["kill", "stop", "interrupt", "cancel"] "Ctrl-C stops the cell that runs and keeps the session", "%help shell";
    ["ls", "dir", "pwd", "clear", "cls", "cat", "bash", "system"]
        "`!` runs a command of the system, `%cd` changes the folder, Ctrl-L clears the screen", "!ls samples";
    ["vars", "locals", "globals", "env"] "`%who` lists the names of the session", "%who";
    ["for", "while", "loop", "foreach", "do"]
        "a range with `map` does what a loop does, a sweep repeats a measurement (`n in 1k..16k:`)",
        "1..4 | map it * it";
    ["lambda", "def", "function", "func", "proc"] "`fn` defines a function", "fn square(x) = x * x";
    ["const", "var"] "`let` assigns a name", "let n = 10k";
    ["list", "array", "vec", "vector", "tuple"]
        "a list is written [1, 2, 3], in Rust it is `Vec`; the family `membership` compares it with a set",
        "[1, 2, 3] | sum";
    ["dict", "hash", "hashmap", "dictionary", "object"]
        "`count by` and `agg … by` keep a value for each key; in Rust it is `HashMap`",
        "[\"a\", \"b\", \"a\"] | count by letter = it";
    ["hashset", "frozenset"] "`distinct` keeps each value once; in Rust it is `HashSet`, the settings are `%set`",
        "[1, 1, 2] | distinct";
    ["deque", "queue", "stack", "vecdeque"] "in Rust it is `VecDeque`",
        "rust { let mut q = std::collections::VecDeque::from([1, 2]); q.push_front(0); q.iter().sum::<i32>() }";
    ["seq", "arange", "linspace", "xrange"] "`a..b` counts from a to b - 1, in an expression it is range(a, b)",
        "1..5";
    ["open", "load", "read_csv", "read_parquet", "from", "scan_csv", "import_csv"] "`read \"path\"` is a source",
        "read \"samples/packages.csv\" | take 2";
    ["to_csv", "to_parquet", "export", "dump"] "`write \"path\"` at the end of a pipeline makes a file", "%help write";
    ["import", "include", "require", "pip", "cargo", "crate"]
        "`%run FILE` runs the cells of a file, `%rust dep NAME` lets Rust cells use a package", "%help rust";
    ["bench", "benchmark", "hyperfine", "perf_counter", "stopwatch", "timer", "clock"]
        "`%time` runs once, `%timeit` takes many samples, `%compare` compares", "%timeit --for 100ms 1..1k | sum";
    ["profile", "cprofile", "flamegraph", "profiler", "prun", "perf"]
        "`%time` shows CPU time, memory and what a pipeline waits for", "%time 1..100k | map it * it | sum";
    ["select_from", "dplyr", "duckdb", "numpy"] "`%help sql` shows the stage for each clause and method",
        "%help sql";
    ["thread", "threads", "mutex", "lock", "parallel"] "`%race` shows what threads do to shared variables",
        "%race counter --each 10k";
    ["plot", "chart", "graph"] "`%bigo` plots how a cost grows", "%bigo --steps n in 2..64: 1..n | sum";
    ["jupyter", "notebook", "script"] "`timelab FILE` runs the cells of a file, `%save FILE` writes them",
        "%help shell";
    ["man", "manual", "docs", "usage"] "`%help` lists the topics, `name?` explains a name", "%help";
}
