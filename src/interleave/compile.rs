//! What was written → steps. Names are resolved and types checked here; every message points into the text.

use crate::diagnostic::nearest;

use super::parser::{MORE_STACK, RED_ZONE};
use super::program::{Check, Location, Named, Op, Operand, Program, Register, Shared, Thread, Ty};
use super::syntax::{
    Binary, Block, Expr, ExprNode, Order, Place, Problem, ProblemKind, Source, Span, Stmt, StmtNode, Word,
};

/// Registers with a name in one thread: a state of the explorer holds them all.
const MOST_NAMED: usize = 64;

pub fn compile(source: &Source, text: &str) -> Result<Program, Problem> {
    let mut shared = Vec::new();
    let mut start = Vec::new();
    for declared in &source.shared {
        let (base, len) = (start.len(), declared.values.len());
        shared.push(Shared { name: declared.name.text.clone(), base, len, is_array: declared.is_array });
        start.extend(&declared.values);
    }
    let mut names = Names { shared, locks: Vec::new(), taken: Vec::new(), named: Vec::new() };
    let mut program = Program {
        shared: Vec::new(),
        start,
        locks: Vec::new(),
        threads: Vec::new(),
        checks: Vec::new(),
        named: Vec::new(),
        shown: Vec::new(),
        registers: 0,
        check_registers: 0,
    };
    for thread in &source.threads {
        find_taken(&thread.body, &mut names.taken);
    }
    let mut owned = Vec::new();
    for (number, thread) in source.threads.iter().enumerate() {
        let mut writer = Writer::new(&mut names, Some((number, &thread.name.text)), program.registers);
        writer.reserve(&thread.body);
        if writer.lets.len() > MOST_NAMED {
            let message = format!("{} has more than {MOST_NAMED} registers", thread.name.text);
            return Err(Problem::new(ProblemKind::Size, thread.name.span, message));
        }
        writer.block(&thread.body)?;
        writer.push(Op::End, thread.name.span);
        let (code, spans, most) = (writer.code, writer.spans, writer.most);
        owned.push(program.registers..most);
        program.registers = most;
        program.threads.push(Thread { name: thread.name.text.clone(), code, spans, dead: Vec::new() });
    }
    let mut named_by_checks = Vec::new();
    for check in &source.checks {
        let mut writer = Writer::new(&mut names, None, program.registers);
        let result = writer.compile_typed(check, Ty::Bool, "`check`")?;
        writer.push(Op::End, check.span);
        program.check_registers = program.check_registers.max(writer.most - program.registers);
        named_by_checks.append(&mut writer.named_here);
        let (code, spans) = (writer.code, writer.spans);
        let text = text[check.span.start..check.span.end].split_whitespace().collect::<Vec<_>>().join(" ");
        program.checks.push(Check { code, spans, result, span: check.span, text });
    }
    program.shown =
        (0..names.named.len()).filter(|named| source.checks.is_empty() || named_by_checks.contains(named)).collect();
    (program.shared, program.locks, program.named) = (names.shared, names.locks, names.named);
    let shown: Vec<Register> = program.shown.iter().map(|named| program.named[*named].register).collect();
    for (thread, own) in program.threads.iter_mut().zip(owned) {
        thread.dead = dead_registers(&thread.code, own, &shown);
    }
    Ok(program)
}

struct Names {
    shared: Vec<Shared>,
    locks: Vec<String>,
    /// Locks that some thread takes.
    taken: Vec<String>,
    named: Vec<Named>,
}

/// The locks that statements take.
fn find_taken(block: &Block, taken: &mut Vec<String>) {
    for stmt in block {
        match &stmt.node {
            StmtNode::Lock(name, body) => {
                taken.push(name.text.clone());
                body.iter().for_each(|body| find_taken(body, taken));
            }
            StmtNode::If(condition, then, other) => {
                try_locks(condition, taken);
                find_taken(then, taken);
                find_taken(other, taken);
            }
            StmtNode::While(condition, body) => {
                try_locks(condition, taken);
                find_taken(body, taken);
            }
            StmtNode::Repeat(_, body) | StmtNode::Atomic(body) => find_taken(body, taken),
            StmtNode::Let(_, value) | StmtNode::Assign(_, _, value) | StmtNode::Assert(value) => {
                try_locks(value, taken)
            }
            StmtNode::Call(value) | StmtNode::Store(_, value, _) => try_locks(value, taken),
            StmtNode::Unlock(_) | StmtNode::Wait(_) | StmtNode::Notify(_) | StmtNode::NotifyAll(_) => {}
            StmtNode::Fence(_) | StmtNode::Yield => {}
        }
    }
}

