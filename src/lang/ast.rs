//! What a cell says, as written.

use serde::{Deserialize, Serialize};

use crate::data::Type;
use crate::diagnostic::Span;
use crate::sources;

/// A word with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    pub text: String,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing, or comments alone.
    Empty,
    Statements(Vec<Statement>),
    Magic(Box<Magic>),
    /// `!command`: the rest of the line.
    Command(Word),
    /// `name?`, a topic may follow.
    Help(Word),
    /// `name??`.
    Source(Word),
}

/// `%name [--option [value]]… [subject]`, or `%%name [--option [value]]… [line]` and a body below
#[derive(Debug, Clone, PartialEq)]
pub struct Magic {
    pub name: Word,
    /// Options and values as written, in order.
    pub options: Vec<(Word, Option<Word>)>,
    pub subject: Argument,
    pub span: Span,
}

impl Magic {
    /// The value of an option that was said, if it takes one.
    pub fn option(&self, name: &str) -> Option<Option<&Word>> {
        self.options.iter().find(|(option, _)| option.text == name).map(|(_, value)| value.as_ref())
    }
}

/// What a magic is asked about; which of these it is, is the magic's to say ([`crate::lang::Syntax`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    Nothing,
    Statement(Box<Statement>),
    /// Several pipelines with commas between.
    Pipelines(Vec<Pipeline>),
    Words(Vec<Word>),
    Variants(Box<Variants>),
    Body(Box<Body>),
}

/// What stands after `%%name` and its options, as it is: what it means is the magic's to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The rest of the first line.
    pub line: Word,
    /// The lines below, up to one that is `%%`.
    pub text: Word,
}

/// `[SWEEP:] [PIPELINE [only NAME, NAME]] [: block]`: at least a pipeline or a block is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Variants {
    pub sweep: Option<Sweep>,
    /// What stands on the first line.
    pub shared: Option<Pipeline>,
    /// The variants of it that are chosen; empty where all are.
    pub only: Vec<Word>,
    /// The baseline, where `--base NAME` stands behind these.
    pub base: Option<Word>,
    /// Empty without a block.
    pub block: Vec<Variant>,
}

impl Variants {
    /// All that stands in it, as written.
    pub fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        self.shared.iter().chain(self.block.iter().map(|variant| &variant.pipeline))
    }
}

/// `name: pipeline`, a line of a block and what continues it.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    pub name: Word,
    /// Whether it goes on from what stands on the first line; its source is then [`SourceNode::Last`].
    pub continues: bool,
    pub pipeline: Pipeline,
    /// Lines that hold more than comments.
    pub lines: usize,
}

/// `name in a..b [by step | times factor]` or `name in [a, b, c]`
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    pub name: Word,
    pub points: Points,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Points {
    List(Vec<Expr>),
    /// Both ends belong to it.
    Range {
        start: Box<Expr>,
        end: Box<Expr>,
        step: Box<Step>,
    },
}

/// From one point of a sweep to the next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing was said.
    Double,
    By(Expr),
    Times(Expr),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `let name = pipeline`
    Let(Word, Pipeline),
    /// `let name = !command`
    LetCommand(Word, Word),
    /// `let name = store delay 5ms keys 10k seed 1`
    LetStore(Word, Vec<(Word, Expr)>),
    /// `let name = spawn pipeline`
    Spawn(Word, Pipeline),
    /// `fn name(x, y) = body`
    Function(Function),
    /// `fn name(x: int, y: text) -> int = rust { … }`
    RustFunction(RustFunction),
    Pipeline(Pipeline),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub name: Word,
    pub parameters: Vec<Word>,
    pub body: Expr,
}

/// A function whose body is Rust, with its types.
#[derive(Debug, Clone, PartialEq)]
pub struct RustFunction {
    pub name: Word,
    pub parameters: Vec<(Word, Type)>,
    pub gives: Type,
    pub body: RustBlock,
}

/// A source and its stages. Without stages it may be a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    pub source: Source,
    pub stages: Vec<Stage>,
    pub on: Option<On>,
    pub span: Span,
}

