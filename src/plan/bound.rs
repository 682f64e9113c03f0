//! What was bound: a plan, of which some steps are the session's.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::Schema;
use crate::diagnostic::Span;
use crate::report::Measured;

use super::{Expr, File, Function, Node, Op, Source, Step, Write};

/// A source and the steps after it. [`Prepared`](super::Prepared) is what an engine gets of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The first step is the only one whose op is a source.
    pub steps: Vec<Step<BoundOp>>,
    /// The person's functions that expressions of this plan call, by number.
    pub functions: Vec<Function>,
    /// What of its table differs from run to run, because a value that was measured goes into it.
    pub measured: Measured,
}

/// What a step means, for an engine or for the session alone.
#[derive(Debug, Clone, PartialEq)]
pub enum BoundOp {
    Source(Source),
    /// The source of a branch of a `tee`: what flows into that.
    Passed,
    /// The source is a block of Rust of this number, compiled while it was bound: the session runs it and puts
    /// [`Source::Kept`] in its place.
    Rust(u64),
    /// The source is the pairs of a key-value server: the session asks for them and puts [`Source::Kept`] in its place.
    Store(KeyValueStore),
    /// The source is the table of a job of this number: the session waits for it, and puts [`Source::Kept`] in its
    /// place.
    Job(u64),
    Op(Op<Plan>),
    /// The session computes what stands before it once, under this number, and puts [`Source::Kept`] in its place.
    Persist(u64, Storage),
    /// Runs a block of steps again and again, on the table that its last round gave.
    Iterate(Box<Rounds<Plan>>),
    /// The last step: the session writes the table to a file and gives path, rows and bytes.
    Write(Write),
    /// The last step: the session computes the input once and runs each plan on it; the source of these is
    /// [`BoundOp::Passed`].
    Tee(Vec<(String, Plan)>),
}

/// How a table is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Storage {
    pub compressed: bool,
    /// In a file, which ends with the table.
    pub on_disk: bool,
}

/// A block that is run in rounds, each on the table that the one before gave; its columns are always the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rounds<P> {
    /// Its source stands for the table that a round gets.
    pub block: P,
    /// No more rounds follow once this gives no rows; its source stands for the table too.
    pub until: Option<P>,
    /// So many rounds at most.
    pub most: u64,
}

impl<P> Rounds<P> {
    pub fn plans(&self) -> Vec<&P> {
        std::iter::once(&self.block).chain(&self.until).collect()
    }

    pub fn plans_mut(&mut self) -> Vec<&mut P> {
        std::iter::once(&mut self.block).chain(&mut self.until).collect()
    }
}

/// A key-value server that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyValueStore {
    pub address: String,
    pub keys: u64,
    /// Seconds that it lets each request wait.
    pub delay: f64,
}

impl From<Op<Plan>> for BoundOp {
    fn from(op: Op<Plan>) -> BoundOp {
        BoundOp::Op(op)
    }
}

impl Plan {
    pub fn of(steps: Vec<Step<BoundOp>>) -> Plan {
        let width = steps.last().map_or(0, |step| step.schema.columns.len());
        Plan { steps, functions: Vec::new(), measured: Measured::nothing(width) }
    }

    /// Whether the plan ends in a `write` or a `tee`, after which nothing may follow.
    pub fn is_final(&self) -> bool {
        self.steps.last().is_some_and(|step| matches!(step.op, BoundOp::Write(_) | BoundOp::Tee(_)))
    }

    /// The plan without the `write` or the `tee` at its end, and that step.
    pub fn split_end(mut self) -> (Plan, Option<Step<BoundOp>>) {
        let end = if self.is_final() { self.steps.pop() } else { None };
        (self, end)
    }

    /// The same plan, which computes all that it would have kept.
    pub fn without_persist(mut self) -> Plan {
        self.steps.retain(|step| !matches!(step.op, BoundOp::Persist(..)));
        for plan in self.steps.iter_mut().flat_map(|step| step.op.plans_mut()) {
            *plan = std::mem::replace(plan, Plan::of(Vec::new())).without_persist();
        }
        self
    }

    /// Whether its rows have no end: those of a range without one, of which nothing takes only so many.
    pub fn is_endless(&self) -> bool {
        self.endless_steps().len() == self.steps.len()
    }

    /// The first step that needs all rows, where these have no end: it would never give anything.
    pub fn waits_without_end(&self) -> Option<Span> {
        let needs_all = |step: &&Step<BoundOp>| {
            matches!(
                step.op,
                BoundOp::Op(Op::Sort { .. } | Op::Reverse | Op::Aggregate { .. } | Op::Fold { .. })
                    | BoundOp::Persist(..)
                    | BoundOp::Iterate(_)
                    | BoundOp::Write(_)
            )
        };
        self.endless_steps().iter().find(needs_all).map(|step| step.span)
    }

