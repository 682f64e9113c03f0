//! A subject of one size, ready to be run: here, or, where it would know no stop flag, in a process that can be ended.

use crate::diagnostic::{Diagnostic, Fallible};
use crate::harness;
use crate::measure::{Cost, Workload};
use crate::run_context::RunContext;
use crate::session::Subject;
use crate::session::programs::Command;

pub enum Work<'c> {
    Subject(Subject<'c>),
    /// Of a family.
    Algorithm(harness::Algorithm<'c>),
}

impl Work<'_> {
    /// What one run costs.
    pub fn cost(&self, context: &RunContext) -> Fallible<Cost> {
        match self {
            Work::Subject(subject) => subject.cost(context),
            Work::Algorithm(algorithm) => algorithm.cost(context),
        }
    }

    /// What is timed.
    pub fn workload<'a>(&'a self, context: &'a RunContext) -> Box<dyn Workload<Box<Diagnostic>> + 'a> {
        match self {
            Work::Subject(subject) => subject.workload(context),
            Work::Algorithm(algorithm) => algorithm.workload(context),
        }
    }

    /// Whether it is known to use several threads.
    pub fn is_parallel(&self) -> bool {
        match self {
            Work::Subject(subject) => subject.is_parallel(),
            Work::Algorithm(algorithm) => algorithm.is_parallel(),
        }
    }

    /// What runs it, in a word; nothing for an algorithm of a family.
    pub fn runs_on(&self) -> &'static str {
        match self {
            Work::Subject(subject) => subject.runs_on(),
            Work::Algorithm(_) => "",
        }
    }

    pub fn command(&self) -> Option<&Command> {
        match self {
            Work::Subject(subject) => subject.command(),
            Work::Algorithm(_) => None,
        }
    }
}
