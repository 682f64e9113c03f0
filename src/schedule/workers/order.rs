//! A stage as worker processes are told of it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::data::Table;
use crate::diagnostic::Fallible;
use crate::kernel::{self, Batch, Cut};
use crate::run_context::ChunkSizes;
use crate::schedule::OpenStage;

use super::frame::Shared;
use super::message::{Order, StageOrder};

pub struct Ordered {
    id: u64,
    plan: String,
    pairs: bool,
    chunk_sizes: ChunkSizes,
    memory: u64,
    tables: Vec<TableOrder>,
}

/// A table that the stage reads.
pub struct TableOrder {
    pub id: u64,
    pub table: Arc<Table>,
    /// Its rows, once for all processes that do not have them yet.
    shared: OnceLock<Shared>,
}

impl Ordered {
    /// A stage whose tasks may each take so much memory.
    ///
    /// # Errors
    /// A plan that is no plain data.
    pub fn of(open: &OpenStage, memory: u64) -> Fallible<Ordered> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let stage = open.stage();
        let tables = stage.tasks.beside().tables.into_iter();
        Ok(Ordered {
            id: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            plan: stage.tasks.to_json()?,
            pairs: stage.pairs,
            chunk_sizes: open.context().chunk_sizes,
            memory,
            tables: tables.map(|(id, table)| TableOrder { id, table, shared: OnceLock::new() }).collect(),
        })
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn tables(&self) -> &[TableOrder] {
        &self.tables
    }

    pub fn order(&self, tables: Vec<u64>) -> Order {
        Order::Stage(StageOrder {
            id: self.id,
            plan: self.plan.clone(),
            pairs: self.pairs,
            chunk_sizes: self.chunk_sizes,
            memory: self.memory,
            tables,
        })
    }
}

impl TableOrder {
    pub fn shared(&self) -> io::Result<&Shared> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let types = self.table.schema().columns.iter().map(|column| column.ty.clone());
        let all = Cut::new(self.table.frame(), types).next(usize::MAX);
        let all = all.unwrap_or(Batch { rows: 0, columns: Vec::new() });
        let shared = Shared::of(&kernel::to_bytes(&all))?;
        Ok(self.shared.get_or_init(|| shared))
    }
}
