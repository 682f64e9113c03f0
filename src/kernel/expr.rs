//! Expressions over whole batches: one `match` for each operator and batch, then a loop over slots. What has no such
//! loop is evaluated row by row, over columns of what has.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::data::{Type, Value};
use crate::diagnostic::Span;
use crate::functions::Func;
use crate::lang::{Comparison, Operator};
use crate::plan::{Expr, ExternalFunction, Function, Node as Meant, Shared};
use crate::rowwise::{self, Frame, RowError};

use super::bytecode::Bytecode;
use super::column::{Column, Data, Ints};
use super::scope::{Out, Scope};
use super::slots::{Nulls, Slots};
use super::{arithmetic, calls, compare, loops};

/// A compiled expression.
pub struct Compiled {
    node: Node,
}

enum Node {
    Const(Column),
    Column(usize),
    Parameter(usize),
    /// Of numbers of one type.
    Chain(Box<Compiled>, Vec<(Operator, Compiled, Span)>),
    /// Texts with `+`.
    JoinText(Vec<Compiled>),
    Compare(Box<Compiled>, Comparison, Box<Compiled>),
    /// `and` where false is decisive, `or` where true is.
    Logical(Vec<Compiled>, bool),
    Not(Box<Compiled>),
    Negate(Box<Compiled>, Span),
    If(Vec<(Compiled, Compiled)>, Box<Compiled>),
    Coalesce(Vec<Compiled>),
    IsNull(Box<Compiled>),
    /// Ints as floats.
    Widen(Box<Compiled>),
    /// `split(text, separator)[index]` without the list.
    Field(Box<[Compiled; 3]>, Span),
    Matches(Box<Compiled>, regex::Regex),
    Call(Func, Vec<Compiled>, Type, Span),
    /// A person's function that does not call itself: its body over columns of its arguments.
    Apply(Arc<Compiled>, Vec<Compiled>),
    ExternalFunction(Shared<dyn ExternalFunction>, Vec<Compiled>, Type, Span),
    /// One that calls itself, as bytecode; where an argument is null, row by row.
    Recursive {
        code: Arc<Bytecode>,
        args: Vec<Compiled>,
        with_nulls: rowwise::Compiled,
    },
    /// Row by row over columns: column `i` of the row is part `i`.
    RowWise {
        code: rowwise::Compiled,
        parts: Vec<Compiled>,
        ty: Type,
    },
}

/// How an expression is evaluated that has no loop over slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    RowByRow,
    /// A function that calls itself, over unboxed registers.
    RegisterCode,
}

/// The person's functions of a plan, and what was compiled of them.
pub struct Compiler<'a> {
    functions: &'a [Function],
    recursive: Vec<bool>,
    bodies: RefCell<HashMap<usize, Arc<Compiled>>>,
    /// Of functions that call themselves; none where it cannot be.
    bytecode: RefCell<HashMap<usize, Option<Arc<Bytecode>>>>,
    /// What has no loop over slots.
    fallbacks: RefCell<Vec<(Fallback, Expr)>>,
}

