//! A plan as loops: steps that look at one row stand inside the loop of their source; a step that needs all rows ends it and
//! begins the next.

use std::collections::{HashMap, HashSet};

use crate::data::{Schema, Table, Type};
use crate::functions::Func;
use crate::plan::{Expr, JoinKind, Kept, Named, Node, Op, Plan, Read, Shared, SortKey, Source, Step, op_text};

use super::Input;
use super::aggregate::{self, Slot, filled, settled};
use super::code::{Hold, Piece, Strength};
use super::exprs::{Scope, constant, lift, together};
use super::functions::{self, All};
use super::keys;
use super::layout;
use super::segment::{Segment, Stored, bundle, indented, row_type, tuple};
use super::shape::{Kind, Shape};

/// Values of a source beyond so many are handed in as a table.
const MOST_VALUES: usize = 40;

/// Writes one function.
pub struct Writer<'p> {
    /// Finished lines.
    pub lines: Vec<String>,
    /// Names that the whole function has.
    names: HashSet<String>,
    pub inputs: Vec<Input>,
    /// The right sides of joins, by the plans that make them.
    rights: HashMap<*const Plan, Right>,
    signatures: &'p All,
}

struct Right {
    name: String,
    key: Vec<Stored>,
    columns: Vec<Stored>,
}

impl<'p> Writer<'p> {
    pub fn new(signatures: &'p All) -> Writer<'p> {
        // A variable of such a name would hide a person's function.
        let all = signatures.values().flat_map(|signatures| signatures.all.borrow().clone());
        let names = all.map(|signature| signature.name).collect();
        Writer { lines: Vec::new(), names, inputs: Vec::new(), rights: HashMap::new(), signatures }
    }

    /// Writes a whole plan and what it gives back; the columns of the result.
    pub fn whole(&mut self, plan: &'p Plan) -> Vec<Shape> {
        self.right_sides(plan);
        let mut segment = self.rows(plan);
        let shapes: Vec<Shape> = segment.columns.iter().map(|column| column.shape.clone()).collect();
        let lasts = segment.columns.iter().any(|column| column.hold == Hold::Lasting);
        match &segment.whole {
            Some(whole) if !lasts => {
                let whole = whole.clone();
                self.lines.extend(segment.before);
                self.lines.push(indented(1, &format!("Ok({whole})")));
            }
            _ => {
                let rows = self.fresh(&segment, "rows");
                let (texts, columns) = segment.stored(&segment.columns, &[], false);
                segment.before(format!("let mut {rows}: Vec<{}> = Vec::new();", row_type(&columns)));
                segment.line(format!("{rows}.push({});", tuple(texts)));
                self.lines.extend(segment.close());
                self.lines.push(indented(1, &format!("Ok({rows})")));
            }
        }
        shapes
    }

    fn scope(&self, plan: &Plan, columns: &[Piece]) -> Scope<'p> {
        let signatures = functions::of(self.signatures, plan);
        Scope { columns: columns.to_vec(), parameters: Vec::new(), acc: None, signatures, depth: "0" }
    }

    fn fresh(&mut self, segment: &Segment, name: &str) -> String {
        segment.fresh(name, &mut self.names)
    }

    /// Writes what the right sides of all joins are, in the order in which the plan comes to them.
    fn right_sides(&mut self, plan: &'p Plan) {
        for step in &plan.steps {
            match &step.op {
                Op::Join { kind, right, on, right_columns } => {
                    self.right_sides(right);
                    self.right_side(*kind, right, on, right_columns);
                }
                Op::Concat(plans) | Op::Zip(plans) => plans.iter().for_each(|plan| self.right_sides(plan)),
                _ => {}
            }
        }
    }

