//! The engine `ray`: the plan as tasks of a Ray cluster.

use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::plan::Prepared;
use crate::remote::{self, Driver};
use crate::run_context::RunContext;

use super::{Elsewhere, Engine, EngineOutput, Objection};

pub struct Ray;

static DRIVER: Driver = Driver {
    engine: "ray",
    text: include_str!("../remote/drivers/ray.py"),
    install: "ray pyarrow",
    default_port: 10001,
};

impl Engine for Ray {
    fn name(&self) -> &'static str {
        "ray"
    }

    fn about(&self) -> &'static str {
        "runs the plan as tasks of a Ray cluster, or of one that it starts here (on ray \"ray://HOST:10001\")"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::REACHES_NETWORK | Privileges::RUNS_CODE
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn elsewhere(&self) -> Option<&'static Elsewhere> {
        Some(&Elsewhere {
            schemes: &["ray"],
            example: "ray://127.0.0.1:10001",
            variable: Some("RAY_ADDRESS"),
            starts_here: true,
        })
    }

    fn objection(&self, plan: &Prepared) -> Option<Objection> {
        remote::objection(plan).map(|refusal| Objection { reason: refusal.reason, span: refusal.span })
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        let table = remote::run_driver(&DRIVER, plan, context)?;
        Ok(EngineOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        match self.objection(plan) {
            Some(objection) => vec![objection.reason.to_string()],
            None => vec![
                "each part of the input is a task with the steps that follow it; aggregates, `sort`, `top` and \
                 `distinct` merge the parts in a tree"
                    .to_string(),
            ],
        }
    }
}
