//! The closed set of operations that engines know.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::data::{Column, Order, Schema, Table, Type, Value, bits};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::lang::Comparison;
use crate::sources;

use super::aggregates::{self, NumbersToFloat};
use super::{Expr, Prepared, Rounds};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step<O = Op> {
    pub op: O,
    /// The table that flows out.
    pub schema: Schema,
    pub span: Span,
}

/// What engines do with the table that flows in. `P` is what the plans inside it are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Op<P = Prepared> {
    /// These columns, in this order.
    Project(Vec<Named>),
    Filter(Expr),
    /// One row for each element of the first column, which is a list; null is an empty one. Of the other columns, those
    /// that are lists give their element at the same place, and must have as many; the others are repeated.
    Explode(Vec<Named>),
    /// Skips `offset` rows, then passes at most `length`.
    Slice {
        offset: u64,
        length: Option<u64>,
    },
    /// A total order: the keys end with all columns that are not keys by themselves. With a limit, only the first rows.
    Sort {
        keys: Vec<SortKey>,
        limit: Option<u64>,
    },
    Reverse,
    /// Adds an int column at the end: the number of the row, from 0.
    Number,
    /// The first row of each key; without keys, of each row.
    Distinct(Option<Vec<Expr>>),
    /// One row for each key, or one row in all without keys: keys, then aggregates.
    Aggregate {
        keys: Vec<Named>,
        aggs: Vec<Agg>,
    },
    /// `acc` from `start` through every row; with `each`, every step is a row. The only column is `acc`.
    Fold {
        start: Value,
        step: Named,
        each: bool,
    },
    /// Left columns, then those columns of the right plan that `right_columns` names. `Semi` and `Anti` have none.
    Join {
        kind: JoinKind,
        right: Box<P>,
        on: Vec<(Expr, Expr)>,
        right_columns: Vec<usize>,
    },
    /// The rows of the input, then those of each plan; all have the same columns.
    Concat(Vec<P>),
    /// The columns of the input, then those of each plan, row by row; all have the same number of rows.
    Zip(Vec<P>),
    /// For all rows i < j the two values of the only column, in order of i and then j.
    Pairs,
    /// The rows whose numbers have the `count` least hashes, in their order.
    Sample {
        count: u64,
        seed: i64,
    },
    /// Shows the first rows that pass.
    Peek {
        count: u64,
        label: String,
    },
    /// Adds up what these are in each row that passes, under their names: ints as they are, a true bool as 1.
    Tally(Vec<Named>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// Ints from `start` to, but without, `end`; without an end they never end.
    Range {
        start: i64,
        end: Option<i64>,
    },
    /// Rows of one column.
    Values(Arc<[Value]>),
    Read(Read),
    /// Rows that are made by their numbers.
    Generated {
        #[serde(with = "sources")]
        what: &'static sources::Source,
        count: u64,
        seed: i64,
    },
    /// A table that was computed before.
    Kept(Kept),
    /// What the last round of a block gives. The session runs the rounds, and hands engines [`Source::Kept`] in its
    /// place.
    Iterated(Box<Iterated>),
}

/// A block that is run in rounds, and what the first one gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Iterated {
    pub input: Prepared,
    pub rounds: Rounds<Prepared>,
}

impl Iterated {
    /// The error of an engine that is handed rounds: they are no work of its own.
    pub fn not_run() -> Box<Diagnostic> {
        Diagnostic::new(Kind::System, "the rounds of this `iterate` were not run")
    }
}

/// A computed table. Two are equal when they are the same one; in another process its number stands for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    id: u64,
    #[serde(skip, default = "no_table")]
    table: Arc<Table>,
}

/// Stands for a table that was not found yet.
fn no_table() -> Arc<Table> {
    Arc::new(Table::stacked(&Schema::new(Vec::new(), Order::Kept), []))
}

impl Kept {
    pub fn new(table: Arc<Table>) -> Kept {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Kept { id: NEXT.fetch_add(1, Ordering::Relaxed), table }
    }

