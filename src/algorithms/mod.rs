//! Algorithm families: one question, answered in several ways, with what theory claims of each. A family makes its
//! input from a size, a seed and a shape, and brings all results to one form, so that they can be proved equal. It
//! knows no clock: whoever measures gets a closure that does the work and nothing else.

mod anagrams;
mod counted;
mod duplicates;
mod edit_distance;
mod fibonacci;
mod matrices;
mod membership;
mod permutations;
mod prefix_sums;
mod primes;
mod random;
mod rows_or_columns;
mod searching;
mod sorting;
mod source;
mod strings;
mod subset_sums;
mod sudoku;
mod tournament;

use std::hint::black_box;

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::measure::growth::Class;

use random::Random;

/// All families, in the order of the help.
pub static ALL: &[&dyn Family] = &[
    &strings::STRINGS,
    &anagrams::ANAGRAMS,
    &membership::MEMBERSHIP,
    &searching::SEARCHING,
    &sorting::SORTING,
    &duplicates::DUPLICATES,
    &prefix_sums::PREFIX_SUMS,
    &fibonacci::FIBONACCI,
    &primes::PRIMES,
    &matrices::MATRICES,
    &edit_distance::EDIT_DISTANCE,
    &subset_sums::SUBSET_SUMS,
    &permutations::PERMUTATIONS,
    &sudoku::SUDOKU,
    &tournament::TOURNAMENT,
    &rows_or_columns::ROWS_OR_COLUMNS,
];

pub fn find(name: &str) -> Option<&'static dyn Family> {
    ALL.iter().copied().find(|family| family.facts().name == name)
}

/// One family, whatever the types of its input and results.
pub trait Family: Sync {
    fn facts(&self) -> &Facts;

    /// What its variants claim, in the order of the help.
    fn variants(&self) -> Vec<Claims>;

    /// The names of its shapes, each with a line about it; the first is the usual one.
    fn shapes(&self) -> Vec<(&'static str, &'static str)>;

    /// The input of this size: the same for the same seed and shape. An error where no shape has that name, or where
    /// the size is more than any variant is run with.
    fn case(&'static self, size: usize, seed: i64, shape: &str) -> Fallible<Box<dyn Case>>;

    /// A variant's function as it was written, then each thing of its file that it calls or names; none for an unknown
    /// name.
    fn source(&self, variant: &str) -> Option<Vec<&'static str>>;

    /// The text of a program that counts what variants do: lines `variant shape size seed` are its work. None where the
    /// file is not written as those of families are.
    fn counted(&self) -> Option<String>;
}

/// What a family is.
pub struct Facts {
    pub name: &'static str,
    /// The question, in one line.
    pub about: &'static str,
    /// What its size counts: "words".
    pub counts: &'static str,
    /// The sizes of a sweep where nobody chose others.
    pub sizes: &'static [usize],
    /// The same question in the language, as stages after the input, where that can be said.
    pub stages: Option<&'static str>,
    /// The text of its file.
    text: &'static str,
}

impl Facts {
    /// Whether a variant may have a hash table: Rust draws its seed anew in each run, so that its steps differ.
    pub fn may_draw_seeds(&self) -> bool {
        self.text.contains("Hash")
    }
}

/// What is said of a variant. Time and space are theory, to be checked by measuring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claims {
    /// Also that of its function.
    pub name: &'static str,
    pub about: &'static str,
    /// For the usual shape.
    pub time: Class,
    /// Of the heap and the stack, with the result, without the input.
    pub space: Class,
    /// Shapes for which the time is another.
    pub except: &'static [(&'static str, Class)],
    /// Its best and its worst shape, where no claim for a shape says so.
    pub cases: (Option<&'static str>, Option<&'static str>),
    /// The largest size that it is run with: one call takes a few seconds at most.
    pub most: usize,
    /// Whether it works on several threads: CPU time of one then tells little.
    pub threaded: bool,
    /// Why the time is a bound of the worst case alone, where theory says nothing of these inputs.
    pub bound: Option<&'static str>,
}

impl Claims {
    /// The time that is claimed for a shape.
    pub fn time_for(&self, shape: &str) -> Class {
        self.except.iter().find(|(except, _)| *except == shape).map_or(self.time, |(_, class)| *class)
    }

    /// The shape for which it is fastest, where `usual` is the first shape of the family.
    pub fn best<'s>(&self, usual: &'s str) -> &'s str {
        let least = self.except.iter().min_by_key(|(_, class)| *class).filter(|(_, class)| *class < self.time);
        self.cases.0.or(least.map(|(shape, _)| *shape)).unwrap_or(usual)
    }

    /// The shape for which it is slowest.
    pub fn worst<'s>(&self, usual: &'s str) -> &'s str {
        let most = self.except.iter().max_by_key(|(_, class)| *class).filter(|(_, class)| *class > self.time);
        self.cases.1.or(most.map(|(shape, _)| *shape)).unwrap_or(usual)
    }
}

/// An input that was made, and the variants that can be run on it.
pub trait Case: Send + Sync {
    /// The input as a pipeline takes it.
    fn input(&self) -> Table;

    /// What to time: each call does the work of the variant once and drops the result.
    fn call(&self, variant: &str) -> Fallible<Box<dyn Fn() + '_>>;

    /// What the variant finds; all variants give the same.
    fn result(&self, variant: &str) -> Fallible<Table>;
}

/// A family with the types of its input and of its variants' results.
struct Typed<I: ?Sized + 'static, O: 'static> {
    facts: Facts,
    shapes: &'static [Shape<I>],
    variants: &'static [Variant<I, O>],
    input: fn(&I) -> Table,
    output: fn(&I, O) -> Table,
}

