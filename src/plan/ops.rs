//! The closed set of operations that engines know.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::data::{Column, Schema, Table, Type, Value};
use crate::diagnostic::Span;

use super::{Expr, Function, Node};

/// A source and the steps after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The first step is the only one whose op is a source.
    pub steps: Vec<Step>,
    /// The person's functions that expressions of this plan call, by number.
    pub functions: Vec<Function>,
    /// Whether a value that was measured goes into it, so that its table differs from run to run.
    pub measured: bool,
}

impl Plan {
    pub fn of(steps: Vec<Step>) -> Plan {
        Plan { steps, functions: Vec::new(), measured: false }
    }

    /// Whether the plan ends in a `write` or a `tee`, after which nothing may follow.
    pub fn is_final(&self) -> bool {
        self.steps.last().is_some_and(|step| matches!(step.op, Op::Write(_) | Op::Tee(_)))
    }

    /// The columns of the result.
    pub fn schema(&self) -> &Schema {
        &self.steps.last().expect("a plan has a source").schema
    }

    /// The reach of each step.
    pub fn reaches(&self) -> Vec<Reach> {
        let mut is_numbered = true;
        let reach = |step: &Step| {
            let reach = step.op.reach(is_numbered);
            is_numbered = is_numbered && step.op.keeps_numbers();
            reach
        };
        self.steps.iter().map(reach).collect()
    }

    /// The files that it reads, wherever in it.
    pub fn files(&self) -> Vec<File> {
        let mut found = Vec::new();
        self.walk(&mut |step| {
            if let Op::Source(Source::Read(read)) = &step.op {
                found.extend(read.files.iter().cloned());
            }
        });
        found
    }

    /// Whether it calls functions that run in another process, or in another language.
    pub fn calls_external(&self) -> bool {
        let mut calls = self.functions.iter().any(|function| function.body.calls_external());
        self.walk(&mut |step| calls |= step.op.exprs().iter().any(|expr| expr.calls_external()));
        calls
    }

    /// Calls `visit` for each step of this plan and of all plans inside it: those of its ops, and those whose only
    /// value an expression takes. One that several expressions share is visited once.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Step)) {
        self.walk_new(&mut HashSet::new(), visit);
    }

    fn walk_new<'a>(&'a self, shared: &mut HashSet<*const Plan>, visit: &mut dyn FnMut(&'a Step)) {
        for step in &self.steps {
            visit(step);
            step.op.plans().into_iter().for_each(|plan| plan.walk_new(shared, visit));
            for expr in step.op.exprs() {
                expr.walk(&mut |part| {
                    if let Node::ScalarSubquery(plan) = &part.node
                        && shared.insert(Arc::as_ptr(plan))
                    {
                        plan.walk_new(shared, visit);
                    }
                });
            }
        }
    }

    /// This plan and those inside its ops, each before those inside it.
    pub fn with_inner(&self) -> Vec<&Plan> {
        let (mut all, mut left) = (Vec::new(), vec![self]);
        while let Some(plan) = left.pop() {
            all.push(plan);
            left.extend(plan.steps.iter().rev().flat_map(|step| step.op.plans().into_iter().rev()));
        }
        all
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub op: Op,
    /// The table that flows out.
    pub schema: Schema,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Source(Source),
    /// These columns, in this order.
    Project(Vec<Named>),
    Filter(Expr),
    /// One row for each element of the list; a null list has none. The only column is the element.
    Explode(Named),
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
        right: Box<Plan>,
        on: Vec<(Expr, Expr)>,
        right_columns: Vec<usize>,
    },
    /// The rows of the input, then those of each plan; all have the same columns.
    Concat(Vec<Plan>),
    /// The columns of the input, then those of each plan, row by row; all have the same number of rows.
    Zip(Vec<Plan>),
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
    /// The session computes what stands before it once, under this number, and puts [`Source::Kept`] in its place.
    Persist(u64),
    /// The last step: the session writes the table to a file and gives path, rows and bytes.
    Write(Write),
    /// The last step: the session computes the input once and runs each plan on it; their sources are
    /// [`Source::Passed`].
    Tee(Vec<(String, Plan)>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Ints from `start` to, but without, `end`; without an end they never end.
    Range {
        start: i64,
        end: Option<i64>,
    },
    /// Rows of one column.
    Values(Arc<[Value]>),
    Read(Read),
    Letters {
        count: u64,
        seed: i64,
    },
    Random {
        count: u64,
        seed: i64,
    },
    /// A table that was computed before.
    Kept(Kept),
    /// What flows into the `tee` whose branch this is.
    Passed,
    /// A block of Rust of this number, compiled while it was bound: the session runs it and puts [`Source::Kept`] in
    /// its place.
    Rust(u64),
    /// The pairs of a key-value server: the session asks for them and puts [`Source::Kept`] in its place.
    Store(KeyValueStore),
}

