//! A race program as steps: what the explorer, the player and real threads carry out.

use std::collections::BTreeSet;

use super::syntax::{Binary, Order, Span};

/// An index into the registers of all threads.
pub type Register = usize;

#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    pub shared: Vec<Shared>,
    /// The values of all shared variables before the first step.
    pub start: Vec<i64>,
    pub locks: Vec<String>,
    pub threads: Vec<Thread>,
    pub checks: Vec<Check>,
    /// The registers with a name.
    pub named: Vec<Named>,
    /// Those of `named` that belong to an outcome: all, or with checks those that a check names.
    pub shown: Vec<usize>,
    /// How many registers all threads have.
    pub registers: usize,
    /// How many more the checks need.
    pub check_registers: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    pub name: String,
    /// Where its first value is in memory.
    pub base: usize,
    pub len: usize,
    pub is_array: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// `thread.name`
    pub name: String,
    pub thread: usize,
    pub register: Register,
    pub ty: Ty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    Int,
    Bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    pub name: String,
    pub code: Vec<Op>,
    /// Where each op was written.
    pub spans: Vec<Span>,
    /// For each op that is a step: the registers whose values nothing can read any more. They count as 0, so that
    /// states that differ only in them are one.
    pub dead: Vec<Vec<Register>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub code: Vec<Op>,
    pub spans: Vec<Span>,
    pub result: Operand,
    pub span: Span,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    Register(Register),
    Const(i64),
}

/// A shared variable, or an element of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// An index into `Program::shared`.
    pub variable: usize,
    pub base: usize,
    pub len: usize,
    pub index: Option<Operand>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    // Steps
    Load {
        to: Register,
        at: Location,
        order: Order,
    },
    Store {
        at: Location,
        value: Operand,
        order: Order,
    },
    Swap {
        to: Register,
        at: Location,
        value: Operand,
    },
    Cas {
        to: Register,
        at: Location,
        old: Operand,
        new: Operand,
    },
    FetchAdd {
        to: Register,
        at: Location,
        value: Operand,
        subtract: bool,
    },
    Lock(usize),
    TryLock {
        to: Register,
        lock: usize,
    },
    Unlock(usize),
    /// Releases the lock and sleeps; the op behind it is the `Retake`.
    Wait(usize),
    /// Takes the lock again after a `notify`.
    Retake(usize),
    Notify(usize),
    NotifyAll(usize),
    Fence(Order),
    /// The ops up to `end` are one step.
    Atomic {
        end: usize,
    },

    // Local work, which belongs to the step before it
    Set {
        to: Register,
        value: Operand,
    },
    Not {
        to: Register,
        value: Operand,
    },
    Negate {
        to: Register,
        value: Operand,
    },
    Binary {
        op: Binary,
        to: Register,
        left: Operand,
        right: Operand,
    },
    Jump(usize),
    Unless(Operand, usize),
    Assert(Operand),
    Yield,

    End,
}

impl Op {
    /// Whether it is work that no other thread can notice.
    pub fn is_local(&self) -> bool {
        match self {
            Op::Set { .. } | Op::Not { .. } | Op::Negate { .. } | Op::Binary { .. } | Op::Jump(_) => true,
            Op::Unless(..) | Op::Assert(_) | Op::Yield => true,
            Op::Load { .. } | Op::Store { .. } | Op::Swap { .. } | Op::Cas { .. } | Op::FetchAdd { .. } => false,
            Op::Lock(_) | Op::TryLock { .. } | Op::Unlock(_) | Op::Wait(_) | Op::Retake(_) | Op::Notify(_) => false,
            Op::NotifyAll(_) | Op::Fence(_) | Op::Atomic { .. } | Op::End => false,
        }
    }
}

