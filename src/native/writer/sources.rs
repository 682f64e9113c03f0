//! Where rows come from: ranges, values, generators, files, tables.

use std::sync::Arc;

use crate::data::{Schema, Table, Type, Value};
use crate::functions::Func;
use crate::native::Input;
use crate::native::code::{Hold, Piece};
use crate::native::exprs::{constant, together};
use crate::native::segment::{Segment, Stored};
use crate::native::shape::{Kind, ValueLayout};
use crate::plan::{Expr, File, Kept, Named, Node, Op, Prepared, Read, Source, Step};
use crate::sources::Generate;

use super::{Writer, said, said_source};

/// Values of a source beyond so many are handed in as a table.
const MOST_VALUES: usize = 40;

impl Writer<'_> {
    pub(super) fn source(&mut self, source: &Source, plan: &Prepared) -> Segment {
        let step = &plan.source;
        let names: Vec<String> = step.schema.names().map(str::to_string).collect();
        let mut segment = Segment::new(&names);
        segment.comment(&said_source(source));
        let shape = |kind| ValueLayout::plain(kind);
        match source {
            Source::Range { start, end } => {
                let it = segment.variable(&names[0], &self.names, &[]);
                let start = constant(&Value::Int(*start), &Type::Int);
                match end {
                    Some(end) => {
                        let end = constant(&Value::Int(*end), &Type::Int);
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
                    shape = ValueLayout::of_values([], ty);
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
                self.table(&mut segment, Kept::new(Arc::new(table)), &step.schema);
            }
            Source::Kept(kept) => self.table(&mut segment, kept.clone(), &step.schema),
            Source::Iterated(_) => unreachable!("the engine objects to it"),
            Source::Generated { what, count, seed } => {
                let Some(make) = what.compiled else {
                    let values: Vec<Value> = (0..*count).map(|row| what.value.value(*seed, row)).collect();
                    let table = Table::from_columns(step.schema.clone(), values.len(), &[values]);
                    self.table(&mut segment, Kept::new(Arc::new(table)), &step.schema);
                    return segment;
                };
                let it = segment.variable(&names[0], &self.names, &[]);
                let row = segment.variable("number", &self.names, &[]);
                let head = format!("for {row} in 0..{count}_u64");
                segment.columns = vec![match what.value {
                    Generate::Char { .. } => {
                        let place = segment.variable("bytes", &self.names, &[]);
                        segment.open(&head);
                        segment.line(format!("let mut {place} = [0; 4];"));
                        segment.line(format!("let {it}: &str = {make}({seed}, {row}).encode_utf8(&mut {place});"));
                        Piece::borrowing(&it, shape(Kind::Text), Hold::Row)
                    }
                    Generate::Float { .. } | Generate::Int { .. } => {
                        segment.open(&head);
                        segment.line(format!("let {it} = {make}({seed}, {row});"));
                        let kind = if matches!(what.value, Generate::Int { .. }) { Kind::Int } else { Kind::Float };
                        Piece::tight(it, shape(kind))
                    }
                }];
            }
            Source::Read(read) => {
                let line = segment.variable(&names[0], &self.names, &[]);
                self.lines_of(&mut segment, read, |lines| format!("while let Some({line}) = {lines}.next()?"));
                segment.columns = vec![Piece::borrowing(&line, shape(Kind::Text), Hold::Row)];
            }
        }
        segment
    }

    /// A line break is white space: the words of lines are those of whole blocks of lines.
    pub(super) fn words_of_lines(&mut self, read: &Read, step: &Step, plan: &Prepared) -> Segment {
        let names: Vec<String> = step.schema.names().map(str::to_string).collect();
        let mut segment = Segment::new(&names);
        segment.comment(&said_source(&plan.source.op));
        let block = segment.variable("block", &self.names, &[]);
        self.lines_of(&mut segment, read, |lines| format!("while let Some({block}) = {lines}.block()?"));
        segment.comment(&said(&step.op, &plan.source.schema, plan));
        let word = segment.variable(&step.schema.columns[0].name, &self.names, &[]);
        segment.open(&format!("for {word} in words({block})"));
        segment.columns = vec![Piece::borrowing(&word, ValueLayout::plain(Kind::Text), Hold::Row)];
        segment
    }

    /// The lines of files; `head` is the loop over what is called so.
    fn lines_of(&mut self, segment: &mut Segment, read: &Read, head: impl Fn(&str) -> String) {
        let path = |file: &File| format!("{:?}", file.path.to_str().unwrap_or_default());
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

    fn table(&mut self, segment: &mut Segment, kept: Kept, schema: &Schema) {
        let known = self.inputs.iter().find(|input| input.table == kept).cloned();
        let Input { name, columns, .. } = known.unwrap_or_else(|| {
            let columns = table_shapes(kept.table());
            let input = Input { name: self.fresh(segment, "table"), table: kept, columns };
            self.inputs.push(input.clone());
            input
        });
        let columns = schema.names().zip(&columns).map(|(name, shape)| (name, stored_input(shape)));
        self.borrowed_loop(segment, columns.collect(), |pattern| format!("for &{pattern} in {name}"), Hold::Program);
    }
}

/// Whether a step gives the words of the only column, lines of text.
pub(super) fn is_words_of_lines(op: &Op) -> bool {
    let Op::Explode(named) = op else { return false };
    let [Named { expr: Expr { node: Node::Call(Func::Words, args), .. }, .. }] = &named[..] else { return false };
    matches!(args[0].node, Node::Column(0))
}

/// What the columns of a table are: null only where there are nulls.
fn table_shapes(table: &Table) -> Vec<ValueLayout> {
    let columns = table.schema().columns.iter().zip(table.frame().columns()).enumerate();
    let shapes = columns.map(|(i, (column, series))| match &column.ty {
        Type::List(_) => ValueLayout::of_values(&table.values(i, 0, table.height()), &column.ty),
        ty => ValueLayout::new(ValueLayout::of_values([], ty).kind, series.null_count() > 0),
    });
    shapes.collect()
}

/// A column of a table that goes in: as [`ValueLayout::given`] says.
fn stored_input(shape: &ValueLayout) -> Stored {
    let hold = if matches!(shape.kind, Kind::List(_)) { Hold::Own } else { Hold::Program };
    (shape.clone(), hold)
}
