//! The engine `beam`: the plan as a pipeline of Apache Beam, on its runner for this machine.

use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::plan::Prepared;
use crate::remote::{self, Driver};
use crate::run_context::RunContext;

use super::{Elsewhere, Engine, EngineOutput, Objection};

pub struct Beam;

static DRIVER: Driver = Driver {
    engine: "beam",
    text: include_str!("../remote/drivers/beam.py"),
    install: "apache-beam pyarrow",
    default_port: 0,
};

impl Engine for Beam {
    fn name(&self) -> &'static str {
        "beam"
    }

    fn about(&self) -> &'static str {
        "runs the plan as a pipeline of Apache Beam, on its runner for this machine"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::REACHES_NETWORK | Privileges::RUNS_CODE
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn elsewhere(&self) -> Option<&'static Elsewhere> {
        // Its runners have options, not addresses.
        Some(&Elsewhere { schemes: &[], example: "| on beam", variable: None, starts_here: true })
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
                "each part of the input is a collection of one block; what merges parts takes them as side inputs"
                    .to_string(),
            ],
        }
    }
}
