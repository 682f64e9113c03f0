//! Words that people bring from other tools, and what stands in their place here. Help, hints and completion use it.

use crate::diagnostic::Diagnostic;

/// Words of other tools that lead to one thing.
pub struct ForeignWord {
    pub words: &'static [&'static str],
    /// What to use instead: one sentence without a full stop.
    pub leads: &'static str,
    /// A cell to type.
    pub cell: &'static str,
}

impl ForeignWord {
    pub fn hint(&self) -> String {
        format!("{}: {}", self.leads, self.cell.lines().next().unwrap_or_default())
    }
}

/// The entry of a word, in any case; brackets after it do not count.
pub fn find(word: &str) -> Option<&'static ForeignWord> {
    let word = word.trim_end_matches("()").to_lowercase();
    ALL.iter().find(|foreign| foreign.words.contains(&word.as_str()))
}

/// Words of the language itself that are no stage, function or magic. Only help uses them.
pub fn of_language(word: &str) -> Option<&'static ForeignWord> {
    OF_LANGUAGE.iter().find(|known| known.words.contains(&word))
}

/// Adds to an error about an unknown word what it leads to, or else the known name that is most like it.
pub fn suggest<'a>(error: Box<Diagnostic>, word: &str, names: impl IntoIterator<Item = &'a str>) -> Box<Diagnostic> {
    match find(word) {
        Some(foreign) => error.hint(foreign.hint()),
        None => error.near(word, names),
    }
}

macro_rules! words {
    ($name:ident: $([$($word:literal),+] $leads:literal, $cell:literal;)+) => {
        pub static $name: &[ForeignWord] = &[$(ForeignWord { words: &[$($word),+], leads: $leads, cell: $cell }),+];
    };
}

words! { OF_LANGUAGE:
    ["let"] "`let name = …` assigns a name to a value or a table", "let n = 10k";
    ["fn"] "`fn name(x) = …` defines a function", "fn square(x) = x * x";
    ["it"] "`it` is the only column of a table", "1..4 | map it * it";
    ["acc"] "`acc` is the state of `fold`, `scan` and `reduce`", "1..4 | fold 0 acc + it";
    ["by"] "`by` names the keys of `agg`, `count`, `group`, `sort`, `top` and `distinct`",
        "1..9 | count by rest = it % 2";
    ["on"] "`| on ENGINE` chooses the engine; `join … on` names the keys", "1..4 | sum | on rows";
    ["as"] "`read … as FORMAT` sets the format, `rename a as b` the new name", "1..3 | rename it as n";
    ["if", "then", "else"] "`if … then … else …` chooses a value",
        "1..4 | map if it > 2 then \"large\" else \"small\"";
    ["and", "or", "not"] "`and`, `or` and `not` combine conditions",
        "1..9 | filter it > 2 and not (it == 5 or it == 7)";
    ["in"] "`x in [a, b]` checks whether x is one of these; `n in 1k..16k:` is a sweep", "1..9 | filter it in [2, 3]";
    ["asc", "desc"] "`asc` and `desc` choose the direction of `sort` and `top`", "1..4 | sort it desc";
    ["true", "false"] "`true` and `false` are the bools", "[true, false] | filter it";
    ["null"] "`null` is a missing value; `read … null \"-\"` sets which texts are null",
        "[1, null] | filter is_null(it)";
    ["first", "last", "quantile", "std", "n_distinct"] "it is an aggregate: use it in `agg`",
        "1..9 | agg first(it), last(it), quantile(it, 0.9), std(it), n_distinct(it)";
    ["counter", "counters"] "`counter(\"label\", e)` counts true rows or adds up ints: %help counters",
        "1..9 | filter counter(\"large\", it > 5) | count";
    ["spawn", "wait"] "`let f = spawn …` starts a job, `wait f` waits for its table: %help jobs",
        "let f = spawn 1..1M | sum; wait f";
    ["until", "max"] "`iterate until e { stages } max n` runs stages in rounds until e is true in every row",
        "[1] | iterate until it > 100 { map it * 2 }";
    ["compressed", "disk"] "`persist compressed disk` keeps a table in less memory: %help memory",
        "let big = 1..1k | map it * it | persist compressed";
    ["seed"] "`seed n` makes random data reproducible; `%set seed` sets the default", "random 3 seed 7";
    ["only"] "`only a, b` chooses variants of a family in %compare",
        "%compare --for 50ms n in [50]: sorting only quick, merge";
    ["with"] "`rust with n { … }` passes names of the session to Rust", "%help rust";
    ["types", "sep", "header", "comment", "ragged", "lossy", "csv", "json", "parquet", "arrow", "gzip", "zstd"]
        "`%help files` explains formats and the options of `read`", "%help files";
    ["variant", "verdict", "baseline", "sweep"] "`%help comparing` explains comparisons", "%help comparing";
}

