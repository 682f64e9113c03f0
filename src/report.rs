//! What a cell has to tell, as meaning without look: `show` draws it, exports write it, tests read it.

use std::sync::Arc;

use crate::console::Printed;
use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::measure::Samples;
use crate::profiles::Profile;

/// What one cell tells.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub blocks: Vec<Block>,
    /// The status line: what it cost, a few words each.
    pub status_line: Vec<Note>,
}

#[derive(Debug, Clone)]
pub enum Block {
    Table {
        table: Arc<Table>,
        measured: Measured,
    },
    /// A table with all its rows and columns, however many.
    Whole {
        table: Arc<Table>,
        measured: Measured,
    },
    /// `measured` says whether a measurement went into it.
    Value {
        value: Value,
        ty: Type,
        measured: bool,
    },
    /// What the cell printed itself, where nobody watched.
    Printed(Printed),
    /// Lines of prose or code; they are results.
    Text(String),
    /// The same with what it says as a table, for `--format json`.
    Told {
        text: String,
        table: Table,
    },
    /// Measurements: what was found out about a subject, not the subject's own result.
    Measured(Vec<Field>),
    /// A table of measurements.
    Figures(Figures),
    /// The same for programs only: people see it drawn in another way.
    Data(Figures),
    /// One beside the result, for people; programs find it as a part of the result.
    Aside(Figures),
    /// What is to be known about the figures before it, a line each.
    Notes(Vec<Note>),
    /// The samples of a subject that was run many times.
    Timing(Timing),
    Plot(Plot),
    Map(Map),
    Flow(Flow),
}

/// Records at the places of a job, and the ways that they go.
#[derive(Debug, Clone)]
pub struct Flow {
    pub title: String,
    /// By their columns, from left to right.
    pub nodes: Vec<FlowNode>,
    /// From one node to another, by their places in the list.
    pub links: Vec<(usize, usize)>,
}

/// What is at one place of one step.
#[derive(Debug, Clone)]
pub struct FlowNode {
    pub column: usize,
    /// The same for all of a column.
    pub step: String,
    pub place: String,
    pub records: Vec<String>,
    /// Records that are not listed.
    pub more: usize,
}

/// A profile as a square map, or as a flame graph.
#[derive(Debug, Clone)]
pub struct Map {
    pub title: String,
    pub profile: Arc<Profile>,
    /// The node that fills it.
    pub root: usize,
    pub flame: bool,
}

/// A table whose numbers have units: people see figures, programs the numbers.
#[derive(Debug, Clone)]
pub struct Figures {
    pub table: Table,
    /// One for each column.
    pub meanings: Vec<Meaning>,
    pub rows: MeasuredRows,
    /// Whether people see all rows, however many they are.
    pub is_whole: bool,
}

/// What of a table differs from run to run, because a measurement went into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// For each column, whether its cells do.
    pub columns: Vec<bool>,
    pub rows: MeasuredRows,
}

/// What of the rows of a table differs from run to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MeasuredRows {
    /// Which rows there are, and so how many.
    pub count: bool,
    /// Their order: they are sorted by what was measured.
    pub order: bool,
}

impl Measured {
    /// Nothing, in a table of so many columns.
    pub fn nothing(width: usize) -> Measured {
        Measured { columns: vec![false; width], rows: MeasuredRows::default() }
    }

    /// All of it.
    pub fn all(width: usize) -> Measured {
        Measured { columns: vec![true; width], rows: MeasuredRows { count: true, order: true } }
    }

    pub fn is_anything(&self) -> bool {
        self.rows.count || self.rows.order || self.columns.contains(&true)
    }
}

/// What the numbers of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    pub unit: Unit,
    /// Whether they differ from run to run.
    pub measured: bool,
}

#[derive(Debug, Clone)]
pub struct Timing {
    pub samples: Samples,
    pub fields: Vec<Field>,
    /// What the clock tells.
    pub clock: &'static str,
    /// Whether every run tells the same; else a machine that is busier would choose another clock.
    pub is_clock_sure: bool,
    /// What is to be known about the figures, a line each.
    pub notes: Vec<Note>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What a later cell calls it: `_3.wall`. Within a text it has none.
    pub name: &'static str,
    pub value: Value,
    pub unit: Unit,
    /// Whether it differs from run to run; else it is counted.
    pub measured: bool,
}

impl Field {
    pub fn measured(name: &'static str, value: Value, unit: Unit) -> Field {
        Field { name, value, unit, measured: true }
    }

    pub fn counted(name: &'static str, value: Value, unit: Unit) -> Field {
        Field { name, value, unit, measured: false }
    }
}

/// A line of words and figures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Note {
    pub pieces: Vec<Piece>,
    /// Whether it is there only because of what was measured, so that another run may not say it.
    pub is_optional: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    /// Measured or counted, as the field says.
    Figure(Field),
}

impl Note {
    pub fn text(mut self, text: impl Into<String>) -> Note {
        self.pieces.push(Piece::Text(text.into()));
        self
    }

    /// Adds a figure that differs from run to run.
    pub fn measured(mut self, value: f64, unit: Unit) -> Note {
        self.pieces.push(Piece::Figure(Field::measured("", Value::Float(value), unit)));
        self
    }

    pub fn seconds(self, seconds: f64) -> Note {
        self.measured(seconds, Unit::Seconds)
    }

    /// Adds a number of things that differs from run to run.
    pub fn measured_count(mut self, count: u64, of: &'static str) -> Note {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.pieces.push(Piece::Figure(Field::measured("", Value::Int(count), Unit::Count(of))));
        self
    }

    /// Adds words that depend on what was measured, such as a verdict.
    pub fn found(mut self, words: impl AsRef<str>) -> Note {
        self.pieces.push(Piece::Figure(Field::measured("", Value::text(words.as_ref()), Unit::Plain)));
        self
    }

