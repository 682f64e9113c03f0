//! One row for each element of a list: words, characters and parts of texts as places in the old bytes, ints of a range,
//! and all other lists as values.

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::functions::Func;
use crate::job::Job;
use crate::kernel::{Batch, Code, Column, Compiler, Data, Nulls, Place, Scope, Slots, Texts, Words};
use crate::plan::{Expr, Node};
use crate::rowwise::Program;

use super::flow::{Operator, Sink};

pub struct Explode<'a> {
    list: List,
    /// Of the elements.
    ty: Type,
    program: &'a Program,
    job: &'a Job,
}

enum List {
    Words(Code),
    Chars(Code),
    Values(Code),
}

impl<'a> Explode<'a> {
    pub fn new(list: &Expr, compiler: &Compiler, program: &'a Program, job: &'a Job) -> Explode<'a> {
        let ty = match &list.ty {
            Type::List(of) => (**of).clone(),
            other => other.clone(),
        };
        let list = match &list.node {
            Node::Call(Func::Words, args) => List::Words(compiler.compile(&args[0])),
            Node::Call(Func::Chars, args) => List::Chars(compiler.compile(&args[0])),
            _ => List::Values(compiler.compile(list)),
        };
        Explode { list, ty, program, job }
    }
}

impl Operator for Explode<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let scope = Scope::new(&batch, self.program, &self.job.stop);
        let (List::Words(code) | List::Chars(code) | List::Values(code)) = &self.list;
        let column = code.value(scope).map_err(|fault| fault.diagnostic(None))?;
        if matches!(column.nulls, Nulls::All) {
            return Ok(true);
        }
        let mut give = Giving {
            batch,
            texts: None,
            spaced: false,
            places: Vec::with_capacity(2 * self.job.portion.rows),
            job: self.job,
            next,
        };
        match (&self.list, &column.data) {
            (List::Words(_), Data::Text(texts)) => {
                give.texts = Some(texts);
                give.words(texts, &column.nulls)
            }
            (List::Chars(_), Data::Text(texts)) => {
                give.texts = Some(texts);
                give.chars(texts, &column.nulls)
            }
            (List::Values(_), _) => give.values(&column, &self.ty),
            _ => Err(Diagnostic::new(Kind::System, "a list of texts comes of a text")),
        }
    }
}

/// Elements on their way to the next op.
struct Giving<'t, 'n, 's> {
    batch: Batch,
    /// What the places are in.
    texts: Option<&'t Texts>,
    /// Nothing but white space stands between the places.
    spaced: bool,
    places: Vec<Place>,
    job: &'t Job,
    next: &'n mut Sink<'s>,
}

impl Giving<'_, '_, '_> {
    fn words(mut self, texts: &Texts, nulls: &Nulls) -> Fallible<bool> {
        if let (true, Nulls::None, Slots::Each(places)) = (texts.spaced, nulls, &texts.places)
            && let [first, .., last] = &places[..]
        {
            // Nothing but white space stands between the texts: all of them are one stretch.
            self.spaced = true;
            let stretch = Words::new(texts.bytes(), first.start, last.start + last.len as usize, texts.ascii);
            return Ok(self.stretch(stretch)? && self.flush()?);
        }
        for row in 0..self.batch.rows {
            if !nulls.at(row) {
                let place = texts.places.at(row);
                let end = place.start + place.len as usize;
                if !self.stretch(Words::new(texts.bytes(), place.start, end, texts.ascii))? {
                    return Ok(false);
                }
            }
        }
        self.flush()
    }

    fn stretch(&mut self, mut words: Words) -> Fallible<bool> {
        while words.next(self.job.portion.rows, &mut self.places) {
            if self.places.len() >= self.job.portion.rows && !self.flush()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn chars(mut self, texts: &Texts, nulls: &Nulls) -> Fallible<bool> {
        for row in (0..self.batch.rows).filter(|row| !nulls.at(*row)) {
            let place = texts.places.at(row);
            for (at, c) in texts.at(row).char_indices() {
                self.places.push(Place { start: place.start + at, len: c.len_utf8() as u32 });
                if self.places.len() >= self.job.portion.rows && !self.flush()? {
                    return Ok(false);
                }
            }
        }
        self.flush()
    }

    /// Gives the places so far as a batch of texts.
    fn flush(&mut self) -> Fallible<bool> {
        let (Some(texts), false) = (self.texts, self.places.is_empty()) else { return Ok(true) };
        self.job.check()?;
        let rows = self.places.len();
        let places = std::mem::replace(&mut self.places, Vec::with_capacity(2 * self.job.portion.rows));
        // SAFETY: words and characters of a text are texts.
        let texts = unsafe { texts.at_places(places) };
        (self.next)(Batch { rows, columns: vec![Column::texts(texts.spaced(self.spaced))] })
    }

    fn values(self, column: &Column, ty: &Type) -> Fallible<bool> {
        let mut elements = Vec::with_capacity(self.job.portion.rows);
        for row in 0..self.batch.rows {
            let Value::List(items) = column.value(row) else { continue };
            let mut items = &items[..];
            while !items.is_empty() {
                let (now, rest) = items.split_at(items.len().min(self.job.portion.rows - elements.len()));
                elements.extend_from_slice(now);
                items = rest;
                if elements.len() == self.job.portion.rows {
                    self.job.check()?;
                    let full = std::mem::replace(&mut elements, Vec::with_capacity(self.job.portion.rows));
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