fn try_locks(expr: &Expr, taken: &mut Vec<String>) {
    match &expr.node {
        ExprNode::TryLock(name) => taken.push(name.text.clone()),
        ExprNode::Not(inner) | ExprNode::Negative(inner) => try_locks(inner, taken),
        ExprNode::Swap(_, value) | ExprNode::FetchAdd(_, value) | ExprNode::FetchSub(_, value) => {
            try_locks(value, taken)
        }
        ExprNode::Binary(_, left, right) | ExprNode::Cas(_, left, right) => {
            try_locks(left, taken);
            try_locks(right, taken);
        }
        ExprNode::If(condition, then, other) => {
            [condition, then, other].into_iter().for_each(|part| try_locks(part, taken));
        }
        ExprNode::Int(_) | ExprNode::Bool(_) | ExprNode::Place(_) | ExprNode::Register(..) | ExprNode::Load(..) => {}
    }
}

/// Writes the ops of one thread, or of one check.
struct Writer<'a> {
    names: &'a mut Names,
    /// Nothing for a check.
    thread: Option<(usize, &'a str)>,
    code: Vec<Op>,
    spans: Vec<Span>,
    /// The next free temporary register, and the most that were in use.
    free: Register,
    most: Register,
    /// The first of the thread's registers that have names, in the order of `lets`.
    first: Register,
    lets: Vec<String>,
    /// The registers that a check names.
    named_here: Vec<usize>,
    in_atomic: bool,
}

type Typed = Result<(Operand, Ty), Problem>;

