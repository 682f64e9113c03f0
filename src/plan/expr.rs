//! Expressions as meant: every name resolved, every type known.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::{Type, Value};
use crate::diagnostic::{Fallible, Span};
use crate::functions::Func;
use crate::lang::{Comparison, Operator};
use crate::run_context::Stop;

use super::{Plan, Shared};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expr {
    pub node: Node,
    pub ty: Type,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Node {
    Const(Value),
    /// Column of the table that flows in.
    Column(usize),
    /// Parameter of the function whose body this is.
    Parameter(usize),
    /// What a fold or a reduce has so far.
    Acc,
    /// The only value of a one-column table that is computed once, before the plan: none is left in what engines get.
    #[serde(skip)]
    ScalarSubquery(Arc<Plan>),
    List(Vec<Expr>),
    /// Operators of one precedence, from left to right; all operands have the type of the whole.
    Chain(Box<Expr>, Vec<Link>),
    /// Both sides have one type.
    Compare(Box<Expr>, Comparison, Box<Expr>),
    /// Null for a null item; else whether the list has it.
    In(Box<Expr>, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    If(Vec<(Expr, Expr)>, Box<Expr>),
    Index(Box<Expr>, Box<Expr>),
    Call(Func, Vec<Expr>),
    /// A person's function, by its place in [`Plan::functions`].
    Apply(usize, Vec<Expr>),
    /// Null where an argument is null.
    ExternalFunction(#[serde(with = "external")] Shared<dyn ExternalFunction>, Vec<Expr>),
    /// The same value in a wider type: ints as floats, null and empty lists as anything.
    Widen(Box<Expr>),
}

/// A function whose code runs in another process.
pub trait ExternalFunction: Debug + Send + Sync {
    /// The values for so many rows, from each argument's values. None of these is null.
    ///
    /// # Errors
    /// What the code ran into. Its row is not known.
    fn call(&self, arguments: &[Vec<Value>], rows: usize) -> Fallible<Vec<Value>>;

    /// The same as a closure in Rust, where it needs nothing but its arguments.
    fn source(&self) -> Option<&str>;

    /// Where its code is.
    fn place(&self) -> ExternalPlace;

    /// A run begins, which this flag stops.
    fn prepare(&self, _: &Stop) {}
}

/// A compiled function: what stands for it in another process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExternalPlace {
    pub name: String,
    /// The library that was compiled, and what it exports.
    pub library: PathBuf,
    pub symbol: String,
}

impl ExternalPlace {
    /// Whether it is a command, which any process can run, and no library.
    pub fn is_command(&self) -> bool {
        self.library.as_os_str().is_empty()
    }
}

/// A function of its own kind in serialised form. What is read is its place alone: it can be called once it was found
/// beside the plan.
mod external {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::data::Value;
    use crate::diagnostic::{Diagnostic, Fallible, Kind};

    use super::{ExternalFunction, ExternalPlace, Shared};

    pub fn serialize<S: Serializer>(code: &Shared<dyn ExternalFunction>, serializer: S) -> Result<S::Ok, S::Error> {
        code.0.place().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Shared<dyn ExternalFunction>, D::Error> {
        let place = ExternalPlace::deserialize(deserializer)?;
        Ok(Shared(Arc::new(NotLoaded(place)) as Arc<dyn ExternalFunction>))
    }

    #[derive(Debug)]
    struct NotLoaded(ExternalPlace);

    impl ExternalFunction for NotLoaded {
        fn call(&self, _: &[Vec<Value>], _: usize) -> Fallible<Vec<Value>> {
            Err(Diagnostic::new(Kind::System, format!("the function `{}` is not loaded", self.0.name)))
        }

        fn source(&self) -> Option<&str> {
            None
        }

        fn place(&self) -> ExternalPlace {
            self.0.clone()
        }
    }
}

/// One operator of a chain and what stands on its right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub operator: Operator,
    pub operand: Expr,
    /// From the chain's start to this operand.
    pub span: Span,
}

/// A person's function at fixed types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub name: String,
    pub parameters: Vec<(String, Type)>,
    pub result: Type,
    pub body: Expr,
}

impl Expr {
    pub fn new(node: Node, ty: Type, span: Span) -> Expr {
        Expr { node, ty, span }
    }

    /// A constant, which needs no place.
    pub fn constant(value: Value, ty: Type) -> Expr {
        Expr { node: Node::Const(value), ty, span: Span::default() }
    }

    /// The parts of this expression, in order.
    pub fn parts(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Const(_) | Node::Column(_) | Node::Parameter(_) | Node::Acc | Node::ScalarSubquery(_) => Vec::new(),
            Node::List(items)
            | Node::And(items)
            | Node::Or(items)
            | Node::Call(_, items)
            | Node::Apply(_, items)
            | Node::ExternalFunction(_, items) => items.iter().collect(),
            Node::Chain(first, links) => {
                std::iter::once(&**first).chain(links.iter().map(|link| &link.operand)).collect()
            }
            Node::Compare(a, _, b) | Node::In(a, b) | Node::Index(a, b) => vec![a, b],
            Node::Not(a) | Node::Negate(a) | Node::Widen(a) => vec![a],
            Node::If(arms, otherwise) => {
                let arms = arms.iter().flat_map(|(test, then)| [test, then]);
                arms.chain(std::iter::once(&**otherwise)).collect()
            }
        }
    }

    /// The same, to be changed.
    pub fn parts_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.node {
            Node::Const(_) | Node::Column(_) | Node::Parameter(_) | Node::Acc | Node::ScalarSubquery(_) => Vec::new(),
            Node::List(items)
            | Node::And(items)
            | Node::Or(items)
            | Node::Call(_, items)
            | Node::Apply(_, items)
            | Node::ExternalFunction(_, items) => items.iter_mut().collect(),
            Node::Chain(first, links) => {
                std::iter::once(&mut **first).chain(links.iter_mut().map(|link| &mut link.operand)).collect()
            }
            Node::Compare(a, _, b) | Node::In(a, b) | Node::Index(a, b) => vec![a, b],
            Node::Not(a) | Node::Negate(a) | Node::Widen(a) => vec![a],
            Node::If(arms, otherwise) => {
                let arms = arms.iter_mut().flat_map(|(test, then)| [test, then]);
                arms.chain(std::iter::once(&mut **otherwise)).collect()
            }
        }
    }

    /// Calls `visit` for this expression and all inside it, outer ones first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        for part in self.parts() {
            part.walk(visit);
        }
    }

    /// Whether it calls a function of its own kind, but for those of functions that it calls.
    pub fn calls_external(&self) -> bool {
        let mut calls = false;
        self.walk(&mut |part| calls |= matches!(part.node, Node::ExternalFunction(..)));
        calls
    }

    /// Changes all inside this expression and then itself.
    pub fn rewrite<E>(&mut self, change: &mut dyn FnMut(&mut Expr) -> Result<(), E>) -> Result<(), E> {
        for part in self.parts_mut() {
            part.rewrite(change)?;
        }
        change(self)
    }

    /// The columns that are used, each once, in order of their first use.
    pub fn columns(&self) -> Vec<usize> {
        let mut used = Vec::new();
        self.walk(&mut |expr| {
            if let Node::Column(index) = expr.node
                && !used.contains(&index)
            {
                used.push(index);
            }
        });
        used
    }

    /// This expression as one of type `ty`, which its own type meets.
    pub fn widened(self, ty: &Type) -> Expr {
        if self.ty == *ty {
            return self;
        }
        match self.node {
            Node::Const(value) => Expr { node: Node::Const(value.widen(ty)), ty: ty.clone(), span: self.span },
            Node::List(items) if matches!(ty, Type::List(_)) => {
                let Type::List(of) = ty else { unreachable!("it was just matched") };
                let items = items.into_iter().map(|item| item.widened(of)).collect();
                Expr { node: Node::List(items), ty: ty.clone(), span: self.span }
            }
            _ => {
                let span = self.span;
                Expr { node: Node::Widen(Box::new(self)), ty: ty.clone(), span }
            }
        }
    }
}
