//! Whether `%compare` lies, through the program as it is shipped: cells on its standard input, several processes for
//! each row of the table. A row compares code with itself (A/A) or with code that does more rounds of the same work
//! (A/B), beside threads that keep the processors busy. It fails where a row has over 1 % of false verdicts.
//!
//! `cargo bench --locked --bench verdicts -- --short` takes five minutes; without `--short` all rows take hours, and
//! can be chosen: `-- --subject rust --test A/A --busy 0,4`.

mod driver;
mod kernels;
mod pipelines;
mod rows;
mod tally;

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use timelab::measure::{Noise, Overhead, Wall, noise};

use driver::{Outcome, Shell};
use rows::{Comparison, Row, Subject, Test};
use tally::Tally;

#[derive(Parser)]
#[command(name = "cargo bench --locked --bench verdicts --")]
struct Arguments {
    /// Some rows, each with few comparisons, in five minutes
    #[arg(long)]
    short: bool,
    /// Only rows of these: engines, rust
    #[arg(long, value_delimiter = ',', value_name = "SUBJECTS")]
    subject: Vec<Subject>,
    /// Only rows of these: A/A, 2%, 5%, 50%, 150x
    #[arg(long, value_delimiter = ',', value_name = "TESTS")]
    test: Vec<Test>,
    /// Only rows beside so many busy threads: 0, 2, 4
    #[arg(long, value_delimiter = ',', value_name = "THREADS")]
    busy: Vec<usize>,
    /// Only these kernels or pipelines
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    kernel: Vec<String>,
    /// Comparisons of each row; 200 of code with itself and 60 of others unless specified
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Passed on to `%compare`: the longest time of a comparison
    #[arg(long = "for", value_name = "TIME")]
    limit: Option<String>,
    /// Chooses kernels, sizes and orders
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Prints the rows and how long they take, and runs none
    #[arg(long)]
    list: bool,
    /// Prints every comparison
    #[arg(long)]
    verbose: bool,
    /// The program to test; the one that cargo built unless specified
    #[arg(long, default_value = env!("CARGO_BIN_EXE_timelab"), value_name = "PATH")]
    timelab: PathBuf,
    /// Cargo passes this
    #[arg(long, hide = true)]
    bench: bool,
}

/// How long the short form measures.
const SHORT: Duration = Duration::from_secs(280);
/// So many comparisons run in one process; the next ones see other addresses.
const OF_ONE_PROCESS: usize = 10;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen = |row: &Row| {
        (arguments.subject.is_empty() || arguments.subject.contains(&row.subject))
            && (arguments.test.is_empty() || arguments.test.contains(&row.test))
            && (arguments.busy.is_empty() || arguments.busy.contains(&row.busy))
    };
    let all = if arguments.short { rows::short() } else { rows::all() };
    let rows: Vec<Row> = all.into_iter().filter(chosen).collect();
    let mut plan = Plan::new(&arguments, &rows);
    if arguments.list {
        for row in &rows {
            println!("{row:30} {:4} comparisons, about {}", plan.trials(row), time(plan.expected(row)));
        }
        println!("together about {}", time(rows.iter().map(|row| plan.expected(row)).sum()));
        return ExitCode::SUCCESS;
    }
    println!("{} · {} rows · seed {}", arguments.timelab.display(), rows.len(), arguments.seed);
    println!("{}", Tally::head());
    let mut good = !rows.is_empty();
    for (at, row) in rows.iter().enumerate() {
        plan.begin(at);
        let (tally, noise) = beside(row.busy, || {
            let noise = noise(&Wall, &Overhead::measure(&Wall));
            (run(row, &arguments, &mut plan), noise)
        });
        plan.clear();
        print_row(row, &tally, noise);
        good &= tally.is_good();
    }
    match good {
        true => ExitCode::SUCCESS,
        false => {
            println!("a row has over 1 % of false verdicts (below 100 comparisons: over one), or nothing was compared");
            ExitCode::FAILURE
        }
    }
}

fn print_row(row: &Row, tally: &Tally, noise: Noise) {
    println!("{}", tally.line(row, noise));
    tally.wrong.iter().for_each(|wrong| println!("    ✗ {wrong}"));
    tally.failed.iter().take(3).for_each(|failed| println!("    failed: {failed}"));
}

/// Runs a row: processes one after the other, each with some of its comparisons.
fn run(row: &Row, arguments: &Arguments, plan: &mut Plan) -> Tally {
    let mut tally = Tally::new(row.test);
    let mut random = fastrand::Rng::with_seed(arguments.seed ^ row.seed());
    while !plan.is_over(row, &tally) {
        let mut shell = Shell::start(&arguments.timelab);
        for number in 0..OF_ONE_PROCESS {
            if plan.is_over(row, &tally) {
                break;
            }
            let comparison = Comparison::random(row, &arguments.kernel, &mut random);
            let start = Instant::now();
            let cells = comparison.cells(number == 0, arguments.limit.as_deref().or(plan.limit()));
            let outcome = shell.compare(&cells);
            if arguments.verbose {
                plan.clear();
                println!("    {comparison} {outcome}");
            }
            let lost = matches!(outcome, Outcome::Lost(_));
            tally.add(&comparison, outcome, start.elapsed());
            plan.tell(row, &tally);
            if lost {
                break;
            }
        }
    }
    tally
}