impl<'a> Compiler<'a> {
    pub fn new(functions: &'a [Function]) -> Compiler<'a> {
        let calls: Vec<Vec<usize>> = functions.iter().map(|function| called(&function.body)).collect();
        let recursive = (0..functions.len()).map(|function| reaches(&calls, function)).collect();
        Compiler {
            functions,
            recursive,
            bodies: RefCell::default(),
            bytecode: RefCell::default(),
            fallbacks: RefCell::default(),
        }
    }

    pub fn compile(&self, expr: &Expr) -> Compiled {
        stacker::maybe_grow(128 << 10, 4 << 20, || self.compiled(expr))
    }

    /// The expressions so far that have no loop over slots.
    pub fn fallbacks(&self) -> Vec<(Fallback, Expr)> {
        self.fallbacks.borrow().clone()
    }

    fn all<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<Compiled> {
        exprs.into_iter().map(|expr| self.compile(expr)).collect()
    }

    fn boxed(&self, expr: &Expr) -> Box<Compiled> {
        Box::new(self.compile(expr))
    }

    fn compiled(&self, expr: &Expr) -> Compiled {
        let span = expr.span;
        if !self.is_vectorised(expr) {
            return self.row_wise(expr);
        }
        let node = match &expr.node {
            Meant::Const(value) => Node::Const(Column::constant(value, &expr.ty)),
            Meant::Column(index) => Node::Column(*index),
            Meant::Parameter(index) => Node::Parameter(*index),
            Meant::Chain(first, links) if expr.ty.is_number() => {
                let links = links.iter().map(|link| (link.operator, self.compile(&link.operand), link.span));
                Node::Chain(self.boxed(first), links.collect())
            }
            Meant::Chain(..) => Node::JoinText(self.all(expr.parts())),
            Meant::Compare(a, sign, b) => Node::Compare(self.boxed(a), *sign, self.boxed(b)),
            Meant::And(items) => Node::Logical(self.all(items), false),
            Meant::Or(items) => Node::Logical(self.all(items), true),
            Meant::Not(inner) => Node::Not(self.boxed(inner)),
            Meant::Negate(inner) => Node::Negate(self.boxed(inner), span),
            Meant::If(arms, otherwise) => {
                let arms = arms.iter().map(|(test, then)| (self.compile(test), self.compile(then)));
                Node::If(arms.collect(), self.boxed(otherwise))
            }
            Meant::Call(Func::Coalesce, args) => Node::Coalesce(self.all(args)),
            Meant::Call(Func::IsNull, args) => Node::IsNull(self.boxed(&args[0])),
            Meant::Call(Func::Matches, args) => {
                let Meant::Const(Value::Text(pattern)) = &args[1].node else {
                    unreachable!("the pattern was computed when typed")
                };
                let regex = regex::Regex::new(pattern).expect("the pattern was tried when typed");
                Node::Matches(self.boxed(&args[0]), regex)
            }
            // A conversion that changes nothing costs nothing.
            Meant::Call(Func::Same, args) => return self.compile(&args[0]),
            Meant::Call(Func::FloatFromInt, args) => Node::Widen(self.boxed(&args[0])),
            Meant::Call(func, args) => Node::Call(*func, self.all(args), expr.ty.clone(), span),
            Meant::Index(list, index) => {
                let Meant::Call(Func::Split, args) = &list.node else { unreachable!("other lists go row by row") };
                let parts = [self.compile(&args[0]), self.compile(&args[1]), self.compile(index)];
                Node::Field(Box::new(parts), list.span)
            }
            Meant::Widen(inner) => Node::Widen(self.boxed(inner)),
            Meant::ExternalFunction(code, args) => {
                Node::ExternalFunction(code.clone(), self.all(args), expr.ty.clone(), span)
            }
            Meant::Apply(function, args) => match self.bytecode(*function) {
                Some(code) => {
                    self.fallbacks.borrow_mut().push((Fallback::RegisterCode, expr.clone()));
                    // Bytecode knows no nulls. Rows that have one go through the closures, over the same arguments.
                    let mut over_args = expr.clone();
                    over_args.parts_mut().into_iter().enumerate().for_each(|(i, arg)| arg.node = Meant::Column(i));
                    Node::Recursive { code, args: self.all(args), with_nulls: rowwise::Compiled::new(&over_args) }
                }
                None => Node::Apply(self.body(*function), self.all(args)),
            },
            Meant::Acc | Meant::ScalarSubquery(_) | Meant::List(_) | Meant::In(..) => {
                unreachable!("these go row by row")
            }
        };
        Compiled { node }
    }

    fn body(&self, function: usize) -> Arc<Compiled> {
        // Not `entry`: the body may call other functions, which come here while the map would be borrowed.
        let known = self.bodies.borrow().get(&function).cloned();
        known.unwrap_or_else(|| {
            let body = Arc::new(self.compile(&self.functions[function].body));
            self.bodies.borrow_mut().insert(function, body.clone());
            body
        })
    }

    /// The bytecode of a function that calls itself, where there is one.
    fn bytecode(&self, function: usize) -> Option<Arc<Bytecode>> {
        if !self.recursive[function] {
            return None;
        }
        let mut known = self.bytecode.borrow_mut();
        known.entry(function).or_insert_with(|| Bytecode::new(self.functions, function).map(Arc::new)).clone()
    }

    /// Whether there is a loop over slots for the outermost operator.
    fn is_vectorised(&self, expr: &Expr) -> bool {
        let no_list = |expr: &Expr| !matches!(expr.ty, Type::List(_));
        match &expr.node {
            Meant::Const(_)
            | Meant::Column(_)
            | Meant::Parameter(_)
            | Meant::And(_)
            | Meant::Or(_)
            | Meant::Not(_)
            | Meant::Negate(_)
            | Meant::If(..)
            | Meant::ExternalFunction(..) => true,
            Meant::Chain(..) => no_list(expr),
            Meant::Compare(a, _, b) => no_list(a) && no_list(b),
            Meant::Index(list, _) => matches!(list.node, Meant::Call(Func::Split, _)),
            Meant::Widen(inner) => (&inner.ty, &expr.ty) == (&Type::Int, &Type::Float),
            Meant::Apply(function, _) => !self.recursive[*function] || self.bytecode(*function).is_some(),
            Meant::Call(func, args) => match func {
                Func::Coalesce | Func::IsNull | Func::Same => true,
                Func::TextFrom | Func::Format => args.iter().all(no_list),
                _ => calls::has_loop(*func),
            },
            Meant::Acc | Meant::ScalarSubquery(_) | Meant::List(_) | Meant::In(..) => false,
        }
    }

    /// The expression over columns of its largest parts that are vectorised.
    fn row_wise(&self, expr: &Expr) -> Compiled {
        let mut parts = Vec::new();
        let mut over_parts = expr.clone();
        let inner = over_parts.parts_mut();
        inner.into_iter().for_each(|part| self.cut(part, &mut parts));
        self.fallbacks.borrow_mut().push((Fallback::RowByRow, expr.clone()));
        Compiled { node: Node::RowWise { code: rowwise::Compiled::new(&over_parts), parts, ty: expr.ty.clone() } }
    }

    /// Puts a column in the place of a vectorised part.
    fn cut(&self, expr: &mut Expr, parts: &mut Vec<Compiled>) {
        // The closures have constants in their code; as a column each row would load it.
        if matches!(expr.node, Meant::Const(_)) {
            return;
        }
        if self.is_vectorised(expr) {
            parts.push(self.compile(expr));
            expr.node = Meant::Column(parts.len() - 1);
        } else {
            expr.parts_mut().into_iter().for_each(|part| self.cut(part, parts));
        }
    }
}

/// The functions that an expression calls.
fn called(expr: &Expr) -> Vec<usize> {
    let mut found = Vec::new();
    expr.walk(&mut |expr| {
        if let Meant::Apply(function, _) = expr.node {
            found.push(function);
        }
    });
    found
}

/// Whether a function calls itself, through others too.
fn reaches(calls: &[Vec<usize>], function: usize) -> bool {
    let mut seen = vec![false; calls.len()];
    let mut open = calls[function].clone();
    while let Some(next) = open.pop() {
        if next == function {
            return true;
        }
        if !std::mem::replace(&mut seen[next], true) {
            open.extend(&calls[next]);
        }
    }
    false
}

impl Compiled {
    /// The value for each row of the scope's batch.
    pub fn value(&self, scope: Scope) -> Out {
        match &self.node {
            Node::Const(column) => Ok(column.clone()),
            Node::Column(index) => Ok(scope.batch.columns[*index].clone()),
            Node::Parameter(index) => Ok(scope.parameters[*index].clone()),
            Node::Chain(first, links) => {
                let mut left = first.value(scope)?;
                for (operator, right, span) in links {
                    left = arithmetic::operate(*operator, left, right.value(scope)?, scope, *span)?;
                }
                Ok(left)
            }
            Node::JoinText(parts) => Ok(calls::glue(&values(parts, scope)?, scope)),
            Node::Compare(a, sign, b) => Ok(compare::compare(&a.value(scope)?, *sign, &b.value(scope)?, scope.rows())),
            Node::Logical(items, decisive) => logical(items, *decisive, scope),
            Node::Not(inner) => {
                let inner = inner.value(scope)?;
                Ok(Column { data: Data::Bool(loops::not(bools(&inner))), nulls: inner.nulls })
            }
            Node::Negate(inner, span) => arithmetic::negate(inner.value(scope)?, scope, *span),
            Node::If(arms, otherwise) => choice(arms, otherwise, scope),
            Node::Coalesce(args) => coalesce(args, scope),
            Node::IsNull(inner) => Ok(Column::bools(null_flags(&inner.value(scope)?.nulls, scope.rows()))),
            Node::Widen(inner) => {
                let inner = inner.value(scope)?;
                let Data::Int(ints) = &inner.data else { return Ok(inner) };
                Ok(Column { data: Data::Float(loops::floats(&ints.slots)), nulls: inner.nulls })
            }
            Node::Field(parts, span) => {
                let [subject, separator, index] = &**parts;
                let args = [subject.value(scope)?, separator.value(scope)?, index.value(scope)?];
                calls::field(&args, scope, *span)
            }
            Node::Matches(inner, regex) => Ok(calls::matches(&inner.value(scope)?, regex, scope)),
            Node::Call(func, args, ty, span) => calls::call(*func, &values(args, scope)?, ty, scope, *span),
            Node::Apply(body, args) => {
                let parameters = values(args, scope)?;
                stacker::maybe_grow(128 << 10, 4 << 20, || body.value(Scope { parameters: &parameters, ..scope }))
            }
            Node::ExternalFunction(code, args, ty, span) => foreign(code, &values(args, scope)?, ty, scope, *span),
            Node::Recursive { code, args, with_nulls } => recursive(code, &values(args, scope)?, with_nulls, scope),
            Node::RowWise { code, parts, ty } => row_wise(code, &values(parts, scope)?, ty, scope),
        }
    }

