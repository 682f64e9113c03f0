//! Partials spread over parts by the hashes of their keys (grace hashing; Kitsuregawa, Tanaka, Moto-oka 1983). Each
//! part is merged alone, and split again by other bits where it is still too large.

use std::sync::Arc;

use crate::data::Type;
use crate::diagnostic::{Fallible, Span};
use crate::kernel::column::{Batch, Column, Data};
use crate::kernel::groups::Packed;
use crate::kernel::partial::{Partial, spread};
use crate::kernel::rows::Rows;
use crate::run_context::{RunContext, Spill, Whole};

use super::merge::{Numbered, Run};
use super::scratch::{Place, Scratch};

pub const PARTS: usize = 32;
/// The size of the held rows is looked at after this many: measuring it walks over lists.
const LOOKED_ROWS: usize = 1 << 14;
/// Each level looks at bits of the hash that those before have not seen.
pub const MOST_LEVELS: u32 = 10;

/// Which of a partial's flat columns are its keys.
#[derive(Debug, Clone, Copy)]
pub enum KeysAt {
    Start(usize),
    End(usize),
    All,
}

impl KeysAt {
    pub fn of(self, columns: &[Column]) -> &[Column] {
        match self {
            KeysAt::Start(count) => &columns[..count],
            KeysAt::End(count) => &columns[columns.len() - count..],
            KeysAt::All => columns,
        }
    }
}

/// Partials of one op in a scratch file. Each row has a rank, by which results come in the order that they would have
/// in memory: the one of the first row that has its key.
pub struct Keyed {
    scratch: Arc<Scratch>,
    keys: KeysAt,
    parts: Vec<Vec<Place>>,
    /// Rows with their ranks that were not written yet.
    held: Option<Rows>,
    /// Rows of these since their size was looked at.
    looked: usize,
    next: i64,
    span: Span,
}

impl Keyed {
    /// `span` is the place of the op.
    pub fn new(spill: &Spill, keys: KeysAt, span: Span) -> Fallible<Keyed> {
        spill.add_pass();
        let parts = vec![Vec::new(); PARTS];
        Ok(Keyed { scratch: Arc::new(Scratch::new(spill)?), keys, parts, held: None, looked: 0, next: 0, span })
    }

    /// Puts what a partial has into the file; it comes after all that is there.
    pub fn push(&mut self, flat: Batch) -> Fallible<()> {
        self.write_held()?;
        let flat = self.numbered(flat);
        write_parts(flat, self.keys, 0, &mut self.parts, &self.scratch)
    }

    /// The same for what was given out already: its keys count, but no rows come of it.
    pub fn push_given(&mut self, flat: Batch) -> Fallible<()> {
        let ranks = vec![-1; flat.rows];
        write_parts(ranked(flat, ranks), self.keys, 0, &mut self.parts, &self.scratch)
    }

    /// Takes the flat columns of a few rows, which are written with others, as soon as these are many: true where they
    /// were. `empty` are those of no rows.
    pub fn hold(&mut self, flat: Batch, empty: impl FnOnce() -> Fallible<Batch>) -> Fallible<bool> {
        let flat = self.numbered(flat);
        self.looked += flat.rows;
        let mut held = match self.held.take() {
            Some(held) => held,
            None => Rows::like(&ranked(empty()?, Vec::new())),
        };
        held.push(&flat)?;
        let is_full = self.looked >= LOOKED_ROWS && {
            self.looked = 0;
            held.size() > self.scratch.spill().limit()
        };
        self.held = Some(held);
        if is_full {
            self.write_held()?;
        }
        Ok(is_full)
    }

    /// Writes the rows that are held.
    fn write_held(&mut self) -> Fallible<()> {
        match self.held.take() {
            Some(held) => write_parts(held.finish(), self.keys, 0, &mut self.parts, &self.scratch),
            None => Ok(()),
        }
    }

    fn numbered(&mut self, flat: Batch) -> Batch {
        let ranks = (self.next..self.next + flat.rows as i64).collect();
        self.next += flat.rows as i64;
        ranked(flat, ranks)
    }

    /// What comes of all partials; the last column is the rank. `types` are those of the results.
    pub fn finish<P: Partial<Whole = Batch>>(
        mut self,
        make: &dyn Fn() -> P,
        types: Vec<Type>,
        context: &RunContext,
    ) -> Fallible<Numbered> {
        self.write_held()?;
        let (rank, end, scratch) = (types.len(), self.next, self.scratch.clone());
        let mut parts = PartByPart { left: self.left(), keyed: self };
        let mut runs = Vec::new();
        while let Some(all) = parts.next(make, context)? {
            let mut run = Run::default();
            run.push(&all, &scratch)?;
            runs.push(run);
        }
        let types = types.into_iter().chain([Type::Int]).collect();
        Numbered::new(scratch, runs, rank, end, types, context)
    }

