//! Expressions compiled to closures, for one row at a time: what the `rows` engine runs, and what the others fall back
//! to where they have no vectorised form. Typed: ints, floats and bools travel unboxed.

mod compile;

use std::collections::HashMap;
use std::sync::Arc;

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::functions;
use crate::meters::Calls;
use crate::plan::{Expr, Function, Prepared};
use crate::run_context::{RunContext, Stop};

pub use compile::wrong;

/// Why an expression has no value for a row.
#[derive(Debug)]
pub struct RowError {
    pub kind: Kind,
    pub message: String,
    pub hint: Option<String>,
    pub span: Span,
}

impl RowError {
    /// More than [`DEEPEST_CALLS`] calls are open.
    #[cold]
    pub fn too_deep(span: Span) -> Box<RowError> {
        let message = format!("recursion too deep: more than {DEEPEST_CALLS} nested calls");
        let hint = "check that every call moves closer to a base case; `fold` has no limit on steps";
        Box::new(RowError { kind: Kind::Depth, message, hint: Some(hint.to_string()), span })
    }

    /// What code in another process ran into.
    #[cold]
    pub fn elsewhere(error: Diagnostic, span: Span) -> Box<RowError> {
        let Diagnostic { kind, message, hint, span: place, .. } = error;
        Box::new(RowError { kind, message, hint, span: place.unwrap_or(span) })
    }

    /// The stop flag is up.
    #[cold]
    pub fn stopped(span: Span) -> Box<RowError> {
        Box::new(RowError { kind: Kind::Stopped, message: "stopped".to_string(), hint: None, span })
    }

    /// As a message about row `row` of the table that flows in.
    pub fn diagnostic(self, row: Option<u64>) -> Box<Diagnostic> {
        let error = Diagnostic::at(self.kind, self.span, self.message);
        Box::new(Diagnostic { hint: self.hint, row, ..*error })
    }
}

/// A typed value of this row; else nothing for null, or why there is no value. Flat, so that it travels in registers.
type Out<T> = Result<T, Option<Box<RowError>>>;

/// Takes null apart from faults.
fn present<T>(out: Out<T>) -> Result<Option<T>, Box<RowError>> {
    match out {
        Ok(value) => Ok(Some(value)),
        Err(None) => Ok(None),
        Err(Some(fault)) => Err(fault),
    }
}

type Eval<T> = Box<dyn Fn(&mut Frame) -> Out<T> + Send + Sync>;
type EvalValue = Box<dyn Fn(&mut Frame) -> Result<Value, Box<RowError>> + Send + Sync>;

/// A compiled expression.
pub struct Compiled {
    body: Body,
    /// The evaluation steps that it always takes; branches add theirs when they are taken.
    steps: u64,
}

/// What runs, by the type of its value.
enum Body {
    Int(Eval<i64>),
    Float(Eval<f64>),
    Bool(Eval<bool>),
    /// Texts, lists, and null alone.
    Other(EvalValue),
}

impl Compiled {
    pub fn new(expr: &Expr) -> Compiled {
        Compiled { body: compile::compile(expr), steps: compile::certain_steps(expr) }
    }

    #[inline]
    pub fn value(&self, frame: &mut Frame) -> Result<Value, Box<RowError>> {
        frame.steps += self.steps;
        self.body.value(frame)
    }

    /// Whether a condition holds; null does not.
    #[inline(always)]
    pub fn holds(&self, frame: &mut Frame) -> Result<bool, Box<RowError>> {
        frame.steps += self.steps;
        match &self.body {
            Body::Bool(eval) => Ok(present(eval(frame))? == Some(true)),
            other => Ok(other.value(frame)? == Value::Bool(true)),
        }
    }

    /// Puts the value where another one was. A number is written over a number in place: to copy a whole [`Value`] that
    /// was just written in parts stalls the processor (store forwarding; it was half of the time of a numeric stage).
    #[inline(always)]
    pub fn put(&self, frame: &mut Frame, slot: &mut Value) -> Result<(), Box<RowError>> {
        frame.steps += self.steps;
        match (&self.body, &mut *slot) {
            (Body::Int(eval), Value::Int(slot)) => {
                if let Some(i) = present(eval(frame))? {
                    *slot = i;
                    return Ok(());
                }
            }
            (Body::Float(eval), Value::Float(slot)) => {
                if let Some(x) = present(eval(frame))? {
                    *slot = x;
                    return Ok(());
                }
            }
            (body, _) => {
                *slot = body.value(frame)?;
                return Ok(());
            }
        }
        *slot = Value::Null;
        Ok(())
    }
}