    /// The rows for which a condition holds; null does not. None where it holds for all.
    pub fn holds(&self, scope: Scope) -> Result<Option<Vec<u32>>, Box<RowError>> {
        let column = self.value(scope)?;
        Ok(match holding(&column, scope.rows()) {
            Holding::All => None,
            Holding::None => Some(Vec::new()),
            Holding::Rows(mask) => Some(loops::selected(&mask)),
        })
    }
}

fn values(codes: &[Compiled], scope: Scope) -> Result<Vec<Column>, Box<RowError>> {
    codes.iter().map(|code| code.value(scope)).collect()
}

/// One call for all rows that are asked for and have all arguments.
fn foreign(code: &Shared<dyn ExternalFunction>, args: &[Column], ty: &Type, scope: Scope, span: Span) -> Out {
    let asked = |row: &usize| scope.active.is_none_or(|active| active[*row]);
    let whole = |row: &usize| args.iter().all(|arg| !arg.nulls.at(*row));
    let rows: Vec<usize> = (0..scope.rows()).filter(asked).filter(whole).collect();
    let passed: Vec<Vec<Value>> = args.iter().map(|arg| rows.iter().map(|row| arg.value(*row)).collect()).collect();
    let given = code.0.call(&passed, rows.len()).map_err(|error| RowError::elsewhere(*error, span))?;
    let mut values = vec![Value::Null; scope.rows()];
    rows.into_iter().zip(given).for_each(|(row, value)| values[row] = value);
    Ok(Column::from_values(values, ty))
}

/// The slots of a bool column; an open null counts as one.
fn bools(column: &Column) -> &Slots<bool> {
    const FALSE: &Slots<bool> = &Slots::One(false);
    if let Data::Bool(slots) = &column.data { slots } else { FALSE }
}

enum Holding<'a> {
    All,
    None,
    Rows(Cow<'a, [bool]>),
}

/// Where a bool column is true, and not null.
fn holding(column: &Column, rows: usize) -> Holding<'_> {
    match (bools(column), &column.nulls) {
        (_, Nulls::All) | (Slots::One(false), _) => Holding::None,
        (Slots::One(true), Nulls::None) => Holding::All,
        (Slots::One(true), Nulls::Some(nulls)) => Holding::Rows(nulls.iter().map(|null| !null).collect()),
        (Slots::Each(values), nulls) => {
            let mask: Cow<[bool]> = match nulls {
                Nulls::Some(nulls) => loops::first_only(values, nulls).into(),
                Nulls::None | Nulls::All => values.as_slice().into(),
            };
            match loops::count(&mask) {
                0 => Holding::None,
                count if count == rows => Holding::All,
                _ => Holding::Rows(mask),
            }
        }
    }
}

