//! What is to be said about how files were read.

use crate::data::Type;
use crate::lang::bare_name;
use crate::plan::{Basis, CsvOptions, Field, Format, Prepared};
use crate::run_context::RunContext;

/// The most columns that are named.
const MOST_NAMES: usize = 4;

/// Adds what is to be said about the files of a plan that was run.
pub fn add(plan: &Prepared, context: &RunContext) {
    for read in plan.reads() {
        if let Format::Csv(CsvOptions { separator, is_detected: true, .. }) = read.format
            && separator != b','
        {
            let shown = if separator == b'\t' { "tab".to_string() } else { format!("`{}`", char::from(separator)) };
            context.read_notes.add_status(format!("separator {shown}"));
        }
        let fields = read.wanted.iter().map(|index| &read.fields[*index]);
        fields.filter_map(why_text).for_each(|note| context.read_notes.add_note(note));
    }
}

/// What the status line says.
pub fn status(context: &RunContext) -> Vec<String> {
    let said = |(text, columns): (usize, Vec<String>)| {
        format!("{} is null in {}", CsvOptions::NULL_TEXTS[text], list_columns(&columns))
    };
    context.read_notes.status().into_iter().chain(context.read_notes.null_texts().into_iter().map(said)).collect()
}

/// Why a column is text that a person may take for another.
fn why_text(field: &Field) -> Option<String> {
    let name = if bare_name(&field.name) { field.name.clone() } else { format!("`{}`", field.name) };
    match &field.basis {
        Basis::LargeInt(int) => Some(format!(
            "{name} is text: {int} does not fit into 64 bits (`types {name}: float` reads rounded floats)"
        )),
        Basis::NullText(text) if field.ty == Type::Text => Some(format!(
            "{name} is text and {text} is not read as null: the sample has no other value (`types {name}: float` \
             reads numbers and nulls)"
        )),
        _ => None,
    }
}

fn list_columns(columns: &[String]) -> String {
    let named = columns.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match columns.len().saturating_sub(MOST_NAMES) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
