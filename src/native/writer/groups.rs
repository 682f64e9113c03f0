//! What gathers rows: aggregates, of all rows and of each key, and folds.

use crate::data::Value;
use crate::native::aggregate::{self, Slot, filled, settled};
use crate::native::code::{Hold, Piece};
use crate::native::exprs::constant;
use crate::native::keys;
use crate::native::names;
use crate::native::segment::{Segment, Stored, tuple};
use crate::native::shape::{Kind, ValueLayout};
use crate::plan::{Agg, Named, Prepared};

use super::Writer;

impl Writer<'_> {
    pub(super) fn aggregate(
        &mut self,
        mut segment: Segment,
        keys: &[Named],
        aggs: &[Agg],
        said: &str,
        plan: &Prepared,
    ) -> Segment {
        segment.whole = None;
        segment.comment(said);
        let scope = self.scope(plan, &segment.columns);
        let args: Vec<Option<Piece>> = aggs.iter().map(|agg| agg.arg.as_ref().map(|arg| scope.piece(arg))).collect();
        let given: Vec<Piece> = args.iter().flatten().cloned().collect();
        let mut key_pieces = Vec::new();
        for key in keys {
            let piece = match self.small_letters(&mut segment, &key.expr, plan) {
                Some(small) => {
                    let kept = [&given[..], &key_pieces, &segment.columns].concat();
                    let variable = segment.variable("small", &self.names, &kept);
                    segment.line(format!("let {variable} = {small};"));
                    Piece::borrowing(&variable, ValueLayout::plain(Kind::Text), Hold::Row)
                }
                None => scope.piece(&key.expr),
            };
            key_pieces.push(piece);
        }
        let slots: Vec<Slot> =
            aggs.iter().zip(&args).map(|(agg, arg)| aggregate::slot(agg, arg.as_ref(), &segment, &scope)).collect();
        let columns: Vec<&str> = aggs.iter().map(|agg| agg.name.as_str()).collect();
        if keys.is_empty() {
            return self.total(segment, &columns, slots);
        }
        let key_names: Vec<String> = keys.iter().map(|key| key.name.clone()).collect();
        self.groups(segment, &key_names, &key_pieces, &given, &columns, slots)
    }

    /// Aggregates of all rows.
    fn total(&mut self, mut segment: Segment, columns: &[&str], slots: Vec<Slot>) -> Segment {
        let mut variables = Vec::new();
        for (column, slot) in columns.iter().zip(&slots) {
            let variable = self.fresh(&segment, &names::identifier(column));
            segment.before(format!("let mut {variable}: {} = {};", slot.ty, slot.start));
            slot.lines.iter().for_each(|line| segment.line(filled(line, &variable, &variable)));
            variables.push(variable);
        }
        self.lines.extend(segment.close());
        let mut row = Vec::new();
        for ((column, variable), slot) in columns.iter().zip(variables).zip(slots) {
            let result = filled(&slot.result.text, &variable, &variable);
            if result != variable {
                self.line(&format!("let {variable} = {result};"));
            }
            row.push((column.to_string(), variable, slot.result.shape));
        }
        self.single(row)
    }

    /// Aggregates of each key.
    fn groups(
        &mut self,
        mut segment: Segment,
        key_names: &[String],
        key_pieces: &[Piece],
        given: &[Piece],
        columns: &[&str],
        slots: Vec<Slot>,
    ) -> Segment {
        let key = keys::keys(&segment, key_pieces, given, true);
        let groups = self.fresh(&segment, "groups");
        let fields: Vec<String> = columns.iter().fold(Vec::new(), |mut fields, column| {
            let is_free = |name: &str| !fields.iter().any(|field| field == name);
            let field = names::unique(&names::identifier(column), is_free);
            fields.push(field);
            fields
        });
        let value = match &slots[..] {
            [] => "()".to_string(),
            [slot] => slot.ty.clone(),
            slots => {
                let name = self.fresh(&segment, "Group");
                segment.before("#[derive(Default)]");
                segment.before(format!("struct {name} {{"));
                for (field, slot) in fields.iter().zip(slots) {
                    segment.before(format!("    {field}: {},", slot.ty));
                }
                segment.before("}");
                name
            }
        };
        segment.before(format!("let mut {groups}: Map<{}, {value}> = Map::default();", key.ty));
        let variable = match &slots[..] {
            [] => "_".to_string(),
            [_] => segment.variable(columns[0], &self.names, &[given, key_pieces].concat()),
            _ => "group".to_string(),
        };
        match &key.borrowed {
            _ if slots.is_empty() => segment.line(format!("{groups}.entry({}).or_default();", key.text)),
            Some(text) => {
                segment.line(format!("let {variable} = match {groups}.get_mut({text}) {{"));
                segment.line(format!("    Some({variable}) => {variable},"));
                segment.line(format!("    None => {groups}.entry({}).or_default(),", key.text));
                segment.line("};");
            }
            None => segment.line(format!("let {variable} = {groups}.entry({}).or_default();", key.text)),
        }
        for (field, slot) in fields.iter().zip(&slots) {
            let (place, receiver) = match slots.len() {
                1 => (format!("*{variable}"), variable.clone()),
                _ => (format!("group.{field}"), format!("group.{field}")),
            };
            slot.lines.iter().for_each(|line| segment.line(filled(line, &place, &receiver)));
        }
        self.lines.extend(segment.close());
        let mut names = key_names.to_vec();
        let mut next = Segment::default();
        let variables = self.patterns(&mut next, key_names, &key.parts, 1);
        let key_pattern = keys::pattern(&key.parts, &variables);
        let single = slots.len() == 1;
        let group = match single {
            true => next.variable(columns[0], &self.names, &next.columns.clone()),
            false if slots.is_empty() => "_".to_string(),
            false => "group".to_string(),
        };
        next.open(&format!("for ({key_pattern}, {group}) in {groups}"));
        for ((column, field), slot) in columns.iter().zip(&fields).zip(slots) {
            let place = if single { group.clone() } else { format!("group.{field}") };
            let result = filled(&slot.result.text, &place, &place);
            let variable = match single {
                true => group.clone(),
                false => next.variable(column, &self.names, &next.columns.clone()),
            };
            if result != variable {
                next.line(format!("let {variable} = {result};"));
            }
            next.columns.push(Piece::owning(&variable, slot.result.shape, 1));
            names.push(column.to_string());
        }
        next.names = names;
        next
    }

    pub(super) fn fold(
        &mut self,
        mut segment: Segment,
        start: &Value,
        step: &Named,
        each: bool,
        said: &str,
        plan: &Prepared,
    ) -> Segment {
        let acc = self.fresh(&segment, "acc");
        let first = constant(start, &step.expr.ty);
        let (shape, next) = settled(first.shape.clone(), |shape| {
            let mut scope = self.scope(plan, &segment.columns);
            scope.acc = Some(Piece::owning(&acc, shape.clone(), 0));
            scope.piece(&step.expr)
        });
        segment.before(format!("let mut {acc}: {} = {};", shape.owned(), first.owned_fit(&shape).text));
        segment.comment(said);
        segment.line(format!("{acc} = {};", next.text));
        if each {
            segment.columns = vec![Piece::owning(&acc, shape, 0)];
            segment.names = vec![step.name.clone()];
            return segment;
        }
        self.lines.extend(segment.close());
        self.single(vec![(step.name.clone(), acc, shape)])
    }

    /// One row of variables of the function, which are given away.
    fn single(&mut self, columns: Vec<(String, String, ValueLayout)>) -> Segment {
        let names: Vec<String> = columns.iter().map(|(name, _, _)| name.clone()).collect();
        let stored: Vec<Stored> = columns.iter().map(|(_, _, shape)| (shape.clone(), Hold::Own)).collect();
        let row = tuple(columns.iter().map(|(_, variable, _)| variable));
        let segment = self.over(&names, &stored, |pattern| format!("for {pattern} in [{row}]"));
        segment.being(format!("vec![{row}]"))
    }
}
