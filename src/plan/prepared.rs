//! What an engine receives: a plan of which nothing is left that only the session can do.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::{Schema, Table};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};

use super::{
    BoundOp, Expr, ExternalFunction, ExternalPlace, File, Function, Iterated, Kept, Node, Place, Plan, Reach, Read,
    Rounds, Shared, Source, Step,
};

/// A source and the steps after it, pruned, with tables and values in the places of what was computed before. Only
/// the session makes one of what was bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    pub source: Step<Source>,
    pub steps: Vec<Step>,
    /// The person's functions that expressions of this plan call, by number.
    pub functions: Vec<Function>,
    /// What this run alone may use.
    pub limits: Limits,
}

/// What the user lets a run use; what is not said is as the session has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// How many tasks at a time.
    pub workers: Option<usize>,
    /// Bytes.
    pub memory: Option<u64>,
    pub job: JobLimits,
    /// Where it runs, on an engine that is elsewhere.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// How a plan runs as a map/reduce job; the default is how jobs run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct JobLimits {
    /// Map tasks and reduce partitions.
    pub tasks: Option<usize>,
    pub partitions: Option<usize>,
    pub without_combine: bool,
    pub on_disk: bool,
    pub on_workers: bool,
    /// Whether there are as many workers as tasks that wait.
    pub grows: bool,
    /// How often a task is tried.
    pub tries: Option<usize>,
    pub flat: bool,
    /// Whether rows with an error are left out.
    pub skips_bad: bool,
    /// The chance that an attempt at a task is lost, and the seed of these losses.
    pub chaos: f64,
    pub seed: i64,
}

impl Prepared {
    /// A bound plan as one for engines.
    ///
    /// # Errors
    /// The session has left something in it that it should have done itself.
    pub fn of(plan: Plan) -> Fallible<Prepared> {
        stacker::maybe_grow(128 << 10, 4 << 20, || {
            let mut plan = plan;
            let last_rounds = plan.steps.iter().rposition(|step| matches!(step.op, BoundOp::Iterate(_)));
            let after = plan.steps.split_off(last_rounds.unwrap_or(0) + 1);
            let source = match plan.steps.pop() {
                Some(Step { op: BoundOp::Source(op), schema, span }) => Step { op, schema, span },
                Some(Step { op: BoundOp::Iterate(rounds), schema, span }) => {
                    let input = Prepared::of(plan.clone())?;
                    Step {
                        op: Source::Iterated(Box::new(Iterated { input, rounds: in_rounds(*rounds)? })),
                        schema,
                        span,
                    }
                }
                other => return Err(left(other.as_ref())),
            };
            let steps = after.into_iter();
            let step = |step: Step<BoundOp>| match step {
                Step { op: BoundOp::Op(op), schema, span } if !op.exprs().into_iter().any(has_subquery) => {
                    Ok(Step { op: op.with_plans(Prepared::of)?, schema, span })
                }
                other => Err(left(Some(&other))),
            };
            let steps = steps.map(step).collect::<Fallible<_>>()?;
            Ok(Prepared { source, steps, functions: plan.functions, limits: Limits::default() })
        })
    }

    /// A block whose round gets this table.
    pub fn with_passed(&self, table: &Arc<Table>) -> Prepared {
        let mut plan = self.clone();
        // Where the block begins with rounds of its own, it is what those get.
        let mut source = &mut plan.source.op;
        while let Source::Iterated(iterated) = source {
            source = &mut iterated.input.source.op;
        }
        *source = Source::Kept(Kept::new(table.clone()));
        plan
    }

    /// Whether a block in it is run in rounds.
    pub fn iterates(&self) -> bool {
        self.with_inner().into_iter().any(|plan| matches!(plan.source.op, Source::Iterated(_)))
    }

    /// The columns of the result.
    pub fn schema(&self) -> &Schema {
        self.input(self.steps.len())
    }

    /// The columns that flow into a step.
    pub fn input(&self, step: usize) -> &Schema {
        match step {
            0 => &self.source.schema,
            _ => &self.steps[step - 1].schema,
        }
    }

    /// The steps, each with the columns that flow into it.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, &Schema)> {
        self.steps.iter().enumerate().map(|(i, step)| (step, self.input(i)))
    }

    /// The place of the last step.
    pub fn span(&self) -> Span {
        self.steps.last().map_or(self.source.span, |step| step.span)
    }

    /// The reach of the source and of each step.
    pub fn reaches(&self) -> Vec<Reach> {
        // Where a row of a file stands among the others is known only when those before it were read.
        let mut is_numbered = !matches!(self.source.op, Source::Read(_));
        let reach = |step: &Step| {
            let reach = step.op.reach(is_numbered);
            is_numbered = is_numbered && step.op.keeps_numbers();
            reach
        };
        std::iter::once(Reach::Source).chain(self.steps.iter().map(reach)).collect()
    }

    /// This plan and those inside its ops, each before those inside it.
    pub fn with_inner(&self) -> Vec<&Prepared> {
        let (mut all, mut left) = (Vec::new(), vec![self]);
        while let Some(plan) = left.pop() {
            all.push(plan);
            if let Source::Iterated(iterated) = &plan.source.op {
                left.extend(std::iter::once(&iterated.input).chain(iterated.rounds.plans()));
            }
            left.extend(plan.steps.iter().rev().flat_map(|step| step.op.plans().into_iter().rev()));
        }
        all
    }

    /// What it reads from files.
    pub fn reads(&self) -> Vec<&Read> {
        let sources = self.with_inner().into_iter().map(|plan| &plan.source.op);
        sources.filter_map(|source| if let Source::Read(read) = source { Some(read) } else { None }).collect()
    }

    /// The files that it reads.
    pub fn files(&self) -> Vec<File> {
        self.reads().into_iter().flat_map(|read| read.files.iter().cloned()).collect()
    }

    /// Where the code is of the functions that it calls in another process, or in another language.
    pub fn external_places(&self) -> Vec<ExternalPlace> {
        self.with_inner().into_iter().flat_map(|plan| plan.beside().functions.into_keys()).collect()
    }

    /// Whether it calls functions that run in another process, or in another language.
    pub fn calls_external(&self) -> bool {
        self.with_inner().into_iter().any(|plan| {
            let in_steps = plan.steps.iter().flat_map(|step| step.op.exprs());
            plan.functions.iter().map(|function| &function.body).chain(in_steps).any(|expr| expr.calls_external())
        })
    }
}

