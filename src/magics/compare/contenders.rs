//! What can be run again and again beside others.

use std::sync::Arc;

use crate::algorithms::{Case, Claims};
use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible};
use crate::measure::{self, Clock, Cost, Meter};
use crate::run_context::RunContext;
use crate::session::{Detached, Subject};

/// What can be compared: a pipeline, an expression, or an algorithm of a family.
pub trait Contender {
    /// Runs and throws its result away: this is timed.
    fn run(&self, context: &RunContext) -> Fallible<()>;

    /// Its result, in the form in which results are compared, and what it cost.
    fn table(&self, context: &RunContext) -> Fallible<(Table, Cost)>;

    /// What one run costs.
    fn cost(&self, context: &RunContext) -> Fallible<Cost> {
        let meter = Meter::start();
        self.run(context).map(|()| meter.stop())
    }

    /// The same as what is timed.
    fn subject<'a>(&'a self, context: &'a RunContext) -> Box<dyn measure::Workload<Box<Diagnostic>> + 'a> {
        Box::new(|| self.run(context))
    }

    /// Whether it uses several threads.
    fn is_parallel(&self) -> bool;

    /// What it runs again and again, where that is no algorithm.
    fn repeated(&self) -> Option<&Subject>;
}

impl Contender for Subject {
    fn run(&self, context: &RunContext) -> Fallible<()> {
        Subject::run(self, context)
    }

    fn table(&self, context: &RunContext) -> Fallible<(Table, Cost)> {
        Subject::table(self, context)
    }

    fn cost(&self, context: &RunContext) -> Fallible<Cost> {
        Subject::cost(self, context)
    }

    fn subject<'a>(&'a self, context: &'a RunContext) -> Box<dyn measure::Workload<Box<Diagnostic>> + 'a> {
        Subject::subject(self, context)
    }

    fn is_parallel(&self) -> bool {
        self.engine().is_some_and(|engine| engine.is_parallel())
    }

    fn repeated(&self) -> Option<&Subject> {
        Some(self)
    }
}

/// A variant of a family on one input.
pub struct Algorithm<'c> {
    pub call: Box<dyn Fn() + 'c>,
    pub case: Arc<dyn Case>,
    pub claims: Claims,
    pub detached: Option<Detached>,
}

impl Contender for Algorithm<'_> {
    fn run(&self, context: &RunContext) -> Fallible<()> {
        context.stop.check()?;
        match &self.detached {
            Some(detached) if detached.is_long() => {
                let (case, name) = (self.case.clone(), self.claims.name);
                detached.run(name, context, move |_| {
                    case.call(name)?();
                    Ok(())
                })
            }
            _ => {
                (self.call)();
                Ok(())
            }
        }
    }

    fn table(&self, context: &RunContext) -> Fallible<(Table, Cost)> {
        let (case, name) = (self.case.clone(), self.claims.name);
        let meter = Meter::start();
        let table = match &self.detached {
            Some(detached) => detached.run(name, context, move |_| case.result(name)),
            None => case.result(name),
        };
        Ok((table?, meter.stop()))
    }

    fn subject<'a>(&'a self, context: &'a RunContext) -> Box<dyn measure::Workload<Box<Diagnostic>> + 'a> {
        Box::new(Called { algorithm: self, context })
    }

    fn is_parallel(&self) -> bool {
        self.claims.threaded
    }

    fn repeated(&self) -> Option<&Subject> {
        None
    }
}

/// An algorithm as it is timed: one asks once a sample whether to stop, since a call may be shorter than the question.
struct Called<'a> {
    algorithm: &'a Algorithm<'a>,
    context: &'a RunContext,
}

impl measure::Workload<Box<Diagnostic>> for Called<'_> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        self.context.stop.check()?;
        let Algorithm { call, detached, .. } = self.algorithm;
        match detached {
            Some(detached) if detached.is_long() => (|| self.algorithm.run(self.context)).time(clock, calls),
            _ => (|| {
                call();
                Ok(())
            })
            .time(clock, calls),
        }
    }
}