impl<'a> Writer<'a> {
    fn new(names: &'a mut Names, thread: Option<(usize, &'a str)>, first: Register) -> Writer<'a> {
        Writer {
            names,
            thread,
            code: Vec::new(),
            spans: Vec::new(),
            free: first,
            most: first,
            first,
            lets: Vec::new(),
            named_here: Vec::new(),
            in_atomic: false,
        }
    }

    /// Gives each name of a `let` a register of its own; temporaries come behind them.
    fn reserve(&mut self, block: &Block) {
        for stmt in block {
            match &stmt.node {
                StmtNode::Let(name, _) if !self.lets.contains(&name.text) => {
                    self.lets.push(name.text.clone());
                    self.fresh();
                }
                StmtNode::If(_, then, other) => {
                    self.reserve(then);
                    self.reserve(other);
                }
                StmtNode::While(_, body) | StmtNode::Repeat(_, body) | StmtNode::Atomic(body) => self.reserve(body),
                StmtNode::Lock(_, Some(body)) => self.reserve(body),
                StmtNode::Let(..) | StmtNode::Assign(..) | StmtNode::Lock(_, None) | StmtNode::Unlock(_) => {}
                StmtNode::Wait(_) | StmtNode::Notify(_) | StmtNode::NotifyAll(_) | StmtNode::Fence(_) => {}
                StmtNode::Yield | StmtNode::Assert(_) | StmtNode::Store(..) | StmtNode::Call(_) => {}
            }
        }
    }

    fn push(&mut self, op: Op, span: Span) -> usize {
        self.code.push(op);
        self.spans.push(span);
        self.code.len() - 1
    }

    fn fresh(&mut self) -> Register {
        self.free += 1;
        self.most = self.most.max(self.free);
        self.free - 1
    }

    fn block(&mut self, block: &Block) -> Result<(), Problem> {
        for stmt in block {
            let mark = self.free;
            self.stmt(stmt)?;
            // Temporaries die with their statement.
            self.free = mark;
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<(), Problem> {
        match &stmt.node {
            StmtNode::Let(name, value) => self.let_register(name, value),
            StmtNode::Assign(place, operator, value) => self.assign(stmt.span, place, *operator, value),
            StmtNode::If(condition, then, other) => {
                let condition = self.condition(condition, "`if`")?;
                let to_other = self.push(Op::Unless(condition, 0), stmt.span);
                self.block(then)?;
                if other.is_empty() {
                    self.land(to_other);
                    return Ok(());
                }
                let to_end = self.push(Op::Jump(0), stmt.span);
                self.land(to_other);
                self.block(other)?;
                self.land(to_end);
                Ok(())
            }
            StmtNode::While(condition, body) => {
                let top = self.code.len();
                let result = self.condition(condition, "`while`")?;
                let out = self.push(Op::Unless(result, 0), condition.span);
                self.block(body)?;
                self.push(Op::Jump(top), condition.span);
                self.land(out);
                Ok(())
            }
            StmtNode::Repeat(times, body) => {
                let left = self.fresh();
                self.push(Op::Set { to: left, value: Operand::Const(i64::from(*times)) }, stmt.span);
                let top = self.code.len();
                let out = self.push(Op::Unless(Operand::Register(left), 0), stmt.span);
                self.block(body)?;
                let (op, one) = (Binary::Subtract, Operand::Const(1));
                self.push(Op::Binary { op, to: left, left: Operand::Register(left), right: one }, stmt.span);
                self.push(Op::Jump(top), stmt.span);
                self.land(out);
                Ok(())
            }
            StmtNode::Atomic(body) if self.in_atomic => self.block(body),
            StmtNode::Atomic(body) => {
                let open = self.push(Op::Atomic { end: 0 }, stmt.span);
                self.in_atomic = true;
                self.block(body)?;
                self.in_atomic = false;
                self.land(open);
                Ok(())
            }
            StmtNode::Lock(name, body) => {
                let lock = self.lock(name, "lock")?;
                self.push(Op::Lock(lock), Span { start: stmt.span.start, end: name.span.end });
                if let Some(body) = body {
                    self.block(body)?;
                    self.push(Op::Unlock(lock), name.span);
                }
                Ok(())
            }
            StmtNode::Unlock(name) => {
                let lock = self.lock(name, "unlock")?;
                self.push(Op::Unlock(lock), stmt.span);
                Ok(())
            }
            StmtNode::Wait(name) => {
                let lock = self.lock(name, "wait")?;
                self.push(Op::Wait(lock), stmt.span);
                self.push(Op::Retake(lock), stmt.span);
                Ok(())
            }
            StmtNode::Notify(name) => {
                let lock = self.lock(name, "notify")?;
                self.push(Op::Notify(lock), stmt.span);
                Ok(())
            }
            StmtNode::NotifyAll(name) => {
                let lock = self.lock(name, "notify_all")?;
                self.push(Op::NotifyAll(lock), stmt.span);
                Ok(())
            }
            StmtNode::Fence(order) => {
                self.outside_atomic("fence", stmt.span)?;
                self.push(Op::Fence(*order), stmt.span);
                Ok(())
            }
            StmtNode::Yield => {
                self.outside_atomic("yield", stmt.span)?;
                self.push(Op::Yield, stmt.span);
                Ok(())
            }
            StmtNode::Assert(condition) => {
                let result = self.condition(condition, "`assert`")?;
                self.push(Op::Assert(result), stmt.span);
                Ok(())
            }
            StmtNode::Store(place, value, order) => {
                let at = self.shared_place(place)?;
                let value = self.int(value, &format!("`{}`", place.name.text))?;
                self.push(Op::Store { at, value, order: *order }, stmt.span);
                Ok(())
            }
            StmtNode::Call(call) => self.expr(call).map(|_| ()),
        }
    }

    /// Lets an op that was written before jump to what comes next.
    fn land(&mut self, op: usize) {
        let here = self.code.len();
        match &mut self.code[op] {
            Op::Jump(to) | Op::Unless(_, to) | Op::Atomic { end: to } => *to = here,
            other => unreachable!("{other:?} does not jump"),
        }
    }

    fn outside_atomic(&self, word: &str, span: Span) -> Result<(), Problem> {
        if self.in_atomic {
            let message = format!("`{word}` cannot be used inside `atomic`: the whole block is one step");
            return Err(Problem::new(ProblemKind::Type, span, message));
        }
        Ok(())
    }

    fn lock(&mut self, name: &Word, word: &str) -> Result<usize, Problem> {
        self.outside_atomic(word, name.span)?;
        if self.names.shared.iter().any(|shared| shared.name == name.text) {
            let message = format!("`{}` is a shared variable, not a lock", name.text);
            return Err(Problem::new(ProblemKind::Name, name.span, message).hint("choose another name for the lock"));
        }
        if !self.names.taken.contains(&name.text) {
            let message = format!("no thread ever takes the lock `{}`", name.text);
            let error = Problem::new(ProblemKind::Name, name.span, message);
            return Err(match nearest(&name.text, self.names.taken.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("lock {} {{ … }}", name.text)),
            });
        }
        let known = self.names.locks.iter().position(|lock| *lock == name.text);
        Ok(known.unwrap_or_else(|| {
            self.names.locks.push(name.text.clone());
            self.names.locks.len() - 1
        }))
    }

    fn let_register(&mut self, name: &Word, value: &Expr) -> Result<(), Problem> {
        if self.names.shared.iter().any(|shared| shared.name == name.text) {
            let message = format!("`{}` is a shared variable, not a register", name.text);
            return Err(Problem::new(ProblemKind::Name, name.span, message)
                .hint(format!("without `let` it is a write: {} = …", name.text)));
        }
        let (value, ty) = self.expr(value)?;
        let own = self.lets.iter().position(|other| *other == name.text).expect("all names were reserved");
        let register = self.first + own;
        match self.names.named.iter().find(|named| named.register == register) {
            Some(named) if named.ty != ty => return Err(different(name, named.ty, ty)),
            Some(_) => {}
            None => {
                let (thread, own) = self.thread.expect("`check` cannot contain `let`");
                let name = format!("{own}.{}", name.text);
                self.names.named.push(Named { name, thread, register, ty });
            }
        }
        self.set(register, value, name.span);
        Ok(())
    }

    fn set(&mut self, to: Register, value: Operand, span: Span) {
        if value != Operand::Register(to) {
            self.push(Op::Set { to, value }, span);
        }
    }

    /// The register of this thread with that name, if a `let` above made it.
    fn register(&self, name: &str) -> Option<(Register, Ty)> {
        let register = self.first + self.lets.iter().position(|other| other == name)?;
        let named = self.names.named.iter().find(|named| named.register == register)?;
        Some((register, named.ty))
    }

    fn assign(&mut self, span: Span, place: &Place, operator: Option<Binary>, value: &Expr) -> Result<(), Problem> {
        if let (None, Some((register, ty))) = (&place.index, self.register(&place.name.text)) {
            let (mut value_of, given) = match operator {
                None => self.expr(value)?,
                Some(_) => (self.int(value, &format!("`{}`", place.name.text))?, Ty::Int),
            };
            if ty != given {
                return Err(different(&place.name, ty, given));
            }
            if let Some(op) = operator {
                let (left, to) = (Operand::Register(register), register);
                self.push(Op::Binary { op, to, left, right: value_of }, span);
                value_of = left;
            }
            self.set(register, value_of, span);
            return Ok(());
        }
        let at = self.shared_place(place)?;
        let Some(op) = operator else {
            let value = self.int(value, &format!("`{}`", place.name.text))?;
            self.push(Op::Store { at, value, order: Order::Plain }, span);
            return Ok(());
        };
        let left = self.fresh();
        self.push(Op::Load { to: left, at, order: Order::Plain }, place.span);
        let right = self.int(value, &format!("`{}`", place.name.text))?;
        self.push(Op::Binary { op, to: left, left: Operand::Register(left), right }, span);
        self.push(Op::Store { at, value: Operand::Register(left), order: Order::Plain }, span);
        Ok(())
    }

    fn shared_place(&mut self, place: &Place) -> Result<Location, Problem> {
        let name = &place.name.text;
        let Some(variable) = self.names.shared.iter().position(|shared| shared.name == *name) else {
            return Err(self.undeclared(&place.name));
        };
        let Shared { base, len, is_array, .. } = self.names.shared[variable];
        let index = match (&place.index, is_array) {
            (None, false) => None,
            (None, true) => {
                let message = format!("`{name}` is an array of {len} values, not an int");
                return Err(Problem::new(ProblemKind::Type, place.span, message).hint(format!("{name}[0]")));
            }
            (Some(_), false) => {
                let message = format!("`{name}` is an int, not an array");
                return Err(Problem::new(ProblemKind::Type, place.span, message)
                    .hint(format!("an array is declared as `{name} = [0, 0]`")));
            }
            (Some(index), true) => match self.int(index, "an index")? {
                Operand::Const(at) if usize::try_from(at).is_ok_and(|at| at < len) => {
                    return Ok(Location { variable, base: base + at as usize, len: 1, index: None });
                }
                Operand::Const(at) => {
                    let message = format!("index {at} is out of range: `{name}` has {len} values");
                    return Err(Problem::new(ProblemKind::Type, index.span, message)
                        .hint(format!("indexes are 0 to {}", len - 1)));
                }
                register => Some(register),
            },
        };
        Ok(Location { variable, base, len, index })
    }

    fn undeclared(&self, name: &Word) -> Problem {
        if self.register(&name.text).is_some() {
            let message = format!("`{}` is a register, not a shared variable", name.text);
            return Problem::new(ProblemKind::Type, name.span, message);
        }
        let error = Problem::new(ProblemKind::Name, name.span, format!("`{}` is not declared", name.text));
        let shared = self.names.shared.iter().map(|shared| shared.name.as_str());
        let registers = match self.thread {
            Some(_) => self.lets.iter().map(String::as_str).collect::<Vec<_>>(),
            None => self.names.named.iter().map(|named| named.name.as_str()).collect(),
        };
        let owned = registers.iter().find(|register| register.rsplit('.').next() == Some(&name.text));
        match (owned, nearest(&name.text, shared.chain(registers.iter().copied()))) {
            (Some(register), _) if self.thread.is_none() => error.hint(format!("did you mean `{register}`?")),
            (_, Some(near)) => error.hint(format!("did you mean `{near}`?")),
            _ => error.hint(format!("shared by all threads: %%race {0} = 0; for one thread: let {0} = …", name.text)),
        }
    }

    fn condition(&mut self, expr: &Expr, of: &str) -> Result<Operand, Problem> {
        self.compile_typed(expr, Ty::Bool, of)
    }

    fn int(&mut self, expr: &Expr, of: &str) -> Result<Operand, Problem> {
        self.compile_typed(expr, Ty::Int, of)
    }

    fn compile_typed(&mut self, expr: &Expr, wanted: Ty, of: &str) -> Result<Operand, Problem> {
        let (value, ty) = self.expr(expr)?;
        if ty == wanted {
            return Ok(value);
        }
        let (expects, hint) = match wanted {
            Ty::Int => ("an int, got a bool", "if … then 1 else 0"),
            Ty::Bool => ("a bool, got an int", "compare it, for example with `!= 0`"),
        };
        Err(Problem::new(ProblemKind::Type, expr.span, format!("{of} expects {expects}")).hint(hint))
    }

    /// Writes what computes an expression, left to right.
    fn expr(&mut self, expr: &Expr) -> Typed {
        stacker::maybe_grow(RED_ZONE, MORE_STACK, || self.any_expr(expr))
    }

    fn any_expr(&mut self, expr: &Expr) -> Typed {
        let mark = self.free;
        let span = expr.span;
        let is_update = matches!(expr.node, ExprNode::Swap(..) | ExprNode::Cas(..) | ExprNode::TryLock(_));
        let is_sum = matches!(expr.node, ExprNode::FetchAdd(..) | ExprNode::FetchSub(..));
        if (is_update || is_sum) && self.thread.is_none() {
            return Err(Problem::new(
                ProblemKind::Type,
                span,
                "`check` can only read: it runs when all threads are done",
            ));
        }
        match &expr.node {
            ExprNode::Int(value) => Ok((Operand::Const(*value), Ty::Int)),
            ExprNode::Bool(value) => Ok((Operand::Const(i64::from(*value)), Ty::Bool)),
            ExprNode::Place(place) => {
                if let (None, Some((register, ty))) = (&place.index, self.register(&place.name.text)) {
                    return Ok((Operand::Register(register), ty));
                }
                let at = self.shared_place(place)?;
                let to = self.result(mark);
                self.push(Op::Load { to, at, order: Order::Plain }, span);
                Ok((Operand::Register(to), Ty::Int))
            }
            ExprNode::Register(thread, register) => self.foreign(thread, register, span),
            ExprNode::Not(inner) => {
                let value = self.condition(inner, "`not`")?;
                let to = self.result(mark);
                self.push(Op::Not { to, value }, span);
                Ok((Operand::Register(to), Ty::Bool))
            }
            ExprNode::Negative(inner) => {
                let value = self.int(inner, "`-`")?;
                let to = self.result(mark);
                self.push(Op::Negate { to, value }, span);
                Ok((Operand::Register(to), Ty::Int))
            }
            ExprNode::Binary(op @ (Binary::And | Binary::Or), left, right) => {
                let of = format!("`{}`", op.symbol());
                let value = self.condition(left, &of)?;
                let to = self.result(mark);
                self.set(to, value, left.span);
                let decided = if *op == Binary::And {
                    self.push(Op::Unless(Operand::Register(to), 0), span)
                } else {
                    let go_on = self.push(Op::Unless(Operand::Register(to), 0), span);
                    let out = self.push(Op::Jump(0), span);
                    self.land(go_on);
                    out
                };
                let value = self.condition(right, &of)?;
                self.set(to, value, right.span);
                self.free = to + 1;
                self.land(decided);
                Ok((Operand::Register(to), Ty::Bool))
            }
            ExprNode::Binary(op, left, right) => self.operator(*op, left, right, span),
            ExprNode::If(condition, then, other) => {
                let condition = self.condition(condition, "`if`")?;
                let to = self.result(mark);
                let to_other = self.push(Op::Unless(condition, 0), span);
                let (value, ty) = self.expr(then)?;
                self.set(to, value, then.span);
                self.free = to + 1;
                let to_end = self.push(Op::Jump(0), span);
                self.land(to_other);
                let (value, other_ty) = self.expr(other)?;
                self.set(to, value, other.span);
                self.free = to + 1;
                self.land(to_end);
                if ty != other_ty {
                    let message = "the branches of `if` have different types";
                    return Err(Problem::new(ProblemKind::Type, span, message));
                }
                Ok((Operand::Register(to), ty))
            }
            ExprNode::Load(place, order) => {
                let at = self.shared_place(place)?;
                let to = self.result(mark);
                self.push(Op::Load { to, at, order: *order }, span);
                Ok((Operand::Register(to), Ty::Int))
            }
            ExprNode::Swap(place, value) => {
                let at = self.shared_place(place)?;
                let value = self.int(value, "`swap`")?;
                let to = self.result(mark);
                self.push(Op::Swap { to, at, value }, span);
                Ok((Operand::Register(to), Ty::Int))
            }
            ExprNode::FetchAdd(place, value) | ExprNode::FetchSub(place, value) => {
                let subtract = matches!(expr.node, ExprNode::FetchSub(..));
                let at = self.shared_place(place)?;
                let value = self.int(value, if subtract { "`fetch_sub`" } else { "`fetch_add`" })?;
                let to = self.result(mark);
                self.push(Op::FetchAdd { to, at, value, subtract }, span);
                Ok((Operand::Register(to), Ty::Int))
            }
            ExprNode::Cas(place, old, new) => {
                let at = self.shared_place(place)?;
                let old = self.int(old, "`cas`")?;
                let new = self.int(new, "`cas`")?;
                let to = self.result(mark);
                self.push(Op::Cas { to, at, old, new }, span);
                Ok((Operand::Register(to), Ty::Bool))
            }
            ExprNode::TryLock(name) => {
                let lock = self.lock(name, "try_lock")?;
                let to = self.result(mark);
                self.push(Op::TryLock { to, lock }, span);
                Ok((Operand::Register(to), Ty::Bool))
            }
        }
    }

    fn operator(&mut self, op: Binary, left: &Expr, right: &Expr, span: Span) -> Typed {
        let mark = self.free;
        let (value, ty) = self.expr(left)?;
        let compares_any = matches!(op, Binary::Equal | Binary::Unequal);
        if ty == Ty::Bool && !compares_any {
            let message = format!("`{}` expects ints, got a bool", op.symbol());
            return Err(Problem::new(ProblemKind::Type, left.span, message));
        }
        let (other, other_ty) = self.expr(right)?;
        if ty != other_ty {
            let message = format!("`{}` cannot combine {} and {}", op.symbol(), named_type(ty), named_type(other_ty));
            return Err(Problem::new(ProblemKind::Type, span, message));
        }
        let gives = match op {
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => Ty::Int,
            Binary::Equal | Binary::Unequal | Binary::Less | Binary::LessEqual => Ty::Bool,
            Binary::Greater | Binary::GreaterEqual | Binary::And | Binary::Or => Ty::Bool,
        };
        let to = self.result(mark);
        self.push(Op::Binary { op, to, left: value, right: other }, span);
        Ok((Operand::Register(to), gives))
    }

    /// A register for a result, in the place of the temporaries since `mark`: ops read before they write.
    fn result(&mut self, mark: Register) -> Register {
        self.free = mark;
        self.fresh()
    }

    /// `thread.register`, which only a check may read.
    fn foreign(&mut self, thread: &Word, register: &Word, span: Span) -> Typed {
        let name = format!("{}.{}", thread.text, register.text);
        if let Some((_, own)) = self.thread {
            let message = format!("`{name}` can only be read by `check`");
            let error = Problem::new(ProblemKind::Name, span, message);
            return Err(if own == thread.text { error.hint(register.text.clone()) } else { error });
        }
        match self.names.named.iter().position(|named| named.name == name) {
            Some(at) => {
                self.named_here.push(at);
                let Named { register, ty, .. } = self.names.named[at];
                Ok((Operand::Register(register), ty))
            }
            None => {
                let error = Problem::new(ProblemKind::Name, span, format!("there is no register `{name}`"));
                let near = nearest(&name, self.names.named.iter().map(|named| named.name.as_str()));
                Err(match near {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint(format!(
                        "to create it, write `let {} = …` in the thread `{}`",
                        register.text, thread.text
                    )),
                })
            }
        }
    }
}