/// What a plan refers to and does not hold: who gets the plan in serialised form needs these too.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// By their numbers.
    pub tables: HashMap<u64, Arc<Table>>,
    pub functions: HashMap<ExternalPlace, Shared<dyn ExternalFunction>>,
}

impl Prepared {
    /// What stands beside it.
    pub fn beside(&self) -> Beside {
        let mut beside = Beside::default();
        for plan in self.with_inner() {
            if let Source::Kept(kept) = &plan.source.op {
                beside.tables.insert(kept.id(), kept.table().clone());
            }
            let in_steps = plan.steps.iter().flat_map(|step| step.op.exprs());
            for expr in plan.functions.iter().map(|function| &function.body).chain(in_steps) {
                expr.walk(&mut |part| {
                    if let Node::ExternalFunction(code, _) = &part.node {
                        beside.functions.insert(code.0.place(), code.clone());
                    }
                });
            }
        }
        beside
    }

    /// As text for another process. Tables are in it by their numbers, files by their paths, functions by their names.
    ///
    /// # Errors
    /// A path that is not UTF-8.
    pub fn to_json(&self) -> Fallible<String> {
        let text = on_deep_stack(|| serde_json::to_string(self));
        text.map_err(|error| Diagnostic::at(Kind::System, self.span(), format!("this plan stays here: {error}")))
    }

    /// The plan of such a text.
    ///
    /// # Errors
    /// An objection, where it needs a table or a function that is not there; also a text that is no plan.
    pub fn from_json(text: &str, beside: &Beside) -> Fallible<Prepared> {
        let read = on_deep_stack(|| {
            let mut json = serde_json::Deserializer::from_str(text);
            // A pipeline may be nested deeper than other readers should allow.
            json.disable_recursion_limit();
            Prepared::deserialize(&mut json)
        });
        let mut plan = read.map_err(|error| Diagnostic::new(Kind::System, format!("this is not a plan: {error}")))?;
        plan.find(beside)?;
        Ok(plan)
    }

    /// Puts what stands beside it in its place.
    fn find(&mut self, beside: &Beside) -> Fallible<()> {
        let mut left = vec![self];
        while let Some(plan) = left.pop() {
            if let Source::Kept(kept) = &mut plan.source.op {
                let table = beside.tables.get(&kept.id()).cloned().ok_or_else(|| {
                    let message = format!("the table {} of this plan is not here", kept.id());
                    Diagnostic::at(Kind::Objection, plan.source.span, message)
                })?;
                *kept = kept.clone().found(table);
            }
            if let Source::Iterated(iterated) = &mut plan.source.op {
                left.extend(std::iter::once(&mut iterated.input).chain(iterated.rounds.plans_mut()));
            }
            let mut bodies = plan.functions.iter_mut().map(|function| &mut function.body);
            bodies.try_for_each(|body| load(body, beside))?;
            for step in &mut plan.steps {
                step.op.exprs_mut().into_iter().try_for_each(|expr| load(expr, beside))?;
                left.extend(step.op.plans_mut());
            }
        }
        Ok(())
    }
}

/// Puts functions of their own kind in their places.
fn load(expr: &mut Expr, beside: &Beside) -> Fallible<()> {
    expr.rewrite(&mut |part| {
        let span = part.span;
        if let Node::ExternalFunction(code, _) = &mut part.node {
            let place = code.0.place();
            *code = beside.functions.get(&place).cloned().ok_or_else(|| {
                Diagnostic::at(Kind::Objection, span, format!("the function `{}` cannot be loaded here", place.name))
            })?;
        }
        Ok(())
    })
}

/// Readers and writers of nested text call themselves at each level.
fn on_deep_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(64 << 20, 64 << 20, work)
}

/// The plans of rounds, whose sources stand for the tables that the rounds get.
fn in_rounds(rounds: Rounds<Plan>) -> Fallible<Rounds<Prepared>> {
    let prepared = |mut plan: Plan| {
        let first = plan.steps.first_mut().expect("a plan has a source");
        let none = Table::stacked(&first.schema, []);
        first.op = BoundOp::Source(Source::Kept(Kept::new(Arc::new(none))));
        Prepared::of(plan)
    };
    let Rounds { block, until, most } = rounds;
    Ok(Rounds { block: prepared(block)?, until: until.map(prepared).transpose()?, most })
}

/// Whether a table whose only value is meant was not computed yet.
fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part| found |= matches!(part.node, Node::ScalarSubquery(_)));
    found
}

fn left(step: Option<&Step<BoundOp>>) -> Box<Diagnostic> {
    let span = step.map(|step| step.span).unwrap_or_default();
    Diagnostic::at(Kind::System, span, "this step is the session's: no engine can run it")
}
