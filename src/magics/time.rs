use std::sync::Arc;

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Statement, Takes};
use crate::measure::{Cost, Meter};
use crate::plan::Binding;
use crate::report::{Block, Field, Unit};
use crate::run_context::RunContext;
use crate::session::{CellValue, RunResult, Session};

use super::{Answer, Magic, Offers, given_answer, status_line, table_result};

pub static TIME: Magic = Magic {
    syntax: MagicSyntax { name: "time", usage: "%time STATEMENT", takes: Takes::Statement, options: &[] },
    about: "runs a statement once and tells what it cost: wall and CPU time, memory, allocations, throughput",
    examples: &[
        "%time read \"samples/kjv.txt\" | words | count by lower(word) | top 10",
        "%time let big = read \"samples/kjv.txt\" | words | persist",
    ],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let Argument::Statement(statement) = &magic.subject else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%time` needs something to time")
            .hint("for example: %time 1..1M | sum"));
    };
    session.settle(context)?;
    let meter = Meter::start();
    let given = session.statement(statement, context)?;
    let given = match (&**statement, given) {
        // `let` is lazy; timing it asks for its table.
        (Statement::Let(name, pipeline), CellValue::Nothing) => match session.lookup(&name.text) {
            Some(Binding::Table(plan)) => {
                let engine = session.engine(pipeline.on.as_ref())?;
                CellValue::Table(session.run((*plan).clone(), engine, context)?)
            }
            _ => CellValue::Nothing,
        },
        (_, given) => given,
    };
    // Rust runs in another process, which has its own meter.
    let cost = if let CellValue::Rust(_, cost) = &given { cost.run() } else { meter.stop() };
    let named = matches!(**statement, Statement::Let(..));
    let ran = if let CellValue::Table(ran) = &given { Some(ran.clone()) } else { None };
    let fields = fields(&cost, ran.as_ref());
    let values: Vec<(String, Value)> =
        fields.iter().map(|field| (field.name.to_string(), field.value.clone())).collect();
    let mut answer = if named { Answer::default() } else { given_answer(given) };
    answer.report.blocks.push(Block::Measured(fields));
    if let Some(ran) = &ran {
        answer.report.status_line = status_line(ran);
    }
    answer.result = Some(match &ran {
        Some(ran) => table_result(ran, values),
        None => Binding::Result { table: None, fields: values, tables: Vec::new() },
    });
    Ok(answer)
}

/// The figures of one run.
fn fields(cost: &Cost, ran: Option<&RunResult>) -> Vec<Field> {
    let seconds = |name, duration: std::time::Duration| Field {
        name,
        value: Value::Float(duration.as_secs_f64()),
        unit: Unit::Seconds,
    };
    let int = |name, value: u64, unit| Field { name, value: Value::Int(value as i64), unit };
    let mut fields = vec![
        seconds("wall", cost.wall),
        seconds("cpu", cost.cpu()),
        seconds("user", cost.user),
        seconds("system", cost.system),
        int("peak", cost.peak, Unit::Bytes),
        int("allocations", cost.allocations, Unit::Count("allocations")),
        int("allocated", cost.allocated, Unit::Bytes),
    ];
    let wall = cost.wall.as_secs_f64().max(1e-9);
    if let Some(ran) = ran {
        if let Some(rows) = ran.rows_read {
            let value = Value::Float(rows as f64 / wall);
            fields.push(Field { name: "rows_per_second", value, unit: Unit::PerSecond("rows") });
        }
        if ran.bytes_read > 0 {
            let value = Value::Float(ran.bytes_read as f64 / wall);
            fields.push(Field { name: "bytes_per_second", value, unit: Unit::BytesPerSecond });
        }
        if let Some(steps) = ran.steps.filter(|steps| *steps > 0) {
            fields.push(int("steps", steps, Unit::Count("steps")));
        }
    }
    let bound = match cost.busy() {
        _ if cost.wall.as_micros() < 1000 => "too short to tell what it waits for".to_string(),
        busy if busy >= 1.3 => format!("CPU-bound on {busy:.1} cores"),
        busy if busy >= 0.7 => "CPU-bound".to_string(),
        busy if busy <= 0.3 => "waiting".to_string(),
        busy => format!("{:.0} % CPU, the rest waiting", busy * 100.0),
    };
    fields.push(Field { name: "bound", value: Value::Text(Arc::from(bound)), unit: Unit::Plain });
    fields
}
