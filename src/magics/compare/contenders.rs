//! What can be run again and again beside others.

use std::sync::Arc;

use crate::algorithms::{Case, Claims};
use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible};
use crate::job::Job;
use crate::measure::{self, Clock, Cost, Meter};
use crate::session::{Apart, Repeated};

/// What can be compared: a pipeline, an expression, or an algorithm of a family.
pub trait Contender {
    /// Runs and throws its result away: this is timed.
    fn run(&self, job: &Job) -> Fallible<()>;

    /// Its result, in the form in which results are compared, and what it cost.
    fn table(&self, job: &Job) -> Fallible<(Table, Cost)>;

    /// What one run costs.
    fn cost(&self, job: &Job) -> Fallible<Cost> {
        let meter = Meter::start();
        self.run(job).map(|()| meter.stop())
    }

    /// The same as what is timed.
    fn subject<'a>(&'a self, job: &'a Job) -> Box<dyn measure::Subject<Box<Diagnostic>> + 'a> {
        Box::new(|| self.run(job))
    }

    /// Whether it uses several threads.
    fn is_parallel(&self) -> bool;

    /// What it runs again and again, where that is no algorithm.
    fn repeated(&self) -> Option<&Repeated>;
}

impl Contender for Repeated {
    fn run(&self, job: &Job) -> Fallible<()> {
        Repeated::run(self, job)
    }

    fn table(&self, job: &Job) -> Fallible<(Table, Cost)> {
        Repeated::table(self, job)
    }

    fn cost(&self, job: &Job) -> Fallible<Cost> {
        Repeated::cost(self, job)
    }

    fn subject<'a>(&'a self, job: &'a Job) -> Box<dyn measure::Subject<Box<Diagnostic>> + 'a> {
        Repeated::subject(self, job)
    }

    fn is_parallel(&self) -> bool {
        self.engine().is_some_and(|engine| engine.is_parallel())
    }

    fn repeated(&self) -> Option<&Repeated> {
        Some(self)
    }
}

/// A variant of a family on one input.
pub struct Algorithm<'c> {
    pub call: Box<dyn Fn() + 'c>,
    pub case: Arc<dyn Case>,
    pub claims: Claims,
    pub apart: Option<Apart>,
}

impl Contender for Algorithm<'_> {
    fn run(&self, job: &Job) -> Fallible<()> {
        job.stop.check()?;
        match &self.apart {
            Some(apart) if apart.is_long() => {
                let (case, name) = (self.case.clone(), self.claims.name);
                apart.run(name, job, move |_| {
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

    fn table(&self, job: &Job) -> Fallible<(Table, Cost)> {
        let (case, name) = (self.case.clone(), self.claims.name);
        let meter = Meter::start();
        let table = match &self.apart {
            Some(apart) => apart.run(name, job, move |_| case.result(name)),
            None => case.result(name),
        };
        Ok((table?, meter.stop()))
    }

    fn subject<'a>(&'a self, job: &'a Job) -> Box<dyn measure::Subject<Box<Diagnostic>> + 'a> {
        Box::new(Called { algorithm: self, job })
    }

    fn is_parallel(&self) -> bool {
        self.claims.threaded
    }

    fn repeated(&self) -> Option<&Repeated> {
        None
    }
}

/// An algorithm as it is timed: one asks once a sample whether to stop, since a call may be shorter than the question.
struct Called<'a> {
    algorithm: &'a Algorithm<'a>,
    job: &'a Job,
}

impl measure::Subject<Box<Diagnostic>> for Called<'_> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        self.job.stop.check()?;
        let Algorithm { call, apart, .. } = self.algorithm;
        match apart {
            Some(apart) if apart.is_long() => (|| self.algorithm.run(self.job)).time(clock, calls),
            _ => (|| {
                call();
                Ok(())
            })
            .time(clock, calls),
        }
    }
}