/// `on ENGINE ["address"] [option value]…`
#[derive(Debug, Clone, PartialEq)]
pub struct On {
    pub engine: Word,
    pub address: Option<Word>,
    pub options: Vec<(Word, Expr)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub node: SourceNode,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SourceNode {
    /// Nothing before the first `|`: the last result.
    Last,
    Range {
        start: Expr,
        end: Option<Expr>,
        inclusive: bool,
    },
    Nested(Box<Pipeline>),
    /// `read "path" option…`
    Read {
        path: Word,
        format: Option<Word>,
        columns: Option<Vec<Word>>,
        /// Columns and the types that they are to have.
        types: Vec<(Word, Word)>,
        /// Texts that are null.
        nulls: Option<(Word, Vec<Expr>)>,
        options: Vec<(Word, Expr)>,
    },
    /// `letters n [seed s]`, and the others of the table.
    Generated {
        source: &'static sources::Source,
        count: Expr,
        seed: Option<Expr>,
    },
    /// `rust [with name, …] { … }`
    Rust(RustBlock),
    /// `wait name`
    Wait(Word),
    /// `!command`, which only some magics take, and nothing follows.
    Command(Word),
    /// A name, a list, or any other expression.
    Expr(Expr),
}

/// Rust between braces.
#[derive(Debug, Clone, PartialEq)]
pub struct RustBlock {
    /// The names of the session that go in.
    pub with: Vec<Word>,
    /// What stands between the braces.
    pub body: Word,
}

/// `name args [by …] [option value]…`; which parts a stage has is told by its [`crate::lang::ArgumentSyntax`].
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    pub name: Word,
    pub args: Vec<Arg>,
    /// A direction after the arguments, as in `top 3 asc`.
    pub direction: Option<Direction>,
    pub by: Vec<Arg>,
    pub options: Vec<(Word, Expr)>,
    /// The tables that `join`, `concat` and `zip` name.
    pub tables: Vec<Pipeline>,
    /// The branches of `tee`, each a list of stages.
    pub branches: Vec<(Word, Vec<Stage>)>,
    /// `left`, `semi` or `anti` of a join.
    pub kind: Option<Word>,
    /// The key pairs of a join.
    pub on: Vec<(Expr, Expr)>,
    /// Code in the places of arguments: `map`, `reduce` or `combine` of `mapreduce`.
    pub code: Vec<StageCode>,
    /// The types that are said for the names of the first two arguments of `mapreduce`.
    pub types: Vec<(Word, Type)>,
    pub span: Span,
}

/// `map = rust { … }` or `reduce = command "…"`. The argument itself is null then.
#[derive(Debug, Clone, PartialEq)]
pub struct StageCode {
    /// Which argument it is.
    pub part: Word,
    pub code: Code,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Code {
    /// A closure.
    Rust(RustBlock),
    /// A command of the system's shell.
    Command(Word),
}

impl Stage {
    pub fn code(&self, part: &str) -> Option<&Code> {
        self.code.iter().find(|code| code.part.text == part).map(|code| &code.code)
    }
}

/// An expression with the name that it was given and the direction that it is sorted in.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    pub name: Option<Word>,
    pub expr: Expr,
    pub direction: Option<Direction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub node: Node,
    pub span: Span,
}

/// Chains of one precedence, of `and`, of `or` and of `else if` are lists, so that a long one is not a deep one.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Name(String),
    List(Vec<Expr>),
    Call(Word, Vec<Expr>),
    Index(Box<Expr>, Box<Expr>),
    Field(Box<Expr>, Word),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Chain(Box<Expr>, Vec<(Operator, Span, Expr)>),
    Compare(Box<Expr>, Comparison, Span, Box<Expr>),
    In { item: Box<Expr>, list: Box<Expr>, negated: bool },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    If(Vec<(Expr, Expr)>, Box<Expr>),
}

impl Expr {
    /// Whether this name stands somewhere in it.
    pub fn has_name(&self, name: &str) -> bool {
        matches!(&self.node, Node::Name(found) if found == name) || self.parts().iter().any(|part| part.has_name(name))
    }

