//! The person's functions that call themselves, as typed register code: each call has a window of registers, and no
//! value is boxed. It knows ints, floats and bools that are never null; other functions run as closures.

use std::collections::HashMap;

use crate::data::scalar::{self, ScalarError};
use crate::data::{Type, Value};
use crate::diagnostic::Span;
use crate::functions::{self, Func};
use crate::lang::{Comparison, Operator};
use crate::plan::{Expr, Function, Node};
use crate::rowwise::{DEEPEST_CALLS, RowError, wrong};
use crate::run_context::Stop;

/// A register of the running call's window.
type Register = u16;

/// Registers hold the bits of an int or a float, or 0 and 1.
#[derive(Debug, Clone, Copy)]
enum Step {
    Const(Register, u64),
    Copy(Register, Register),
    /// `to = a operator b` of ints; the span is that of the step.
    Int(Operator, Register, Register, Register),
    /// The same with a number on the right.
    AddConst(Register, Register, i64),
    Float(Operator, Register, Register, Register),
    NegateInt(Register, Register),
    NegateFloat(Register, Register),
    Widen(Register, Register),
    CompareInts(Comparison, Register, Register, Register),
    CompareFloats(Comparison, Register, Register, Register),
    CompareBools(Comparison, Register, Register, Register),
    Not(Register, Register),
    Absolute(Register, Register),
    Power(Register, Register, Register),
    /// A function from a float to a float.
    OfFloat(fn(f64) -> f64, Register, Register),
    Jump(usize),
    JumpIf(Register, usize),
    JumpUnless(Register, usize),
    /// Jumps unless `a sign b` for ints.
    Unless(Comparison, Register, Register, usize),
    UnlessConst(Comparison, Register, i64, usize),
    /// Calls the function whose arguments stand from a register on: that is where its window begins. Its result comes
    /// there.
    Call(usize, Register),
    Return(Register),
}

/// Functions that may call each other.
pub struct Bytecode {
    steps: Vec<Step>,
    /// Where in the source a step stands, for faults.
    spans: Vec<Span>,
    /// Where each function begins, and how many registers it has.
    starts: Vec<(usize, usize)>,
    /// The function that is called from outside.
    first: usize,
    result: Type,
}

impl Bytecode {
    /// The function and those that it calls; none where one of them has something that registers cannot hold.
    pub fn new(functions: &[Function], first: usize) -> Option<Bytecode> {
        let mut maker = Maker { places: HashMap::new(), order: Vec::new(), steps: Vec::new(), spans: Vec::new() };
        let first = maker.place(first);
        let mut starts = Vec::new();
        while let Some(function) = maker.order.get(starts.len()).copied() {
            let start = maker.steps.len();
            let function = &functions[function];
            if !function.parameters.iter().all(|(_, ty)| is_scalar(ty)) {
                return None;
            }
            let mut body = Body { maker: &mut maker, next: function.parameters.len(), most: 0 };
            let result = body.value(&function.body)?;
            body.push(Step::Return(result), function.body.span);
            let registers = body.most.max(body.next) + 1;
            starts.push((start, registers));
        }
        let result = functions[maker.order[first]].result.clone();
        Some(Bytecode { steps: maker.steps, spans: maker.spans, starts, first, result })
    }

    /// The type of the result.
    pub fn result(&self) -> &Type {
        &self.result
    }

