//! The first row of each key.

use crate::data::Type;
use crate::diagnostic::Fallible;
use crate::plan::Expr;
use crate::run_context::RunContext;

use super::column::{Batch, Column};
use super::expr::{Compiled, Compiler};
use super::groups::{Groups, Packed};
use super::partial::{CHECKED_ROWS, Partial, spread};
use super::rows::Rows;
use super::scope::Scope;

pub struct Distinct {
    /// None where the whole row is the key.
    by: Option<Vec<Compiled>>,
    /// Of the keys, where these are not the row.
    types: Vec<Type>,
    groups: Groups,
    /// The group of each row of the last batch.
    ids: Vec<u32>,
    /// The first row of each group, in their order; none of those that were given out at once.
    rows: Rows,
}

impl Distinct {
    pub fn new<'t>(by: Option<&[Expr]>, types: impl IntoIterator<Item = &'t Type>, compiler: &Compiler) -> Distinct {
        Distinct {
            by: by.map(|by| by.iter().map(|key| compiler.compile(key)).collect()),
            types: by.unwrap_or_default().iter().map(|key| key.ty.clone()).collect(),
            groups: Groups::default(),
            ids: Vec::new(),
            rows: Rows::new(types),
        }
    }

    /// Takes rows by their keys; those whose keys are new.
    fn take_keyed(&mut self, keys: &Packed, rows: &Batch, context: &RunContext) -> Fallible<Vec<u32>> {
        let mut all_fresh = Vec::new();
        for start in (0..rows.rows).step_by(CHECKED_ROWS) {
            context.check()?;
            let count = CHECKED_ROWS.min(rows.rows - start);
            let fresh = self.groups.take(&keys.part(start, count), &mut self.ids);
            self.rows.push_rows(&rows.part(start, count), &fresh)?;
            all_fresh.extend(fresh.iter().map(|row| start as u32 + row));
        }
        Ok(all_fresh)
    }

    /// The rows of one more batch whose keys are new; they are kept as well.
    pub fn kept(&mut self, scope: Scope) -> Fallible<Batch> {
        let fresh = self.fresh(scope)?;
        self.rows.push(&fresh)?;
        Ok(fresh)
    }

    /// The rows of one more batch whose keys are new.
    pub fn fresh(&mut self, scope: Scope) -> Fallible<Batch> {
        let batch = scope.batch;
        let keys: Option<Result<Vec<Column>, _>> =
            self.by.as_ref().map(|by| by.iter().map(|key| key.value(scope)).collect());
        let keys = keys.transpose().map_err(|fault| fault.diagnostic(None))?;
        let packed = Packed::new(keys.as_ref().unwrap_or(&batch.columns), batch.rows);
        let fresh = self.groups.take(&packed, &mut self.ids);
        Ok(batch.gathered(&fresh))
    }
}

impl Partial for Distinct {
    type Whole = Batch;

    fn take(&mut self, scope: Scope) -> Fallible<()> {
        self.kept(scope).map(drop)
    }

    fn merge(&mut self, later: Distinct, context: &RunContext) -> Fallible<()> {
        self.take_keyed(&later.groups.packed(), &later.rows.finish(), context).map(drop)
    }

    fn size(&self) -> usize {
        self.groups.size() + self.rows.size()
    }

    fn columns(self) -> Fallible<Batch> {
        let Batch { rows, mut columns } = self.rows.finish();
        columns.extend(self.groups.columns(&self.types));
        Ok(Batch { rows, columns })
    }

    fn take_columns(&mut self, flat: Batch, context: &RunContext) -> Fallible<Vec<u32>> {
        let Batch { rows, mut columns } = flat;
        let keys = columns.split_off(columns.len() - self.types.len());
        let keys = Packed::new(if self.by.is_some() { &keys } else { &columns }, rows);
        self.take_keyed(&keys, &Batch { rows, columns }, context)
    }

    fn split(self, parts: usize) -> Fallible<Vec<Batch>> {
        let places = self.groups.parts(parts);
        Ok(spread(&self.columns()?, places, parts))
    }

    fn finish(self) -> Fallible<Batch> {
        Ok(self.rows.finish())
    }
}