    /// The first steps whose rows have no end.
    fn endless_steps(&self) -> &[Step<BoundOp>] {
        let is_end = |step: &Step<BoundOp>| match &step.op {
            BoundOp::Source(source) => !matches!(source, Source::Range { end: None, .. }),
            BoundOp::Op(op) => matches!(op, Op::Slice { length: Some(_), .. }),
            BoundOp::Passed | BoundOp::Rust(_) | BoundOp::Store(_) | BoundOp::Job(_) => true,
            BoundOp::Persist(..) | BoundOp::Iterate(_) | BoundOp::Write(_) | BoundOp::Tee(_) => false,
        };
        let end = self.steps.iter().position(is_end).unwrap_or(self.steps.len());
        &self.steps[..end]
    }

    /// The store that it is, where it is one and nothing else.
    pub fn store(&self) -> Option<&KeyValueStore> {
        match &self.steps[..] {
            [Step { op: BoundOp::Store(store), .. }] => Some(store),
            _ => None,
        }
    }

    /// The job whose table it is, where it is nothing else.
    pub fn job(&self) -> Option<u64> {
        match &self.steps[..] {
            [Step { op: BoundOp::Job(number), .. }] => Some(*number),
            _ => None,
        }
    }

    /// The columns of the result.
    pub fn schema(&self) -> &Schema {
        &self.steps.last().expect("a plan has a source").schema
    }

    /// The files that it reads, wherever in it.
    pub fn files(&self) -> Vec<File> {
        let mut found = Vec::new();
        self.walk(&mut |step| {
            if let BoundOp::Source(Source::Read(read)) = &step.op {
                found.extend(read.files.iter().cloned());
            }
        });
        found
    }

    /// Calls `visit` for each step of this plan and of all plans inside it: those of its ops, and those whose only
    /// value an expression takes. One that several expressions share is visited once.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Step<BoundOp>)) {
        self.walk_new(&mut HashSet::new(), visit);
    }

    fn walk_new<'a>(&'a self, shared: &mut HashSet<*const Plan>, visit: &mut dyn FnMut(&'a Step<BoundOp>)) {
        for step in &self.steps {
            visit(step);
            step.op.plans().into_iter().for_each(|plan| plan.walk_new(shared, visit));
            for expr in step.op.exprs() {
                expr.walk(&mut |part| {
                    if let Node::ScalarSubquery(plan) = &part.node
                        && shared.insert(Arc::as_ptr(plan))
                    {
                        plan.walk_new(shared, visit);
                    }
                });
            }
        }
    }

    /// This plan and those inside its ops, each before those inside it.
    pub fn with_inner(&self) -> Vec<&Plan> {
        let (mut all, mut left) = (Vec::new(), vec![self]);
        while let Some(plan) = left.pop() {
            all.push(plan);
            left.extend(plan.steps.iter().rev().flat_map(|step| step.op.plans().into_iter().rev()));
        }
        all
    }
}

impl BoundOp {
    /// All expressions of this op.
    pub fn exprs(&self) -> Vec<&Expr> {
        if let BoundOp::Op(op) = self { op.exprs() } else { Vec::new() }
    }

    /// All expressions of this op, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        if let BoundOp::Op(op) = self { op.exprs_mut() } else { Vec::new() }
    }

    /// The plans inside this op.
    pub fn plans(&self) -> Vec<&Plan> {
        match self {
            BoundOp::Op(op) => op.plans(),
            BoundOp::Tee(branches) => branches.iter().map(|(_, plan)| plan).collect(),
            BoundOp::Iterate(rounds) => rounds.plans(),
            BoundOp::Source(_)
            | BoundOp::Passed
            | BoundOp::Rust(_)
            | BoundOp::Store(_)
            | BoundOp::Job(_)
            | BoundOp::Persist(..)
            | BoundOp::Write(_) => Vec::new(),
        }
    }

    /// The same, to be changed.
    pub fn plans_mut(&mut self) -> Vec<&mut Plan> {
        match self {
            BoundOp::Op(op) => op.plans_mut(),
            BoundOp::Tee(branches) => branches.iter_mut().map(|(_, plan)| plan).collect(),
            BoundOp::Iterate(rounds) => rounds.plans_mut(),
            BoundOp::Source(_)
            | BoundOp::Passed
            | BoundOp::Rust(_)
            | BoundOp::Store(_)
            | BoundOp::Job(_)
            | BoundOp::Persist(..)
            | BoundOp::Write(_) => Vec::new(),
        }
    }
}