    /// The value for these arguments, as bits.
    pub fn call(&self, args: &[u64], registers: &mut Vec<u64>, stop: &Stop) -> Result<u64, Box<RowError>> {
        let (start, window) = self.starts[self.first];
        registers.resize(window.max(args.len()), 0);
        registers[..args.len()].copy_from_slice(args);
        // Where to go on after each open call, and where the caller's window begins.
        let mut calls: Vec<(usize, usize)> = Vec::new();
        let (mut at, mut base) = (start, 0);
        let mut count = 0u64;
        macro_rules! get {
            ($register:expr) => {
                registers[base + $register as usize]
            };
        }
        macro_rules! set {
            ($register:expr, $value:expr) => {{
                let value = $value;
                registers[base + $register as usize] = value;
            }};
        }
        macro_rules! checked {
            ($at:expr, $operator:expr, $a:expr, $b:expr, $result:expr) => {
                match $result {
                    Ok(value) => value as u64,
                    Err(why) => return Err(self.fault(why, $at, format!("{} {} {}", $a, $operator.sign(), $b))),
                }
            };
        }
        loop {
            let here = at;
            at += 1;
            match self.steps[here] {
                Step::Const(to, bits) => set!(to, bits),
                Step::Copy(to, from) => set!(to, get!(from)),
                Step::AddConst(to, a, b) => {
                    let a = get!(a) as i64;
                    match a.checked_add(b) {
                        Some(sum) => set!(to, sum as u64),
                        None => return Err(self.fault(ScalarError::Overflow, here, format!("{a} + {b}"))),
                    }
                }
                Step::Int(operator, to, a, b) => {
                    let (a, b) = (get!(a) as i64, get!(b) as i64);
                    let result = match operator {
                        Operator::Add => scalar::add(a, b),
                        Operator::Subtract => scalar::subtract(a, b),
                        Operator::Multiply => scalar::multiply(a, b),
                        Operator::FloorDivide => scalar::floor_divide(a, b),
                        Operator::Remainder => scalar::remainder(a, b),
                        Operator::Divide => unreachable!("`/` gives a float"),
                    };
                    set!(to, checked!(here, operator, a, b, result));
                }
                Step::Float(operator, to, a, b) => {
                    let (a, b) = (f64::from_bits(get!(a)), f64::from_bits(get!(b)));
                    let result = match operator {
                        Operator::Add => a + b,
                        Operator::Subtract => a - b,
                        Operator::Multiply => a * b,
                        Operator::Divide => a / b,
                        Operator::FloorDivide => scalar::floor_divide_floats(a, b),
                        Operator::Remainder => scalar::remainder_floats(a, b),
                    };
                    set!(to, result.to_bits());
                }
                Step::NegateInt(to, a) => {
                    let a = get!(a) as i64;
                    match scalar::negate(a) {
                        Ok(value) => set!(to, value as u64),
                        Err(why) => return Err(self.fault(why, here, format!("-({a})"))),
                    }
                }
                Step::Absolute(to, a) => {
                    let a = get!(a) as i64;
                    match scalar::absolute(a) {
                        Ok(value) => set!(to, value as u64),
                        Err(why) => return Err(self.fault(why, here, format!("abs({a})"))),
                    }
                }
                Step::Power(to, a, b) => {
                    let (a, b) = (get!(a) as i64, get!(b) as i64);
                    match scalar::power(a, b) {
                        Ok(value) => set!(to, value as u64),
                        Err(why) => return Err(self.fault(why, here, format!("pow({a}, {b})"))),
                    }
                }
                Step::NegateFloat(to, a) => set!(to, (-f64::from_bits(get!(a))).to_bits()),
                Step::Widen(to, a) => set!(to, (get!(a) as i64 as f64).to_bits()),
                Step::CompareInts(sign, to, a, b) => {
                    set!(to, u64::from(sign.holds((get!(a) as i64).cmp(&(get!(b) as i64)))));
                }
                Step::CompareFloats(sign, to, a, b) => {
                    let order = scalar::compare_floats(f64::from_bits(get!(a)), f64::from_bits(get!(b)));
                    set!(to, u64::from(sign.holds(order)));
                }
                Step::CompareBools(sign, to, a, b) => set!(to, u64::from(sign.holds(get!(a).cmp(&get!(b))))),
                Step::Not(to, a) => set!(to, get!(a) ^ 1),
                Step::OfFloat(f, to, a) => set!(to, f(f64::from_bits(get!(a))).to_bits()),
                Step::Jump(to) => at = to,
                Step::JumpIf(register, to) => {
                    if get!(register) != 0 {
                        at = to;
                    }
                }
                Step::JumpUnless(register, to) => {
                    if get!(register) == 0 {
                        at = to;
                    }
                }
                Step::Unless(sign, a, b, to) => {
                    if !sign.holds((get!(a) as i64).cmp(&(get!(b) as i64))) {
                        at = to;
                    }
                }
                Step::UnlessConst(sign, a, b, to) => {
                    if !sign.holds((get!(a) as i64).cmp(&b)) {
                        at = to;
                    }
                }
                Step::Call(function, from) => {
                    // The call from outside is open too.
                    if calls.len() + 1 >= DEEPEST_CALLS {
                        return Err(RowError::too_deep(self.spans[here]));
                    }
                    count += 1;
                    if count & 0x3ff == 0 && stop.is_raised() {
                        return Err(RowError::stopped(self.spans[here]));
                    }
                    calls.push((at, base));
                    let (start, window) = self.starts[function];
                    base += from as usize;
                    if registers.len() < base + window {
                        registers.resize(2 * (base + window), 0);
                    }
                    at = start;
                }
                Step::Return(register) => {
                    let result = get!(register);
                    registers[base] = result;
                    match calls.pop() {
                        None => return Ok(result),
                        Some((next, window)) => (at, base) = (next, window),
                    }
                }
            }
        }
    }