    /// The call of this function that it is.
    pub fn whole_call(&self, name: &str) -> Option<(&Word, &[Expr])> {
        match &self.node {
            Node::Call(word, args) if word.text == name => Some((word, args)),
            _ => None,
        }
    }

    /// Whether this function is called somewhere in it.
    pub fn calls(&self, name: &str) -> bool {
        self.call_of(name).is_some()
    }

    /// The place of the first call of this function.
    pub fn call_of(&self, name: &str) -> Option<Span> {
        match self.whole_call(name) {
            Some(_) => Some(self.span),
            None => self.parts().into_iter().find_map(|part| part.call_of(name)),
        }
    }

    /// The parts that are evaluated whenever it is, and those that it may skip, with the word that does so.
    pub fn parts_by_need(&mut self) -> (Vec<&mut Expr>, Vec<(&'static str, &Expr)>) {
        fn first<'e>(what: &'static str, items: &'e mut [Expr]) -> (Vec<&'e mut Expr>, Vec<(&'static str, &'e Expr)>) {
            match items.split_first_mut() {
                Some((first, rest)) => (vec![first], rest.iter().map(|item| (what, item)).collect()),
                None => (Vec::new(), Vec::new()),
            }
        }
        match &mut self.node {
            Node::And(items) => first("and", items),
            Node::Or(items) => first("or", items),
            Node::If(arms, otherwise) => match arms.split_first_mut() {
                Some(((test, then), rest)) => {
                    let rest = rest.iter().flat_map(|(test, then)| [test, then]);
                    let skipped = std::iter::once(&*then).chain(rest).chain([&**otherwise]);
                    (vec![test], skipped.map(|part| ("if", part)).collect())
                }
                None => (vec![&mut **otherwise], Vec::new()),
            },
            Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_) | Node::Name(_) => {
                (Vec::new(), Vec::new())
            }
            Node::Call(word, items) => match word.text.as_str() {
                "coalesce" => first("coalesce", items),
                _ => (items.iter_mut().collect(), Vec::new()),
            },
            Node::List(items) => (items.iter_mut().collect(), Vec::new()),
            Node::Index(a, b) | Node::Compare(a, _, _, b) | Node::In { item: a, list: b, .. } => {
                (vec![&mut **a, &mut **b], Vec::new())
            }
            Node::Field(a, _) | Node::Negate(a) | Node::Not(a) => (vec![&mut **a], Vec::new()),
            Node::Chain(start, links) => {
                let rest = links.iter_mut().map(|(_, _, operand)| operand);
                (std::iter::once(&mut **start).chain(rest).collect(), Vec::new())
            }
        }
    }

    /// The parts of this expression, in order.
    fn parts(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_) | Node::Name(_) => Vec::new(),
            Node::List(items) | Node::Call(_, items) | Node::And(items) | Node::Or(items) => items.iter().collect(),
            Node::Index(a, b) | Node::Compare(a, _, _, b) | Node::In { item: a, list: b, .. } => vec![a, b],
            Node::Field(a, _) | Node::Negate(a) | Node::Not(a) => vec![a],
            Node::Chain(first, links) => {
                std::iter::once(&**first).chain(links.iter().map(|(_, _, operand)| operand)).collect()
            }
            Node::If(arms, otherwise) => {
                let arms = arms.iter().flat_map(|(test, then)| [test, then]);
                arms.chain(std::iter::once(&**otherwise)).collect()
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
}

impl Operator {
    pub fn sign(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::FloorDivide => "//",
            Operator::Remainder => "%",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    /// The same with its sides exchanged.
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Equal | Comparison::NotEqual => self,
            Comparison::Less => Comparison::Greater,
            Comparison::LessEqual => Comparison::GreaterEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterEqual => Comparison::LessEqual,
        }
    }

    pub fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
        }
    }

    /// Whether two values in that order compare so.
    #[inline(always)]
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterEqual => order.is_ge(),
        }
    }
}
