//! Rows that are put into a vector, and the loops over them.

use crate::native::code::{Hold, Piece};
use crate::native::layout::indented;
use crate::native::segment::{Segment, Stored, row_type, tuple};

use super::Writer;

impl Writer<'_> {
    /// Puts all rows into a vector and ends the loop: its name, and what is in it. `extra` columns come behind.
    pub(super) fn collected(&mut self, mut segment: Segment, extra: &[Piece]) -> (String, Vec<Stored>, Vec<String>) {
        let rows = self.fresh(&segment, "rows");
        let names = segment.names.clone();
        if let (Some(whole), true) = (&segment.whole, extra.is_empty()) {
            let stored = segment.columns.iter().map(|column| {
                let hold = if column.hold.lasts() { column.hold } else { Hold::Own };
                (column.shape.clone(), hold)
            });
            let stored = stored.collect();
            let whole = whole.clone();
            self.lines.extend(segment.before);
            self.lines.push(indented(1, &format!("let mut {rows} = {whole};")));
            return (rows, stored, names);
        }
        let all: Vec<Piece> = segment.columns.iter().chain(extra).cloned().collect();
        let (texts, stored) = segment.stored(&all, &[], true);
        segment.before(format!("let mut {rows}: Vec<{}> = Vec::new();", row_type(&stored)));
        segment.line(format!("{rows}.push({});", tuple(texts)));
        self.lines.extend(segment.close());
        (rows, stored, names)
    }

    /// A loop over the vector `rows`, which is all rows as long as nothing is done with them.
    pub(super) fn again(&mut self, rows: &str, names: &[String], stored: &[Stored]) -> Segment {
        let segment = self.over(names, stored, |pattern| format!("for {pattern} in {rows}"));
        segment.being(rows.to_string())
    }

    /// A loop over rows that are given away one by one; `head` makes it of the pattern for one.
    pub(super) fn over(&mut self, names: &[String], stored: &[Stored], head: impl Fn(&str) -> String) -> Segment {
        let mut segment = Segment::new(names);
        let patterns = self.patterns(&mut segment, names, stored, 1);
        segment.open(&head(&tuple(patterns)));
        segment
    }

    /// Variables for the columns of a row that is given away, which join those of the segment.
    pub(super) fn patterns(
        &mut self,
        segment: &mut Segment,
        names: &[String],
        stored: &[Stored],
        loops: usize,
    ) -> Vec<String> {
        let mut patterns = Vec::new();
        for (name, (shape, hold)) in names.iter().zip(stored) {
            let variable = segment.variable(name, &self.names, &segment.columns.clone());
            segment.columns.push(match hold {
                Hold::Own => Piece::owning(&variable, shape.clone(), loops),
                hold => Piece::borrowing(&variable, shape.clone(), *hold),
            });
            patterns.push(variable);
        }
        patterns
    }

    /// Opens a loop over rows that stay where they are, as long as `rows` says.
    pub(super) fn borrowed_loop(
        &mut self,
        segment: &mut Segment,
        columns: Vec<(&str, Stored)>,
        head: impl Fn(&str) -> String,
        rows: Hold,
    ) {
        let mut patterns = Vec::new();
        for (name, (shape, hold)) in columns {
            let variable = segment.variable(name, &self.names, &segment.columns.clone());
            let by_reference = !shape.is_copy() && hold == Hold::Own;
            patterns.push(if by_reference { format!("ref {variable}") } else { variable.clone() });
            segment.columns.push(match by_reference {
                true => Piece::referring(&variable, shape, rows),
                false => Piece::borrowing(&variable, shape, hold),
            });
        }
        segment.open(&head(&tuple(patterns)));
    }
}
