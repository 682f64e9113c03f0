//! The engine `dask`: the plan as a graph of tasks on the workers of a Dask cluster.

use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::plan::Prepared;
use crate::remote::{self, Driver};
use crate::run_context::RunContext;

use super::{Elsewhere, Engine, EngineOutput, Objection};

pub struct Dask;

static DRIVER: Driver = Driver {
    engine: "dask",
    text: include_str!("../remote/drivers/dask.py"),
    install: "dask distributed pyarrow",
    default_port: 8786,
};

impl Engine for Dask {
    fn name(&self) -> &'static str {
        "dask"
    }

    fn about(&self) -> &'static str {
        "runs the plan as a task graph on a Dask cluster, or on one that it starts here (on dask \"tcp://HOST:8786\")"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::REACHES_NETWORK | Privileges::RUNS_CODE
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn elsewhere(&self) -> Option<&'static Elsewhere> {
        Some(&Elsewhere {
            schemes: &["tcp", "tls"],
            example: "tcp://127.0.0.1:8786",
            variable: Some("DASK_SCHEDULER_ADDRESS"),
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
