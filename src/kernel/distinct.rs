//! The first row of each key.

use crate::data::Type;
use crate::diagnostic::Fallible;
use crate::plan::Expr;

use super::column::{Batch, Column};
use super::expr::{Compiled, Compiler};
use super::groups::{Groups, Packed};
use super::partial::Partial;
use super::rows::Rows;
use super::scope::Scope;

pub struct Distinct {
    /// None where the whole row is the key.
    by: Option<Vec<Compiled>>,
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
            groups: Groups::default(),
            ids: Vec::new(),
            rows: Rows::new(types),
        }
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
        let fresh = self.fresh(scope)?;
        self.rows.push(&fresh)
    }

    fn merge(&mut self, later: Distinct) -> Fallible<()> {
        let fresh = self.groups.take(&later.groups.packed(), &mut self.ids);
        self.rows.push_rows(&later.rows.finish(), &fresh)
    }

    fn finish(self) -> Fallible<Batch> {
        Ok(self.rows.finish())
    }
}