    fn right_side(&mut self, kind: JoinKind, plan: &'p Plan, on: &[(Expr, Expr)], wanted: &[usize]) {
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
                key[i] = key[i].fit(&Shape::of_type(&on[i].1.ty).never_null());
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

    /// Goes on only where a value is not null.
    fn present(&mut self, segment: &mut Segment, piece: &Piece, kept: &[Piece]) -> Piece {
        let name = segment.variable("present", &self.names, kept);
        segment.open(&format!("if let Some({name}) = {}", piece.text));
        match piece.hold {
            Hold::Own => Piece::owning(&name, piece.shape.never_null(), segment.loops),
            hold => Piece::borrowing(&name, piece.shape.never_null(), hold),
        }
    }

    /// The rows of a plan, in a loop that is open.
    fn rows(&mut self, plan: &'p Plan) -> Segment {
        let Some((Step { op: Op::Source(source), .. }, rest)) = plan.steps.split_first() else {
            unreachable!("a plan begins with its source")
        };
        let mut input = &plan.steps[0].schema;
        let (mut segment, rest) = match (source, rest.first()) {
            (Source::Read(read), Some(step)) if is_words_of_lines(&step.op) => {
                input = &step.schema;
                (self.words_of_lines(read, plan), &rest[1..])
            }
            _ => (self.source(source, plan), rest),
        };
        for step in rest {
            segment = self.step(segment, step, input, plan);
            input = &step.schema;
        }
        segment
    }

    fn source(&mut self, source: &Source, plan: &Plan) -> Segment {
        let step = &plan.steps[0];
        let names: Vec<String> = step.schema.names().map(str::to_string).collect();
        let mut segment = Segment::new(&names);
        segment.comment(&said(&step.op, &step.schema, plan));
        let shape = |kind| Shape::plain(kind);
        match source {
            Source::Range { start, end } => {
                let it = segment.variable(&names[0], &self.names, &[]);
                let start = constant(&crate::data::Value::Int(*start), &Type::Int);
                match end {
                    Some(end) => {
                        let end = constant(&crate::data::Value::Int(*end), &Type::Int);
                        let typed = if end.text.contains("i64") { "" } else { "_i64" };
                        segment.open(&format!("for {it} in {}..{}{typed}", start.text, end.text));
                    }
                    None => {
                        segment.open(&format!("for {it} in endless({})", start.text));
                        segment.line(format!("let {it} = {it}?;"));
                    }
                }
                segment.columns = vec![Piece::tight(it, shape(Kind::Int))];
            }
            Source::Values(values) if values.len() <= MOST_VALUES => {
                let it = segment.variable(&names[0], &self.names, &[]);
                let ty = &step.schema.columns[0].ty;
                let (pieces, mut shape, hold) = together(values.iter().map(|value| constant(value, ty)).collect());
                if values.is_empty() {
                    shape = Shape::of_values([], ty);
                }
                let is_number = !shape.nulls && matches!(shape.kind, Kind::Int | Kind::Float);
                let texts = pieces.iter().enumerate();
                let texts =
                    texts.map(|(i, piece)| if i == 0 && is_number { piece.receiver() } else { piece.text.clone() });
                let texts: Vec<String> = texts.collect();
                let list = match texts.len() {
                    0 => format!("Vec::<{}>::new()", shape.owned()),
                    _ => format!("[{}]", texts.join(", ")),
                };
                segment.open(&format!("for {it} in {list}"));
                segment.columns = vec![match hold {
                    Hold::Own => Piece::owning(&it, shape, 1),
                    hold => Piece::borrowing(&it, shape, hold),
                }];
            }
            Source::Values(values) => {
                let table = Table::from_columns(step.schema.clone(), values.len(), &[values.to_vec()]);
                self.table(&mut segment, Shared(std::sync::Arc::new(table)), &step.schema);
            }
            Source::Kept(kept) => self.table(&mut segment, kept.clone(), &step.schema),
            Source::Letters { count, seed } => {
                let it = segment.variable(&names[0], &self.names, &[]);
                let [row, place] = ["number", "bytes"].map(|name| segment.variable(name, &self.names, &[]));
                segment.open(&format!("for {row} in 0..{count}_u64"));
                segment.line(format!("let mut {place} = [0; 4];"));
                segment.line(format!("let {it}: &str = letter({seed}, {row}).encode_utf8(&mut {place});"));
                segment.columns = vec![Piece::borrowing(&it, shape(Kind::Text), Hold::Row)];
            }
            Source::Random { count, seed } => {
                let it = segment.variable(&names[0], &self.names, &[]);
                let row = segment.variable("number", &self.names, &[]);
                segment.open(&format!("for {row} in 0..{count}_u64"));
                segment.line(format!("let {it} = unit({seed}, {row});"));
                segment.columns = vec![Piece::tight(it, shape(Kind::Float))];
            }
            Source::Read(read) => {
                let line = segment.variable(&names[0], &self.names, &[]);
                self.lines_of(&mut segment, read, |lines| format!("while let Some({line}) = {lines}.next()?"));
                segment.columns = vec![Piece::borrowing(&line, shape(Kind::Text), Hold::Row)];
            }
            Source::Passed | Source::Rust(_) => unreachable!("the session puts the table in its place before a run"),
        }
        segment
    }

    /// The lines of files; `head` is the loop over what is called so.
    fn lines_of(&mut self, segment: &mut Segment, read: &Read, head: impl Fn(&str) -> String) {
        let path = |file: &crate::plan::File| format!("{:?}", file.path.to_str().unwrap_or_default());
        if let [file] = &read.files[..] {
            let lines = self.fresh(segment, "lines");
            segment.before(format!("let mut {lines} = Lines::open({})?;", path(file)));
            segment.open(&head(&lines));
            return;
        }
        let [file, lines] = ["path", "lines"].map(|name| segment.variable(name, &self.names, &[]));
        let paths: Vec<String> = read.files.iter().map(path).collect();
        segment.open(&format!("for {file} in [{}]", paths.join(", ")));
        segment.line(format!("let mut {lines} = Lines::open({file})?;"));
        segment.open(&head(&lines));
    }

    /// A line break is white space: the words of lines are those of whole blocks of lines.
    fn words_of_lines(&mut self, read: &Read, plan: &Plan) -> Segment {
        let step = &plan.steps[1];
        let names: Vec<String> = step.schema.names().map(str::to_string).collect();
        let mut segment = Segment::new(&names);
        segment.comment(&said(&plan.steps[0].op, &plan.steps[0].schema, plan));
        let block = segment.variable("block", &self.names, &[]);
        self.lines_of(&mut segment, read, |lines| format!("while let Some({block}) = {lines}.block()?"));
        segment.comment(&said(&step.op, &plan.steps[0].schema, plan));
        let word = segment.variable(&step.schema.columns[0].name, &self.names, &[]);
        segment.open(&format!("for {word} in words({block})"));
        segment.columns = vec![Piece::borrowing(&word, Shape::plain(Kind::Text), Hold::Row)];
        segment
    }

    fn table(&mut self, segment: &mut Segment, kept: Kept, schema: &Schema) {
        let known = self.inputs.iter().find(|input| input.table == kept).cloned();
        let Input { name, columns, .. } = known.unwrap_or_else(|| {
            let columns = table_shapes(&kept.0);
            let input = Input { name: self.fresh(segment, "table"), table: kept, columns };
            self.inputs.push(input.clone());
            input
        });
        let columns = schema.names().zip(&columns).map(|(name, shape)| (name, (shape.clone(), Hold::Lasting)));
        self.borrowed_loop(segment, columns.collect(), |pattern| format!("for &{pattern} in {name}"), true);
    }

    /// Opens a loop over rows that stay where they are. `owns`: whether they own their texts.
    fn borrowed_loop(
        &mut self,
        segment: &mut Segment,
        columns: Vec<(&str, Stored)>,
        head: impl Fn(&str) -> String,
        owns: bool,
    ) {
        let mut patterns = Vec::new();
        for (name, (shape, hold)) in columns {
            let is_own = owns || hold == Hold::Own;
            let variable = segment.variable(name, &self.names, &segment.columns.clone());
            let by_reference = !shape.is_copy() && is_own;
            patterns.push(if by_reference { format!("ref {variable}") } else { variable.clone() });
            segment.columns.push(match by_reference {
                true => Piece::referring(&variable, shape, Hold::Lasting),
                false => Piece::borrowing(&variable, shape, Hold::Lasting),
            });
        }
        segment.open(&head(&tuple(patterns)));
    }

    /// A loop over rows that are given away one by one; `head` makes it of the pattern for one.
    fn over(&mut self, names: &[String], stored: &[Stored], head: impl Fn(&str) -> String) -> Segment {
        let mut segment = Segment::new(names);
        let patterns = self.patterns(&mut segment, names, stored, 1);
        segment.open(&head(&tuple(patterns)));
        segment
    }

    /// Variables for the columns of a row that is given away, which join those of the segment.
    fn patterns(&mut self, segment: &mut Segment, names: &[String], stored: &[Stored], loops: usize) -> Vec<String> {
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

    /// Puts all rows into a vector and ends the loop: its name, and what is in it. `extra` columns come behind.
    fn collected(&mut self, mut segment: Segment, extra: &[Piece]) -> (String, Vec<Stored>, Vec<String>) {
        let rows = self.fresh(&segment, "rows");
        let names = segment.names.clone();
        if let (Some(whole), true) = (&segment.whole, extra.is_empty()) {
            let stored = segment.columns.iter().map(|column| {
                let hold = if column.hold == Hold::Lasting { Hold::Lasting } else { Hold::Own };
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

    fn step(&mut self, mut segment: Segment, step: &'p Step, input: &Schema, plan: &'p Plan) -> Segment {
        let said = said(&step.op, input, plan);
        let names: Vec<String> = step.schema.names().map(str::to_string).collect();
        match &step.op {
            Op::Project(named) => return self.project(segment, named, &said, plan),
            Op::Sort { keys, limit } => return self.sort(segment, keys, *limit, &said, plan),
            Op::Aggregate { keys, aggs } => return self.aggregate(segment, keys, aggs, &said, plan),
            _ => segment.whole = segment.whole.filter(|_| keeps_rows(&step.op)),
        }
        match &step.op {
            Op::Filter(condition) => {
                segment.comment(&said);
                let condition = self.scope(plan, &segment.columns).piece(condition).condition();
                segment.open(&format!("if {}", condition.text));
            }
            Op::Explode(list) => {
                segment.comment(&said);
                self.explode(&mut segment, list, plan);
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
                segment.columns.push(Piece::tight(row, Shape::plain(Kind::Int)));
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
            Op::Source(_) | Op::Project(_) | Op::Sort { .. } | Op::Aggregate { .. } => {
                unreachable!("they are written apart")
            }
            Op::Peek { .. } | Op::Persist(_) | Op::Write(_) | Op::Tee(_) => {
                unreachable!("the engine objects to these, or the session takes them off")
            }
        }
        segment
    }

    fn comment(&mut self, text: &str) {
        let mut comment = Segment::default();
        comment.comment(text);
        self.lines.extend(comment.close());
    }

    fn line(&mut self, text: &str) {
        self.lines.extend(layout::lines(1, text));
    }

    /// A loop over the vector `rows`, which is all rows as long as nothing is done with them.
    fn again(&mut self, rows: &str, names: &[String], stored: &[Stored]) -> Segment {
        let segment = self.over(names, stored, |pattern| format!("for {pattern} in {rows}"));
        segment.being(rows.to_string())
    }

    fn project(&mut self, mut segment: Segment, named: &[Named], said: &str, plan: &Plan) -> Segment {
        let scope = self.scope(plan, &segment.columns);
        let pieces: Vec<Piece> = named.iter().map(|named| scope.piece(&named.expr)).collect();
        let is_column = |named: &Named| matches!(named.expr.node, Node::Column(_));
        let same = |(i, named): (usize, &Named)| matches!(named.expr.node, Node::Column(index) if index == i);
        let whole = if named.len() == segment.columns.len() && named.iter().enumerate().all(same) {
            segment.whole.take()
        } else {
            None
        };
        segment.whole = whole;
        if !named.iter().all(is_column) {
            segment.comment(said);
        }
        let mut columns: Vec<Piece> = Vec::new();
        for (i, named) in named.iter().enumerate() {
            if is_column(named) {
                columns.push(pieces[i].clone());
                continue;
            }
            let kept: Vec<Piece> = columns.iter().chain(&pieces[i + 1..]).cloned().collect();
            let piece = self.computed(&mut segment, &named.expr, &pieces[i], &named.name, &kept, plan);
            columns.push(piece);
        }
        segment.columns = columns;
        segment.names = named.iter().map(|named| named.name.clone()).collect();
        segment
    }

    /// A value in a variable of its own.
    fn computed(
        &mut self,
        segment: &mut Segment,
        expr: &Expr,
        piece: &Piece,
        name: &str,
        kept: &[Piece],
        plan: &Plan,
    ) -> Piece {
        let variable = segment.variable(name, &self.names, kept);
        if let Some(small) = self.small_letters(segment, expr, plan) {
            segment.line(format!("let {variable} = {small};"));
            return Piece::borrowing(&variable, Shape::plain(Kind::Text), Hold::Row);
        }
        let is_literal = matches!(expr.node, Node::Const(_));
        let ty = if piece.hold == Hold::Own { piece.shape.owned() } else { piece.shape.borrowed() };
        let typed = if is_literal { format!(": {ty}") } else { String::new() };
        segment.line(format!("let {variable}{typed} = {};", piece.text));
        match piece.hold {
            Hold::Own => Piece::owning(&variable, piece.shape.clone(), segment.loops),
            hold => Piece::borrowing(&variable, piece.shape.clone(), hold),
        }
    }

    /// `lower(x)` in a place that is used for each row again.
    fn small_letters(&mut self, segment: &mut Segment, expr: &Expr, plan: &Plan) -> Option<String> {
        let Node::Call(Func::Lower, args) = &expr.node else { return None };
        let text = self.scope(plan, &segment.columns).piece(&args[0]);
        if text.shape.nulls {
            return None;
        }
        let place = self.fresh(segment, "small_letters");
        segment.before(format!("let mut {place} = String::new();"));
        Some(format!("lower_into({}, &mut {place})", text.argument()))
    }

    fn explode(&mut self, segment: &mut Segment, list: &Named, plan: &Plan) {
        let scope = self.scope(plan, &segment.columns);
        let is_parts = |func: &Func| matches!(func, Func::Words | Func::Chars | Func::Split | Func::Range);
        if let Node::Call(func, args) = &list.expr.node
            && is_parts(func)
        {
            let mut args: Vec<Piece> = args.iter().map(|arg| scope.piece(arg)).collect();
            if let Some(nullable) = args.iter().position(|arg| arg.shape.nulls)
                && args.iter().enumerate().all(|(i, arg)| i == nullable || (arg.is_simple() && !arg.shape.nulls))
            {
                args[nullable] = self.present(segment, &args[nullable].clone(), &args);
            }
            if args.iter().all(|arg| !arg.shape.nulls) {
                let it = segment.variable(&list.name, &self.names, &[]);
                let (items, item) = match func {
                    Func::Range => {
                        let texts: Vec<&str> = args.iter().map(|arg| arg.text.as_str()).collect();
                        (format!("range({})?", texts.join(", ")), Piece::tight(&it, Shape::plain(Kind::Int)))
                    }
                    _ => {
                        let item = Piece::borrowing(&it, Shape::plain(Kind::Text), Hold::Row);
                        (super::calls::parts(*func, &args).text, item)
                    }
                };
                segment.open(&format!("for {it} in {items}"));
                segment.columns = vec![item];
                return;
            }
        }
        let piece = scope.piece(&list.expr);
        let item = piece.shape.item();
        let it = segment.variable(&list.name, &self.names, &[]);
        let flat = if piece.shape.nulls { ".into_iter().flatten()" } else { "" };
        let (texts, stored) = segment.stored(std::slice::from_ref(&piece), &[], true);
        let head = match stored[0].1 {
            Hold::Lasting => {
                let flat = if piece.shape.nulls { flat } else { ".iter()" };
                let how = match (&item.kind, item.nulls) {
                    _ if item.is_copy() => ".copied()",
                    (Kind::List(_), false) => ".map(Vec::as_slice)",
                    (_, false) => ".map(String::as_str)",
                    (_, true) => ".map(Option::as_deref)",
                };
                format!("for {it} in {}{flat}{how}", piece.receiver())
            }
            _ => format!("for {it} in {}{flat}", Piece::loose(&texts[0], piece.shape.clone()).text),
        };
        let head = if flat.is_empty()
            || texts[0].chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            || stored[0].1 == Hold::Lasting
        {
            head
        } else {
            format!("for {it} in ({}){flat}", texts[0])
        };
        segment.open(&head);
        segment.columns = vec![match stored[0].1 {
            Hold::Lasting => Piece::borrowing(&it, item, Hold::Lasting),
            _ => Piece::owning(&it, item, segment.loops),
        }];
    }

    fn slice(&mut self, segment: &mut Segment, offset: u64, length: Option<u64>) {
        if length == Some(0) {
            let leave = segment.leave();
            segment.line(format!("if true {{ {leave} }}"));
            return;
        }
        let passed = self.fresh(segment, "passed");
        segment.before(format!("let mut {passed} = 0_u64;"));
        segment.line(format!("{passed} += 1;"));
        if let Some(length) = length {
            let leave = segment.leave();
            segment.at_end(&format!("if {passed} == {} {{ {leave} }}", offset.saturating_add(length)));
        }
        if offset > 0 {
            segment.open(&format!("if {passed} > {offset}"));
        }
    }

    fn distinct(&mut self, segment: &mut Segment, by: Option<&[Expr]>, plan: &Plan) {
        let pieces = match by {
            None => segment.columns.clone(),
            Some(by) => {
                let scope = self.scope(plan, &segment.columns);
                by.iter().map(|expr| scope.piece(expr)).collect()
            }
        };
        let columns = segment.columns.clone();
        let key = keys::keys(segment, &pieces, &columns, true);
        let seen = self.fresh(segment, "seen");
        segment.before(format!("let mut {seen}: Set<{}> = Set::default();", key.ty));
        match key.borrowed {
            Some(text) => segment.open(&format!("if is_new(&mut {seen}, {text})")),
            None => segment.open(&format!("if {seen}.insert({})", key.text)),
        }
    }

    fn sort(&mut self, segment: Segment, keys: &[SortKey], limit: Option<u64>, said: &str, plan: &Plan) -> Segment {
        let scope = self.scope(plan, &segment.columns);
        let names = segment.names.clone();
        let mut extra: Vec<Piece> = Vec::new();
        let mut places: Vec<(usize, Shape, bool)> = Vec::new();
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
            return self.sorted(&rows, &names, &stored);
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
        self.sorted(&rows, &names, &stored)
    }

    /// A loop over sorted rows, without the keys that stand behind them.
    fn sorted(&mut self, rows: &str, names: &[String], stored: &[Stored]) -> Segment {
        if stored.len() == names.len() {
            return self.again(rows, names, stored);
        }
        let mut segment = Segment::new(names);
        let mut patterns = self.patterns(&mut segment, names, &stored[..names.len()], 1);
        patterns.push("..".to_string());
        segment.open(&format!("for {} in {rows}", tuple(patterns)));
        segment
    }

    fn fold(
        &mut self,
        mut segment: Segment,
        start: &crate::data::Value,
        step: &Named,
        each: bool,
        said: &str,
        plan: &Plan,
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
    fn single(&mut self, columns: Vec<(String, String, Shape)>) -> Segment {
        let names: Vec<String> = columns.iter().map(|(name, _, _)| name.clone()).collect();
        let stored: Vec<Stored> = columns.iter().map(|(_, _, shape)| (shape.clone(), Hold::Own)).collect();
        let row = tuple(columns.iter().map(|(_, variable, _)| variable));
        let segment = self.over(&names, &stored, |pattern| format!("for {pattern} in [{row}]"));
        segment.being(format!("vec![{row}]"))
    }

    fn aggregate(
        &mut self,
        mut segment: Segment,
        keys: &[Named],
        aggs: &[crate::plan::Agg],
        said: &str,
        plan: &Plan,
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
                    Piece::borrowing(&variable, Shape::plain(Kind::Text), Hold::Row)
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
            let variable = self.fresh(&segment, &super::names::identifier(column));
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
            let field = super::names::unique(&super::names::identifier(column), is_free);
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

    fn join(
        &mut self,
        segment: &mut Segment,
        kind: JoinKind,
        right: &Plan,
        on: &[(Expr, Expr)],
        names: &[String],
        plan: &Plan,
    ) {
        let scope = self.scope(plan, &segment.columns);
        let key: Vec<Piece> = on.iter().map(|(left, _)| scope.piece(left)).collect();
        let Right { name, key: parts, columns } = &self.rights[&std::ptr::from_ref(right)];
        let (name, columns) = (name.clone(), columns.clone());
        // A key of one text is looked up as it is; one of several must be of the map's own type.
        let single = parts.len() == 1;
        let looked_up = |args: &[Piece]| {
            let texts = args.iter().zip(parts).map(|(arg, (shape, hold))| {
                let arg = arg.fit(&Shape::new(shape.kind.clone(), arg.shape.nulls));
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
                Piece::tight(format!("{name}.contains({})", looked_up(key)), Shape::plain(Kind::Bool))
            });
            let condition = match kind {
                JoinKind::Semi => found.condition().text,
                _ if found.shape.nulls => format!("({}) != Some(true)", found.text),
                _ => format!("!{}", found.text),
            };
            segment.open(&format!("if {condition}"));
            return;
        }
        let rows = lift(&key, |key| Piece::tight(format!("{name}.of({})", looked_up(key)), Shape::plain(Kind::Open)));
        let rows = if rows.shape.nulls { format!("{}.into_iter().flatten()", rows.receiver()) } else { rows.text };
        let left = segment.columns.len();
        let is_left = kind == JoinKind::Left;
        let fields: Vec<(&str, Stored)> =
            names[left..].iter().zip(&columns).map(|(name, stored)| (name.as_str(), stored.clone())).collect();
        if !is_left {
            let head = |pattern: &str| format!("for &{pattern} in {rows}");
            self.borrowed_loop(segment, fields, head, false);
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
            segment.columns.push(Piece::borrowing(&variable, shape.or_null(), Hold::Lasting));
        }
    }

    fn concat(&mut self, segment: Segment, plans: &'p [Plan], names: &[String], said: &str) -> Segment {
        let mut all = vec![self.collected(segment, &[])];
        for plan in plans {
            let segment = self.rows(plan);
            all.push(self.collected(segment, &[]));
        }
        // What each column is in all of them together.
        let mut met: Vec<Stored> = all[0].1.clone();
        for (_, stored, _) in &all[1..] {
            for (met, stored) in met.iter_mut().zip(stored) {
                let lasts = met.1 == Hold::Lasting && stored.1 == Hold::Lasting;
                *met = (met.0.meet(&stored.0), if lasts { Hold::Lasting } else { Hold::Own });
            }
        }
        self.comment(said.as_ref());
        let all: Vec<String> = all.iter().map(|(rows, stored, _)| fitted(rows, stored, &met)).collect();
        let chained: String = all[1..].iter().map(|rows| format!(".chain({rows})")).collect();
        let rows = format!("{}.into_iter(){chained}", all[0].trim_end_matches(".into_iter()"));
        self.over(names, &met, |pattern| format!("for {pattern} in {rows}"))
    }

    fn zip(&mut self, segment: Segment, plans: &'p [Plan], names: &[String], said: &str) -> Segment {
        let mut all = vec![self.collected(segment, &[])];
        for plan in plans {
            let segment = self.rows(plan);
            all.push(self.collected(segment, &[]));
        }
        self.comment(said.as_ref());
        for (rows, _, _) in &all[1..] {
            self.line(&format!("if {rows}.len() != {}.len() {{ return Err(Fault::Shape); }}", all[0].0));
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

    fn pairs(&mut self, segment: Segment, names: &[String], said: &str) -> Segment {
        let (rows, stored, _) = self.collected(segment, &[]);
        let mut next = Segment::new(names);
        next.comment(said);
        let at = self.fresh(&next, "at");
        let first = vec![(names[0].as_str(), stored[0].clone())];
        let second = vec![(names[1].as_str(), stored[0].clone())];
        self.borrowed_loop(&mut next, first, |one| format!("for ({at}, &{one}) in {rows}.iter().enumerate()"), false);
        self.borrowed_loop(&mut next, second, |other| format!("for &{other} in &{rows}[{at} + 1..]"), false);
        next
    }
}

/// A step in the words of the stage that it mostly comes from.
fn said(op: &Op, input: &Schema, plan: &Plan) -> String {
    let text = op_text(op, input, plan);
    let words = [("project ", "map "), ("explode ", "flat_map "), ("aggregate ", "agg "), ("inner join ", "join ")];
    let found = words.iter().find_map(|(from, to)| Some(format!("{to}{}", text.strip_prefix(from)?)));
    match op {
        Op::Slice { offset: 0, length: Some(length) } => format!("take {length}"),
        Op::Slice { offset, length: None } => format!("skip {offset}"),
        Op::Slice { offset, length: Some(length) } => format!("skip {offset}, take {length}"),
        Op::Number => "enumerate".to_string(),
        Op::Source(Source::Range { .. }) => text.trim_start_matches("range ").to_string(),
        _ => found.unwrap_or(text),
    }
}

/// Whether all rows at once stay what they are.
fn keeps_rows(op: &Op) -> bool {
    matches!(op, Op::Reverse | Op::Concat(_) | Op::Zip(_) | Op::Pairs | Op::Sample { .. })
}

/// Whether a step gives the words of the only column, lines of text.
fn is_words_of_lines(op: &Op) -> bool {
    let Op::Explode(Named { expr: Expr { node: Node::Call(Func::Words, args), .. }, .. }) = op else { return false };
    matches!(args[0].node, Node::Column(0))
}

/// The rows of a table with what is fit to `to`.
fn fitted(rows: &str, from: &[Stored], to: &[Stored]) -> String {
    let is_same =
        from.iter().zip(to).all(|(from, to)| super::segment::stored_type(from) == super::segment::stored_type(to));
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

/// How two rows are compared by column `at`.
fn order(at: usize, shape: &Shape, descending: bool) -> String {
    let (first, then) = if descending { ("right", "left") } else { ("left", "right") };
    match (&shape.kind, shape.nulls) {
        (_, true) if descending => format!("descending(&left.{at}, &right.{at})"),
        (Kind::Float, false) => format!("compare_floats({first}.{at}, {then}.{at})"),
        (Kind::Int | Kind::Bool | Kind::Text | Kind::Open, false) => format!("{first}.{at}.cmp(&{then}.{at})"),
        _ => format!("{first}.{at}.compare(&{then}.{at})"),
    }
}

/// What the columns of a table are: null only where there are nulls.
fn table_shapes(table: &Table) -> Vec<Shape> {
    let columns = table.schema().columns.iter().zip(table.frame().columns()).enumerate();
    let shapes = columns.map(|(i, (column, series))| match &column.ty {
        Type::List(_) => Shape::of_values(&table.values(i, 0, table.height()), &column.ty),
        ty => Shape::new(Shape::of_values([], ty).kind, series.null_count() > 0),
    });
    shapes.collect()
}
