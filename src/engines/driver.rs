//! The engines that a program in Python stands before: Dask, Ray and Beam. They differ in what is written here alone.

use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::plan::Prepared;
use crate::remote::{self, Driver};
use crate::run_context::RunContext;

use super::{Elsewhere, Engine, EngineOutput, Objection};

pub struct DriverEngine {
    driver: Driver,
    about: &'static str,
    elsewhere: &'static Elsewhere,
    /// How it runs a plan.
    explanation: &'static str,
}

const MERGED_IN_A_TREE: &str = "each part of the input is a task with the steps that follow it; aggregates, `sort`, \
                                `top` and `distinct` merge the parts in a tree";

pub static DASK: DriverEngine = DriverEngine {
    driver: Driver {
        engine: "dask",
        text: include_str!("../remote/drivers/dask.py"),
        install: "dask distributed pyarrow",
        default_port: 8786,
    },
    about: "runs the plan as a task graph on a Dask cluster, or on one that it starts here (on dask \
            \"tcp://HOST:8786\")",
    elsewhere: &Elsewhere {
        schemes: &["tcp", "tls"],
        example: "tcp://127.0.0.1:8786",
        variable: Some("DASK_SCHEDULER_ADDRESS"),
        starts_here: true,
    },
    explanation: MERGED_IN_A_TREE,
};

pub static RAY: DriverEngine = DriverEngine {
    driver: Driver {
        engine: "ray",
        text: include_str!("../remote/drivers/ray.py"),
        install: "ray pyarrow",
        default_port: 10001,
    },
    about: "runs the plan as tasks of a Ray cluster, or of one that it starts here (on ray \"ray://HOST:10001\")",
    elsewhere: &Elsewhere {
        schemes: &["ray"],
        example: "ray://127.0.0.1:10001",
        variable: Some("RAY_ADDRESS"),
        starts_here: true,
    },
    explanation: MERGED_IN_A_TREE,
};

/// Its runners have options, not addresses.
pub static BEAM: DriverEngine = DriverEngine {
    driver: Driver {
        engine: "beam",
        text: include_str!("../remote/drivers/beam.py"),
        install: "apache-beam pyarrow",
        default_port: 0,
    },
    about: "runs the plan as a pipeline of Apache Beam, on its runner for this machine",
    elsewhere: &Elsewhere { schemes: &[], example: "| on beam", variable: None, starts_here: true },
    explanation: "each part of the input is a collection of one block; what merges parts takes them as side inputs",
};

impl Engine for DriverEngine {
    fn name(&self) -> &'static str {
        self.driver.engine
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::REACHES_NETWORK | Privileges::RUNS_CODE
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn elsewhere(&self) -> Option<&'static Elsewhere> {
        Some(self.elsewhere)
    }

    fn objection(&self, plan: &Prepared) -> Option<Objection> {
        remote::objection(plan).map(|refusal| Objection { reason: refusal.reason, span: refusal.span })
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        let table = remote::run_driver(&self.driver, plan, context)?;
        Ok(EngineOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        vec![self.objection(plan).map_or(self.explanation, |objection| objection.reason).to_string()]
    }
}