fn null_flags(nulls: &Nulls, rows: usize) -> Vec<bool> {
    match nulls {
        Nulls::None => vec![false; rows],
        Nulls::All => vec![true; rows],
        Nulls::Some(flags) => flags.to_vec(),
    }
}

/// What stands after a decisive value is not asked.
fn logical(items: &[Compiled], decisive: bool, scope: Scope) -> Out {
    let rows = scope.rows();
    let mut sofar = items[0].value(scope)?;
    for item in &items[1..] {
        let plain =
            if let (Nulls::None, Slots::Each(values)) = (&sofar.nulls, bools(&sofar)) { Some(values) } else { None };
        // Where the result is still open: the next item must not fail on rows that are decided.
        let mut open = match plain {
            Some(values) if decisive => loops::opposite(values),
            Some(values) => values.as_slice().to_vec(),
            None => (0..rows).map(|row| sofar.nulls.at(row) || *bools(&sofar).at(row) != decisive).collect(),
        };
        if let Some(active) = scope.active {
            open = loops::both(&open, active);
        }
        if !open.contains(&true) {
            break;
        }
        let next = item.value(scope.at(&open))?;
        sofar = match (plain, &next.nulls, bools(&next)) {
            (Some(values), Nulls::None, Slots::Each(others)) if decisive => {
                Column::bools(loops::either(values, others))
            }
            (Some(values), Nulls::None, Slots::Each(others)) => Column::bools(loops::both(values, others)),
            _ => combine(&sofar, &next, decisive, rows),
        };
    }
    Ok(sofar)
}

