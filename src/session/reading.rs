//! What is to be said about how files were read.

use crate::plan::{Basis, CsvOptions, Field, Format, Op, Plan, Read, Source};
use crate::run_context::RunContext;

/// The most columns that are named.
const MOST_NAMES: usize = 4;

/// What the status line says, and notes. `plan` is as it was run.
pub fn notes(plan: &Plan, context: &RunContext) -> (Vec<String>, Vec<String>) {
    let mut status = Vec::new();
    let mut notes = Vec::new();
    let mut reads = Vec::new();
    add_reads(plan, &mut reads);
    for read in reads {
        if let Format::Csv(CsvOptions { separator, is_detected: true, .. }) = read.format
            && separator != b','
        {
            let shown = if separator == b'\t' { "tab".to_string() } else { format!("`{}`", char::from(separator)) };
            add(&mut status, format!("separator {shown}"));
        }
        for field in read.wanted.iter().map(|index| &read.fields[*index]) {
            if let Some(note) = large_int(field) {
                add(&mut notes, note);
            }
        }
    }
    for (text, columns) in context.null_texts.by_text() {
        status.push(format!("{} is null in {}", CsvOptions::NULL_TEXTS[text], listed(&columns)));
    }
    (status, notes)
}

fn add(all: &mut Vec<String>, one: String) {
    if !all.contains(&one) {
        all.push(one);
    }
}

fn add_reads<'a>(plan: &'a Plan, reads: &mut Vec<&'a Read>) {
    for step in &plan.steps {
        if let Op::Source(Source::Read(read)) = &step.op {
            reads.push(read);
        }
        step.op.plans().into_iter().for_each(|plan| add_reads(plan, reads));
    }
}

fn large_int(field: &Field) -> Option<String> {
    let Basis::LargeInt(int) = &field.basis else { return None };
    let name = &field.name;
    Some(format!("{name} is text: {int} does not fit into 64 bits (`types {name}: float` reads rounded floats)"))
}

fn listed(columns: &[String]) -> String {
    let named = columns.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match columns.len().saturating_sub(MOST_NAMES) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