    /// No other table of this process has this number.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The same number for a table that was found beside the plan.
    pub(super) fn found(self, table: Arc<Table>) -> Kept {
        Kept { table, ..self }
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Kept) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }
}

/// A shared value that is compared by identity.
#[derive(Debug)]
pub struct Shared<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T: ?Sized> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Files and how to read them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// At least one, in order.
    pub files: Vec<File>,
    /// The path or pattern as the person wrote it.
    pub shown: String,
    pub format: Format,
    /// All columns of the file.
    pub fields: Vec<Field>,
    /// Those that are wanted, by their place in `fields`.
    pub wanted: Vec<usize>,
    /// Only rows within all of these matter: the step after the source leaves out the others.
    pub bounds: Vec<Bound>,
}

/// What a row must satisfy: a comparison of a column with a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Its place among the fields of the file.
    pub field: usize,
    pub comparison: Comparison,
    pub value: Value,
}

impl Read {
    /// The columns whose types the user states.
    pub fn stated(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_stated())
    }

    /// The length of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.seen.0).sum()
    }
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    /// Open where the sample has no value of it.
    pub ty: Type,
    pub basis: Basis,
}

/// Why a column of a file has its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Basis {
    /// It is the first that fits all values of the sample, or that of the file's own schema.
    Inferred,
    /// The user states it.
    Stated,
    /// The sample has no value of it, and an expression takes it for another type than text: it is open, and has only
    /// nulls.
    Nothing,
    /// It is text because this int beyond 64 bits stands among its numbers.
    LargeInt(String),
    /// The sample has nothing but this text, which is null in a column of numbers or bools, and others like it.
    NullText(String),
    /// Only the number of rows is wanted, and a row has at least one column: nothing of it is converted.
    Unused,
    /// The file has it in a type that is not read; in words. Only who reads the column is told.
    Unreadable(String),
}

impl Field {
    pub fn column(&self) -> Column {
        Column { name: self.name.clone(), ty: self.ty.clone() }
    }

