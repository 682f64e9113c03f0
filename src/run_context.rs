//! What a run may spend, how it is stopped, and what it tells while it goes on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::measure;
use crate::meters::Meters;
use crate::monitor::RunWatch;

/// A flag that a signal or another thread raises; work looks at it every thousand rows or so.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    /// That of the work of which this is a part.
    outer: Option<Arc<Stop>>,
}

impl Stop {
    /// A flag for a part of the work: it is up where it is raised itself, and where this one is.
    pub fn part(&self) -> Stop {
        Stop { flag: Arc::default(), outer: Some(Arc::new(self.clone())) }
    }

    pub fn raise(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    pub fn clear(&self) {
        self.flag.store(false, Ordering::SeqCst);
    }

    /// The flag itself, for who must not know of runs.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    pub fn is_raised(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.outer.as_ref().is_some_and(|outer| outer.is_raised())
    }

    /// An error of kind [`Kind::Stopped`] once the flag is up.
    pub fn check(&self) -> Fallible<()> {
        if self.is_raised() { Err(Diagnostic::new(Kind::Stopped, "stopped")) } else { Ok(()) }
    }
}

/// How far a run has come, for whoever draws it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    counts: Arc<Counts>,
    /// Whether the files of a source were told as a whole: those who read parts of them tell nothing.
    told_files: bool,
}

#[derive(Debug, Default)]
struct Counts {
    rows: AtomicU64,
    bytes: AtomicU64,
    all_bytes: AtomicU64,
    hidden: AtomicBool,
    drawn: AtomicBool,
    told: Mutex<String>,
    board: Mutex<Option<Board>>,
}

/// What is drawn below what was told, as long as the run goes on.
#[derive(Clone)]
struct Board(Arc<dyn Fn() -> String + Send + Sync>);

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Board")
    }
}

impl Progress {
    /// Rows that came out of sources so far.
    pub fn rows(&self) -> u64 {
        self.counts.rows.load(Ordering::Relaxed)
    }

    /// Bytes read from files so far, and those of all files that are open.
    pub fn bytes(&self) -> (u64, u64) {
        (self.counts.bytes.load(Ordering::Relaxed), self.counts.all_bytes.load(Ordering::Relaxed))
    }