/// Decisive where one of the two is, else null where one is.
fn combine(a: &Column, b: &Column, decisive: bool, rows: usize) -> Column {
    let decides = |column: &Column, row: usize| *bools(column).at(row) == decisive && !column.nulls.at(row);
    let mut result = vec![!decisive; rows];
    let mut missing = vec![false; rows];
    for row in 0..rows {
        if decides(a, row) || decides(b, row) {
            result[row] = decisive;
        } else {
            missing[row] = a.nulls.at(row) || b.nulls.at(row);
        }
    }
    Column { data: Data::Bool(Slots::each(result)), nulls: Nulls::of(missing) }
}

fn choice(arms: &[(Compiled, Compiled)], otherwise: &Compiled, scope: Scope) -> Out {
    let rows = scope.rows();
    let mut open: Option<Vec<bool>> = scope.active.map(<[bool]>::to_vec);
    let mut taken: Vec<(Vec<bool>, Column)> = Vec::new();
    let mut last = None;
    for (test, then) in arms {
        let here = Scope { active: open.as_deref(), ..scope };
        let test = test.value(here)?;
        let mask = match holding(&test, rows) {
            Holding::None => continue,
            Holding::All => {
                last = Some(then.value(here)?);
                break;
            }
            Holding::Rows(mask) => mask,
        };
        let (mask, rest) = match &open {
            None => (mask.to_vec(), mask.iter().map(|flag| !flag).collect()),
            Some(open) => (loops::both(&mask, open), loops::first_only(open, &mask)),
        };
        if mask.contains(&true) {
            let value = then.value(scope.at(&mask))?;
            taken.push((mask, value));
        }
        let done = !rest.contains(&true);
        open = Some(rest);
        if done && !taken.is_empty() {
            last = taken.pop().map(|(_, column)| column);
            break;
        }
    }
    let mut result = match last {
        Some(column) => column,
        None => otherwise.value(Scope { active: open.as_deref(), ..scope })?,
    };
    for (mask, column) in taken.into_iter().rev() {
        result = choose_column(&mask, &column, &result);
    }
    Ok(result)
}