/// A key-value server that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyValueStore {
    pub address: String,
    pub keys: u64,
    /// Seconds that it lets each request wait.
    pub delay: f64,
}

/// A computed table. Two are equal when they are the same one.
pub type Kept = Shared<Table>;

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
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// Open where the sample has no value of it.
    pub ty: Type,
    pub basis: Basis,
}

/// Why a column of a file has its type.
#[derive(Debug, Clone, PartialEq)]
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
    NullText(&'static str),
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

#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub path: PathBuf,
    /// Its name for messages.
    pub shown: String,
    /// Length and time of last change when the plan was made.
    pub seen: (u64, Option<SystemTime>),
}

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    pub name: String,
    pub expr: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
    Semi,
    Anti,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Agg {
    pub name: String,
    pub func: AggFunc,
    /// What is aggregated; `Rows` has none.
    pub arg: Option<Expr>,
    pub ty: Type,
}

/// Aggregates skip nulls, but for `Rows`, `First`, `Last` and `Collect`.
#[derive(Debug, Clone, PartialEq)]
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
    Quantile(f64),
    /// Of a sample: divided by n − 1.
    Std,
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

impl Op {
    /// Which rows this op must see. `is_numbered` says whether a part of its input knows the number of its first row.
    fn reach(&self, is_numbered: bool) -> Reach {
        match self {
            Op::Source(_) => Reach::Source,
            Op::Project(_) | Op::Filter(_) | Op::Explode(_) | Op::Join { .. } | Op::Concat(_) => Reach::Row,
            Op::Sample { .. } | Op::Peek { .. } if is_numbered => Reach::Row,
            Op::Sample { .. } | Op::Peek { .. } => Reach::Seq,
            Op::Sort { .. } | Op::Distinct(_) | Op::Aggregate { .. } | Op::Pairs => Reach::All,
            Op::Slice { .. } | Op::Reverse | Op::Number | Op::Fold { .. } | Op::Zip(_) => Reach::Seq,
            // The session keeps, writes or hands on all rows, in their order.
            Op::Persist(_) | Op::Write(_) | Op::Tee(_) => Reach::Seq,
        }
    }

    /// Whether a part of what this op gives knows the number of its first row, if a part of its input does.
    fn keeps_numbers(&self) -> bool {
        match self {
            // Where a row of a file stands among the others is known only when those before it were read.
            Op::Source(source) => !matches!(source, Source::Read(_)),
            Op::Project(_) | Op::Number | Op::Peek { .. } | Op::Persist(_) => true,
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
            | Op::Sample { .. }
            | Op::Write(_)
            | Op::Tee(_) => false,
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
            Op::Source(_)
            | Op::Slice { .. }
            | Op::Reverse
            | Op::Number
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Sample { .. }
            | Op::Peek { .. }
            | Op::Persist(_)
            | Op::Write(_)
            | Op::Tee(_)
            | Op::Distinct(None) => Vec::new(),
            Op::Project(named) => named.iter().map(|named| input(&named.expr)).collect(),
            Op::Filter(expr) => vec![input(expr)],
            Op::Explode(list) => vec![input(&list.expr)],
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
            Op::Source(_)
            | Op::Slice { .. }
            | Op::Reverse
            | Op::Number
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Sample { .. }
            | Op::Peek { .. }
            | Op::Persist(_)
            | Op::Write(_)
            | Op::Tee(_)
            | Op::Distinct(None) => Vec::new(),
            Op::Project(named) => named.iter_mut().map(|named| input(&mut named.expr)).collect(),
            Op::Filter(expr) => vec![input(expr)],
            Op::Explode(list) => vec![input(&mut list.expr)],
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
    pub fn plans(&self) -> Vec<&Plan> {
        match self {
            Op::Join { right, .. } => vec![right],
            Op::Concat(plans) | Op::Zip(plans) => plans.iter().collect(),
            Op::Tee(branches) => branches.iter().map(|(_, plan)| plan).collect(),
            Op::Source(_)
            | Op::Project(_)
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
            | Op::Persist(_)
            | Op::Write(_) => Vec::new(),
        }
    }

    /// The same, to be changed.
    pub fn plans_mut(&mut self) -> Vec<&mut Plan> {
        match self {
            Op::Join { right, .. } => vec![right],
            Op::Concat(plans) | Op::Zip(plans) => plans.iter_mut().collect(),
            Op::Tee(branches) => branches.iter_mut().map(|(_, plan)| plan).collect(),
            Op::Source(_)
            | Op::Project(_)
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
            | Op::Persist(_)
            | Op::Write(_) => Vec::new(),
        }
    }
}
