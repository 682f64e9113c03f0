//! The rows of the table, and the comparisons that a row is made of.

use std::fmt;
use std::str::FromStr;

use timelab::engines;

use super::kernels::{self, Kernel};
use super::pipelines::{self, Pipeline, Size};

/// What is compared: pipelines on an engine, or blocks of Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Engine(&'static str),
    Rust,
}

impl Subject {
    fn all() -> impl Iterator<Item = Subject> {
        engines::ALL.iter().map(|engine| Subject::Engine(engine.name())).chain([Subject::Rust])
    }

    /// Whether each variant is compiled first.
    fn compiles(self) -> bool {
        match self {
            Subject::Engine(name) => engines::find(name).is_some_and(|engine| engine.is_compiled()),
            Subject::Rust => true,
        }
    }
}

/// How the second variant differs from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Test {
    /// It does the same.
    Same,
    /// One of both does so many percent more rounds.
    More(u64),
    /// One of both takes a microsecond, the other so many times as long.
    Times(u64),
}

#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub subject: Subject,
    pub test: Test,
    /// Threads that keep the processors busy meanwhile.
    pub busy: usize,
}

const FAR: Test = Test::Times(150);

/// All rows, those of one load together.
pub fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for busy in [0, 2, 4] {
        for test in [Test::Same, Test::More(2), Test::More(5), Test::More(50)] {
            rows.extend(Subject::all().map(|subject| Row { subject, test, busy }));
        }
        rows.push(Row { subject: Subject::Rust, test: FAR, busy });
    }
    rows
}

/// Rows of all subjects that fit into minutes.
pub fn short() -> Vec<Row> {
    let is_short = |row: &Row| match row.test {
        Test::Same => row.busy != 2,
        Test::More(2) => row.busy == 0,
        Test::More(_) => false,
        Test::Times(_) => row.busy == 0,
    };
    all().into_iter().filter(is_short).collect()
}

impl Row {
    /// How many comparisons it has.
    pub fn trials(&self) -> usize {
        if self.test == Test::Same { 200 } else { 60 }
    }

    /// The seconds that a comparison takes, roughly, before it is known.
    pub fn guess(&self) -> f64 {
        let seconds = if self.subject.compiles() { 3.0 } else { 1.5 };
        seconds * if self.busy > 0 { 1.5 } else { 1.0 }
    }

    /// Its share of the short form's time. A new process that compiles takes seconds before it compares.
    pub fn weight(&self) -> f64 {
        (if self.subject.compiles() { 2.0 } else { 1.0 }) * if self.test == Test::Same { 1.5 } else { 1.0 }
    }

    /// Rows of one seed differ in what they choose.
    pub fn seed(&self) -> u64 {
        self.to_string().bytes().fold(0, |seed, byte| (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {} beside {}", self.subject, self.test, self.busy))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if let Subject::Engine(name) = self { name } else { "rust" })
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Subject, String> {
        let names = || Subject::all().map(|subject| subject.to_string()).collect::<Vec<_>>().join(", ");
        Subject::all().find(|subject| subject.to_string() == text).ok_or_else(|| format!("expected one of {}", names()))
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Same => f.write_str("A/A"),
            Test::More(percent) => write!(f, "{percent}%"),
            Test::Times(times) => write!(f, "{times}x"),
        }
    }
}

impl FromStr for Test {
    type Err = String;

    fn from_str(text: &str) -> Result<Test, String> {
        let all = [Test::Same, Test::More(2), Test::More(5), Test::More(50), FAR];
        let names = all.map(|test| test.to_string()).join(", ");
        all.into_iter().find(|test| test.to_string() == text).ok_or_else(|| format!("expected one of {names}"))
    }
}

/// One comparison of two variants.
pub struct Comparison {
    what: What,
    /// How much each variant does, in any unit.
    rounds: [u64; 2],
}

enum What {
    Pipeline {
        pipeline: &'static Pipeline,
        engine: &'static str,
        sizes: [Size; 2],
    },
    Block {
        kernel: &'static Kernel,
        size: u64,
        /// Whether each variant has a copy of the code; else both call one function of a cell.
        copied: bool,
    },
}

impl Comparison {
    /// A comparison for a row; of `only` these kernels, where there are any.
    pub fn random(row: &Row, only: &[String], random: &mut fastrand::Rng) -> Comparison {
        let is_chosen = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
        let far = matches!(row.test, Test::Times(_));
        let [few, many] = match row.test {
            Test::Same => [100, 100],
            Test::More(percent) => [100, 100 + percent],
            Test::Times(times) => [1, times],
        };
        let second_is_more = random.bool();
        let what = match row.subject {
            Subject::Rust => {
                let fits = |kernel: &&Kernel| is_chosen(kernel.name) && (!far || kernel.microsecond.is_some());
                let all: Vec<&Kernel> = kernels::ALL.iter().filter(fits).collect();
                let kernel = random.choice(all).expect("a kernel of these names");
                let size = kernel.microsecond.filter(|_| far);
                let size = size.unwrap_or_else(|| *random.choice(kernel.sizes).expect("it has sizes"));
                What::Block { kernel, size, copied: random.bool() }
            }
            Subject::Engine(engine) => {
                let is_parallel = engines::find(engine).is_some_and(|engine| engine.is_parallel());
                let fits = |pipeline: &&Pipeline| {
                    is_chosen(pipeline.name)
                        && !(pipeline.in_order && is_parallel)
                        && (few == many || pipeline.grows_evenly(engine))
                };
                let all: Vec<&Pipeline> = pipelines::ALL.iter().filter(fits).collect();
                let pipeline = random.choice(all).expect("a pipeline of these names");
                let mut sizes = pipeline.sizes(engine, many - few, random);
                if !second_is_more {
                    sizes.reverse();
                }
                What::Pipeline { pipeline, engine, sizes }
            }
        };
        let rounds = if second_is_more { [few, many] } else { [many, few] };
        Comparison { what, rounds }
    }

    /// How many times as fast as the first variant the second is.
    pub fn speedup(&self) -> f64 {
        self.rounds[0] as f64 / self.rounds[1] as f64
    }

    /// The cells that compare, after those that a process needs `first`.
    pub fn cells(&self, first: bool, limit: Option<&str>) -> Vec<String> {
        let limit = limit.map_or(String::new(), |limit| format!(" --for {limit}"));
        let compare = |[a, b]: [String; 2]| format!("%compare{limit}:\n  a: {a}\n  b: {b}");
        match &self.what {
            What::Pipeline { pipeline, engine, sizes } => {
                vec![compare(sizes.map(|size| format!("{} | on {engine}", pipeline.text(size))))]
            }
            What::Block { kernel, size, copied } => {
                let mut cells = Vec::new();
                cells.extend(first.then(kernels::data));
                cells.extend((!copied).then(|| kernel.cell()));
                let block = |place: usize| kernel.block(self.rounds[place], *size, *copied, place);
                cells.push(compare([block(0), block(1)]));
                cells
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.rounds;
        match &self.what {
            What::Pipeline { pipeline, engine, sizes } => {
                let rows = sizes[0].rows;
                write!(f, "{} on {engine}, {rows} rows: {a} against {b} parts of work:", pipeline.name)
            }
            What::Block { kernel, size, copied } => {
                let form = if *copied { "a copy each" } else { "one function" };
                write!(f, "{} of {size}: {a} against {b} rounds, {form}:", kernel.name)
            }
        }
    }
}
