//! Several tables as one: behind each other, side by side, each row with each.

use crate::native::code::{Hold, Piece};
use crate::native::segment::{Segment, Stored, stored_type, tuple};
use crate::plan::Prepared;

use super::Writer;

impl<'p> Writer<'p> {
    pub(super) fn concat(&mut self, segment: Segment, plans: &'p [Prepared], names: &[String], said: &str) -> Segment {
        let mut all = vec![self.collected(segment, &[])];
        for plan in plans {
            let segment = self.rows(plan);
            all.push(self.collected(segment, &[]));
        }
        // What each column is in all of them together.
        let mut met: Vec<Stored> = all[0].1.clone();
        for (_, stored, _) in &all[1..] {
            for (met, stored) in met.iter_mut().zip(stored) {
                *met = (met.0.meet(&stored.0), met.1.min(stored.1));
            }
        }
        self.comment(said.as_ref());
        let all: Vec<String> = all.iter().map(|(rows, stored, _)| fit_rows(rows, stored, &met)).collect();
        let chained: String = all[1..].iter().map(|rows| format!(".chain({rows})")).collect();
        let rows = format!("{}.into_iter(){chained}", all[0].trim_end_matches(".into_iter()"));
        self.over(names, &met, |pattern| format!("for {pattern} in {rows}"))
    }

    pub(super) fn zip(&mut self, segment: Segment, plans: &'p [Prepared], names: &[String], said: &str) -> Segment {
        let mut all = vec![self.collected(segment, &[])];
        for plan in plans {
            let segment = self.rows(plan);
            all.push(self.collected(segment, &[]));
        }
        self.comment(said.as_ref());
        for (rows, _, _) in &all[1..] {
            self.line(&format!("if {rows}.len() != {}.len() {{ return Err(RowError::Shape); }}", all[0].0));
        }
        let mut next = Segment::new(names);
        let (mut pattern, mut iterator, mut names) = (String::new(), String::new(), names);
        for (i, (rows, stored, _)) in all.iter().enumerate() {
            let (own, rest) = names.split_at(stored.len());
            names = rest;
            let one = tuple(self.patterns(&mut next, own, stored, 1));
            (pattern, iterator) = match i {
                0 => (one, format!("{rows}.into_iter()")),
                _ => (format!("({pattern}, {one})"), format!("{iterator}.zip({rows})")),
            };
        }
        next.open(&format!("for {pattern} in {iterator}"));
        next
    }

    pub(super) fn pairs(&mut self, segment: Segment, names: &[String], said: &str) -> Segment {
        let (rows, stored, _) = self.collected(segment, &[]);
        let mut next = Segment::new(names);
        next.comment(said);
        let at = self.fresh(&next, "at");
        let first = vec![(names[0].as_str(), stored[0].clone())];
        let second = vec![(names[1].as_str(), stored[0].clone())];
        self.borrowed_loop(
            &mut next,
            first,
            |one| format!("for ({at}, &{one}) in {rows}.iter().enumerate()"),
            Hold::Lasting,
        );
        self.borrowed_loop(&mut next, second, |other| format!("for &{other} in &{rows}[{at} + 1..]"), Hold::Lasting);
        next
    }
}

/// The rows of a table with what is fit to `to`.
fn fit_rows(rows: &str, from: &[Stored], to: &[Stored]) -> String {
    let is_same = from.iter().zip(to).all(|(from, to)| stored_type(from) == stored_type(to));
    if is_same {
        return format!("{rows}.into_iter()");
    }
    let names: Vec<String> = (0..from.len()).map(|i| format!("column_{i}")).collect();
    let pieces = from.iter().zip(to).zip(&names).map(|(((shape, hold), to), name)| {
        let piece = Piece { hold: *hold, ..Piece::tight(name, shape.clone()) };
        if to.1 == Hold::Own { piece.owned_fit(&to.0).text } else { piece.fit(&to.0).text }
    });
    let pieces: Vec<String> = pieces.collect();
    format!("{rows}.into_iter().map(|{}| {})", tuple(&names), tuple(pieces))
}
