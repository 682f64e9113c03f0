//! Expressions compiled to closures, for one row at a time: what the `rows` engine runs, and what the others fall back
//! to where they have no vectorised form. Typed: ints, floats and bools travel unboxed.

mod compile;

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::job::Stop;
use crate::plan::{Expr, Function};

/// Why an expression has no value for a row.
#[derive(Debug)]
pub struct Fault {
    pub kind: Kind,
    pub message: String,
    pub hint: Option<String>,
    pub span: Span,
}

impl Fault {
    /// As a message about row `row` of the table that flows in.
    pub fn diagnostic(self, row: Option<u64>) -> Box<Diagnostic> {
        let error = Diagnostic::at(self.kind, self.span, self.message);
        Box::new(Diagnostic { hint: self.hint, row, ..*error })
    }
}

/// A typed value of this row, or null, or why there is none.
pub type Out<T> = Result<Option<T>, Box<Fault>>;

type Eval<T> = Box<dyn Fn(&mut Frame) -> Out<T> + Send + Sync>;
type EvalValue = Box<dyn Fn(&mut Frame) -> Result<Value, Box<Fault>> + Send + Sync>;

/// A compiled expression, by the type of its value.
pub enum Code {
    Int(Eval<i64>),
    Float(Eval<f64>),
    Bool(Eval<bool>),
    /// Texts, lists, and null alone.
    Other(EvalValue),
}

impl Code {
    pub fn new(expr: &Expr) -> Code {
        compile::compile(expr)
    }

    pub fn value(&self, frame: &mut Frame) -> Result<Value, Box<Fault>> {
        Ok(match self {
            Code::Int(eval) => eval(frame)?.map_or(Value::Null, Value::Int),
            Code::Float(eval) => eval(frame)?.map_or(Value::Null, Value::Float),
            Code::Bool(eval) => eval(frame)?.map_or(Value::Null, Value::Bool),
            Code::Other(eval) => eval(frame)?,
        })
    }

    /// Whether a condition holds; null does not.
    pub fn holds(&self, frame: &mut Frame) -> Result<bool, Box<Fault>> {
        match self {
            Code::Bool(eval) => Ok(eval(frame)? == Some(true)),
            Code::Int(_) | Code::Float(_) | Code::Other(_) => Ok(self.value(frame)? == Value::Bool(true)),
        }
    }
}

/// The person's functions of one plan, compiled.
pub struct Program {
    functions: Vec<Code>,
}

impl Program {
    pub fn new(functions: &[Function]) -> Program {
        Program { functions: functions.iter().map(|function| Code::new(&function.body)).collect() }
    }
}

/// The most calls of a person's functions that may be open at a time.
pub const DEEPEST_CALLS: usize = 10_000;

/// What an expression sees while it runs.
pub struct Frame<'a> {
    program: &'a Program,
    stop: Option<&'a Stop>,
    /// The row, by column.
    pub row: Vec<Value>,
    pub acc: Value,
    /// Evaluation steps so far: one for each operator, function and call.
    pub steps: u64,
    /// The parameters of all open calls; those of the innermost start at `base`.
    locals: Vec<Value>,
    base: usize,
    depth: usize,
}

impl<'a> Frame<'a> {
    pub fn new(program: &'a Program) -> Frame<'a> {
        Frame { program, stop: None, row: Vec::new(), acc: Value::Null, steps: 0, locals: Vec::new(), base: 0, depth: 0 }
    }

    /// Long recursions look at this flag.
    pub fn stopping_at(self, stop: &'a Stop) -> Frame<'a> {
        Frame { stop: Some(stop), ..self }
    }
}