impl Body {
    fn value(&self, frame: &mut Frame) -> Result<Value, Box<RowError>> {
        Ok(match self {
            Body::Int(eval) => present(eval(frame))?.map_or(Value::Null, Value::Int),
            Body::Float(eval) => present(eval(frame))?.map_or(Value::Null, Value::Float),
            Body::Bool(eval) => present(eval(frame))?.map_or(Value::Null, Value::Bool),
            Body::Other(eval) => eval(frame)?,
        })
    }
}

/// The person's functions of one plan, compiled.
pub struct Program {
    functions: Vec<Compiled>,
    /// Where their calls are noted, and the number of each there.
    meter: Option<(Arc<Calls>, Vec<usize>)>,
}

impl Program {
    pub fn new(functions: &[Function]) -> Program {
        let functions = functions.iter().map(|function| Compiled::new(&function.body)).collect();
        Program { functions, meter: None }
    }
}

/// The functions of a plan and of the plans inside it, compiled, by the addresses of the plans.
pub struct Programs(HashMap<usize, Program>);

impl Programs {
    pub fn new(plan: &Prepared) -> Programs {
        Programs::metered(plan, None)
    }

    /// The same; calls are noted there.
    pub fn metered(plan: &Prepared, calls: Option<&Arc<Calls>>) -> Programs {
        let program = |plan: &Prepared| {
            let number = |calls: &Arc<Calls>| plan.functions.iter().map(|one| calls.number(&one.name)).collect();
            let meter = calls.map(|calls| (calls.clone(), number(calls)));
            (std::ptr::from_ref(plan).addr(), Program { meter, ..Program::new(&plan.functions) })
        };
        Programs(plan.with_inner().into_iter().map(program).collect())
    }

    pub fn of(&self, plan: &Prepared) -> &Program {
        self.0.get(&std::ptr::from_ref(plan).addr()).expect("every plan was added before it is built")
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
    /// Bytes that were read in texts, or copied into texts and lists.
    pub bytes: u64,
    calls: u64,
    /// The parameters of all open calls; those of the innermost start at `base`.
    locals: Vec<Value>,
    base: usize,
    depth: usize,
}

impl<'a> Frame<'a> {
    pub fn new(program: &'a Program) -> Frame<'a> {
        Frame {
            program,
            stop: None,
            row: Vec::new(),
            acc: Value::Null,
            steps: 0,
            bytes: 0,
            calls: 0,
            locals: Vec::new(),
            base: 0,
            depth: 0,
        }
    }

    /// All steps so far: a byte is an eighth of one, since a processor moves eight at a time.
    pub fn all_steps(&self) -> u64 {
        self.steps + self.bytes / 8
    }

    /// Counts the texts of the row as copied.
    pub fn count_texts(&mut self) {
        self.bytes += self.row.iter().map(functions::size).sum::<u64>();
    }

    /// Long recursions look at this flag.
    pub fn stopping_at(self, stop: &'a Stop) -> Frame<'a> {
        Frame { stop: Some(stop), ..self }
    }
}

/// Looks at each row where the state of a fold is large: one more step may double it.
pub fn check_state(rows: u64, acc: &Value, context: &RunContext) -> Fallible<()> {
    let large = match acc {
        Value::Text(text) => text.len() > 1 << 20,
        Value::List(items) => items.len() > 1 << 16,
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => false,
    };
    if !large {
        return Ok(());
    }
    context.check()?;
    let bytes = match acc {
        Value::Text(text) => text.len() as u64,
        Value::List(items) => size_of_val(&**items) as u64,
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => 0,
    };
    if bytes > context.memory / 4 {
        let message = format!(
            "the state has grown to {} MiB after {rows} rows, and there is not enough memory for more",
            bytes >> 20
        );
        return Err(Diagnostic::new(Kind::System, message));
    }
    Ok(())
}

/// The error of two lists of which each element of one belongs to an element of the other.
pub fn unequal_lists(first: usize, other: usize) -> Box<Diagnostic> {
    let message = format!("lists of keys and values must have the same length, got {first} and {other} elements");
    Diagnostic::new(Kind::Shape, message)
}