    /// The same, where any order will do.
    pub fn part_by_part(mut self) -> Fallible<PartByPart> {
        self.write_held()?;
        Ok(PartByPart { left: self.left(), keyed: self })
    }

    /// The parts, the last one first, which belong to level 0.
    fn left(&mut self) -> Vec<(Vec<Place>, u32)> {
        std::mem::take(&mut self.parts).into_iter().rev().map(|places| (places, 0)).collect()
    }
}

/// What comes of each part; the rows of one are in the order of their ranks.
pub struct PartByPart {
    keyed: Keyed,
    /// Those that are left, and their levels; the next one is the last.
    left: Vec<(Vec<Place>, u32)>,
}

impl PartByPart {
    /// What comes of the next part that has rows; the last column is the rank.
    pub fn next<P: Partial<Whole = Batch>>(
        &mut self,
        make: &dyn Fn() -> P,
        context: &RunContext,
    ) -> Fallible<Option<Batch>> {
        while let Some((places, level)) = self.left.pop() {
            if let Some(all) = self.part(&places, level, make(), context)? {
                return Ok(Some(all));
            }
        }
        Ok(None)
    }

    /// What comes of these blocks; where they are too much they are split, and nothing comes of them yet.
    fn part<P: Partial<Whole = Batch>>(
        &mut self,
        places: &[Place],
        level: u32,
        mut partial: P,
        context: &RunContext,
    ) -> Fallible<Option<Batch>> {
        let Keyed { scratch, keys, span, .. } = &self.keyed;
        let spill = scratch.spill();
        let mut ranks = Vec::new();
        for (at, place) in places.iter().enumerate() {
            context.check()?;
            let mut flat = scratch.read(*place)?;
            let theirs = flat.columns.pop().expect("the rank is the last column");
            let key = key_text(keys.of(&flat.columns));
            ranks.extend(partial.take_columns(flat, context)?.iter().map(|row| rank_at(&theirs, *row as usize)));
            let size = partial.size() + size_of_val(&ranks[..]);
            if size <= spill.limit_of_part() {
                continue;
            }
            if ranks.len() <= 1 || level == MOST_LEVELS {
                let key = key.filter(|_| ranks.len() == 1);
                context.hold_whole(Whole { what: ONE_GROUP, key, bytes: size, span: *span })?;
                continue;
            }
            spill.add_pass();
            let mut deeper = vec![Vec::new(); PARTS];
            write_parts(ranked(partial.columns()?, ranks), *keys, level + 1, &mut deeper, scratch)?;
            for place in &places[at + 1..] {
                context.check()?;
                write_parts(scratch.read(*place)?, *keys, level + 1, &mut deeper, scratch)?;
            }
            self.left.extend(deeper.into_iter().rev().map(|places| (places, level + 1)));
            return Ok(None);
        }
        let wanted: Vec<u32> = (0..ranks.len() as u32).filter(|row| ranks[*row as usize] >= 0).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let all = ranked(partial.finish()?, ranks);
        context.largest.forget(*span);
        Ok(Some(if wanted.len() < all.rows { all.gathered(&wanted) } else { all }))
    }
}

/// The rows of one key stay together.
pub const ONE_GROUP: &str = "one group of this stage takes";

/// So many characters of a key are told.
const MOST_TOLD: usize = 40;

/// The key of the first row, for errors.
fn key_text(keys: &[Column]) -> Option<String> {
    let values: Vec<String> = keys.iter().map(|key| key.value(0).to_string()).collect();
    (!values.is_empty()).then(|| values.join(", ").chars().take(MOST_TOLD).collect())
}

/// Writes each row to the part of its key.
pub fn write_parts(flat: Batch, keys: KeysAt, level: u32, parts: &mut [Vec<Place>], scratch: &Scratch) -> Fallible<()> {
    let width = flat.columns.len() - 1;
    let places = Packed::new(keys.of(&flat.columns[..width]), flat.rows).parts(parts.len(), level);
    for (part, rows) in parts.iter_mut().zip(spread(&flat, places, PARTS)) {
        if rows.rows > 0 {
            part.push(scratch.write(&rows)?);
        }
    }
    Ok(())
}

/// The same with a column of ranks at the end.
pub fn ranked(mut flat: Batch, ranks: Vec<i64>) -> Batch {
    flat.columns.push(Column::ints(ranks, None));
    flat
}

fn rank_at(ranks: &Column, row: usize) -> i64 {
    match &ranks.data {
        Data::Int(ints) => *ints.slots.at(row),
        Data::Float(_) | Data::Bool(_) | Data::Text(_) | Data::List(_) => unreachable!("ranks are ints"),
    }
}