fn different(name: &Word, is: Ty, given: Ty) -> Problem {
    let message = format!("`{}` holds {}, got {}", name.text, named_type(is), named_type(given));
    Problem::new(ProblemKind::Type, name.span, message)
}

fn named_type(ty: Ty) -> &'static str {
    match ty {
        Ty::Int => "an int",
        Ty::Bool => "a bool",
    }
}

/// Which registers an op reads, and which one it writes.
fn uses(op: &Op) -> (Vec<Register>, Option<Register>) {
    let mut read = Vec::new();
    let mut reads = |operand: Operand| {
        if let Operand::Register(register) = operand {
            read.push(register);
        }
    };
    let at = |place: &Location, reads: &mut dyn FnMut(Operand)| place.index.into_iter().for_each(reads);
    let written = match op {
        Op::Load { to, at: place, .. } => {
            at(place, &mut reads);
            Some(*to)
        }
        Op::Store { at: place, value, .. } => {
            at(place, &mut reads);
            reads(*value);
            None
        }
        Op::Swap { to, at: place, value } | Op::FetchAdd { to, at: place, value, .. } => {
            at(place, &mut reads);
            reads(*value);
            Some(*to)
        }
        Op::Cas { to, at: place, old, new } => {
            at(place, &mut reads);
            reads(*old);
            reads(*new);
            Some(*to)
        }
        Op::Set { to, value } | Op::Not { to, value } | Op::Negate { to, value } => {
            reads(*value);
            Some(*to)
        }
        Op::Binary { to, left, right, .. } => {
            reads(*left);
            reads(*right);
            Some(*to)
        }
        Op::Unless(value, _) | Op::Assert(value) => {
            reads(*value);
            None
        }
        Op::TryLock { to, .. } => Some(*to),
        Op::Lock(_) | Op::Unlock(_) | Op::Wait(_) | Op::Retake(_) | Op::Notify(_) | Op::NotifyAll(_) => None,
        Op::Fence(_) | Op::Atomic { .. } | Op::Jump(_) | Op::Yield | Op::End => None,
    };
    (read, written)
}

/// For each op that is a step: the registers of the thread that are not read before they are written again (the
/// usual backward analysis of live variables).
fn dead_registers(code: &[Op], own: std::ops::Range<Register>, shown: &[Register]) -> Vec<Vec<Register>> {
    let width = own.len();
    let mut live = vec![vec![false; width]; code.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for at in (0..code.len()).rev() {
            let mut now = match code[at] {
                Op::End => own.clone().map(|register| shown.contains(&register)).collect(),
                Op::Jump(to) => live[to].clone(),
                Op::Unless(_, to) => live[to].iter().zip(&live[at + 1]).map(|(a, b)| *a || *b).collect(),
                _ => live[at + 1].clone(),
            };
            let (read, written) = uses(&code[at]);
            if let Some(written) = written {
                now[written - own.start] = false;
            }
            read.into_iter().for_each(|register| now[register - own.start] = true);
            if now != live[at] {
                live[at] = now;
                changed = true;
            }
        }
    }
    let dead = |at: usize| own.clone().filter(|register| !live[at][register - own.start]).collect();
    (0..code.len()).map(|at| if code[at].is_local() { Vec::new() } else { dead(at) }).collect()
}