words! { ALL:
    ["slice_head"] "`take n` keeps the first rows", "1..10 | take 3";
    ["tail", "slice_tail"] "`reverse | take n | reverse` keeps the last rows",
        "1..10 | reverse | take 3 | reverse";
    ["offset", "iloc"] "`skip n` drops the first rows", "1..10 | skip 7";
    ["nlargest", "topk"] "`top n by e` keeps the rows with the largest values", "1..10 | top 2 by it % 7";
    ["nsmallest"] "`top n by e asc` keeps the rows with the smallest values", "1..10 | top 2 by it % 7 asc";
    ["query", "keep"] "`filter` keeps the rows for which a condition is true", "1..10 | filter it > 7";
    ["having"] "a `filter` after `agg … by` chooses groups", "1..10 | count by rest = it % 4 | filter count > 2";
    ["with_columns", "with_column", "mutate", "assign", "transform", "apply"]
        "`derive` adds columns, `map` makes new rows", "1..4 | derive square = it * it";
    ["order", "order_by", "orderby", "arrange", "sort_values", "sort_by"] "`sort by e` sorts the rows",
        "[3, 1, 2] | sort by it desc";
    ["groupby", "group_by", "aggregate", "summarise", "summarize", "rollup"]
        "`agg … by` computes values per group, `group by` collects its rows",
        "1..10 | agg n = count(), total = sum(it) by rest = it % 3";
    ["value_counts", "tally"] "`count by e` counts the rows of each key",
        "1..10 | count by rest = it % 3";
    ["avg", "average"] "`mean` is the average", "[1, 2, 6] | mean";
    ["nunique", "count_distinct"] "`n_distinct` counts different values", "[1, 1, 2] | agg n = n_distinct(it)";
    ["uniq", "unique", "drop_duplicates", "dedup", "deduplicate"] "`distinct` keeps each row once",
        "[1, 1, 2] | distinct";
    ["explode", "unnest", "flatten", "selectmany"] "`flat_map` makes one row per element of a list",
        "[\"a b\", \"c\"] | flat_map words(it)";
    ["merge", "lookup", "vlookup"] "`join … on` combines the rows of two tables",
        "1..4 | map k = it | join (2..6 | map k = it, double = it * 2) on k";
    ["union", "union_all", "append", "rbind", "vstack", "extend"] "`concat` appends tables",
        "1..3 | concat (7..9)";
    ["hstack", "cbind"] "`zip` puts tables side by side", "1..4 | zip (1..4 | map square = it * it)";
    ["cache", "memoize", "memoise", "checkpoint", "materialize"] "`persist` computes once and keeps the table",
        "let big = 1..1k | map it * it | persist";
    ["case", "when", "iif", "ifelse", "switch", "match"] "`if … then … else …` chooses a value",
        "1..4 | map if it % 2 == 0 then \"even\" else \"odd\"";
    ["isnull", "isna", "is_na", "isnan", "notnull"] "`is_null(x)` finds nulls", "[1, null] | filter is_null(it)";
    ["fillna", "fill_null", "ifnull", "nvl"] "`coalesce(x, 0)` replaces null",
        "[1, null] | map coalesce(it, 0)";
    ["dropna", "drop_nulls"] "`filter not is_null(x)` removes rows with null", "[1, null] | filter not is_null(it)";
    ["between"] "`x >= a and x <= b` checks whether x lies between a and b", "1..9 | filter it >= 3 and it <= 5";
    ["isin"] "`x in [a, b]` checks whether x is one of these", "1..9 | filter it in [2, 3]";
    ["shape"] "`%whos` shows rows and columns, `count` the number of rows", "1..9 | count";
    ["cumsum", "rolling", "over", "window", "lag", "shift", "diff", "accumulate"]
        "`scan` carries a state from row to row: running sums, differences", "1..6 | scan 0 acc + it";
    ["foldl", "inject"] "`fold` goes through the rows in order with a state", "1..6 | fold 0 acc + it";
    ["row_number", "rownum", "reset_index", "nl"] "`enumerate` numbers the rows", "[7, 8] | enumerate";
    ["stddev", "var"] "`std` is the standard deviation; its square is the variance",
        "[1, 2, 6] | agg std(it)";
    ["any_value"] "`first` and `last` return one value per group", "1..9 | agg first(it) by rest = it % 2";
    ["string_agg", "group_concat", "listagg", "array_agg"] "`group by` makes lists, `join(list, sep)` joins texts",
        "[\"a\", \"b\"] | group by key = len(it) | map join(it, \",\")";
    ["strip"] "`trim` removes white space at both ends", "[\" a \"] | map trim(it)";
    ["trunc"] "`int(x)` cuts decimals off", "[2.9] | map int(it)";
    ["log"] "`ln` is the natural logarithm, `log2` the logarithm to base 2", "[8] | map ln(it), two = log2(it)";
    ["power"] "`pow(x, n)` raises to a power", "[3] | map pow(it, 2)";
    ["mod"] "`%` is the remainder, with the sign of the divisor", "[-7] | map it % 3";
    ["redis", "memcached", "kv", "key_value", "database"]
        "`store` is a key-value server that answers late, `get` asks it",
        "let kv = store delay 1ms keys 100; 0..10 | map get(kv, it)";
    ["shuf"] "`sample n` takes rows at random", "1..100 | sample 3 seed 7";
    ["rand", "randint", "runif"] "`random n seed s` generates floats from 0 to 1", "random 3 seed 7";
    ["tac", "rev"] "`reverse` reverses the rows, `reverse(x)` a text or a list", "1..4 | reverse";
    ["dataframe", "df", "series", "relation", "struct"] "a table is what a pipeline returns, `let` names it",
        "let t = 1..4 | map square = it * it";
    ["warmup", "runs", "prepare"] "`%timeit` takes `-n` calls per sample, `-r` samples and `--setup`",
        "%timeit -n 10 -r 5 --setup (let n = 100) 1..n | sum";
    ["debug", "pdb", "trace"] "`peek` shows the rows that pass a stage, `%explain` the plan", "1..4 | peek 2 | sum";
    ["memit", "memory_usage", "maxrss"] "`%time` shows the peak heap and the allocations", "%time 1..1k | sum";
    ["lsmagic", "magic"] "`%help magics` lists the magics", "%help magics";
    ["cast", "astype", "str", "to_string", "parse"] "`int(x)`, `float(x)`, `text(x)` and `bool(x)` convert",
        "[\"12\"] | map int(it) + 1";
    ["size", "wc", "length", "nrow", "strlen", "char_length"]
        "`len(x)` is the length of a text or a list, `count` the number of rows", "[\"née\"] | map len(it)";
    ["substr", "substring", "mid"] "`slice(text, start, count)` returns a part of a text",
        "[\"timelab\"] | map slice(it, 0, 4)";
    ["concat_ws", "paste", "sprintf", "printf"] "`format(\"{} {}\", a, b)` builds a text from values",
        "[1, 2] | map format(\"{} of {}\", it, 2)";
    ["grep", "like", "ilike", "includes", "find", "strpos"]
        "a `filter` with `contains`, `starts_with` or `matches` finds texts",
        "[\"apple\", \"fig\"] | filter contains(it, \"pp\")";
    ["cut", "awk", "sed", "tr", "strsplit"] "`split(text, sep)[n]` returns a field, `replace` replaces a part",
        "[\"a:b:c\"] | map split(it, \":\")[1]";
    ["regex", "regexp", "regexp_matches", "re", "rlike", "glob"]
        "`matches(text, \"pattern\")` searches for a regular expression",
        "[\"ab1\", \"ab\"] | filter matches(it, \"[0-9]$\")";
    ["schema", "dtypes", "typeof"] "`%whos` shows names with types and sizes, `%explain` the types of a plan",
        "%explain 1..4 | map square = it * it";
    ["describe", "info", "summary"] "`agg` computes figures of a column, `%whos` shows types and sizes",
        "1..10 | agg n = count(), low = min(it), middle = median(it), high = max(it)";
    ["show", "print", "echo", "puts", "display", "collect", "println", "console"]
        "a cell prints its result, `peek` shows rows inside a pipeline, `%last` the whole last table",
        "1..4 | peek 2 | sum";
    ["exit", "quit", "logout", "bye"] "`exit`, `quit` or Ctrl-D on an empty line leave the shell", "%help shell";
    ["kill", "stop", "interrupt", "cancel"] "Ctrl-C stops the cell that runs and keeps the session", "%help shell";
    ["ls", "dir", "pwd", "clear", "cls", "cat", "bash", "system"]
        "`!` runs a system command, `%cd` changes the folder, Ctrl-L clears the screen", "!ls samples";
    ["vars", "locals", "globals", "env"] "`%who` lists the names of the session", "%who";
    ["accumulator", "metric", "metrics"] "`counter(\"label\", e)` counts rows beside the result",
        "1..9 | filter counter(\"large\", it > 5) | count";
    ["future", "background", "submit", "nohup", "detach"]
        "`let f = spawn …` runs a pipeline as a job; %jobs lists them",
        "let f = spawn 1..1M | sum; wait f";
    ["repeat", "converge", "fixpoint"] "`iterate n { stages }` runs stages in rounds",
        "[1] | iterate 3 { map it * 2 }";
    ["for", "while", "loop", "foreach", "do"]
        "a range with `map` works like a loop, a sweep repeats a measurement (`n in 1k..16k:`)",
        "1..4 | map it * it";
    ["lambda", "def", "function", "func", "proc"] "`fn` defines a function", "fn square(x) = x * x";
    ["const"] "`let` assigns a name", "let n = 10k";
    ["list", "array", "vec", "vector", "tuple"]
        "a list is written [1, 2, 3], in Rust it is `Vec`; the family `membership` compares it with a set",
        "[1, 2, 3] | sum";
    ["dict", "hashmap", "hash", "dictionary"]
        "`count by` and `agg … by` keep one value per key; in Rust it is `HashMap`",
        "[\"a\", \"b\", \"a\"] | count by letter = it";
    ["hashset", "frozenset"] "`distinct` keeps each value once; in Rust it is `HashSet`, the settings are `%set`",
        "[1, 1, 2] | distinct";
    ["deque", "queue", "vecdeque"] "in Rust it is `VecDeque`",
        "rust { let mut q = std::collections::VecDeque::from([1, 2]); q.push_front(0); q.iter().sum::<i32>() }";
    ["seq", "arange", "xrange", "generate_series"] "`a..b` counts from a to b - 1, in an expression it is range(a, b)",
        "1..5";
    ["open", "load", "read_csv", "read_parquet", "from", "scan_csv", "import_csv"] "`read \"path\"` is a source",
        "read \"samples/packages.csv\" | take 2";
    ["to_csv", "to_parquet", "export", "dump"] "`write \"path\"` at the end of a pipeline writes a file", "%help write";
    ["import", "include", "require", "pip", "cargo", "crate"]
        "`%run FILE` runs the cells of a file, `%rust dep NAME` lets Rust cells use a package", "%help rust";
    ["bench", "benchmark", "hyperfine", "perf_counter", "stopwatch", "timer", "clock"]
        "`%time` runs once, `%timeit` takes many samples, `%compare` compares", "%timeit --for 100ms 1..1k | sum";
    ["profile", "cprofile", "flamegraph", "profiler", "prun", "perf"]
        "`%prof` shows where the time goes, `%time` CPU time, memory and waiting", "%prof 1..100k | map it * it | sum";
    ["select_from", "dplyr", "duckdb", "numpy"] "`%help sql` shows the stage for each clause and method",
        "%help sql";
    ["thread", "threads", "mutex", "lock", "parallel"] "`%race` shows what threads do to shared variables",
        "%race counter --each 10k";
    ["play", "scheduler"] "`%race play` lets you choose which thread moves next",
        "%race play counter --moves up,down,up,down";
    ["mix", "workload"] "`%structures --mix` ranks structures by a mix of operations",
        "%structures --n 2k --mix push_front=40,push_back=40,get=20";
    ["plot", "chart", "graph"] "`%bigo` plots how a cost grows", "%bigo --steps n in 2..64: 1..n | sum";
    ["jupyter", "notebook", "script"] "`timelab FILE` runs the cells of a file, `%save FILE` writes them",
        "%help shell";
    ["man", "manual", "docs", "usage", "apropos"] "`%help` lists the topics, `name?` explains a name", "%help";
}
