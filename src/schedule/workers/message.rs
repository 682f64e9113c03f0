//! What the shell and its worker processes tell each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::data::Schema;
use crate::diagnostic::Diagnostic;
use crate::kernel::Part;
use crate::measure::Cost;
use crate::plan::ExternalPlace;
use crate::run_context::{ChunkSizes, Counts128, RunContext};
use crate::schedule::job::{Bad, Given, Shape, Task};

/// What the shell asks. Answers come in the order of the questions that have one.
#[derive(Serialize, Deserialize)]
pub enum Order {
    /// A table, with its rows as bytes, for plans that read it. No answer.
    Table { id: u64, schema: Schema },
    /// A stage, for tasks that follow. No answer: what is wrong with it, each task tells.
    Stage(Box<StageOrder>),
    /// A task of the stage: [`Answer`], with the bytes of its output.
    Task { part: Part },
    /// A task of a job, with bytes: [`Answer`], with bytes.
    JobTask(Task),
    /// What a function gave that a task has called: its values are in the bytes, unless it failed. No answer.
    Called { error: Option<Box<Diagnostic>> },
    /// The tasks of a stage are not wanted any more. No answer, but that of a task that runs.
    Stop { stage: u64 },
    /// The stage is over: [`Spent`].
    Finish,
}

#[derive(Serialize, Deserialize)]
pub struct StageOrder {
    pub id: u64,
    /// As [`crate::plan::Prepared::to_json`] writes it.
    pub plan: String,
    pub pairs: bool,
    /// Of a job's round: how its pairs are handed over.
    pub shuffle: Option<ShuffleOrder>,
    pub bad: Bad,
    pub chunk_sizes: ChunkSizes,
    /// The most live heap above that of an idle worker, in bytes.
    pub memory: u64,
    /// The functions that it calls which are no expressions.
    pub functions: Vec<ExternalPlace>,
    /// The tables that are kept; others are forgotten.
    pub tables: Vec<u64>,
}

/// Plans without a source, as [`crate::plan::Prepared::to_json`] writes them.
#[derive(Clone, Serialize, Deserialize)]
pub struct ShuffleOrder {
    pub combiner: String,
    pub reducer: String,
    pub after: Option<String>,
    pub shape: Shape,
}

/// What a worker says of a task.
#[derive(Serialize, Deserialize)]
pub enum Answer {
    Done(Done),
    /// The task calls a function that only the shell's process has, for this many rows; the arguments are in the
    /// bytes. The answer is [`Order::Called`].
    Call {
        function: ExternalPlace,
        rows: usize,
    },
}

/// What a task gave, and what it has seen on the way.
#[derive(Serialize, Deserialize)]
pub struct Done {
    pub error: Option<Box<Diagnostic>>,
    /// Of a task of a job.
    pub given: Option<Given>,
    /// CPU time of the thread that did it.
    pub cpu: Duration,
    pub rows: u64,
    pub bytes: u64,
    /// Columns in which a text was taken for null, each by the place of the text in the list of such texts.
    pub null_texts: Vec<(usize, Vec<String>)>,
    /// What it has counted for the user.
    pub counters: Counts128,
}

impl Done {
    /// Adds what it has seen to what the run has.
    pub fn note(&self, context: &RunContext) {
        context.progress.add_rows(self.rows);
        context.progress.add_bytes(self.bytes);
        for (text, columns) in &self.null_texts {
            columns.iter().for_each(|column| context.read_notes.add_null_text(column, *text));
        }
    }
}

/// What a stage cost a worker.
#[derive(Serialize, Deserialize)]
pub struct Spent {
    pub cost: Cost,
}

/// The first word of a worker.
#[derive(Serialize, Deserialize)]
pub struct Ready;