struct Shape<I: ?Sized> {
    name: &'static str,
    about: &'static str,
    make: fn(usize, &mut Random) -> Box<I>,
}

struct Variant<I: ?Sized, O> {
    claims: Claims,
    run: fn(&I) -> O,
}

/// A row of a family's table of variants.
const fn variant<I: ?Sized, O>(
    name: &'static str,
    about: &'static str,
    time: Class,
    space: Class,
    most: usize,
    run: fn(&I) -> O,
) -> Variant<I, O> {
    Variant {
        claims: Claims {
            name,
            about,
            time,
            space,
            except: &[],
            cases: (None, None),
            most,
            threaded: false,
            bound: None,
        },
        run,
    }
}

impl<I: ?Sized, O> Variant<I, O> {
    const fn except(mut self, shapes: &'static [(&'static str, Class)]) -> Variant<I, O> {
        self.claims.except = shapes;
        self
    }

    const fn best(mut self, shape: &'static str) -> Variant<I, O> {
        self.claims.cases.0 = Some(shape);
        self
    }

    const fn worst(mut self, shape: &'static str) -> Variant<I, O> {
        self.claims.cases.1 = Some(shape);
        self
    }

    const fn threaded(mut self) -> Variant<I, O> {
        self.claims.threaded = true;
        self
    }

    const fn at_most(mut self, why: &'static str) -> Variant<I, O> {
        self.claims.bound = Some(why);
        self
    }
}

impl<I: ?Sized + Send + Sync, O> Family for Typed<I, O> {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn variants(&self) -> Vec<Claims> {
        self.variants.iter().map(|variant| variant.claims).collect()
    }

    fn shapes(&self) -> Vec<(&'static str, &'static str)> {
        self.shapes.iter().map(|shape| (shape.name, shape.about)).collect()
    }

    fn case(&'static self, size: usize, seed: i64, shape: &str) -> Fallible<Box<dyn Case>> {
        let Some(chosen) = self.shapes.iter().find(|known| known.name == shape) else {
            let message = format!("`{}` has no shape `{shape}`", self.facts.name);
            return Err(unknown(message, shape, self.shapes.iter().map(|shape| shape.name)));
        };
        let most = self.variants.iter().map(|variant| variant.claims.most).max().unwrap_or(0);
        if size > most {
            return Err(too_many(self.facts.name, most, self.facts.counts));
        }
        let input = (chosen.make)(size, &mut Random::new(seed));
        Ok(Box::new(GeneratedCase { family: self, size, input }))
    }

    fn source(&self, variant: &str) -> Option<Vec<&'static str>> {
        self.variants.iter().find(|known| known.claims.name == variant)?;
        source::cut(self.facts.text, variant)
    }

    fn counted(&self) -> Option<String> {
        counted::program(self.facts.text)
    }
}

struct GeneratedCase<I: ?Sized + 'static, O: 'static> {
    family: &'static Typed<I, O>,
    size: usize,
    input: Box<I>,
}

impl<I: ?Sized, O> GeneratedCase<I, O> {
    fn variant(&self, name: &str) -> Fallible<&'static Variant<I, O>> {
        let facts = &self.family.facts;
        let Some(variant) = self.family.variants.iter().find(|variant| variant.claims.name == name) else {
            let message = format!("`{}` has no variant `{name}`", facts.name);
            return Err(unknown(message, name, self.family.variants.iter().map(|variant| variant.claims.name)));
        };
        let most = variant.claims.most;
        if self.size > most { Err(too_many(name, most, facts.counts)) } else { Ok(variant) }
    }
}

impl<I: ?Sized + Send + Sync, O> Case for GeneratedCase<I, O> {
    fn input(&self) -> Table {
        (self.family.input)(&self.input)
    }

    fn call(&self, variant: &str) -> Fallible<Box<dyn Fn() + '_>> {
        let run = self.variant(variant)?.run;
        Ok(Box::new(move || drop(black_box(run(black_box(&*self.input))))))
    }

    fn result(&self, variant: &str) -> Fallible<Table> {
        Ok((self.family.output)(&self.input, (self.variant(variant)?.run)(&self.input)))
    }
}

fn unknown(message: String, name: &str, known: impl Iterator<Item = &'static str>) -> Box<Diagnostic> {
    let names: Vec<&str> = known.collect();
    let error = Diagnostic::new(Kind::Name, message).near(name, names.iter().copied());
    if error.hint.is_some() { error } else { error.hint(format!("there are {}", names.join(", "))) }
}

fn too_many(name: &str, most: usize, counts: &str) -> Box<Diagnostic> {
    let message = format!("`{name}` is not run with more than {most} {counts}");
    Diagnostic::new(Kind::Domain, message).hint("a smaller size tells as much")
}

/// A table of one column.
fn column(name: &str, ty: Type, order: Order, values: Vec<Value>) -> Table {
    table(order, vec![(name, ty, values)])
}

/// A table of one column `it` of ints, in order.
fn ints(values: impl IntoIterator<Item = i64>) -> Table {
    column("it", Type::Int, Order::Kept, values.into_iter().map(Value::Int).collect())
}

/// A table of columns of one length.
fn table(order: Order, columns: Vec<(&str, Type, Vec<Value>)>) -> Table {
    let height = columns.first().map_or(0, |(_, _, values)| values.len());
    let (mut heads, mut bodies) = (Vec::new(), Vec::new());
    for (name, ty, values) in columns {
        heads.push(Column { name: name.to_string(), ty });
        bodies.push(values);
    }
    Table::from_columns(Schema::new(heads, order), height, &bodies)
}
