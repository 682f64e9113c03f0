//! One row for each element of a list: words, characters and parts of texts as places in the old bytes, ints of a
//! range, and all other lists as values.

use std::ops::Range;
use std::sync::Arc;

use polars_arrow::array::View;

use crate::data::{Type, Value, scalar};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::functions::Func;
use crate::kernel::{Batch, Column, Compiled, Compiler, Data, Nulls, Place, Scope, Texts, Words, view};
use crate::plan::{Expr, Named, Node, Op};
use crate::rowwise::{Program, RowError, unequal_lists};
use crate::run_context::RunContext;

use super::operator::{Operator, Sink};

pub struct Explode<'a> {
    list: List,
    /// Of the elements.
    ty: Type,
    /// The columns beside the first one, and the types of their elements, where they are lists.
    beside: Vec<(Compiled, Option<Type>)>,
    program: &'a Program,
    context: &'a RunContext,
}

enum List {
    Words(Compiled),
    Chars(Compiled),
    /// The start and the end of a `range`, and the whole list: a range is not made, its ints come as rows.
    Range(Compiled, Compiled, Compiled),
    Values(Compiled),
}

/// The text whose words or characters an op gives as rows.
pub fn of_text(op: &Op) -> Option<&Expr> {
    match op {
        Op::Explode(named) => match &named[..] {
            [Named { expr: Expr { node: Node::Call(Func::Words | Func::Chars, args), .. }, .. }] => args.first(),
            _ => None,
        },
        _ => None,
    }
}

impl<'a> Explode<'a> {
    pub fn new(named: &[Named], compiler: &Compiler, program: &'a Program, context: &'a RunContext) -> Explode<'a> {
        let (first, rest) = named.split_first().expect("an explode has a list");
        let list = &first.expr;
        let beside = rest.iter().map(|Named { expr, .. }| {
            let of = if let Type::List(of) = &expr.ty { Some((**of).clone()) } else { None };
            (compiler.compile(expr), of)
        });
        let beside: Vec<(Compiled, Option<Type>)> = beside.collect();
        let ty = match &list.ty {
            Type::List(of) => (**of).clone(),
            other => other.clone(),
        };
        let list = match &list.node {
            _ if !beside.is_empty() => List::Values(compiler.compile(list)),
            Node::Call(Func::Words, args) => List::Words(compiler.compile(&args[0])),
            Node::Call(Func::Chars, args) => List::Chars(compiler.compile(&args[0])),
            Node::Call(Func::Range, args) => {
                List::Range(compiler.compile(&args[0]), compiler.compile(&args[1]), compiler.compile(list))
            }
            _ => List::Values(compiler.compile(list)),
        };
        Explode { list, ty, beside, program, context }
    }
}

impl Operator for Explode<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let scope = Scope::new(&batch, self.program, &self.context.stop);
        if let List::Range(start, end, _) = &self.list {
            let wrong = |fault: Box<RowError>| fault.diagnostic(None);
            let (starts, ends) = (start.value(scope).map_err(wrong)?, end.value(scope).map_err(wrong)?);
            if let Some(ranges) = ranges(&starts, &ends, batch.rows) {
                return self.ints(ranges, next);
            }
        }
        let (List::Words(code) | List::Chars(code) | List::Values(code) | List::Range(_, _, code)) = &self.list;
        let column = code.value(scope).map_err(|fault| fault.diagnostic(None))?;
        if !self.beside.is_empty() {
            return self.several(&column, &batch, next);
        }
        if matches!(column.nulls, Nulls::All) {
            return Ok(true);
        }
        let give =
            Giving { batch, views: Vec::with_capacity(2 * self.context.chunk_sizes.rows), context: self.context, next };
        match (&self.list, &column.data) {
            (List::Words(_), Data::Text(texts)) => give.words(texts, &column.nulls),
            (List::Chars(_), Data::Text(texts)) => give.chars(texts, &column.nulls),
            (List::Values(_) | List::Range(..), _) => give.values(&column, &self.ty),
            _ => Err(Diagnostic::new(Kind::System, "a list of texts comes of a text")),
        }
    }

    fn multiplies(&self) -> bool {
        // A batch of texts holds few bytes more than were read at once.
        matches!(self.list, List::Values(_) | List::Range(..))
    }
}

impl Explode<'_> {
    /// Gives the elements of a list with what stands beside them.
    fn several(&self, first: &Column, batch: &Batch, next: &mut Sink) -> Fallible<bool> {
        let scope = Scope::new(batch, self.program, &self.context.stop);
        let beside = self.beside.iter().map(|(code, _)| code.value(scope)).collect::<Result<Vec<Column>, _>>();
        let beside = beside.map_err(|fault| fault.diagnostic(None))?;
        let none = || Elements { rows: Vec::new(), first: Vec::new(), others: vec![Vec::new(); beside.len()] };
        let mut elements = none();
        for row in 0..batch.rows {
            let items = items(first, row);
            for (i, (column, (_, of))) in beside.iter().zip(&self.beside).enumerate() {
                if of.is_some() {
                    let others = self::items(column, row);
                    if others.len() != items.len() {
                        return Err(unequal_lists(items.len(), others.len()));
                    }
                    elements.others[i].extend_from_slice(&others);
                }
            }
            elements.rows.resize(elements.rows.len() + items.len(), row as u32);
            elements.first.extend_from_slice(&items);
            if elements.rows.len() >= self.context.chunk_sizes.rows {
                self.context.check()?;
                if !next(self.batch(std::mem::replace(&mut elements, none()), &beside))? {
                    return Ok(false);
                }
            }
        }
        if elements.rows.is_empty() { Ok(true) } else { next(self.batch(elements, &beside)) }
    }

    fn batch(&self, elements: Elements, beside: &[Column]) -> Batch {
        let Elements { rows, first, others } = elements;
        let others = beside.iter().zip(&self.beside).zip(others).map(|((column, (_, of)), elements)| match of {
            Some(ty) => Column::from_values(elements, ty),
            None => column.gathered(&rows),
        });
        let columns = std::iter::once(Column::from_values(first, &self.ty)).chain(others).collect();
        Batch { rows: rows.len(), columns }
    }

    /// Gives the ints of ranges.
    fn ints(&self, ranges: Vec<Range<i64>>, next: &mut Sink) -> Fallible<bool> {
        let most = self.context.chunk_sizes.rows;
        let mut ints = Vec::with_capacity(most);
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let length = (range.end - at).min((most - ints.len()) as i64);
                ints.extend(at..at + length);
                at += length;
                if ints.len() == most {
                    self.context.check()?;
                    let full = std::mem::replace(&mut ints, Vec::with_capacity(most));
                    if !next(Batch { rows: most, columns: vec![Column::ints(full, None)] })? {
                        return Ok(false);
                    }
                }
            }
        }
        match ints.len() {
            0 => Ok(true),
            rows => next(Batch { rows, columns: vec![Column::ints(ints, None)] }),
        }
    }
}