/// Does something beside so many threads that keep the processors busy.
fn beside<T>(threads: usize, work: impl FnOnce() -> T) -> T {
    let busy = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let busy = &busy;
            scope.spawn(move || {
                let mut x = thread as u64;
                while busy.load(Ordering::Relaxed) {
                    x = (0..1000).fold(x, |x, i| (x ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23));
                    std::hint::black_box(x);
                }
            });
        }
        let result = work();
        busy.store(false, Ordering::Relaxed);
        result
    })
}

/// How much is still to be done, and what of it is shown.
struct Plan<'a> {
    rows: &'a [Row],
    trials: Option<usize>,
    short: bool,
    /// Only one line that is replaced, on a terminal.
    draws: bool,
    at: usize,
    start: Instant,
    row_start: Instant,
    /// Seconds and comparisons so far, by subject and test.
    taken: HashMap<(Subject, Test), (f64, usize)>,
    told: Instant,
}

impl Plan<'_> {
    fn new<'a>(arguments: &Arguments, rows: &'a [Row]) -> Plan<'a> {
        let now = Instant::now();
        Plan {
            rows,
            trials: arguments.trials,
            short: arguments.short,
            draws: std::io::stderr().is_terminal(),
            at: 0,
            start: now,
            row_start: now,
            taken: HashMap::new(),
            told: now,
        }
    }

    fn begin(&mut self, at: usize) {
        self.at = at;
        self.row_start = Instant::now();
        self.show(&format!("{} …", self.rows[at]));
    }

    fn trials(&self, row: &Row) -> usize {
        match (self.trials, self.short) {
            (Some(trials), _) => trials,
            // As many as fit into its time.
            (None, true) => (self.expected(row) / row.guess()).round() as usize,
            (None, false) => row.trials(),
        }
    }

    /// The seconds of a row.
    fn expected(&self, row: &Row) -> f64 {
        if self.short && self.trials.is_none() {
            // What rows before this one left over, or took too long, is shared out to the others.
            let left = SHORT.saturating_sub(self.row_start - self.start).as_secs_f64();
            let all: f64 = self.rows[self.at..].iter().map(Row::weight).sum();
            return left * row.weight() / all;
        }
        let each = match self.taken.get(&(row.subject, row.test)) {
            Some((seconds, comparisons)) => seconds / *comparisons as f64,
            None => row.guess(),
        };
        each * self.trials(row) as f64
    }

    /// Whether a row has enough comparisons. A program that does nothing but fail is not tried for hours.
    fn is_over(&self, row: &Row, tally: &Tally) -> bool {
        let gives_up = tally.failed.len() >= 10 && tally.failed.len() == tally.all();
        if self.short && self.trials.is_none() {
            return gives_up || tally.all() > 0 && self.row_start.elapsed().as_secs_f64() >= self.expected(row);
        }
        gives_up || tally.all() >= self.trials(row)
    }

    /// The short form lets no comparison take much of a row's time.
    fn limit(&self) -> Option<&'static str> {
        self.short.then_some("2s")
    }

    fn tell(&mut self, row: &Row, tally: &Tally) {
        let (seconds, comparisons) = self.taken.entry((row.subject, row.test)).or_default();
        *seconds += tally.last.as_secs_f64();
        *comparisons += 1;
        if !self.draws && self.told.elapsed() < Duration::from_secs(60) {
            return;
        }
        self.told = Instant::now();
        let done = self.row_start.elapsed().as_secs_f64();
        let all = self.trials(row);
        let here = match self.short && self.trials.is_none() {
            true => (self.expected(row) - done).max(0.0),
            false => all.saturating_sub(tally.all()) as f64 * self.expected(row) / all.max(1) as f64,
        };
        let left = here + self.rows[self.at + 1..].iter().map(|row| self.expected(row)).sum::<f64>();
        let (at, count, compared) = (self.at + 1, self.rows.len(), tally.all());
        let passed = time(self.start.elapsed().as_secs_f64());
        let wrong = tally.wrong.len();
        self.show(&format!(
            "row {at} of {count} · {row} · {compared} of about {all} · {wrong} false · {passed} passed, about {} left",
            time(left)
        ));
    }

    fn show(&self, text: &str) {
        if self.draws {
            eprint!("\r\x1b[K{text}");
        } else {
            eprintln!("{text}");
        }
    }

    fn clear(&self) {
        if self.draws {
            eprint!("\r\x1b[K");
        }
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds < 100.0 => format!("{seconds:.0} s"),
        _ if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