/// Where the mask holds, the one, else the other.
fn choose_column(mask: &[bool], a: &Column, b: &Column) -> Column {
    let rows = mask.len();
    let nulls = match (&a.nulls, &b.nulls) {
        (Nulls::None, Nulls::None) => Nulls::None,
        (Nulls::All, Nulls::All) => Nulls::All,
        (x, y) => {
            let slots = |nulls: &Nulls| Slots::each(null_flags(nulls, rows));
            Nulls::of(loops::choose_bools(mask, &slots(x), &slots(y)))
        }
    };
    // A side that is null everywhere may be of no type.
    let data = match (&a.data, &b.data) {
        (_, data) if matches!(a.nulls, Nulls::All) => data.clone(),
        (data, _) if matches!(b.nulls, Nulls::All) => data.clone(),
        (Data::Int(x), Data::Int(y)) => {
            let bounds = match (x.bounds, y.bounds) {
                (Some(x), Some(y)) => Some((x.0.min(y.0), x.1.max(y.1))),
                _ => None,
            };
            Data::Int(Ints { slots: Slots::each(loops::choose_ints(mask, &x.slots, &y.slots)), bounds })
        }
        (Data::Float(x), Data::Float(y)) => Data::Float(Slots::each(loops::choose_floats(mask, x, y))),
        (Data::Bool(x), Data::Bool(y)) => Data::Bool(Slots::each(loops::choose_bools(mask, x, y))),
        (Data::Text(x), Data::Text(y)) => Data::Text(calls::chosen(mask, x, y)),
        (x, y) => {
            let (x, y) =
                (Column { data: x.clone(), nulls: Nulls::None }, Column { data: y.clone(), nulls: Nulls::None });
            let value = |(row, mask): (usize, &bool)| if *mask { x.value(row) } else { y.value(row) };
            Data::List(Slots::each(mask.iter().enumerate().map(value).collect()))
        }
    };
    Column { data, nulls }
}

/// The first that is not null; the later ones are asked only where it is.
fn coalesce(args: &[Compiled], scope: Scope) -> Out {
    let mut result = args[0].value(scope)?;
    for arg in &args[1..] {
        if matches!(result.nulls, Nulls::None) {
            break;
        }
        let open: Vec<bool> = (0..scope.rows()).map(|row| scope.is_active(row) && result.nulls.at(row)).collect();
        if !open.contains(&true) {
            break;
        }
        let next = arg.value(scope.at(&open))?;
        result = choose_column(&open, &next, &result);
    }
    Ok(result)
}

fn recursive(code: &Bytecode, args: &[Column], with_nulls: &rowwise::Compiled, scope: Scope) -> Out {
    let mut frame = Frame::new(scope.program).stopping_at(scope.stop);
    let mut registers = Vec::new();
    let mut bits = vec![0; args.len()];
    let mut values = vec![0u64; scope.rows()];
    let mut nulls = vec![false; scope.rows()];
    for row in (0..scope.rows()).filter(|row| scope.is_active(*row)) {
        if args.iter().any(|arg| arg.nulls.at(row)) {
            frame.row.clear();
            frame.row.extend(args.iter().map(|arg| arg.value(row)));
            match as_bits(&with_nulls.value(&mut frame)?) {
                Some(value) => values[row] = value,
                None => nulls[row] = true,
            }
            continue;
        }
        for (bits, arg) in bits.iter_mut().zip(args) {
            *bits = as_bits(&arg.value(row)).unwrap_or_default();
        }
        values[row] = code.call(&bits, &mut registers, scope.stop)?;
    }
    let column = match code.result() {
        Type::Float => Column::floats(values.into_iter().map(f64::from_bits).collect()),
        Type::Bool => Column::bools(values.into_iter().map(|bits| bits != 0).collect()),
        _ => Column::ints(values.into_iter().map(|bits| bits as i64).collect(), None),
    };
    Ok(column.with_nulls(Nulls::of(nulls)))
}

/// What a register holds for a value that is not null.
fn as_bits(value: &Value) -> Option<u64> {
    match value {
        Value::Int(i) => Some(*i as u64),
        Value::Float(x) => Some(x.to_bits()),
        Value::Bool(b) => Some(u64::from(*b)),
        Value::Null | Value::Text(_) | Value::List(_) => None,
    }
}

fn row_wise(code: &rowwise::Compiled, parts: &[Column], ty: &Type, scope: Scope) -> Out {
    let mut frame = Frame::new(scope.program).stopping_at(scope.stop);
    let mut values = vec![Value::Null; scope.rows()];
    frame.row = vec![Value::Null; parts.len()];
    for (row, value) in values.iter_mut().enumerate() {
        if scope.is_active(row) {
            for (slot, part) in frame.row.iter_mut().zip(parts) {
                *slot = part.value(row);
            }
            *value = code.value(&mut frame)?;
        }
    }
    Ok(Column::from_values(values, ty))
}
