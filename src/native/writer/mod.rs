//! A plan as loops: steps that look at one row stand inside the loop of their source; a step that needs all rows ends
//! it and begins the next.

mod groups;
mod joins;
mod orders;
mod rows;
mod sources;
mod stored;
mod together;

use std::collections::{HashMap, HashSet};

use crate::data::Schema;
use crate::plan::{Op, Prepared, Source, Step, op_text, source_text};

use super::Input;
use super::code::{Hold, Piece};
use super::exprs::Scope;
use super::layout::{self, indented};
use super::segment::{Segment, Stored, row_type, tuple};
use super::shape::{Kind, ValueLayout};
use super::signatures::{self, All};

use joins::Right;
use sources::is_words_of_lines;

/// Writes one function.
pub struct Writer<'p> {
    /// Finished lines.
    pub lines: Vec<String>,
    /// Names that the whole function has.
    names: HashSet<String>,
    pub inputs: Vec<Input>,
    /// The right sides of joins, by the plans that make them.
    rights: HashMap<*const Prepared, Right>,
    signatures: &'p All,
}

impl<'p> Writer<'p> {
    pub fn new(signatures: &'p All) -> Writer<'p> {
        // A variable of such a name would hide a person's function.
        let all = signatures.values().flat_map(|signatures| signatures.all.borrow().clone());
        let names = all.map(|signature| signature.name).collect();
        Writer { lines: Vec::new(), names, inputs: Vec::new(), rights: HashMap::new(), signatures }
    }

    /// Writes a whole plan and what it gives back; the columns of the result.
    pub fn whole(&mut self, plan: &'p Prepared) -> Vec<Stored> {
        self.right_sides(plan);
        let mut segment = self.rows(plan);
        // What ends with the function is copied.
        for column in segment.columns.iter_mut().filter(|column| column.hold == Hold::Lasting) {
            column.hold = Hold::Row;
            segment.whole = None;
        }
        if let Some(whole) = segment.whole {
            self.lines.extend(segment.before);
            self.lines.push(indented(1, &format!("Ok({whole})")));
            let stored = |column: &Piece| (column.shape.clone(), column.hold);
            return segment.columns.iter().map(stored).collect();
        }
        let rows = self.fresh(&segment, "rows");
        let (texts, columns) = segment.stored(&segment.columns, &[], true);
        segment.before(format!("let mut {rows}: Vec<{}> = Vec::new();", row_type(&columns)));
        segment.line(format!("{rows}.push({});", tuple(texts)));
        self.lines.extend(segment.close());
        self.lines.push(indented(1, &format!("Ok({rows})")));
        columns
    }

    pub(super) fn scope(&self, plan: &Prepared, columns: &[Piece]) -> Scope<'p> {
        let signatures = signatures::of(self.signatures, plan);
        Scope { columns: columns.to_vec(), parameters: Vec::new(), acc: None, signatures, depth: "0" }
    }

    pub(super) fn fresh(&mut self, segment: &Segment, name: &str) -> String {
        segment.fresh(name, &mut self.names)
    }

    /// The rows of a plan, in a loop that is open.
    pub(super) fn rows(&mut self, plan: &'p Prepared) -> Segment {
        let (mut segment, written) = match (&plan.source.op, plan.steps.first()) {
            (Source::Read(read), Some(step)) if is_words_of_lines(&step.op) => {
                (self.words_of_lines(read, step, plan), 1)
            }
            (source, _) => (self.source(source, plan), 0),
        };
        for (step, input) in plan.steps().skip(written) {
            segment = self.step(segment, step, input, plan);
        }
        segment
    }