impl Program {
    /// What the location at this index of the memory is called: `x` or `a[2]`.
    pub fn location_name(&self, at: usize) -> String {
        let shared = self.shared.iter().find(|shared| (shared.base..shared.base + shared.len).contains(&at));
        let shared = shared.expect("every location of the memory belongs to a variable");
        if shared.is_array { format!("{}[{}]", shared.name, at - shared.base) } else { shared.name.clone() }
    }

    /// The locations that a thread may store to.
    pub fn stored_by(&self, thread: usize) -> BTreeSet<usize> {
        let places = self.threads[thread].code.iter().filter_map(|op| match op {
            Op::Store { at, .. } => Some(at),
            _ => None,
        });
        let locations = places.map(|at| match at.index {
            Some(Operand::Const(index)) => match usize::try_from(index) {
                Ok(index) if index < at.len => at.base + index..at.base + index + 1,
                _ => at.base..at.base,
            },
            Some(Operand::Register(_)) => at.base..at.base + at.len,
            None => at.base..at.base + 1,
        });
        locations.flatten().collect()
    }

    /// The locks whose `notify` a thread may call, and those that it may `wait` for.
    pub fn notified_by(&self, thread: usize) -> BTreeSet<usize> {
        let code = self.threads[thread].code.iter();
        code.filter_map(|op| if let Op::Notify(lock) = op { Some(*lock) } else { None }).collect()
    }

    pub fn waited_for_by(&self, thread: usize) -> BTreeSet<usize> {
        let code = self.threads[thread].code.iter();
        code.filter_map(|op| if let Op::Wait(lock) = op { Some(*lock) } else { None }).collect()
    }

    /// `x=1 a=[1, 2] up.r=0`: memory, then the registers that are part of an outcome.
    pub fn outcome_text(&self, values: &[i64]) -> String {
        let shared = self.shared.iter().map(|shared| {
            let own = &values[shared.base..shared.base + shared.len];
            let text = own.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
            if shared.is_array { format!("{}=[{text}]", shared.name) } else { format!("{}={text}", shared.name) }
        });
        let registers = self.shown.iter().zip(&values[self.start.len()..]);
        let registers = registers.map(|(named, value)| {
            let Named { name, ty, .. } = &self.named[*named];
            format!("{name}={}", value_text(*value, *ty))
        });
        let all: Vec<String> = shared.chain(registers).collect();
        if all.is_empty() { "the end".to_string() } else { all.join(" ") }
    }
}

pub fn value_text(value: i64, ty: Ty) -> String {
    match ty {
        Ty::Int => value.to_string(),
        Ty::Bool => (value != 0).to_string(),
    }
}

/// Local work between two steps, in operations: more is taken for a loop without an end.
pub const MOST_LOCAL: u32 = 100_000;

/// What goes wrong inside one thread; the schedule ends there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    Assert,
    Overflow,
    ZeroDivision,
    /// The index that was used, and how many values there are.
    Index(i64, usize),
    /// The thread releases a lock that another one holds, or none.
    NotOwner {
        lock: usize,
        owner: Option<usize>,
    },
    /// `wait` without its lock.
    WaitsWithout(usize),
    /// A loop that takes no step goes round and round.
    Endless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fault {
    pub kind: FaultKind,
    /// Nothing for a check.
    pub thread: Option<usize>,
    /// Which op of the thread, or of the check.
    pub op: usize,
}

impl Program {
    pub fn fault_span(&self, fault: &Fault) -> Option<Span> {
        fault.thread.map(|thread| self.threads[thread].spans[fault.op])
    }

