//! A race program as it was written: names and places in its text, no meaning yet.

/// A part of the program's own text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.end) }
    }
}

/// A mistake in the text of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub kind: ProblemKind,
    pub message: String,
    pub span: Span,
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    Syntax,
    Name,
    Type,
    /// The program is larger than the limits.
    Size,
}

impl Problem {
    pub fn new(kind: ProblemKind, span: Span, message: impl Into<String>) -> Problem {
        Problem { kind, message: message.into(), span, hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    pub text: String,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub shared: Vec<Declaration>,
    pub threads: Vec<ThreadSource>,
    pub checks: Vec<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    pub name: Word,
    pub values: Vec<i64>,
    pub is_array: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ThreadSource {
    pub name: Word,
    pub body: Block,
}

pub type Block = Vec<Stmt>;

#[derive(Debug, Clone, PartialEq)]
pub struct Stmt {
    pub node: StmtNode,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StmtNode {
    Let(Word, Expr),
    /// `x = e`, or with an operator `x += e`.
    Assign(Place, Option<Binary>, Expr),
    If(Expr, Block, Block),
    While(Expr, Block),
    Repeat(u32, Block),
    Atomic(Block),
    Lock(Word, Option<Block>),
    Unlock(Word),
    Wait(Word),
    Notify(Word),
    NotifyAll(Word),
    Fence(Order),
    Yield,
    Assert(Expr),
    Store(Place, Expr, Order),
    /// A call whose value is not used.
    Call(Expr),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub name: Word,
    pub index: Option<Box<Expr>>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub node: ExprNode,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprNode {
    Int(i64),
    Bool(bool),
    /// A register or a shared variable.
    Place(Place),
    /// `thread.register`, in a `check`.
    Register(Word, Word),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Load(Place, Order),
    Swap(Place, Box<Expr>),
    Cas(Place, Box<Expr>, Box<Expr>),
    FetchAdd(Place, Box<Expr>),
    FetchSub(Place, Box<Expr>),
    TryLock(Word),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Binary {
    pub fn symbol(self) -> &'static str {
        match self {
            Binary::Or => "or",
            Binary::And => "and",
            Binary::Equal => "==",
            Binary::Unequal => "!=",
            Binary::Less => "<",
            Binary::LessEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterEqual => ">=",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "//",
            Binary::Remainder => "%",
        }
    }
}

/// How an access is ordered with the others of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Written without a call: `x = 1`. Relaxed on real threads; conflicting plain accesses are a data race.
    Plain,
    Relaxed,
    Acquire,
    Release,
    AcqRel,
    SeqCst,
}

impl Order {
    pub const WORDS: [(&'static str, Order); 5] = [
        ("relaxed", Order::Relaxed),
        ("acquire", Order::Acquire),
        ("release", Order::Release),
        ("acqrel", Order::AcqRel),
        ("seqcst", Order::SeqCst),
    ];

    /// Whether earlier stores of the thread must come before it.
    pub fn releases(self) -> bool {
        matches!(self, Order::Release | Order::AcqRel | Order::SeqCst)
    }
}
