//! Key-value stores: a child process for each, as long as a name needs it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::concurrency::store::{Store, Wanted};
use crate::data::scalar::ScalarError;
use crate::data::store::{self, MOST_KEYS};
use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::functions::Func;
use crate::lang::{Expr, Word};
use crate::plan::{self, Binding, BoundOp, Kept, KeyValueStore, Node, Plan, Source, Step};
use crate::run_context::RunContext;

use super::Session;
use super::bind::View;

/// The stores that run. Each ends when it is dropped.
#[derive(Default)]
pub struct Stores(Vec<Store>);

const DELAY: &str = "delay 5ms";
const KEYS: u64 = 10_000;
const LONGEST_DELAY: f64 = 60.0;
/// Of one session: each is a process.
const MOST_STORES: usize = 16;

impl Session {
    /// `let name = store …`
    pub(super) fn start_store(&mut self, name: &Word, options: &[(Word, Expr)], context: &RunContext) -> Fallible<()> {
        let wanted = self.wanted_store(name, options)?;
        if self.stores.0.len() == MOST_STORES {
            let message = format!("{MOST_STORES} stores run already, and there are no more");
            return Err(Diagnostic::at(Kind::System, name.span, message).hint("%del NAME ends one"));
        }
        let stopped = || context.stop.is_raised();
        let started = Store::start(self.rust.program(), &wanted, &stopped).map_err(|error| {
            Diagnostic::at(Kind::System, name.span, format!("the store cannot be started: {error}"))
        })?;
        let Some(started) = started else { return context.stop.check() };
        store::watch(&started.address, self.stop.flag());
        let Wanted { delay, keys, seed: _ } = wanted;
        let source = KeyValueStore { address: started.address.clone(), keys, delay: delay.as_secs_f64() };
        self.stores.0.push(started);
        let columns = ["key", "value"].map(|column| Column { name: column.to_string(), ty: Type::Int });
        let schema = Schema::new(columns.to_vec(), Order::Kept);
        let step = Step { op: BoundOp::Store(source), schema, span: name.span };
        self.give(name, Binding::Table(Arc::new(Plan::of(vec![step]))));
        Ok(())
    }

    fn wanted_store(&self, name: &Word, options: &[(Word, Expr)]) -> Fallible<Wanted> {
        let view = View::of(self);
        let (mut delay, mut keys, mut seed) = (None, KEYS, self.settings.seed);
        for (option, expr) in options {
            match option.text.as_str() {
                "delay" => {
                    let seconds = match plan::constant(&view, expr)?.0 {
                        Value::Float(seconds) => Some(seconds),
                        // Seconds without a unit would be a long time for who means milliseconds.
                        Value::Int(0) => Some(0.0),
                        _ => None,
                    };
                    let fits = |seconds: &f64| (0.0..=LONGEST_DELAY).contains(seconds);
                    delay = Some(Duration::from_secs_f64(seconds.filter(fits).ok_or_else(|| {
                        let message = format!("`delay` is a time from 0 to {LONGEST_DELAY} s");
                        Diagnostic::at(Kind::Type, expr.span, message).hint(DELAY)
                    })?));
                }
                "keys" => {
                    keys = plan::whole(&view, expr, "the number of keys")?;
                    if !(1..=MOST_KEYS as u64).contains(&keys) {
                        let message = format!("`keys` is a number from 1 to {MOST_KEYS}, got {keys}");
                        return Err(Diagnostic::at(Kind::Type, expr.span, message).hint("keys 10k"));
                    }
                }
                _ => seed = plan::int(&view, expr, "a seed")?,
            }
        }
        let delay = delay.ok_or_else(|| {
            Diagnostic::at(Kind::Syntax, name.span, "a store needs a delay, which it lets each request wait")
                .hint(format!("let {} = store {DELAY}", name.text))
        })?;
        Ok(Wanted { delay, keys, seed })
    }

    /// Puts what stores hold in the places where a plan reads them.
    pub(super) fn fill_store(step: &mut Step<BoundOp>) -> Fallible<()> {
        let BoundOp::Store(source) = &step.op else { return Ok(()) };
        let pairs = store::all_pairs(&source.address).map_err(|why| of_store(why, step.span))?;
        let column = |value: fn(&(i64, i64)) -> i64| pairs.iter().map(|pair| Value::Int(value(pair))).collect();
        let columns: [Vec<Value>; 2] = [column(|pair| pair.0), column(|pair| pair.1)];
        let table = Table::from_columns(step.schema.clone(), pairs.len(), &columns);
        step.op = BoundOp::Source(Source::Kept(Kept::new(Arc::new(table))));
        Ok(())
    }

    /// Ends the stores that no name needs any more, and forgets those whose process somebody has ended.
    pub(super) fn end_stores(&mut self) {
        if self.stores.0.is_empty() {
            return;
        }
        let mut needed: HashSet<String> = HashSet::new();
        for binding in self.names.values() {
            if let Binding::Table(plan) = binding {
                addresses(plan, &mut needed);
            }
        }
        let stop = self.stop.flag();
        self.stores.0.retain_mut(|running| {
            let is_needed = running.is_alive() && needed.contains(&running.address);
            if !is_needed {
                store::unwatch(&running.address, &stop);
            }
            is_needed
        });
    }
}

fn of_store(why: ScalarError, span: Span) -> Box<Diagnostic> {
    match why {
        ScalarError::Domain(words) if words == "stopped" => Diagnostic::new(Kind::Stopped, words),
        ScalarError::Domain(words) => {
            Diagnostic::at(Kind::System, span, words).hint("let NAME = store delay 5ms starts another")
        }
        ScalarError::Overflow | ScalarError::ZeroDivision => unreachable!("a store computes nothing"),
    }
}

/// The stores that a plan reads or asks.
fn addresses(plan: &Plan, found: &mut HashSet<String>) {
    plan.walk(&mut |step| {
        if let BoundOp::Store(source) = &step.op {
            found.insert(source.address.clone());
        }
        for expr in step.op.exprs() {
            expr.walk(&mut |part| {
                if let Node::Call(Func::Get, args) = &part.node
                    && let Some(Node::Const(Value::Text(address))) = args.first().map(|arg| &arg.node)
                {
                    found.insert(address.to_string());
                }
            });
        }
    });
}