/// Elements of several lists, and the rows that these stand in.
struct Elements {
    rows: Vec<u32>,
    first: Vec<Value>,
    /// Empty for a column that is no list.
    others: Vec<Vec<Value>>,
}

/// The elements in a row of a column of lists; null has none.
fn items(column: &Column, row: usize) -> Arc<[Value]> {
    if let Value::List(items) = column.value(row) { items } else { Arc::from([]) }
}

/// The ranges of all rows that have one; none where one is too long, which its list tells.
fn ranges(starts: &Column, ends: &Column, rows: usize) -> Option<Vec<Range<i64>>> {
    let mut found = Vec::with_capacity(rows);
    for row in 0..rows {
        if let (Value::Int(start), Value::Int(end)) = (starts.value(row), ends.value(row)) {
            found.push(scalar::range(start, end).ok()?);
        }
    }
    Some(found)
}

/// Elements on their way to the next op.
struct Giving<'t, 'n, 's> {
    batch: Batch,
    views: Vec<View>,
    context: &'t RunContext,
    next: &'n mut Sink<'s>,
}

impl Giving<'_, '_, '_> {
    fn words(mut self, texts: &Texts, nulls: &Nulls) -> Fallible<bool> {
        if let (Nulls::None, Some((bytes, stretch))) = (nulls, texts.stretch()) {
            let words = Words::new(bytes, stretch.start, stretch.end, stretch.ascii);
            let mut places = Vec::with_capacity(2 * self.context.chunk_sizes.rows);
            return self.stretch(texts, bytes, words, &mut places);
        }
        for row in (0..self.batch.rows).filter(|row| !nulls.at(*row)) {
            for word in texts.at(row).split_whitespace() {
                self.views.push(texts.part(row, word));
                if self.views.len() >= self.context.chunk_sizes.rows && !self.flush(texts)? {
                    return Ok(false);
                }
            }
        }
        self.flush(texts)
    }

    /// The words of all texts at once: nothing but white space stands between these.
    fn stretch(&mut self, texts: &Texts, bytes: &[u8], mut words: Words, places: &mut Vec<Place>) -> Fallible<bool> {
        loop {
            let more = words.next(self.context.chunk_sizes.rows, places);
            self.views.extend(places.drain(..).map(|place| view(bytes, place.start, place.len, 0)));
            if !self.flush(texts)? {
                return Ok(false);
            }
            if !more {
                return Ok(true);
            }
        }
    }

    fn chars(mut self, texts: &Texts, nulls: &Nulls) -> Fallible<bool> {
        for row in (0..self.batch.rows).filter(|row| !nulls.at(*row)) {
            for c in texts.at(row).chars() {
                self.views.push(View::new_inline(c.encode_utf8(&mut [0; 4]).as_bytes()));
                if self.views.len() >= self.context.chunk_sizes.rows && !self.flush(texts)? {
                    return Ok(false);
                }
            }
        }
        self.flush(texts)
    }

    /// Gives the views so far as a batch of texts.
    fn flush(&mut self, texts: &Texts) -> Fallible<bool> {
        let rows = self.views.len();
        if rows == 0 {
            return Ok(true);
        }
        self.context.check()?;
        let views = std::mem::replace(&mut self.views, Vec::with_capacity(rows));
        // SAFETY: words and characters of a text are texts, in the same buffers.
        let texts = unsafe { texts.others(views) };
        (self.next)(Batch { rows, columns: vec![Column::texts(texts)] })
    }

    fn values(self, column: &Column, ty: &Type) -> Fallible<bool> {
        let mut elements = Vec::with_capacity(self.context.chunk_sizes.rows);
        for row in 0..self.batch.rows {
            let Value::List(items) = column.value(row) else { continue };
            let mut items = &items[..];
            while !items.is_empty() {
                let (now, rest) = items.split_at(items.len().min(self.context.chunk_sizes.rows - elements.len()));
                elements.extend_from_slice(now);
                items = rest;
                if elements.len() == self.context.chunk_sizes.rows {
                    self.context.check()?;
                    let full = std::mem::replace(&mut elements, Vec::with_capacity(self.context.chunk_sizes.rows));
                    let batch = Batch { rows: full.len(), columns: vec![Column::from_values(full, ty)] };
                    if !(self.next)(batch)? {
                        return Ok(false);
                    }
                }
            }
        }
        match elements.len() {
            0 => Ok(true),
            rows => (self.next)(Batch { rows, columns: vec![Column::from_values(elements, ty)] }),
        }
    }
}
