use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a value. Each may also be null.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// 64 bits, signed, never wrapping.
    Int,
    /// IEEE double.
    Float,
    Bool,
    /// UTF-8.
    Text,
    List(Box<Type>),
    /// Of `null` and of the elements of `[]`, until a neighbour closes it; what stays open is text.
    Open,
    /// Of a call whose function is still being typed. No finished plan holds it.
    Never,
}

impl Type {
    pub fn list(of: Type) -> Type {
        Type::List(Box::new(of))
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Float)
    }

    /// The least type that holds both: int and float meet as float, an open type meets anything.
    pub fn meet(&self, other: &Type) -> Option<Type> {
        match (self, other) {
            (Type::Never, t) | (t, Type::Never) | (Type::Open, t) | (t, Type::Open) => Some(t.clone()),
            (Type::Int, Type::Float) | (Type::Float, Type::Int) => Some(Type::Float),
            (Type::List(a), Type::List(b)) => a.meet(b).map(Type::list),
            (a, b) => (a == b).then(|| a.clone()),
        }
    }

    /// How deep lists are nested.
    pub fn depth(&self) -> usize {
        match self {
            Type::List(of) => 1 + of.depth(),
            Type::Int | Type::Float | Type::Bool | Type::Text | Type::Open | Type::Never => 0,
        }
    }

    /// Whether some part is still open.
    pub fn is_open(&self) -> bool {
        match self {
            Type::Open => true,
            Type::List(of) => of.is_open(),
            Type::Int | Type::Float | Type::Bool | Type::Text | Type::Never => false,
        }
    }

    /// The type with its open parts made text.
    pub fn closed(&self) -> Type {
        match self {
            Type::Open => Type::Text,
            Type::List(of) => Type::list(of.closed()),
            Type::Int | Type::Float | Type::Bool | Type::Text | Type::Never => self.clone(),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Int => write!(f, "int"),
            Type::Float => write!(f, "float"),
            Type::Bool => write!(f, "bool"),
            Type::Text => write!(f, "text"),
            Type::List(of) if **of == Type::Open => write!(f, "list"),
            Type::List(of) => write!(f, "list<{of}>"),
            Type::Open => write!(f, "null"),
            Type::Never => write!(f, "no type"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub ty: Type,
}

/// Whether the rows of a table have an order that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Every engine gives the rows in this order.
    Kept,
    /// The rows are a multiset.
    Lost,
    /// A stage that depends on order met a table without one: another run may give other rows.
    Random,
}

impl Order {
    /// The order of what two tables make together.
    pub fn weaker(self, other: Order) -> Order {
        match (self, other) {
            (Order::Random, _) | (_, Order::Random) => Order::Random,
            (Order::Lost, _) | (_, Order::Lost) => Order::Lost,
            (Order::Kept, Order::Kept) => Order::Kept,
        }
    }
}

/// The named, typed columns of a table, and whether its rows have an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    pub columns: Vec<Column>,
    pub order: Order,
}

impl Schema {
    pub fn new(columns: Vec<Column>, order: Order) -> Schema {
        Schema { columns, order }
    }

    /// One column, in order.
    pub fn one(name: &str, ty: Type) -> Schema {
        Schema { columns: vec![Column { name: name.to_string(), ty }], order: Order::Kept }
    }

    pub fn index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

impl fmt::Display for Schema {
    /// `word: text, count: int`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {}", column.name, column.ty)?;
        }
        Ok(())
    }
}
