//! Runs: rows in order, in blocks of a scratch file. Several are merged block by block.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::Type;
use crate::diagnostic::Fallible;
use crate::kernel::column::{Batch, Data, Ints};
use crate::kernel::rows::Rows;
use crate::kernel::slots::Slots;
use crate::kernel::sort::{compare_rows, rank_of};
use crate::run_context::RunContext;

use super::scratch::{Place, Scratch};

/// So many runs are merged at once: of each a block is in memory.
const MOST_RUNS: usize = 256;
/// Rows that take more than this part of the memory are not given at once.
pub const WIDE: usize = 32;

/// Rows in order.
#[derive(Default)]
pub struct Run {
    places: VecDeque<Place>,
    rows: usize,
}

impl Run {
    /// Adds rows that come after those that it has.
    pub fn push(&mut self, batch: &Batch, scratch: &Scratch) -> Fallible<()> {
        let block = (scratch.spill().budget as usize / (8 * MOST_RUNS)).max(1);
        // Its texts may stand in large buffers with others.
        let bytes = batch.bytes() as usize;
        let rows = (block * batch.rows).checked_div(bytes).unwrap_or(batch.rows).clamp(1, 1 << 16);
        for start in (0..batch.rows).step_by(rows) {
            self.places.push_back(scratch.write(&batch.part(start, rows.min(batch.rows - start)))?);
        }
        self.rows += batch.rows;
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
    /// Of a row of the block, about.
    row_bytes: usize,
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
        for Run { places: left, .. } in runs {
            let block = Batch { rows: 0, columns: Vec::new() };
            let mut head = Head { left, block, row: 0, row_bytes: 0, rank: 0, held: None };
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

    /// The next rows, at most so many, and fewer of wide ones.
    pub fn next(&mut self, most: usize, context: &RunContext) -> Fallible<Option<Batch>> {
        context.check()?;
        let (mut bytes, most_bytes) = (0, self.scratch.spill().budget as usize / WIDE);
        let mut held: Vec<(Batch, Vec<u32>)> = Vec::new();
        let mut picks = Vec::with_capacity(most);
        while picks.len() < most
            && bytes <= most_bytes
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
            bytes += head.row_bytes;
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
            let block = self.scratch.read(next)?;
            *head = Head {
                row_bytes: next.bytes() / block.rows.max(1),
                block,
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
        Head { left: VecDeque::new(), block, row: 0, row_bytes: 0, rank: 0, held: None }
    }
}

/// The rows of runs that each ascend by a number that no other row has, in the order of these numbers. Where rows go is
/// told by the numbers themselves, a window of them after the other, so that no two rows are compared.
pub struct Numbered {
    scratch: Arc<Scratch>,
    heads: Vec<NumberedHead>,
    /// The column of the numbers.
    number: usize,
    types: Vec<Type>,
    /// So many numbers are looked at next: about as many rows are among them as are given at once.
    window: i64,
    ready: Batch,
    given: usize,
}

/// The rows of a run that were not given out yet.
struct NumberedHead {
    left: VecDeque<Place>,
    block: Batch,
    row: usize,
    /// Of a row of the block, about.
    row_bytes: usize,
}

/// About how many rows are put in order at once.
const WINDOW_ROWS: i64 = 1 << 14;

impl Numbered {
    /// All numbers are below `end`. `types` are those of all columns of the runs.
    pub fn new(
        scratch: Arc<Scratch>,
        mut runs: Vec<Run>,
        number: usize,
        end: i64,
        types: Vec<Type>,
        context: &RunContext,
    ) -> Fallible<Numbered> {
        while runs.len() > MOST_RUNS {
            scratch.spill().add_pass();
            let some = runs.drain(..MOST_RUNS).collect();
            let mut few = Numbered::of_few(scratch.clone(), some, number, end, types.clone());
            let mut run = Run::default();
            while let Some(batch) = few.next(1 << 13, context)? {
                run.push(&batch, &scratch)?;
            }
            runs.push(run);
        }
        Ok(Numbered::of_few(scratch, runs, number, end, types))
    }

    fn of_few(scratch: Arc<Scratch>, runs: Vec<Run>, number: usize, end: i64, types: Vec<Type>) -> Numbered {
        let rows: usize = runs.iter().map(|run| run.rows).sum();
        let window = (i128::from(end) * i128::from(WINDOW_ROWS) / (rows as i128).max(1)).clamp(1, 1 << 40) as i64;
        let none = || Batch { rows: 0, columns: Vec::new() };
        let head = |run: Run| NumberedHead { left: run.places, block: none(), row: 0, row_bytes: 0 };
        Numbered {
            heads: runs.into_iter().map(head).collect(),
            scratch,
            number,
            types,
            window,
            ready: none(),
            given: 0,
        }
    }

    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize, context: &RunContext) -> Fallible<Option<Batch>> {
        context.check()?;
        if self.given == self.ready.rows {
            (self.ready, self.given) = (self.in_window()?, 0);
        }
        let rows = most.min(self.ready.rows - self.given);
        let part = (rows > 0).then(|| self.ready.part(self.given, rows));
        self.given += rows;
        Ok(part)
    }

    /// The rows of the next window of numbers; none at the end.
    fn in_window(&mut self) -> Fallible<Batch> {
        for head in &mut self.heads {
            head.open(&self.scratch)?;
        }
        self.heads.retain(|head| head.row < head.block.rows);
        let first = self.heads.iter().map(|head| head.numbers(self.number)[head.row]).min().unwrap_or(0);
        let mut end = first.saturating_add(self.window);
        let widest = self.heads.iter().map(|head| head.row_bytes).max().unwrap_or(0);
        if widest * WINDOW_ROWS as usize > self.scratch.spill().budget as usize / WIDE {
            // The blocks that are in memory are enough for these numbers. Of narrow rows more are put in order at once.
            let with_more = self.heads.iter().filter(|head| !head.left.is_empty());
            let lasts = with_more.map(|head| head.numbers(self.number)[head.block.rows - 1]);
            end = lasts.map(|last| last + 1).fold(end, i64::min);
        }
        let (mut rows, mut numbers) = (Rows::new(&self.types), Vec::new());
        for head in &mut self.heads {
            while head.row < head.block.rows {
                let here = &head.numbers(self.number)[head.row..];
                let count = here.partition_point(|number| *number < end);
                if count == 0 {
                    break;
                }
                numbers.extend_from_slice(&here[..count]);
                rows.push(&head.block.part(head.row, count))?;
                head.row += count;
                head.open(&self.scratch)?;
            }
        }
        Ok(rows.finish().gathered(&in_order(&numbers, first, end)))
    }
}

/// The places of numbers from `first` up to, but without, `end`, in the order of the numbers.
fn in_order(numbers: &[i64], first: i64, end: i64) -> Vec<u32> {
    const NONE: u32 = u32::MAX;
    let range = end.abs_diff(first) as usize;
    if range > 16 * numbers.len() {
        let mut order: Vec<u32> = (0..numbers.len() as u32).collect();
        order.sort_unstable_by_key(|place| numbers[*place as usize]);
        return order;
    }
    let mut places = vec![NONE; range];
    numbers.iter().enumerate().for_each(|(place, number)| places[(number - first) as usize] = place as u32);
    places.retain(|place| *place != NONE);
    places
}

impl NumberedHead {
    /// Reads the next block where all rows of this one were given out.
    fn open(&mut self, scratch: &Scratch) -> Fallible<()> {
        while self.row >= self.block.rows
            && let Some(next) = self.left.pop_front()
        {
            // The block is dropped before the next one takes its place in memory.
            self.block = Batch { rows: 0, columns: Vec::new() };
            (self.block, self.row) = (scratch.read(next)?, 0);
            self.row_bytes = next.bytes() / self.block.rows.max(1);
        }
        Ok(())
    }

    fn numbers(&self, column: usize) -> &[i64] {
        match &self.block.columns[column].data {
            Data::Int(Ints { slots: Slots::Each(numbers), .. }) => numbers,
            Data::Int(Ints { slots: Slots::One(number), .. }) => std::slice::from_ref(number),
            Data::Float(_) | Data::Bool(_) | Data::Text(_) | Data::List(_) => unreachable!("numbers are ints"),
        }
    }
}
