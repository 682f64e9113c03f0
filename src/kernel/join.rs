//! Joins: the right rows by their keys in a hash table, the left ones pass by.

use crate::data::Type;
use crate::diagnostic::Fallible;
use crate::plan::{Expr, JoinKind};
use crate::run_context::RunContext;

use super::column::{Batch, Column};
use super::expr::{Compiled, Compiler};
use super::groups::{Groups, NO_GROUP, Packed, any_null};
use super::partial::{CHECKED_ROWS, Partial, spread};
use super::rows::Rows;
use super::scope::Scope;
use super::slots::Nulls;

/// The rows of a join's right side. Null never matches.
pub struct RightSide {
    keys: Vec<Compiled>,
    /// Of the keys.
    types: Vec<Type>,
    wanted: Vec<usize>,
    groups: Groups,
    /// The group of each row that is kept.
    owners: Vec<u32>,
    rows: Rows,
}

impl RightSide {
    pub fn new(on: &[(Expr, Expr)], wanted: &[usize], types: &[Type], compiler: &Compiler) -> RightSide {
        RightSide {
            keys: on.iter().map(|(_, right)| compiler.compile(right)).collect(),
            types: on.iter().map(|(_, right)| right.ty.clone()).collect(),
            wanted: wanted.to_vec(),
            groups: Groups::default(),
            owners: Vec::new(),
            rows: Rows::new(wanted.iter().map(|index| &types[*index])),
        }
    }
}

impl RightSide {
    /// How many keys it has.
    pub fn keys(&self) -> usize {
        self.groups.len()
    }

    /// The group of each of these keys.
    fn take_keys(&mut self, keys: &Packed, context: &RunContext) -> Fallible<Vec<u32>> {
        let (mut all, mut some) = (Vec::with_capacity(keys.len()), Vec::new());
        for start in (0..keys.len()).step_by(CHECKED_ROWS) {
            context.check()?;
            self.groups.take(&keys.part(start, CHECKED_ROWS.min(keys.len() - start)), &mut some);
            all.extend_from_slice(&some);
        }
        Ok(all)
    }

    fn push(&mut self, rows: &Batch, context: &RunContext) -> Fallible<()> {
        self.rows.push_all(rows, context)
    }
}

impl Partial for RightSide {
    type Whole = Matches;

    fn take(&mut self, scope: Scope) -> Fallible<()> {
        let keys: Result<Vec<Column>, _> = self.keys.iter().map(|key| key.value(scope)).collect();
        let mut keys = Batch { rows: scope.rows(), columns: keys.map_err(|fault| fault.diagnostic(None))? };
        let columns = self.wanted.iter().map(|index| scope.batch.columns[*index].clone()).collect();
        let mut kept = Batch { rows: scope.rows(), columns };
        // What can never match takes no memory.
        if let Some(nulls) = any_null(&keys.columns, keys.rows) {
            let present: Vec<u32> = (0..keys.rows as u32).filter(|row| !nulls[*row as usize]).collect();
            (keys, kept) = (keys.gathered(&present), kept.gathered(&present));
        }
        let mut owners = Vec::new();
        self.groups.take(&Packed::new(&keys.columns, keys.rows), &mut owners);
        self.owners.extend(owners);
        self.rows.push(&kept)
    }

    fn merge(&mut self, later: RightSide, context: &RunContext) -> Fallible<()> {
        let keys = later.groups.packed();
        let ids = self.take_keys(&keys, context)?;
        self.owners.extend(later.owners.into_iter().map(|owner| ids[owner as usize]));
        self.push(&later.rows.finish(), context)
    }

    fn size(&self) -> usize {
        self.groups.size() + size_of_val(&self.owners[..]) + self.rows.size()
    }

    fn columns(self) -> Fallible<Batch> {
        let keys = self.groups.columns(&self.types);
        let Batch { rows, mut columns } = self.rows.finish();
        columns.extend(keys.iter().map(|key| key.gathered(&self.owners)));
        Ok(Batch { rows, columns })
    }

    fn take_columns(&mut self, flat: Batch, context: &RunContext) -> Fallible<Vec<u32>> {
        let Batch { rows, mut columns } = flat;
        let keys = columns.split_off(columns.len() - self.types.len());
        let owners = self.take_keys(&Packed::new(&keys, rows), context)?;
        self.owners.extend(owners);
        self.push(&Batch { rows, columns }, context)?;
        Ok(Vec::new())
    }

