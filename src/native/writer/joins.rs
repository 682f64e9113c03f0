//! Joins: a map or a set of the right rows before the loop, in which they are looked up.

use crate::native::code::{Hold, Piece, Strength};
use crate::native::exprs::lift;
use crate::native::keys;
use crate::native::segment::{Segment, Stored, bundle, row_type, tuple};
use crate::native::shape::{Kind, ValueLayout};
use crate::plan::{Expr, JoinKind, Op, Prepared};

use super::Writer;

/// The right side of a join as it stands in the code.
pub(super) struct Right {
    name: String,
    key: Vec<Stored>,
    columns: Vec<Stored>,
}

impl<'p> Writer<'p> {
    /// Writes what the right sides of all joins are, in the order in which the plan comes to them.
    pub(super) fn right_sides(&mut self, plan: &'p Prepared) {
        for step in &plan.steps {
            step.op.plans().into_iter().for_each(|plan| self.right_sides(plan));
            if let Op::Join { kind, right, on, right_columns } = &step.op {
                self.right_side(*kind, right, on, right_columns);
            }
        }
    }

    fn right_side(&mut self, kind: JoinKind, plan: &'p Prepared, on: &[(Expr, Expr)], wanted: &[usize]) {
        let mut segment = self.rows(plan);
        let scope = self.scope(plan, &segment.columns);
        let mut key: Vec<Piece> = on.iter().map(|(_, right)| scope.piece(right)).collect();
        // All keys are computed before one of them is found to be null.
        let is_asked = key.iter().any(|piece| piece.shape.nulls);
        for i in 0..key.len() {
            if is_asked && !key[i].is_simple() {
                let kept: Vec<Piece> = segment.columns.iter().chain(&key).cloned().collect();
                let variable = segment.variable("key", &self.names, &kept);
                segment.line(format!("let {variable} = {};", key[i].text));
                key[i] = match key[i].hold {
                    Hold::Own => Piece::owning(&variable, key[i].shape.clone(), segment.loops),
                    hold => Piece::borrowing(&variable, key[i].shape.clone(), hold),
                };
            }
        }
        for i in 0..key.len() {
            if key[i].shape.nulls {
                let kept: Vec<Piece> = segment.columns.iter().chain(&key).cloned().collect();
                key[i] = self.present(&mut segment, &key[i].clone(), &kept);
            }
            if matches!(key[i].shape.kind, Kind::List(_)) {
                // The left side may have nulls in its lists.
                key[i] = key[i].fit(&ValueLayout::of_type(&on[i].1.ty).never_null());
            }
        }
        let columns: Vec<Piece> = wanted.iter().map(|index| segment.columns[*index].clone()).collect();
        let name = self.fresh(&segment, "right_rows");
        let (texts, stored) = segment.stored(&columns, &key, true);
        // What borrows can be looked up only by what lasts as long, but for a text alone.
        let is_text = matches!(&key[..], [only] if matches!(only.shape.kind, Kind::Text | Kind::Open));
        let key = keys::keys(&segment, &key, &columns, is_text);
        let is_set = matches!(kind, JoinKind::Semi | JoinKind::Anti);
        if is_set {
            segment.before(format!("let mut {name}: Set<{}> = Set::default();", key.ty));
            segment.line(format!("{name}.insert({});", key.text));
        } else {
            segment.before(format!("let mut {name}: Matches<{}, {}> = Matches::new();", key.ty, row_type(&stored)));
            segment.line(format!("{name}.add({}, {});", key.text, tuple(texts)));
        }
        self.lines.extend(segment.close());
        self.rights.insert(plan, Right { name, key: key.parts, columns: stored });
    }

    pub(super) fn join(
        &mut self,
        segment: &mut Segment,
        kind: JoinKind,
        right: &Prepared,
        on: &[(Expr, Expr)],
        names: &[String],
        plan: &Prepared,
    ) {
        let scope = self.scope(plan, &segment.columns);
        let key: Vec<Piece> = on.iter().map(|(left, _)| scope.piece(left)).collect();
        let Right { name, key: parts, columns } = &self.rights[&std::ptr::from_ref(right)];
        let (name, columns) = (name.clone(), columns.clone());
        // A key of one text is looked up as it is; one of several must be of the map's own type.
        let single = parts.len() == 1;
        let looked_up = |args: &[Piece]| {
            let texts = args.iter().zip(parts).map(|(arg, (shape, hold))| {
                let arg = arg.fit(&ValueLayout::new(shape.kind.clone(), arg.shape.nulls));
                let is_text = matches!(arg.shape.kind, Kind::Text | Kind::Open);
                if single && is_text {
                    return arg.view();
                }
                let own = if *hold == Hold::Own { arg.owned() } else { Piece::tight(arg.view(), arg.shape.clone()) };
                match (shape.has_floats(), single) {
                    (true, _) => format!("Key({})", own.text),
                    (false, true) => own.at(Strength::Unary),
                    (false, false) => own.text,
                }
            });
            let is_text = single && matches!(parts[0].0.kind, Kind::Text | Kind::Open);
            if is_text { bundle(texts) } else { format!("&{}", bundle(texts)) }
        };
        if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
            let found = lift(&key, |key| {
                Piece::tight(format!("{name}.contains({})", looked_up(key)), ValueLayout::plain(Kind::Bool))
            });
            let condition = match kind {
                JoinKind::Semi => found.condition().text,
                _ if found.shape.nulls => format!("({}) != Some(true)", found.text),
                _ => format!("!{}", found.text),
            };
            segment.open(&format!("if {condition}"));
            return;
        }
        let rows =
            lift(&key, |key| Piece::tight(format!("{name}.of({})", looked_up(key)), ValueLayout::plain(Kind::Open)));
        let rows = if rows.shape.nulls { format!("{}.into_iter().flatten()", rows.receiver()) } else { rows.text };
        let left = segment.columns.len();
        let is_left = kind == JoinKind::Left;
        let fields: Vec<(&str, Stored)> =
            names[left..].iter().zip(&columns).map(|(name, stored)| (name.as_str(), stored.clone())).collect();
        if !is_left {
            let head = |pattern: &str| format!("for &{pattern} in {rows}");
            self.borrowed_loop(segment, fields, head, Hold::Lasting);
            return;
        }
        segment.open(&format!("for found in or_none({rows})"));
        for (i, (name, (shape, hold))) in fields.into_iter().enumerate() {
            let variable = segment.variable(name, &self.names, &segment.columns.clone());
            let method = match (hold, &shape.kind, shape.nulls) {
                _ if shape.is_copy() => "",
                (Hold::Own, _, true) => ".as_deref()",
                (Hold::Own, Kind::List(_), false) => ".as_slice()",
                (Hold::Own, _, false) => ".as_str()",
                _ => "",
            };
            let map = if shape.nulls { "and_then" } else { "map" };
            segment.line(format!("let {variable} = found.{map}(|row| row.{i}{method});"));
            segment.columns.push(Piece::borrowing(&variable, shape.or_null(), hold.max(Hold::Lasting)));
        }
    }
}