    pub fn is_stated(&self) -> bool {
        self.basis == Basis::Stated
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub path: PathBuf,
    /// Its name for messages.
    pub shown: String,
    /// Length and time of last change when the plan was made.
    pub seen: (u64, Option<SystemTime>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Format {
    /// One column, `line`. `lossy` replaces bytes that are not UTF-8.
    Text {
        lossy: bool,
    },
    Csv(CsvOptions),
    /// An object a line, or an array of objects unless the file's name says that it has lines.
    Json {
        only_lines: bool,
    },
    Parquet,
    /// Arrow's ipc file format.
    Arrow,
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub path: PathBuf,
    /// As the person wrote it.
    pub shown: String,
    pub format: Format,
    /// The files of a folder that the rows are divided among; else they are one file.
    pub parts: Option<u32>,
}

impl Format {
    /// As the language names it.
    pub fn name(&self) -> &'static str {
        match self {
            Format::Text { .. } => "text",
            Format::Csv(_) => "csv",
            Format::Json { .. } => "json",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CsvOptions {
    pub separator: u8,
    /// Nobody said which one it is: the first records told.
    pub is_detected: bool,
    pub header: bool,
    /// The names of the columns, where there is no header and the user gives them.
    pub names: Option<Vec<String>>,
    /// Texts that are null; without them those of [`CsvOptions::NULL_TEXTS`] in columns of numbers and bools.
    pub nulls: Option<Vec<String>>,
    /// Lines that begin with it are passed over.
    pub comment: Option<u8>,
    /// Missing fields are null, fields beyond the columns are left out.
    pub ragged: bool,
    pub lossy: bool,
}

impl CsvOptions {
    /// What stands for null in the files of R, pandas and databases.
    pub const NULL_TEXTS: [&str; 6] = ["NA", "N/A", "n/a", "NULL", "null", "None"];

    /// The options of a file with this separator; without one it is to be detected.
    pub fn separated(separator: Option<u8>) -> CsvOptions {
        CsvOptions {
            separator: separator.unwrap_or(b','),
            is_detected: separator.is_none(),
            header: true,
            names: None,
            nulls: None,
            comment: None,
            ragged: false,
            lossy: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    pub expr: Expr,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinKind {
    Inner,
    Left,
    Semi,
    Anti,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agg {
    pub name: String,
    pub func: AggFunc,
    /// What is aggregated; `Rows` has none.
    pub arg: Option<Expr>,
    pub ty: Type,
}

/// Aggregates skip nulls, but for `Rows`, `First`, `Last` and `Collect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AggFunc {
    /// Rows.
    Rows,
    /// Values that are not null.
    Count,
    /// Ints are summed in 128 bits; only a sum that is no int is an error. Of nothing: 0.
    Sum,
    Mean,
    Min,
    Max,
    Median,
    /// With linear interpolation.
    Quantile(#[serde(with = "bits")] f64),
    /// Of a sample: divided by n − 1.
    Std,
    /// An ordinary function of all numbers.
    NumbersToFloat(#[serde(with = "aggregates")] &'static NumbersToFloat),
    First,
    Last,
    Distinct,
    /// All values as a list, in input order.
    Collect,
    /// All values by an associative expression over `acc` and the argument's value, which is `Column(0)` in it.
    Reduce(Box<Expr>),
    /// Texts with this between.
    JoinText(String),
}

impl AggFunc {
    /// As the language names it.
    pub fn name(&self) -> &'static str {
        match self {
            AggFunc::Rows | AggFunc::Count => "count",
            AggFunc::Sum => "sum",
            AggFunc::Mean => "mean",
            AggFunc::Min => "min",
            AggFunc::Max => "max",
            AggFunc::Median => "median",
            AggFunc::Quantile(_) => "quantile",
            AggFunc::Std => "std",
            AggFunc::NumbersToFloat(function) => function.name,
            AggFunc::First => "first",
            AggFunc::Last => "last",
            AggFunc::Distinct => "n_distinct",
            AggFunc::Collect => "group",
            AggFunc::Reduce(_) => "reduce",
            AggFunc::JoinText(_) => "join",
        }
    }

    /// Whether the result depends on the order of the rows.
    pub fn needs_order(&self) -> bool {
        match self {
            AggFunc::First | AggFunc::Last | AggFunc::Collect | AggFunc::JoinText(_) => true,
            AggFunc::Rows
            | AggFunc::Count
            | AggFunc::Sum
            | AggFunc::Mean
            | AggFunc::Min
            | AggFunc::Max
            | AggFunc::Median
            | AggFunc::Quantile(_)
            | AggFunc::Std
            | AggFunc::NumbersToFloat(_)
            | AggFunc::Reduce(_)
            | AggFunc::Distinct => false,
        }
    }
}

/// Which rows of its input an op must see to give a row: what a parallel engine may split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It has no input.
    Source,
    /// One: any split of the rows works. A join sees all of its right side, `concat` the rows of each input.
    Row,
    /// All, in any split: what the parts give is merged.
    All,
    /// The whole input in its order.
    Seq,
}

impl Reach {
    /// As `%explain` says it.
    pub fn name(self) -> &'static str {
        match self {
            Reach::Source => "source",
            Reach::Row => "row",
            Reach::All => "all",
            Reach::Seq => "seq",
        }
    }
}

/// Whose columns an expression of an op sees.
#[derive(Clone, Copy, PartialEq)]
enum Over {
    /// The table that flows in.
    Input,
    /// The right side of a join.
    Right,
    /// The value that is reduced.
    Reduced,
}

impl<P> Op<P> {
    /// Which rows this op must see. `is_numbered` says whether a part of its input knows the number of its first row.
    pub(super) fn reach(&self, is_numbered: bool) -> Reach {
        match self {
            Op::Project(_) | Op::Filter(_) | Op::Explode(_) | Op::Join { .. } | Op::Concat(_) | Op::Tally(_) => {
                Reach::Row
            }
            Op::Sample { .. } | Op::Peek { .. } if is_numbered => Reach::Row,
            Op::Sample { .. } | Op::Peek { .. } => Reach::Seq,
            Op::Sort { .. } | Op::Distinct(_) | Op::Aggregate { .. } | Op::Pairs => Reach::All,
            Op::Slice { .. } | Op::Reverse | Op::Number | Op::Fold { .. } | Op::Zip(_) => Reach::Seq,
        }
    }

    /// Whether a part of what this op gives knows the number of its first row, if a part of its input does.
    pub(super) fn keeps_numbers(&self) -> bool {
        match self {
            Op::Project(_) | Op::Number | Op::Peek { .. } | Op::Tally(_) => true,
            Op::Filter(_)
            | Op::Explode(_)
            | Op::Slice { .. }
            | Op::Sort { .. }
            | Op::Reverse
            | Op::Distinct(_)
            | Op::Aggregate { .. }
            | Op::Fold { .. }
            | Op::Join { .. }
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Sample { .. } => false,
        }
    }

    /// Whether it gives what comes of all its input, however that is split.
    pub fn is_breaker(&self) -> bool {
        match self {
            Op::Sort { .. } | Op::Reverse | Op::Aggregate { .. } | Op::Pairs | Op::Sample { .. } => true,
            Op::Project(_)
            | Op::Filter(_)
            | Op::Explode(_)
            | Op::Slice { .. }
            | Op::Number
            | Op::Distinct(_)
            | Op::Fold { .. }
            | Op::Join { .. }
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Peek { .. }
            | Op::Tally(_) => false,
        }
    }

    /// All expressions of this op.
    pub fn exprs(&self) -> Vec<&Expr> {
        self.exprs_over().into_iter().map(|(_, expr)| expr).collect()
    }

    /// All expressions of this op, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        self.exprs_over_mut().into_iter().map(|(_, expr)| expr).collect()
    }

    /// The expressions over the table that flows in.
    pub fn input_exprs(&self) -> Vec<&Expr> {
        self.exprs_over().into_iter().filter(|(over, _)| *over == Over::Input).map(|(_, expr)| expr).collect()
    }

    /// The expressions over the table that flows in, to be changed.
    pub fn input_exprs_mut(&mut self) -> Vec<&mut Expr> {
        self.exprs_over_mut().into_iter().filter(|(over, _)| *over == Over::Input).map(|(_, expr)| expr).collect()
    }

    fn exprs_over(&self) -> Vec<(Over, &Expr)> {
        let input = |expr| (Over::Input, expr);
        match self {
            Op::Slice { .. }
            | Op::Reverse
            | Op::Number
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Sample { .. }
            | Op::Peek { .. }
            | Op::Distinct(None) => Vec::new(),
            Op::Project(named) | Op::Tally(named) => named.iter().map(|named| input(&named.expr)).collect(),
            Op::Filter(expr) => vec![input(expr)],
            Op::Explode(named) => named.iter().map(|named| input(&named.expr)).collect(),
            Op::Sort { keys, .. } => keys.iter().map(|key| input(&key.expr)).collect(),
            Op::Distinct(Some(by)) => by.iter().map(input).collect(),
            Op::Aggregate { keys, aggs } => {
                let args = aggs.iter().flat_map(|agg| {
                    let step =
                        if let AggFunc::Reduce(step) = &agg.func { Some((Over::Reduced, &**step)) } else { None };
                    agg.arg.iter().map(input).chain(step)
                });
                keys.iter().map(|key| input(&key.expr)).chain(args).collect()
            }
            Op::Fold { step, .. } => vec![input(&step.expr)],
            Op::Join { on, .. } => on.iter().flat_map(|(left, right)| [input(left), (Over::Right, right)]).collect(),
        }
    }

    fn exprs_over_mut(&mut self) -> Vec<(Over, &mut Expr)> {
        let input = |expr| (Over::Input, expr);
        match self {
            Op::Slice { .. }
            | Op::Reverse
            | Op::Number
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Sample { .. }
            | Op::Peek { .. }
            | Op::Distinct(None) => Vec::new(),
            Op::Project(named) | Op::Tally(named) => named.iter_mut().map(|named| input(&mut named.expr)).collect(),
            Op::Filter(expr) => vec![input(expr)],
            Op::Explode(named) => named.iter_mut().map(|named| input(&mut named.expr)).collect(),
            Op::Sort { keys, .. } => keys.iter_mut().map(|key| input(&mut key.expr)).collect(),
            Op::Distinct(Some(by)) => by.iter_mut().map(input).collect(),
            Op::Aggregate { keys, aggs } => {
                let args = aggs.iter_mut().flat_map(|agg| {
                    let step = if let AggFunc::Reduce(step) = &mut agg.func {
                        Some((Over::Reduced, &mut **step))
                    } else {
                        None
                    };
                    agg.arg.iter_mut().map(input).chain(step)
                });
                keys.iter_mut().map(|key| input(&mut key.expr)).chain(args).collect()
            }
            Op::Fold { step, .. } => vec![input(&mut step.expr)],
            Op::Join { on, .. } => {
                on.iter_mut().flat_map(|(left, right)| [input(left), (Over::Right, right)]).collect()
            }
        }
    }

    /// The plans inside this op.
    pub fn plans(&self) -> Vec<&P> {
        match self {
            Op::Join { right, .. } => vec![right],
            Op::Concat(plans) | Op::Zip(plans) => plans.iter().collect(),
            Op::Project(_)
            | Op::Filter(_)
            | Op::Explode(_)
            | Op::Slice { .. }
            | Op::Sort { .. }
            | Op::Reverse
            | Op::Number
            | Op::Distinct(_)
            | Op::Aggregate { .. }
            | Op::Fold { .. }
            | Op::Pairs
            | Op::Sample { .. }
            | Op::Peek { .. }
            | Op::Tally(_) => Vec::new(),
        }
    }

    /// The same, to be changed.
    pub fn plans_mut(&mut self) -> Vec<&mut P> {
        match self {
            Op::Join { right, .. } => vec![right],
            Op::Concat(plans) | Op::Zip(plans) => plans.iter_mut().collect(),
            Op::Project(_)
            | Op::Filter(_)
            | Op::Explode(_)
            | Op::Slice { .. }
            | Op::Sort { .. }
            | Op::Reverse
            | Op::Number
            | Op::Distinct(_)
            | Op::Aggregate { .. }
            | Op::Fold { .. }
            | Op::Pairs
            | Op::Sample { .. }
            | Op::Peek { .. }
            | Op::Tally(_) => Vec::new(),
        }
    }

    /// The same op with other plans inside it.
    pub(super) fn with_plans<Q>(self, mut change: impl FnMut(P) -> Fallible<Q>) -> Fallible<Op<Q>> {
        Ok(match self {
            Op::Join { kind, right, on, right_columns } => {
                Op::Join { kind, right: Box::new(change(*right)?), on, right_columns }
            }
            Op::Concat(plans) => Op::Concat(plans.into_iter().map(change).collect::<Fallible<_>>()?),
            Op::Zip(plans) => Op::Zip(plans.into_iter().map(change).collect::<Fallible<_>>()?),
            Op::Project(columns) => Op::Project(columns),
            Op::Filter(condition) => Op::Filter(condition),
            Op::Explode(columns) => Op::Explode(columns),
            Op::Slice { offset, length } => Op::Slice { offset, length },
            Op::Sort { keys, limit } => Op::Sort { keys, limit },
            Op::Reverse => Op::Reverse,
            Op::Number => Op::Number,
            Op::Distinct(by) => Op::Distinct(by),
            Op::Aggregate { keys, aggs } => Op::Aggregate { keys, aggs },
            Op::Fold { start, step, each } => Op::Fold { start, step, each },
            Op::Pairs => Op::Pairs,
            Op::Sample { count, seed } => Op::Sample { count, seed },
            Op::Peek { count, label } => Op::Peek { count, label },
            Op::Tally(counters) => Op::Tally(counters),
        })
    }
}