    fn split(self, parts: usize) -> Fallible<Vec<Batch>> {
        let groups = self.groups.parts(parts);
        let places: Vec<usize> = self.owners.iter().map(|owner| groups[*owner as usize]).collect();
        Ok(spread(&self.columns()?, places, parts))
    }

    fn finish(self) -> Fallible<Matches> {
        // A counting sort by group: the rows of a key lie side by side, in their order, without a list for each key.
        let mut starts = vec![0u32; self.groups.len() + 1];
        self.owners.iter().for_each(|group| starts[*group as usize + 1] += 1);
        for group in 1..starts.len() {
            starts[group] += starts[group - 1];
        }
        let mut next = starts.clone();
        let mut rows = vec![0; self.owners.len()];
        for (row, group) in self.owners.iter().enumerate() {
            let place = &mut next[*group as usize];
            rows[*place as usize] = row as u32;
            *place += 1;
        }
        Ok(Matches { groups: self.groups, starts, rows, right: self.rows.finish() })
    }
}

/// The right rows by group: those of group `g` are `rows[starts[g]..starts[g + 1]]`, in their order.
pub struct Matches {
    groups: Groups,
    starts: Vec<u32>,
    rows: Vec<u32>,
    right: Batch,
}

impl Matches {
    /// How many columns the right rows have.
    pub fn width(&self) -> usize {
        self.right.columns.len()
    }

    /// What the rows of a batch give, in batches of about `most` rows; `give` says whether to go on.
    pub fn join(
        &self,
        kind: JoinKind,
        keys: &[Column],
        left: &Batch,
        most: usize,
        give: &mut dyn FnMut(Batch) -> Fallible<bool>,
    ) -> Fallible<bool> {
        let mut groups = self.groups.find_all(&Packed::new(keys, left.rows));
        if let Some(nulls) = any_null(keys, left.rows) {
            groups.iter_mut().zip(nulls).filter(|(_, null)| *null).for_each(|(group, _)| *group = NO_GROUP);
        }
        if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
            let wanted = kind == JoinKind::Semi;
            let chosen = (0..left.rows as u32).filter(|row| (groups[*row as usize] != NO_GROUP) == wanted);
            return give(left.gathered(&chosen.collect::<Vec<u32>>()));
        }
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        for (row, group) in groups.into_iter().enumerate() {
            if group == NO_GROUP {
                if kind == JoinKind::Left {
                    lefts.push(row as u32);
                    rights.push(u32::MAX);
                }
                continue;
            }
            let mut found = &self.rows[self.starts[group as usize] as usize..self.starts[group as usize + 1] as usize];
            while !found.is_empty() {
                let (now, rest) = found.split_at(found.len().min(most));
                lefts.resize(lefts.len() + now.len(), row as u32);
                rights.extend_from_slice(now);
                found = rest;
                if lefts.len() >= most {
                    if !give(self.paired(left, &lefts, &rights))? {
                        return Ok(false);
                    }
                    lefts.clear();
                    rights.clear();
                }
            }
        }
        if lefts.is_empty() { Ok(true) } else { give(self.paired(left, &lefts, &rights)) }
    }

    fn paired(&self, left: &Batch, lefts: &[u32], rights: &[u32]) -> Batch {
        let mut columns: Vec<Column> = left.columns.iter().map(|column| column.gathered(lefts)).collect();
        let missing: Vec<bool> = rights.iter().map(|row| *row == u32::MAX).collect();
        if !missing.contains(&true) {
            columns.extend(self.right.columns.iter().map(|column| column.gathered(rights)));
        } else if self.right.rows == 0 {
            columns.extend(
                self.right
                    .columns
                    .iter()
                    .map(|column| Column { data: super::column::empty_slot(&column.data), nulls: Nulls::All }),
            );
        } else {
            // A row that is missing borrows the first one's values and is null; that there is one was seen above.
            let places: Vec<u32> = rights.iter().map(|row| if *row == u32::MAX { 0 } else { *row }).collect();
            columns.extend(self.right.columns.iter().map(|column| {
                let column = column.gathered(&places);
                let nulls = missing.iter().enumerate().map(|(row, missing)| *missing || column.nulls.at(row));
                let nulls = Nulls::of(nulls.collect());
                column.with_nulls(nulls)
            }));
        }
        Batch { rows: lefts.len(), columns }
    }
}