    #[cold]
    fn fault(&self, why: ScalarError, step: usize, said: String) -> Box<RowError> {
        wrong(why, self.spans[step], || said)
    }
}

fn is_scalar(ty: &Type) -> bool {
    matches!(ty, Type::Int | Type::Float | Type::Bool)
}

struct Maker {
    /// The place of each function that is called so far.
    places: HashMap<usize, usize>,
    order: Vec<usize>,
    steps: Vec<Step>,
    spans: Vec<Span>,
}

impl Maker {
    fn place(&mut self, function: usize) -> usize {
        *self.places.entry(function).or_insert_with(|| {
            self.order.push(function);
            self.order.len() - 1
        })
    }
}

/// A function that is being made: its parameters are the first registers.
struct Body<'m> {
    maker: &'m mut Maker,
    /// The first register that is free.
    next: usize,
    most: usize,
}

impl Body<'_> {
    fn push(&mut self, step: Step, span: Span) -> usize {
        self.maker.steps.push(step);
        self.maker.spans.push(span);
        self.maker.steps.len() - 1
    }

    fn free(&mut self) -> Option<Register> {
        let register = Register::try_from(self.next).ok()?;
        self.next += 1;
        self.most = self.most.max(self.next);
        Some(register)
    }

    /// Steps that leave the value in some register; none where there are no such steps.
    fn value(&mut self, expr: &Expr) -> Option<Register> {
        if let Node::Parameter(index) = expr.node {
            return Register::try_from(index).ok();
        }
        let to = self.free()?;
        self.put(expr, to)?;
        Some(to)
    }

    /// Steps that leave the value in this register. What they need beside it is free again afterwards.
    fn put(&mut self, expr: &Expr, to: Register) -> Option<()> {
        if !is_scalar(&expr.ty) {
            return None;
        }
        let kept = self.next;
        stacker::maybe_grow(64 << 10, 1 << 20, || self.steps_of(expr, to))?;
        self.next = kept;
        Some(())
    }

    fn steps_of(&mut self, expr: &Expr, to: Register) -> Option<()> {
        let span = expr.span;
        match &expr.node {
            Node::Const(value) => {
                let bits = match value {
                    Value::Int(i) => *i as u64,
                    Value::Float(x) => x.to_bits(),
                    Value::Bool(b) => u64::from(*b),
                    Value::Null | Value::Text(_) | Value::List(_) => return None,
                };
                self.push(Step::Const(to, bits), span);
            }
            Node::Parameter(index) => {
                self.push(Step::Copy(to, Register::try_from(*index).ok()?), span);
            }
            Node::Chain(first, links) => {
                let mut left = self.value(first)?;
                for link in links {
                    let step = match (link.operator, &link.operand.node, &expr.ty) {
                        (Operator::Add, Node::Const(Value::Int(i)), _) => Step::AddConst(to, left, *i),
                        (Operator::Subtract, Node::Const(Value::Int(i)), _) if *i != i64::MIN => {
                            Step::AddConst(to, left, -*i)
                        }
                        (operator, _, Type::Int) => Step::Int(operator, to, left, self.value(&link.operand)?),
                        (operator, ..) => Step::Float(operator, to, left, self.value(&link.operand)?),
                    };
                    self.push(step, link.span);
                    left = to;
                }
            }
            Node::Compare(a, sign, b) => {
                let (left, right) = (self.value(a)?, self.value(b)?);
                let step = match a.ty {
                    Type::Int => Step::CompareInts(*sign, to, left, right),
                    Type::Float => Step::CompareFloats(*sign, to, left, right),
                    _ => Step::CompareBools(*sign, to, left, right),
                };
                self.push(step, span);
            }
            Node::And(items) | Node::Or(items) => {
                let is_or = matches!(expr.node, Node::Or(_));
                let mut jumps = Vec::new();
                for (i, item) in items.iter().enumerate() {
                    self.put(item, to)?;
                    if i + 1 < items.len() {
                        jumps.push(self.push(Step::Jump(0), span));
                    }
                }
                let end = self.maker.steps.len();
                for jump in jumps {
                    self.maker.steps[jump] = if is_or { Step::JumpIf(to, end) } else { Step::JumpUnless(to, end) };
                }
            }
            Node::Not(inner) => {
                let inner = self.value(inner)?;
                self.push(Step::Not(to, inner), span);
            }
            Node::Negate(inner) => {
                let value = self.value(inner)?;
                let negate = if inner.ty == Type::Int { Step::NegateInt } else { Step::NegateFloat };
                self.push(negate(to, value), span);
            }
            Node::Widen(inner) if inner.ty == Type::Int && expr.ty == Type::Float => {
                let inner = self.value(inner)?;
                self.push(Step::Widen(to, inner), span);
            }
            Node::If(arms, otherwise) => {
                let mut ends = Vec::new();
                for (test, then) in arms {
                    let kept = self.next;
                    let skip = self.test(test)?;
                    self.next = kept;
                    self.put(then, to)?;
                    ends.push(self.push(Step::Jump(0), span));
                    self.aim(skip);
                }
                self.put(otherwise, to)?;
                ends.into_iter().for_each(|end| self.aim(end));
            }
            Node::Call(func, args) => return self.call(*func, args, to, span),
            Node::Apply(function, args) => {
                let place = self.maker.place(*function);
                // The arguments stand one after the other above all that is in use.
                let from = self.next;
                for arg in args {
                    let register = self.free()?;
                    self.put(arg, register)?;
                }
                let from = Register::try_from(from).ok()?;
                if args.is_empty() {
                    self.free()?;
                }
                self.push(Step::Call(place, from), span);
                self.push(Step::Copy(to, from), span);
            }
            Node::Column(_)
            | Node::Acc
            | Node::ScalarSubquery(_)
            | Node::List(_)
            | Node::In(..)
            | Node::Index(..)
            | Node::ExternalFunction(..)
            | Node::Widen(_) => return None,
        }
        Some(())
    }

    /// Steps that jump away where a condition does not hold; where is still to be said.
    fn test(&mut self, test: &Expr) -> Option<usize> {
        let step = match &test.node {
            Node::Compare(a, sign, b) if a.ty == Type::Int => {
                let left = self.value(a)?;
                match &b.node {
                    Node::Const(Value::Int(i)) => Step::UnlessConst(*sign, left, *i, 0),
                    _ => Step::Unless(*sign, left, self.value(b)?, 0),
                }
            }
            _ => Step::JumpUnless(self.value(test)?, 0),
        };
        Some(self.push(step, test.span))
    }

    /// Lets a jump go to the step that comes next.
    fn aim(&mut self, jump: usize) {
        let end = self.maker.steps.len();
        let (Step::Jump(to)
        | Step::JumpIf(_, to)
        | Step::JumpUnless(_, to)
        | Step::Unless(_, _, _, to)
        | Step::UnlessConst(_, _, _, to)) = &mut self.maker.steps[jump]
        else {
            unreachable!("only jumps are aimed")
        };
        *to = end;
    }

    fn call(&mut self, func: Func, args: &[Expr], to: Register, span: Span) -> Option<()> {
        let step = match (func, args) {
            (Func::Same, [arg]) => Step::Copy(to, self.value(arg)?),
            (Func::FloatFromInt, [arg]) => Step::Widen(to, self.value(arg)?),
            (Func::IntFromBool, [arg]) => Step::Copy(to, self.value(arg)?),
            (Func::AbsInt, [arg]) => Step::Absolute(to, self.value(arg)?),
            (Func::PowInt, [base, exponent]) => Step::Power(to, self.value(base)?, self.value(exponent)?),
            (Func::AbsFloat | Func::Round | Func::Sqrt | Func::FloatToFloat(_), [arg]) => {
                Step::OfFloat(functions::float_function(func), to, self.value(arg)?)
            }
            _ => return None,
        };
        self.push(step, span);
        Some(())
    }
}
