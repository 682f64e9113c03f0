//! A stage as worker processes are told of it.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::data::{Table, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::{self, Batch, Cut};
use crate::plan::{Beside, ExternalFunction, ExternalPlace, Shared};
use crate::run_context::ChunkSizes;
use crate::schedule::OpenStage;
use crate::schedule::job::{Bad, Work};

use super::frame;
use super::message::{Order, ShuffleOrder, StageOrder};

pub struct Ordered {
    id: u64,
    plan: String,
    pairs: bool,
    shuffle: Option<ShuffleOrder>,
    bad: Bad,
    chunk_sizes: ChunkSizes,
    memory: u64,
    functions: HashMap<ExternalPlace, Shared<dyn ExternalFunction>>,
    tables: Vec<TableOrder>,
}

/// A table that the stage reads.
pub struct TableOrder {
    pub id: u64,
    pub table: Arc<Table>,
    /// Its rows, once for all processes that do not have them yet.
    shared: OnceLock<frame::Shared>,
}

impl Ordered {
    /// A stage whose tasks may each take so much memory.
    ///
    /// # Errors
    /// A plan that is no plain data.
    pub fn of(open: &OpenStage, memory: u64) -> Fallible<Ordered> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let stage = open.stage();
        let Beside { tables, functions } = stage.tasks.beside();
        Ok(Ordered {
            id: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            plan: stage.tasks.to_json()?,
            pairs: stage.pairs,
            shuffle: None,
            bad: Bad::Fail,
            chunk_sizes: open.context().chunk_sizes,
            memory,
            functions,
            tables: tables.into_iter().map(|(id, table)| TableOrder { id, table, shared: OnceLock::new() }).collect(),
        })
    }

    /// The work of a round of a job.
    ///
    /// # Errors
    /// As [`Ordered::of`].
    pub fn of_work(work: &Work, memory: u64) -> Fallible<Ordered> {
        let mut ordered = Ordered { bad: work.bad(), ..Ordered::of(work.map_stage(), memory)? };
        if let Some(shuffle) = work.shuffle() {
            let mut written = |open: &OpenStage| {
                let plan = &open.stage().tasks;
                ordered.functions.extend(plan.beside().functions);
                plan.to_json()
            };
            ordered.shuffle = Some(ShuffleOrder {
                combiner: written(shuffle.combiner())?,
                reducer: written(shuffle.reducer())?,
                after: shuffle.after().map(written).transpose()?,
                shape: shuffle.shape().clone(),
            });
        }
        Ok(ordered)
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn tables(&self) -> &[TableOrder] {
        &self.tables
    }

    /// Calls a function for a task: the values that it gives, from the arguments.
    ///
    /// # Errors
    /// What the function ran into.
    pub fn call(&self, function: &ExternalPlace, rows: usize, arguments: &[u8]) -> Fallible<Vec<u8>> {
        let broken = || Diagnostic::new(Kind::System, "a worker calls a function that its stage does not have");
        let code = self.functions.get(function).ok_or_else(broken)?;
        let arguments: Vec<Vec<Value>> = serde_json::from_slice(arguments).map_err(|_| broken())?;
        serde_json::to_vec(&code.0.call(&arguments, rows)?).map_err(|_| broken())
    }

    pub fn order(&self, tables: Vec<u64>) -> Order {
        Order::Stage(Box::new(StageOrder {
            id: self.id,
            plan: self.plan.clone(),
            pairs: self.pairs,
            shuffle: self.shuffle.clone(),
            bad: self.bad,
            chunk_sizes: self.chunk_sizes,
            memory: self.memory,
            functions: self.functions.keys().cloned().collect(),
            tables,
        }))
    }
}

impl TableOrder {
    pub fn shared(&self) -> io::Result<&frame::Shared> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let types = self.table.schema().columns.iter().map(|column| column.ty.clone());
        let all = Cut::new(self.table.frame(), types).next(usize::MAX);
        let all = all.unwrap_or(Batch { rows: 0, columns: Vec::new() });
        let shared = frame::Shared::of(&kernel::to_bytes(&all))?;
        Ok(self.shared.get_or_init(|| shared))
    }
}