    pub fn fault_text(&self, fault: &Fault, source: &str) -> String {
        let place = match fault.thread {
            Some(thread) => format!("in {}", self.threads[thread].name),
            None => "in `check`".to_string(),
        };
        match fault.kind {
            FaultKind::Assert => {
                let span = self.fault_span(fault).unwrap_or_default();
                let text = source.get(span.start..span.end).unwrap_or("assert");
                format!("`{}` failed {place}", text.split_whitespace().collect::<Vec<_>>().join(" "))
            }
            FaultKind::Overflow => format!("overflow of a 64-bit int {place}"),
            FaultKind::ZeroDivision => format!("division by zero {place}"),
            FaultKind::Index(index, len) => format!("index {index} is out of range ({len} values) {place}"),
            FaultKind::NotOwner { lock, owner } => {
                let holder = match owner {
                    Some(owner) => format!("{} holds", self.threads[owner].name),
                    None => "no thread holds".to_string(),
                };
                format!("unlock of {}, which {holder}, {place}", self.locks[lock])
            }
            FaultKind::WaitsWithout(lock) => format!("`wait {0}` without holding {0} {place}", self.locks[lock]),
            FaultKind::Endless => format!("no step in {MOST_LOCAL} operations, as in an endless loop, {place}"),
        }
    }
}

/// Why a thread of a deadlock cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Blocked {
    /// It wants a lock that a thread holds.
    Lock { lock: usize, owner: usize },
    /// Nobody will notify it.
    Asleep(usize),
}

/// How a schedule ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// All threads are done: the memory, then the registers that are shown.
    Values(Vec<i64>),
    /// The threads that are stuck, by number.
    Deadlock(Vec<(usize, Blocked)>),
    Fault(Fault),
}

impl Program {
    /// The outcome in words, the same for a schedule of the explorer and a round of real threads.
    pub fn ending_text(&self, ending: &Ending, source: &str) -> String {
        match ending {
            Ending::Values(values) => self.outcome_text(values),
            Ending::Fault(fault) => self.fault_text(fault, source),
            Ending::Deadlock(stuck) => {
                let each = stuck.iter().map(|(thread, blocked)| {
                    let name = &self.threads[*thread].name;
                    match *blocked {
                        Blocked::Lock { lock, owner } if owner == *thread => {
                            format!("{name} waits for {}, which it holds itself", self.locks[lock])
                        }
                        Blocked::Lock { lock, owner } => {
                            format!("{name} waits for {} (held by {})", self.locks[lock], self.threads[owner].name)
                        }
                        Blocked::Asleep(lock) => format!("{name} waits for a notify of {}", self.locks[lock]),
                    }
                });
                format!("deadlock: {}", each.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Adds, subtracts, compares …; ints never wrap.
pub fn binary(op: Binary, left: i64, right: i64) -> Result<i64, FaultKind> {
    let checked = |value: Option<i64>| value.ok_or(FaultKind::Overflow);
    match op {
        Binary::Equal => Ok(i64::from(left == right)),
        Binary::Unequal => Ok(i64::from(left != right)),
        Binary::Less => Ok(i64::from(left < right)),
        Binary::LessEqual => Ok(i64::from(left <= right)),
        Binary::Greater => Ok(i64::from(left > right)),
        Binary::GreaterEqual => Ok(i64::from(left >= right)),
        Binary::Add => checked(left.checked_add(right)),
        Binary::Subtract => checked(left.checked_sub(right)),
        Binary::Multiply => checked(left.checked_mul(right)),
        Binary::Divide | Binary::Remainder if right == 0 => Err(FaultKind::ZeroDivision),
        Binary::Divide => {
            let quotient = checked(left.checked_div(right))?;
            Ok(quotient - i64::from(left % right != 0 && (left < 0) != (right < 0)))
        }
        Binary::Remainder => {
            let rest = left.wrapping_rem(right);
            Ok(if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest })
        }
        Binary::And => Ok(i64::from(left != 0 && right != 0)),
        Binary::Or => Ok(i64::from(left != 0 || right != 0)),
    }
}

/// Where a location is in memory, once its index is known.
pub fn resolve(at: &Location, value: impl Fn(Operand) -> i64) -> Result<usize, FaultKind> {
    let Some(index) = at.index else { return Ok(at.base) };
    let index = value(index);
    match usize::try_from(index) {
        Ok(place) if place < at.len => Ok(at.base + place),
        _ => Err(FaultKind::Index(index, at.len)),
    }
}
