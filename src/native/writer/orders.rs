//! Sorting, whole and for the first rows only.

use crate::native::code::Piece;
use crate::native::segment::{Segment, Stored, row_type, tuple};
use crate::native::shape::{Kind, ValueLayout};
use crate::plan::{Node, Prepared, SortKey};

use super::Writer;

impl Writer<'_> {
    pub(super) fn sort(
        &mut self,
        segment: Segment,
        keys: &[SortKey],
        limit: Option<u64>,
        said: &str,
        plan: &Prepared,
    ) -> Segment {
        let scope = self.scope(plan, &segment.columns);
        let names = segment.names.clone();
        let mut extra: Vec<Piece> = Vec::new();
        let mut places: Vec<(usize, ValueLayout, bool)> = Vec::new();
        for key in keys {
            match key.expr.node {
                Node::Column(index) => places.push((index, segment.columns[index].shape.clone(), key.descending)),
                Node::Const(_) => {}
                _ => {
                    let piece = scope.piece(&key.expr);
                    places.push((segment.columns.len() + extra.len(), piece.shape.clone(), key.descending));
                    extra.push(piece);
                }
            }
        }
        let orders = places.iter().map(|(at, shape, descending)| order(*at, shape, *descending));
        let mut orders: Vec<String> = orders.collect();
        let first = if orders.is_empty() { "Ordering::Equal".to_string() } else { orders.remove(0) };
        let rest: String = orders.iter().map(|order| format!(".then_with(|| {order})")).collect();
        let order = format!("{first}{rest}");
        let ranked = places.first().filter(|(_, shape, _)| !shape.nulls && !matches!(shape.kind, Kind::List(_)));
        let rank = ranked.map(|(at, _, descending)| format!("{}row.{at}.rank()", if *descending { "!" } else { "" }));
        let Some(limit) = limit else {
            let (rows, stored, _) = self.collected(segment, &extra);
            self.comment(said);
            self.line(&match rank {
                Some(rank) => format!("let mut {rows} = sort({rows}, |row| {rank}, |left, right| {{ {order} }});"),
                None => format!("{rows}.sort_unstable_by(|left, right| {{ {order} }});"),
            });
            return self.write_sorted_loop(&rows, &names, &stored);
        };
        let mut segment = segment;
        let rows = self.fresh(&segment, "rows");
        let all: Vec<Piece> = segment.columns.iter().chain(&extra).cloned().collect();
        let (texts, stored) = segment.stored(&all, &[], true);
        let ty = row_type(&stored);
        let rank = match rank {
            Some(rank) => format!("|row: &{ty}| {rank}"),
            None => format!("|_: &{ty}| 0"),
        };
        segment.before(format!("let mut {rows} = First::new({limit}, {rank}, |left, right| {{ {order} }});"));
        segment.comment(said);
        segment.line(format!("{rows}.add({});", tuple(texts)));
        self.lines.extend(segment.close());
        self.line(&format!("let mut {rows} = {rows}.sorted();"));
        self.write_sorted_loop(&rows, &names, &stored)
    }

    /// A loop over sorted rows, without the keys that stand behind them.
    fn write_sorted_loop(&mut self, rows: &str, names: &[String], stored: &[Stored]) -> Segment {
        if stored.len() == names.len() {
            return self.again(rows, names, stored);
        }
        let mut segment = Segment::new(names);
        let mut patterns = self.patterns(&mut segment, names, &stored[..names.len()], 1);
        patterns.push("..".to_string());
        segment.open(&format!("for {} in {rows}", tuple(patterns)));
        segment
    }
}

/// How two rows are compared by column `at`.
fn order(at: usize, shape: &ValueLayout, descending: bool) -> String {
    let (first, then) = if descending { ("right", "left") } else { ("left", "right") };
    match (&shape.kind, shape.nulls) {
        (_, true) if descending => format!("descending(&left.{at}, &right.{at})"),
        (Kind::Float, false) => format!("compare_floats({first}.{at}, {then}.{at})"),
        (Kind::Int | Kind::Bool | Kind::Text | Kind::Open, false) => format!("{first}.{at}.cmp(&{then}.{at})"),
        _ => format!("{first}.{at}.compare(&{then}.{at})"),
    }
}
