//! Schedules of several threads or processes. A plan is cut into stages, a stage into tasks: a phase over a part of
//! the stage's input. Where the parts begin and end depends on the input alone, and what tasks give is taken in their
//! order: so the result is the same however many there are to work, and whenever each comes to its end. Who runs tasks
//! is a [`Runner`].

mod board;
mod job;
mod run;
mod stage;
mod task;
mod threads;
pub mod workers;

pub use board::{ATTEMPTS, Board, Claim};
pub use job::{
    Attempt, Bad, BadRow, JobFolder, JobLog, JobOptions, KeyRecord, LEAST_PARTITIONS, SavedJob, StepKind, StepRecord,
    TRIES, TraceBox, mark, run_job, trace, worker_objection,
};
pub use run::{Runner, Take, run};
pub use stage::{Stage, objection, rounds, stages};
pub use task::{Held, OpenStage, Output, parts};
pub use threads::Threads;
pub use workers::Workers;
