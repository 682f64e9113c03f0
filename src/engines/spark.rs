//! The engine `spark`: the plan as relations for a server of Spark Connect.

use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::plan::Prepared;
use crate::remote::spark;
use crate::run_context::RunContext;

use super::{Elsewhere, Engine, EngineOutput, Objection};

pub struct Spark;

impl Engine for Spark {
    fn name(&self) -> &'static str {
        "spark"
    }

    fn about(&self) -> &'static str {
        "runs the plan on a server of Spark Connect, Spark or Sail (on spark \"sc://HOST:15002\")"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::REACHES_NETWORK
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn elsewhere(&self) -> Option<&'static Elsewhere> {
        Some(&Elsewhere {
            schemes: &["sc"],
            example: "sc://127.0.0.1:15002",
            variable: Some("SPARK_REMOTE"),
            starts_here: false,
        })
    }

    fn objection(&self, plan: &Prepared) -> Option<Objection> {
        spark::objection(plan).map(|refusal| Objection { reason: refusal.reason, span: refusal.span })
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        let table = spark::run(plan, context)?;
        Ok(EngineOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        match self.objection(plan) {
            Some(objection) => vec![objection.reason.to_string()],
            None => vec![
                "each step is a relation of Spark, which optimises them; ints that may overflow are computed in \
                 decimals"
                    .to_string(),
            ],
        }
    }
}
