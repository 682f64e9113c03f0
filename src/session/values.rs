//! Values that must be known before a plan can run, or while it is bound.

use std::collections::HashMap;
use std::sync::Arc;

use crate::data::{Table, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice};
use crate::plan::{Evaluator, Expr, Function, Node, Plan};
use crate::rowwise::{Compiled, Frame, Program};
use crate::run_context::RunContext;

use super::Session;

/// The values of one-value tables that are computed already, by their plans.
type Known = HashMap<*const Plan, Value>;

impl Session {
    /// Puts values in the place of one-value tables, each computed once.
    pub(super) fn fill(
        &self,
        plan: &mut Plan,
        known: &mut Known,
        choice: Choice,
        context: &RunContext,
    ) -> Fallible<()> {
        for step in &mut plan.steps {
            for inner in step.op.plans_mut() {
                self.fill(inner, known, choice, context)?;
            }
            for expr in step.op.exprs_mut() {
                self.fill_expr(expr, known, choice, context)?;
            }
        }
        Ok(())
    }

    fn fill_expr(&self, expr: &mut Expr, known: &mut Known, choice: Choice, context: &RunContext) -> Fallible<()> {
        expr.rewrite(&mut |part| {
            let Node::ScalarSubquery(plan) = &part.node else { return Ok(()) };
            let value = match known.get(&Arc::as_ptr(plan)) {
                Some(value) => value.clone(),
                None => {
                    let ran = self.run((**plan).clone(), choice, context)?;
                    let at_place = |error: Box<Diagnostic>| Box::new(Diagnostic { span: Some(part.span), ..*error });
                    let value = only_value(&ran.table).map_err(at_place)?;
                    known.insert(Arc::as_ptr(plan), value.clone());
                    value
                }
            };
            part.node = Node::Const(value);
            Ok(())
        })
    }

    /// An expression that sees no columns, ready to be evaluated without an engine. Only a table that stands for its
    /// value is run, now and once.
    pub(super) fn evaluator(&self, functions: &[Function], expr: &Expr) -> Fallible<Evaluator> {
        let mut expr = expr.clone();
        let mut runs = false;
        expr.walk(&mut |part| runs |= matches!(part.node, Node::ScalarSubquery(_)));
        if runs {
            self.fill_expr(&mut expr, &mut Known::new(), Choice::only(engines::REFERENCE), &self.context())?;
        }
        self.open_functions(functions, &self.context())?;
        let (program, code, stop) = (Program::new(functions), Compiled::new(&expr), self.stop.clone());
        let context = self.context();
        Ok(Box::new(move |acc, it| {
            context.within_limit(|| {
                let mut frame = Frame::new(&program).stopping_at(&stop);
                frame.acc = acc.cloned().unwrap_or_default();
                frame.row.extend(it.cloned());
                let value = code.value(&mut frame);
                if value.is_err() {
                    // Who waits for a store ends with an error of its own.
                    stop.check()?;
                }
                let value = value.map_err(|fault| fault.diagnostic(None))?;
                Ok((value, frame.all_steps()))
            })
        }))
    }
}

/// The only value of a one-column table; null where it has no row.
fn only_value(table: &Table) -> Fallible<Value> {
    match table.height() {
        0 => Ok(Value::Null),
        1 => Ok(table.values(0, 0, 1).pop().unwrap_or_default()),
        rows => {
            Err(Diagnostic::new(Kind::Shape, format!("a table used as a value must have one row, got {rows} rows"))
                .hint("`take 1` or an aggregate returns one row"))
        }
    }
}
