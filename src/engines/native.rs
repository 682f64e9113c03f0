use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{Expr, Privileges, Word};
use crate::native;
use crate::plan::Prepared;
use crate::run_context::RunContext;

use super::{Engine, EngineOutput, Host, Objection, OpenPlan};

/// The plan as a function in Rust, which is compiled and runs in the process of Rust cells.
pub struct Native;

/// Rows come out of it as tuples, and these have forms up to so many columns.
const WIDEST: usize = 12;

impl Engine for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn about(&self) -> &'static str {
        "compiles the pipeline as Rust and runs it in its own process: what a compiler gains and costs"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        // The compiler is the one that the current folder asks for.
        Privileges::RUNS_CODE
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn objection(&self, plan: &Prepared) -> Option<Objection> {
        if plan.schema().columns.len() > WIDEST {
            let span = plan.steps.last().map(|step| step.span).unwrap_or_default();
            return Some(Objection { reason: "its result has more than 12 columns", span });
        }
        native::objection(plan).map(|(reason, span)| Objection { reason, span })
    }

    fn is_compiled(&self) -> bool {
        true
    }

    fn open(&self, plan: &Prepared, host: &dyn Host, context: &RunContext) -> Fallible<Option<Box<dyn OpenPlan>>> {
        host.open_rust(plan, &native::code(plan), context).map(Some)
    }

    fn run(&self, _: &Prepared, _: &RunContext) -> Fallible<EngineOutput> {
        Err(Diagnostic::new(Kind::System, "the engine `native` runs only in a session, which compiles its code"))
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        native::code(plan).text.lines().map(str::to_string).collect()
    }
}