    /// Adds a number of things that is the same in each run.
    pub fn count(mut self, count: u64, of: &'static str) -> Note {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.pieces.push(Piece::Figure(Field::counted("", Value::Int(count), Unit::Count(of))));
        self
    }

    /// Adds a number of bytes that is the same in each run.
    pub fn bytes(mut self, bytes: u64) -> Note {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.pieces.push(Piece::Figure(Field::counted("", Value::Int(bytes), Unit::Bytes)));
        self
    }

    /// The same, with words before it.
    pub fn after(mut self, words: &str) -> Note {
        self.pieces.insert(0, Piece::Text(words.to_string()));
        self
    }

    /// The same, which another run may not say.
    pub fn optional(mut self) -> Note {
        self.is_optional = true;
        self
    }
}

impl From<String> for Note {
    fn from(text: String) -> Note {
        Note::default().text(text)
    }
}

impl From<&str> for Note {
    fn from(text: &str) -> Note {
        Note::default().text(text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Floats of seconds.
    Seconds,
    Bytes,
    /// How many of what.
    Count(&'static str),
    /// How many calls; the column behind it says how many of them are not recursive.
    Calls,
    Primitive,
    /// How many of what in a second.
    PerSecond(&'static str),
    BytesPerSecond,
    /// How many times as much; the two columns behind it say where it lies.
    Ratio(Bounds),
    Low,
    High,
    /// The same where nothing is known of where it lies.
    Times,
    /// A part of a whole, from 0 to 1.
    Share,
    /// The same, drawn as a bar too.
    Bar,
    /// A word.
    Plain,
}

/// What the bounds of a ratio are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// Those of a 95 % confidence interval.
    Interval,
    /// The least and the greatest ratio, which say less.
    Range,
    /// Some rows have an interval, others a range.
    Either,
}

impl Bounds {
    /// Those of several rows, each with whether it has a range.
    pub fn of(ranges: impl IntoIterator<Item = bool>) -> Bounds {
        let each: Vec<bool> = ranges.into_iter().collect();
        match (each.contains(&true), each.contains(&false)) {
            (true, true) => Bounds::Either,
            (true, false) => Bounds::Range,
            (false, _) => Bounds::Interval,
        }
    }
}

impl Unit {
    /// Of numbers that differ from run to run.
    pub const fn measured(self) -> Meaning {
        Meaning { unit: self, measured: true }
    }

    /// Of numbers that are the same in each run.
    pub const fn counted(self) -> Meaning {
        Meaning { unit: self, measured: false }
    }
}

/// Series of points between two axes.
#[derive(Debug, Clone)]
pub struct Plot {
    pub title: String,
    pub x: Across,
    pub y: Axis,
    pub series: Vec<Series>,
    /// Whether a table of the same report holds these data or what they illustrate: programs then get only the table.
    pub in_table: bool,
}

/// What lies along the x axis.
#[derive(Debug, Clone)]
pub enum Across {
    Numbers(Axis),
    /// One thing after the other: the x of a point is the place of its name.
    Names {
        label: String,
        names: Vec<String>,
    },
}

#[derive(Debug, Clone)]
pub struct Axis {
    pub label: String,
    pub unit: Unit,
    pub scale: Scale,
    /// Whether its numbers were measured, so that they differ from run to run.
    pub measured: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Equal factors are equally long; only numbers above 0 have a place.
    Log,
}

#[derive(Debug, Clone)]
pub struct Series {
    pub label: String,
    pub drawn: Drawn,
    /// In the order in which a line joins them.
    pub points: Vec<(f64, f64)>,
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    Points,
    /// Joined; a point that cannot be drawn leaves a gap.
    Line,
    /// From 0, or from the end of a log axis.
    Bars,
    /// A line whose colour judges, with the area below it where areas can be drawn; the first of several lies before
    /// the others.
    Zone(Tone),
}

impl Drawn {
    /// Whether its points are joined.
    pub fn is_line(self) -> bool {
        matches!(self, Drawn::Line | Drawn::Zone(_))
    }
}

/// A judgement, from green to red.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Best,
    Good,
    StillGood,
    Fair,
    Bad,
    Horrible,
}

impl Block {
    /// A table of which nothing is measured.
    pub fn counted(table: Arc<Table>) -> Block {
        Block::Table { measured: Measured::nothing(table.schema().columns.len()), table }
    }
}

impl Figures {
    /// With a meaning for each column, in rows that are the same in each run.
    pub fn new(table: Table, meanings: Vec<Meaning>) -> Figures {
        Figures { table, meanings, rows: MeasuredRows::default(), is_whole: false }
    }

    pub fn measured(&self) -> Measured {
        Measured { columns: self.meanings.iter().map(|meaning| meaning.measured).collect(), rows: self.rows }
    }

    /// Rows in their order, each with a value for each head.
    pub fn of_rows(heads: &[(&str, Type, Meaning)], rows: &[Vec<Value>]) -> Figures {
        let column = |at: usize| rows.iter().map(|row| row[at].clone()).collect();
        let columns: Vec<Vec<Value>> = (0..heads.len()).map(column).collect();
        let schema = heads.iter().map(|(name, ty, _)| Column { name: (*name).to_string(), ty: ty.clone() }).collect();
        let table = Table::from_columns(Schema::new(schema, Order::Kept), rows.len(), &columns);
        Figures::new(table, heads.iter().map(|(_, _, meaning)| *meaning).collect())
    }

    /// With all rows for people, too: a list that is read for each of its rows, and never grows.
    pub fn whole(self) -> Figures {
        Figures { is_whole: true, ..self }
    }
}