    pub fn add_rows(&self, rows: u64) {
        self.counts.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub fn add_bytes(&self, bytes: u64) {
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What is known by now, in lines that take the place of those told before.
    pub fn tell(&self, known: String) {
        *self.counts.told.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    pub fn told(&self) -> String {
        self.counts.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whoever draws what is told draws this too.
    pub fn show_board(&self, board: impl Fn() -> String + Send + Sync + 'static) {
        *self.counts.board.lock().unwrap_or_else(PoisonError::into_inner) = Some(Board(Arc::new(board)));
    }

    /// What it shows now; nothing where there is none.
    pub fn board(&self) -> String {
        let board = self.counts.board.lock().unwrap_or_else(PoisonError::into_inner).clone();
        board.map_or(String::new(), |board| (board.0)())
    }

    /// From here on another program has the terminal: nothing is drawn. What was is gone when this returns.
    pub fn hide(&self) {
        const MOMENTS: usize = 100;
        self.counts.hidden.store(true, Ordering::SeqCst);
        for _ in 0..MOMENTS {
            if !self.counts.drawn.load(Ordering::SeqCst) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The terminal is free again.
    pub fn show(&self) {
        self.counts.hidden.store(false, Ordering::SeqCst);
    }

    /// Who draws says here whether anything is on the terminal.
    pub fn set_drawn(&self, drawn: bool) {
        self.counts.drawn.store(drawn, Ordering::SeqCst);
    }

    pub fn is_hidden(&self) -> bool {
        self.counts.hidden.load(Ordering::SeqCst)
    }

    pub fn expect_bytes(&self, bytes: u64) {
        if !self.told_files {
            self.counts.all_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// The same for those who read parts of files that were told as a whole.
    pub fn of_parts(&self) -> Progress {
        Progress { told_files: true, ..self.clone() }
    }
}

/// How a run read its files, where nobody said it.
#[derive(Debug, Clone, Default)]
pub struct ReadNotes(Arc<Mutex<Readings>>);

#[derive(Debug, Default)]
struct Readings {
    /// The texts that were taken for null, each by its place in the list of such texts, with their columns.
    null_texts: BTreeSet<(usize, String)>,
    /// For the status line, and for lines under the table.
    status: Vec<String>,
    notes: Vec<String>,
    /// Rows that a job left out because of an error, or the rounds of a block as jobs.
    left_out: u64,
}

impl ReadNotes {
    pub fn add_null_text(&self, column: &str, text: usize) {
        self.found().null_texts.insert((text, column.to_string()));
    }

    pub fn add_status(&self, said: String) {
        let status = &mut self.found().status;
        if !status.contains(&said) {
            status.push(said);
        }
    }

    pub fn add_note(&self, note: String) {
        let notes = &mut self.found().notes;
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Each null text with its columns.
    pub fn null_texts(&self) -> BTreeMap<usize, Vec<String>> {
        let mut by_text: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (text, column) in &self.found().null_texts {
            by_text.entry(*text).or_default().push(column.clone());
        }
        by_text
    }

    pub fn status(&self) -> Vec<String> {
        self.found().status.clone()
    }

    /// Adds to the rows that were left out because of an error.
    pub fn add_left_out(&self, rows: u64) {
        self.found().left_out += rows;
    }

    pub fn notes(&self) -> Vec<String> {
        let found = self.found();
        let left_out = match found.left_out {
            0 => None,
            1 => Some("1 row was".to_string()),
            rows => Some(format!("{rows} rows were")),
        };
        let why = "left out because of an error: %mapreduce --bad keep lists those outside of `iterate`";
        found.notes.iter().cloned().chain(left_out.map(|rows| format!("{rows} {why}"))).collect()
    }

    fn found(&self) -> MutexGuard<'_, Readings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run counts for the user, by the labels.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<Counts128>>);

/// Sums of ints, which may be large before they are shown.
pub type Counts128 = BTreeMap<String, i128>;

thread_local! {
    /// What the attempt at a task has counted that this thread makes.
    static ATTEMPT: RefCell<Option<Counts128>> = const { RefCell::new(None) };
}

impl Counters {
    /// Adds to a label. What an attempt at a task adds counts when it is committed.
    pub fn add(&self, label: &str, more: i128) {
        let is_kept =
            ATTEMPT.with_borrow_mut(|attempt| attempt.as_mut().map(|counts| add_to(counts, label, more)).is_some());
        if !is_kept {
            add_to(&mut self.found(), label, more);
        }
    }

    /// Makes an attempt: with what it gives comes what it has counted.
    pub fn attempt<T>(work: impl FnOnce() -> T) -> (T, Counts128) {
        /// The attempt around this one goes on, also where this one panics.
        struct Outer(Option<Counts128>);
        impl Drop for Outer {
            fn drop(&mut self) {
                ATTEMPT.set(self.0.take());
            }
        }
        let outer = Outer(ATTEMPT.replace(Some(BTreeMap::new())));
        let given = work();
        let counts = ATTEMPT.take().unwrap_or_default();
        drop(outer);
        (given, counts)
    }

    /// Adds what an attempt has counted that succeeded.
    pub fn commit(&self, counts: &Counts128) {
        counts.iter().for_each(|(label, more)| self.add(label, *more));
    }

    /// What was counted so far.
    pub fn each(&self) -> Counts128 {
        self.found().clone()
    }

    pub fn clear(&self) {
        self.found().clear();
    }

    fn found(&self) -> MutexGuard<'_, Counts128> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add_to(counts: &mut Counts128, label: &str, more: i128) {
    match counts.get_mut(label) {
        Some(sum) => *sum = sum.saturating_add(more),
        None => drop(counts.insert(label.to_string(), more)),
    }
}

/// What takes the rows of a result while a run goes on.
pub trait TableSink {
    /// Takes the next rows, which have the columns of the result; false when it wants no more.
    fn take(&mut self, rows: &Table) -> Fallible<bool>;

    /// Whether the run should keep the rows as well, to give them all in the end. Asked after each table.
    fn keeps(&self) -> bool {
        false
    }
}

/// How much memory a run may use before it goes on in files, and where these are.
#[derive(Debug, Clone)]
pub struct Spill {
    /// In bytes.
    pub budget: u64,
    /// Whether it is the part of a task, beside which others run.
    pub is_of_task: bool,
    /// Files have no name in it, and are gone with the run.
    pub folder: PathBuf,
    /// The number of the write that finds the disk full, for tests.
    pub full_at: Option<u64>,
    counts: Arc<SpillCounts>,
}

#[derive(Debug, Default)]
struct SpillCounts {
    writes: AtomicU64,
    bytes: AtomicU64,
    passes: AtomicU64,
}

/// What one stage holds in memory as a whole.
#[derive(Debug, Clone)]
pub struct Whole {
    /// A subject and its verb: how much memory follows.
    pub what: &'static str,
    /// Where it is one group: its key.
    pub key: Option<String>,
    pub bytes: usize,
    pub span: Span,
}

impl Whole {
    fn too_large(self, memory: u64, is_of_task: bool, memory_hint: &str) -> Box<Diagnostic> {
        let Whole { what, key, bytes, span } = self;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (size, memory) = (mib(bytes as u64), mib(memory));
        let more = if is_of_task { memory_hint } else { "%set memory gives the run more" };
        let (what, hint) = match key {
            None if is_of_task => (what.to_string(), more.to_string()),
            None => (what.to_string(), format!("it is held in memory as a whole: {more}")),
            Some(key) => (
                format!("the group of the key {key} takes at least"),
                format!(
                    "all values of a key are held at a time, and more partitions do not help: `sum` and the like, or \
                     `reduce` over `acc` and `it`, hold one value of each key; else {more}"
                ),
            ),
        };
        let message = match is_of_task {
            true => format!("{what} {size:.1} MiB, more than the {:.1} MiB that a task may hold", memory / 2.0),
            false => format!("{what} {size:.1} MiB, too much for a run with {memory:.1} MiB of memory"),
        };
        Diagnostic::at(Kind::Memory, span, message).hint(hint)
    }
}

/// The largest of what the stages of a run hold as a whole: where memory runs out, the error names it.
#[derive(Debug, Clone, Default)]
pub struct Largest(Arc<Mutex<Option<Whole>>>);

impl Largest {
    pub fn note(&self, whole: Whole) {
        let mut largest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if largest.as_ref().is_none_or(|other| other.bytes <= whole.bytes) {
            *largest = Some(whole);
        }
    }

    /// The stage at this place holds nothing any more.
    pub fn forget(&self, span: Span) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take_if(|whole| whole.span == span);
    }

    fn get(&self) -> Option<Whole> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Spill {
    pub fn new(budget: u64, folder: PathBuf) -> Spill {
        Spill { budget, is_of_task: false, folder, full_at: None, counts: Arc::default() }
    }

    /// The same for a task of a run.
    pub fn of_task(budget: u64, folder: PathBuf) -> Spill {
        Spill { is_of_task: true, ..Spill::new(budget, folder) }
    }

    /// The same for another run, which has written nothing.
    pub fn anew(&self) -> Spill {
        Spill { counts: Arc::default(), ..self.clone() }
    }

    /// What an op holds beyond this goes to a file: while it is written there are copies of it.
    pub fn limit(&self) -> usize {
        usize::try_from(self.budget / 5).unwrap_or(usize::MAX)
    }

    /// Where a part is merged that was written, nothing else takes memory: it is written again beyond this.
    pub fn limit_of_part(&self) -> usize {
        2 * self.limit()
    }

    /// What cannot be written may hold no more.
    pub fn most(&self) -> usize {
        usize::try_from(self.budget / 2).unwrap_or(usize::MAX)
    }

    /// Counts a write; false where it must fail.
    pub fn add_write(&self, bytes: u64) -> bool {
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        Some(self.counts.writes.fetch_add(1, Ordering::Relaxed)) != self.full_at
    }

    /// Counts an op that begins to write, or a part that is written once more.
    pub fn add_pass(&self) {
        self.counts.passes.fetch_add(1, Ordering::Relaxed);
    }

    /// The bytes that were written, in how many writes and passes.
    pub fn written(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.counts.bytes), read(&self.counts.writes), read(&self.counts.passes))
    }
}

/// What `peek` hands out while a run goes on.
pub type LogSink = Arc<dyn Fn(&str) + Send + Sync>;

/// How much is worked on at a time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ChunkSizes {
    /// Of a batch: its columns stay in the nearest cache.
    pub rows: usize,
    /// Of one read of a file, at least.
    pub bytes: usize,
    /// Of a split of a file, in bytes: one thread gains nothing by several.
    pub split: usize,
    /// Of the input of a task, in bytes; a row of what is no file counts as [`ChunkSizes::ROW`].
    pub task: usize,
}

impl ChunkSizes {
    pub const ROW: usize = 16;
}

impl Default for ChunkSizes {
    fn default() -> ChunkSizes {
        ChunkSizes { rows: 2048, bytes: 128 << 10, split: usize::MAX, task: 16 << 20 }
    }
}

/// The hint where no engine has one of its own.
pub const MEMORY_HINT: &str =
    "| on batch memory 64MB goes on in scratch files; an aggregate, `top` or `take` keeps fewer rows";

/// One run's means.
#[derive(Clone)]
pub struct RunContext {
    pub chunk_sizes: ChunkSizes,
    /// The most live heap that the process may have, in bytes.
    pub memory: u64,
    /// Where it was said how much memory the run may use.
    pub spill: Option<Spill>,
    /// The folder for files of runs that are told so later.
    pub scratch: PathBuf,
    pub largest: Largest,
    /// What the person may write so that a run needs less memory.
    pub memory_hint: &'static str,
    /// How many tasks run at a time, on engines that have tasks.
    pub workers: usize,
    pub stop: Stop,
    pub progress: Progress,
    pub read_notes: ReadNotes,
    pub counters: Counters,
    pub log: LogSink,
    /// Whether the cell comes from a file that nobody trusts: it writes only in the current folder.
    pub confined: bool,
    /// What somebody wants to know of where its time goes.
    pub meters: Meters,
    /// Whether it runs beside other cells: a stop of these is none of its own.
    pub is_job: bool,
    /// Where somebody watches the run.
    pub monitor: Option<Arc<RunWatch>>,
}

impl RunContext {
    /// Whether the run may go on: nobody has stopped it, and there is memory left. Cheap: for every thousand rows or
    /// so.
    pub fn check(&self) -> Fallible<()> {
        self.stop.check()?;
        if measure::live() <= self.memory {
            return Ok(());
        }
        Err(self.out_of_memory())
    }

    /// Takes note of what a stage holds and cannot write to a file.
    ///
    /// # Errors
    /// Where it is too much for the run.
    pub fn hold_whole(&self, whole: Whole) -> Fallible<()> {
        self.largest.note(whole.clone());
        match &self.spill {
            Some(spill) if whole.bytes > spill.most() => {
                Err(whole.too_large(spill.budget, spill.is_of_task, self.memory_hint))
            }
            _ => Ok(()),
        }
    }

    /// The error of a run that needs more than its limit, or was stopped and got no more memory.
    pub fn out_of_memory(&self) -> Box<Diagnostic> {
        if (!self.is_job && measure::allocations_are_stopped()) || self.stop.is_raised() {
            return Diagnostic::new(Kind::Stopped, "stopped");
        }
        if let Some(whole) = self.largest.get() {
            let memory = self.spill.as_ref().map_or(self.memory, |spill| spill.budget);
            let is_of_task = self.spill.as_ref().is_some_and(|spill| spill.is_of_task);
            return whole.too_large(memory, is_of_task, self.memory_hint);
        }
        let mib = self.memory >> 20;
        let limit = if mib < 1024 { format!("{mib} MiB") } else { format!("{:.1} GiB", mib as f64 / 1024.0) };
        let message = format!("the run was stopped: it needs more memory than it may have ({limit})");
        let hint = match &self.spill {
            Some(_) if self.memory_hint == MEMORY_HINT => "an aggregate, `top` or `take` keeps fewer rows",
            _ => self.memory_hint,
        };
        Diagnostic::new(Kind::Memory, message).hint(hint)
    }

    /// Until what this gives is dropped, this thread's work asks for no more memory than the run may have.
    pub fn limited(&self) -> measure::Limited {
        if self.is_job { measure::limited_apart(self.memory) } else { measure::limited(self.memory) }
    }

    /// Does work whose allocations stay within the limit: one that would not ends it.
    ///
    /// # Errors
    /// Its own, and that of the limit.
    pub fn within_limit<T>(&self, work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
        let _limited = self.limited();
        let refusals = measure::refusals();
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| match panic.downcast_ref::<&str>() {
            Some(said) if *said == measure::OUT_OF_MEMORY => Err(self.out_of_memory()),
            // A library panics in its own words where it gets no memory.
            _ if measure::refusals() > refusals => Err(self.out_of_memory()),
            _ => resume_unwind(panic),
        });
        match result {
            // A library may make another error of the panic of one of its threads.
            Ok(value) => Ok(value),
            Err(error) if matches!(error.kind, Kind::Stopped | Kind::Memory) => Err(error),
            Err(_) if measure::refusals() > refusals => Err(self.out_of_memory()),
            Err(error) => Err(error),
        }
    }
}