    fn step(&mut self, mut segment: Segment, step: &'p Step, input: &Schema, plan: &'p Prepared) -> Segment {
        let said = said(&step.op, input, plan);
        let names: Vec<String> = step.schema.names().map(str::to_string).collect();
        segment.whole = segment.whole.filter(|_| keeps_rows(&step.op));
        match &step.op {
            Op::Project(named) => return self.project(segment, named, &said, plan),
            Op::Sort { keys, limit } => return self.sort(segment, keys, *limit, &said, plan),
            Op::Aggregate { keys, aggs } => return self.aggregate(segment, keys, aggs, &said, plan),
            Op::Filter(condition) => {
                segment.comment(&said);
                let condition = self.scope(plan, &segment.columns).piece(condition).condition();
                segment.open(&format!("if {}", condition.text));
            }
            Op::Explode(named) => {
                segment.comment(&said);
                self.explode(&mut segment, &named[0], plan);
                segment.names = names;
            }
            Op::Slice { offset, length } => {
                segment.comment(&said);
                self.slice(&mut segment, *offset, *length);
            }
            Op::Reverse => {
                let (rows, stored, _) = self.collected(segment, &[]);
                self.comment(said.as_ref());
                self.line(&format!("{rows}.reverse();"));
                return self.again(&rows, &names, &stored);
            }
            Op::Number => {
                segment.comment(&said);
                let next = self.fresh(&segment, "next_row");
                let row = segment.variable("row", &self.names, &segment.columns.clone());
                segment.before(format!("let mut {next} = 0_i64;"));
                segment.line(format!("let {row} = {next};"));
                segment.line(format!("{next} += 1;"));
                segment.columns.push(Piece::tight(row, ValueLayout::plain(Kind::Int)));
                segment.names = names;
            }
            Op::Distinct(by) => {
                segment.comment(&said);
                self.distinct(&mut segment, by.as_deref(), plan);
            }
            Op::Fold { start, step, each } => return self.fold(segment, start, step, *each, &said, plan),
            Op::Join { kind, right, on, .. } => {
                segment.comment(&said);
                self.join(&mut segment, *kind, right, on, &names, plan);
                segment.names = names;
            }
            Op::Concat(plans) => return self.concat(segment, plans, &names, &said),
            Op::Zip(plans) => return self.zip(segment, plans, &names, &said),
            Op::Pairs => return self.pairs(segment, &names, &said),
            Op::Sample { count, seed } => {
                let (rows, stored, _) = self.collected(segment, &[]);
                self.comment(said.as_ref());
                self.line(&format!("let {rows} = sample({rows}, {count}, {seed});"));
                return self.again(&rows, &names, &stored);
            }
            // The engine objects to it: what passes is not shown.
            Op::Peek { .. } | Op::Tally(_) => segment.comment(&said),
        }
        segment
    }

    pub(super) fn comment(&mut self, text: &str) {
        let mut comment = Segment::default();
        comment.comment(text);
        self.lines.extend(comment.close());
    }

    pub(super) fn line(&mut self, text: &str) {
        self.lines.extend(layout::lines(1, text));
    }
}

/// A step in the words of the stage that it mostly comes from.
pub(super) fn said(op: &Op, input: &Schema, plan: &Prepared) -> String {
    let text = op_text(op, input, plan);
    let words = [("project ", "map "), ("explode ", "flat_map "), ("aggregate ", "agg "), ("inner join ", "join ")];
    let found = words.iter().find_map(|(from, to)| Some(format!("{to}{}", text.strip_prefix(from)?)));
    match op {
        Op::Slice { offset: 0, length: Some(length) } => format!("take {length}"),
        Op::Slice { offset, length: None } => format!("skip {offset}"),
        Op::Slice { offset, length: Some(length) } => format!("skip {offset}, take {length}"),
        Op::Number => "enumerate".to_string(),
        _ => found.unwrap_or(text),
    }
}

/// A source in the same words.
pub(super) fn said_source(source: &Source) -> String {
    source_text(source).trim_start_matches("range ").to_string()
}

/// Whether a step can go on from all rows at once, where these are there.
fn keeps_rows(op: &Op) -> bool {
    matches!(
        op,
        Op::Project(_)
            | Op::Sort { .. }
            | Op::Aggregate { .. }
            | Op::Reverse
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Sample { .. }
    )
}
