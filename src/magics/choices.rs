//! What the options of magics may be given, where that is a choice of words, or what is typical of a number.

use crate::interleave::Model;

/// A value of an option.
pub struct Choice {
    pub word: &'static str,
    pub about: &'static str,
}

const fn choice(word: &'static str, about: &'static str) -> Choice {
    Choice { word, about }
}

/// For the options of one magic, or of all that have an option of this name: those of one stand first.
struct Choices {
    magic: Option<&'static str>,
    option: &'static str,
    values: &'static [Choice],
}

const fn of(magic: &'static str, option: &'static str, values: &'static [Choice]) -> Choices {
    Choices { magic: Some(magic), option, values }
}

const fn of_all(option: &'static str, values: &'static [Choice]) -> Choices {
    Choices { magic: None, option, values }
}

static ALL: &[Choices] = &[
    of_all(
        "--gil",
        &[
            choice("bytecode", "it changes hands between any two bytecodes"),
            choice("calls", "it changes hands at calls and the edge of the loop"),
        ],
    ),
    of_all("--live", &[choice("on", "runs on real threads too"), choice("off", "only explores")]),
    of_all(
        "--model",
        &[
            choice(Model::Sc.name(), Model::Sc.about()),
            choice(Model::Tso.name(), Model::Tso.about()),
            choice(Model::Pso.name(), Model::Pso.about()),
        ],
    ),
    of_all("--clock", &[choice("wall", "the time that passes"), choice("cpu", "CPU time of the thread")]),
    of_all(
        "--case",
        &[
            choice("best", "the shape for which a variant is fastest"),
            choice("average", "the usual shape"),
            choice("worst", "the shape for which a variant is slowest"),
        ],
    ),
    of(
        "plan",
        "--as",
        &[
            choice("sql", "a query in Spark's SQL, unless specified"),
            choice("spark", "a program for PySpark"),
            choice("sail", "the same for Sail"),
        ],
    ),
    of_all(
        "--as",
        &[
            choice("text", "by bytes, unless specified"),
            choice("csv", "as tables of csv"),
            choice("json", "as tables of one object a line"),
            choice("lines", "as tables of lines"),
        ],
    ),
    of(
        "prof",
        "--sort",
        &[
            choice("own", "time in the function itself"),
            choice("cumulative", "with what it called"),
            choice("calls", ""),
            choice("name", ""),
        ],
    ),
    of("prof", "--by", &[choice("function", "unless specified"), choice("module", ""), choice("file", "")]),
    of(
        "prof",
        "--sampler",
        &[choice("perf", "the kernel, by perf_event_open"), choice("preload", "a library in the program")],
    ),
    of("prof", "--top", &[choice("20", "rows, unless specified"), choice("100", "")]),
    of_all("--ok", &[choice("0", "unless specified"), choice("0,1", "as grep and diff say it")]),
    of_all("--warmup", &[choice("0", "the first run counts"), choice("1", "unless specified"), choice("3", "")]),
    of("mapreduce", "--combine", &[choice("on", "unless specified"), choice("off", "hands all pairs over")]),
    of("mapreduce", "--via", &[choice("memory", "unless specified"), choice("disk", "hands everything over in files")]),
    of("mapreduce", "--on", &[choice("threads", "unless specified"), choice("workers", "processes of their own")]),
    of("mapreduce", "--merge", &[choice("tree", "unless specified"), choice("flat", "no merge tasks")]),
    of("mapreduce", "--retries", &[choice("3", "unless specified"), choice("1", "")]),
    of("mapreduce", "--bad", &[choice("fail", "unless specified"), choice("skip", ""), choice("keep", "in _.bad")]),
    of("mapreduce", "--split", &[choice("hot", "in two phases, compared with one")]),
    of("mapreduce", "--chaos", &[choice("0.2", "the chance that an attempt at a task is lost"), choice("0.5", "")]),
    of("mapreduce", "--tasks", &[choice("4", ""), choice("16", "")]),
    of("mapreduce", "--partitions", &[choice("8", "unless specified"), choice("16", "")]),
    of("mapreduce", "--workers", &[choice("auto", "follows the tasks that wait"), choice("1", ""), choice("2", "")]),
    of("speedup", "--workers", &[choice("1,2", ""), choice("1,2,4", "")]),
    of(
        "speedup",
        "--on",
        &[choice("threads", "unless specified"), choice("workers", "processes"), choice("mapreduce", "as jobs")],
    ),
    of("race", "--each", &[choice("100k", "operations of each thread"), choice("1M", ""), choice("10M", "")]),
    of("race", "--threads", &[choice("1", ""), choice("2", "unless specified"), choice("4", ""), choice("8", "")]),
    of("race", "--checkpoint", &[choice("10k", "operations between two looks"), choice("100k", ""), choice("1M", "")]),
    of("race", "--rounds", &[choice("20k", "rounds on real threads"), choice("100k", "")]),
    of("race", "--states", &[choice("300k", "unless specified"), choice("1M", "states at most")]),
    of("race", "--moves", &[choice("b", "one step back"), choice("q", "leaves")]),
    of("concurrency", "--tasks", &[choice("4", ""), choice("8", "unless specified"), choice("16", "")]),
    of("concurrency", "--each", &[choice("5ms", ""), choice("20ms", "unless specified"), choice("100ms", "")]),
    of("async", "--requests", &[choice("100", ""), choice("1k", "unless specified"), choice("10k", "")]),
    of("amdahl", "--serial", &[choice("0.05", ""), choice("0.1", "unless specified"), choice("0.3", "")]),
    of("amdahl", "--threads", &[choice("4", ""), choice("8", ""), choice("16", "")]),
    of("contention", "--threads", &[choice("2", "unless specified"), choice("4", ""), choice("8", "")]),
];

/// The values that an option of a magic may be given; none where anything may stand.
pub fn of_option(magic: &str, option: &str) -> &'static [Choice] {
    let fits = |choices: &&Choices| choices.option == option && choices.magic.is_none_or(|name| name == magic);
    ALL.iter().find(fits).map_or(&[], |choices| choices.values)
}
