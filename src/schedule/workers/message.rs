//! What the shell and its worker processes tell each other.

use serde::{Deserialize, Serialize};

use crate::data::Schema;
use crate::diagnostic::Diagnostic;
use crate::kernel::Part;
use crate::measure::Cost;
use crate::run_context::{ChunkSizes, Counts128};

/// What the shell asks. Answers come in the order of the questions that have one.
#[derive(Serialize, Deserialize)]
pub enum Order {
    /// A table, with its rows as bytes, for plans that read it. No answer.
    Table { id: u64, schema: Schema },
    /// A stage, for tasks that follow. No answer: what is wrong with it, each task tells.
    Stage(StageOrder),
    /// A task of the stage: [`Done`], with the bytes of its output.
    Task { part: Part },
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
    pub chunk_sizes: ChunkSizes,
    /// The most live heap above that of an idle worker, in bytes.
    pub memory: u64,
    /// The tables that are kept; others are forgotten.
    pub tables: Vec<u64>,
}

/// What a task gave, and what it has seen on the way.
#[derive(Serialize, Deserialize)]
pub struct Done {
    pub error: Option<Box<Diagnostic>>,
    pub rows: u64,
    pub bytes: u64,
    /// Columns in which a text was taken for null, each by the place of the text in the list of such texts.
    pub null_texts: Vec<(usize, Vec<String>)>,
    /// What it has counted for the user.
    pub counters: Counts128,
}

/// What a stage cost a worker.
#[derive(Serialize, Deserialize)]
pub struct Spent {
    pub cost: Cost,
}

/// The first word of a worker.
#[derive(Serialize, Deserialize)]
pub struct Ready;
