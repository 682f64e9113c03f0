//! Runs: rows in order, in blocks of a scratch file. Several are merged block by block.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::Type;
use crate::diagnostic::Fallible;
use crate::kernel::column::Batch;
use crate::kernel::rows::Rows;
use crate::kernel::sort::{compare_rows, rank_of};
use crate::run_context::RunContext;

use super::scratch::{Place, Scratch};

/// So many runs are merged at once: of each a block is in memory.
const MOST_RUNS: usize = 256;

/// Rows in order.
#[derive(Default)]
pub struct Run(VecDeque<Place>);

impl Run {
    /// Adds rows that come after those that it has.
    pub fn push(&mut self, batch: &Batch, scratch: &Scratch) -> Fallible<()> {
        let block = (scratch.spill().budget as usize / (8 * MOST_RUNS)).max(1);
        let rows = (block * batch.rows).checked_div(batch.size()).unwrap_or(batch.rows).clamp(1, 1 << 16);
        for start in (0..batch.rows).step_by(rows) {
            self.0.push_back(scratch.write(&batch.part(start, rows.min(batch.rows - start)))?);
        }
        Ok(())
    }
}

/// The rows of several runs in order.
pub struct Merge {
    scratch: Arc<Scratch>,
    heads: Vec<Head>,
    /// A heap of the heads that have a row, the least first.
    heap: Vec<usize>,
    /// The columns by whose values runs are ordered, and whether these descend.
    keys: Vec<(usize, bool)>,
    types: Vec<Type>,
}

/// The first row of a run that was not given out yet.
struct Head {
    left: VecDeque<Place>,
    block: Batch,
    row: usize,
    /// As far as one number tells the order of the first key.
    rank: u64,
    /// Its place among the blocks from which the next batch is made.
    held: Option<usize>,
}

impl Merge {
    /// `types` are those of all columns of the runs.
    pub fn new(
        scratch: Arc<Scratch>,
        mut runs: Vec<Run>,
        keys: Vec<(usize, bool)>,
        types: Vec<Type>,
        context: &RunContext,
    ) -> Fallible<Merge> {
        while runs.len() > MOST_RUNS {
            scratch.spill().add_pass();
            let some = runs.drain(..MOST_RUNS).collect();
            let mut merge = Merge::of_few(scratch.clone(), some, keys.clone(), types.clone())?;
            let mut run = Run::default();
            while let Some(batch) = merge.next(1 << 13, context)? {
                run.push(&batch, &scratch)?;
            }
            runs.push(run);
        }
        Merge::of_few(scratch, runs, keys, types)
    }

    fn of_few(scratch: Arc<Scratch>, runs: Vec<Run>, keys: Vec<(usize, bool)>, types: Vec<Type>) -> Fallible<Merge> {
        let mut merge = Merge { scratch, heads: Vec::new(), heap: Vec::new(), keys, types };
        for Run(left) in runs {
            let block = Batch { rows: 0, columns: Vec::new() };
            let mut head = Head { left, block, row: 0, rank: 0, held: None };
            if merge.is_at_row(&mut head)? {
                merge.heap.push(merge.heads.len());
                merge.heads.push(head);
            }
        }
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sink(at);
        }
        Ok(merge)
    }

    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize, context: &RunContext) -> Fallible<Option<Batch>> {
        context.check()?;
        let mut held: Vec<(Batch, Vec<u32>)> = Vec::new();
        let mut picks = Vec::with_capacity(most);
        while picks.len() < most
            && let Some(first) = self.heap.first().copied()
        {
            let mut head = std::mem::replace(&mut self.heads[first], Head::none());
            let place = *head.held.get_or_insert(held.len());
            if place == held.len() {
                held.push((head.block.clone(), Vec::new()));
            }
            picks.push((place, held[place].1.len()));
            held[place].1.push(head.row as u32);
            head.row += 1;
            let has_more = self.is_at_row(&mut head)?;
            self.heads[first] = head;
            if !has_more {
                self.heap.swap_remove(0);
            }
            self.sink(0);
        }
        self.heads.iter_mut().for_each(|head| head.held = None);
        let (mut rows, mut starts) = (Rows::new(&self.types), Vec::with_capacity(held.len()));
        for (block, chosen) in &held {
            starts.push(rows.count());
            rows.push_rows(block, chosen)?;
        }
        let order: Vec<u32> = picks.into_iter().map(|(place, row)| (starts[place] + row) as u32).collect();
        Ok((!order.is_empty()).then(|| rows.finish().gathered(&order)))
    }

    /// Whether there is another row; a block that was given out makes room for the next.
    fn is_at_row(&self, head: &mut Head) -> Fallible<bool> {
        while head.row >= head.block.rows {
            let Some(next) = head.left.pop_front() else { return Ok(false) };
            *head = Head {
                block: self.scratch.read(next)?,
                row: 0,
                rank: 0,
                held: None,
                left: std::mem::take(&mut head.left),
            };
        }
        head.rank =
            self.keys.first().map_or(0, |(column, down)| rank_of(&head.block.columns[*column], head.row, *down));
        Ok(true)
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.is_before(self.heap[child], self.heap[least]) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        let (first, other) = (&self.heads[a], &self.heads[b]);
        let order = first.rank.cmp(&other.rank);
        let order = order.then_with(|| compare_rows(&self.keys, (&first.block, first.row), (&other.block, other.row)));
        // Of rows that are equal those of the earlier run come first.
        order.then(a.cmp(&b)) == Ordering::Less
    }
}

impl Head {
    fn none() -> Head {
        let block = Batch { rows: 0, columns: Vec::new() };
        Head { left: VecDeque::new(), block, row: 0, rank: 0, held: None }
    }
}
