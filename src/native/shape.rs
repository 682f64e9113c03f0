//! What a value is in Rust: its type, and where it may be null. A type that is never null is plain, so that loops over
//! it ask nothing.

use crate::data::{Type, Value};

/// A type of the language with what is known of its nulls.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueLayout {
    pub kind: Kind,
    pub nulls: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Int,
    Float,
    Bool,
    Text,
    List(Box<ValueLayout>),
    /// Of `null`, and of the elements of `[]`: there is no value of it. It stands as a text.
    Open,
}

impl ValueLayout {
    pub fn new(kind: Kind, nulls: bool) -> ValueLayout {
        ValueLayout { kind, nulls }
    }

    /// Never null.
    pub fn plain(kind: Kind) -> ValueLayout {
        ValueLayout::new(kind, false)
    }

    /// A list of what is never null.
    pub fn list(kind: Kind) -> ValueLayout {
        ValueLayout::plain(Kind::List(Box::new(ValueLayout::plain(kind))))
    }

    /// The type of a value that may be null.
    pub fn of_type(ty: &Type) -> ValueLayout {
        ValueLayout::new(kind_of(ty, true), true)
    }

    /// The type of these values of `ty`, null where one of them is.
    pub fn of_values<'v>(values: impl IntoIterator<Item = &'v Value>, ty: &Type) -> ValueLayout {
        let plain = ValueLayout::plain(kind_of(ty, false));
        values.into_iter().fold(plain, |shape, value| shape.meet(&ValueLayout::of_value(value, ty)))
    }

    pub fn of_value(value: &Value, ty: &Type) -> ValueLayout {
        match (value, ty) {
            (Value::Null, ty) => ValueLayout::new(kind_of(ty, false), true),
            (Value::List(items), Type::List(of)) => {
                ValueLayout::plain(Kind::List(Box::new(ValueLayout::of_values(items.iter(), of))))
            }
            (_, ty) => ValueLayout::plain(kind_of(ty, false)),
        }
    }

    /// The same nulls; what is open in `ty` is open here too.
    pub fn seen_as(&self, ty: &Type) -> ValueLayout {
        let kind = match (&self.kind, ty) {
            (_, Type::Open | Type::Never) => Kind::Open,
            (Kind::List(item), Type::List(of)) => Kind::List(Box::new(item.seen_as(of))),
            (kind, _) => kind.clone(),
        };
        ValueLayout::new(kind, self.nulls)
    }

    pub fn or_null(&self) -> ValueLayout {
        ValueLayout::new(self.kind.clone(), true)
    }

    pub fn never_null(&self) -> ValueLayout {
        ValueLayout::plain(self.kind.clone())
    }

    /// The least shape that holds both.
    pub fn meet(&self, other: &ValueLayout) -> ValueLayout {
        let kind = match (&self.kind, &other.kind) {
            (Kind::Open, kind) | (kind, Kind::Open) => kind.clone(),
            (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
            (Kind::List(a), Kind::List(b)) => Kind::List(Box::new(a.meet(b))),
            (kind, _) => kind.clone(),
        };
        ValueLayout::new(kind, self.nulls || other.nulls)
    }

    /// The shape as one of type `ty`: ints become floats where floats are asked for.
    pub fn widened(&self, ty: &Type) -> ValueLayout {
        let kind = match (&self.kind, ty) {
            (Kind::Int, Type::Float) => Kind::Float,
            (Kind::Open, ty) => kind_of(ty, false),
            (Kind::List(item), Type::List(of)) => Kind::List(Box::new(item.widened(of))),
            (kind, _) => kind.clone(),
        };
        ValueLayout::new(kind, self.nulls)
    }

    /// Whether values are copied bit by bit.
    pub fn is_copy(&self) -> bool {
        matches!(self.kind, Kind::Int | Kind::Float | Kind::Bool)
    }

    /// Whether a float stands somewhere in it: these have no `Eq` of their own.
    pub fn has_floats(&self) -> bool {
        match &self.kind {
            Kind::Float => true,
            Kind::List(item) => item.has_floats(),
            Kind::Int | Kind::Bool | Kind::Text | Kind::Open => false,
        }
    }

    /// The element of a list.
    pub fn item(&self) -> ValueLayout {
        match &self.kind {
            Kind::List(item) => (**item).clone(),
            Kind::Int | Kind::Float | Kind::Bool | Kind::Text | Kind::Open => ValueLayout::plain(Kind::Open),
        }
    }

    /// The type in Rust that owns its values.
    pub fn owned(&self) -> String {
        self.optional(match &self.kind {
            Kind::Int => "i64".to_string(),
            Kind::Float => "f64".to_string(),
            Kind::Bool => "bool".to_string(),
            Kind::Text | Kind::Open => "String".to_string(),
            Kind::List(item) => format!("Vec<{}>", item.owned()),
        })
    }

    /// The type in Rust that borrows texts and lists.
    pub fn borrowed(&self) -> String {
        self.optional(match &self.kind {
            Kind::Text | Kind::Open => "&str".to_string(),
            Kind::List(item) => format!("&[{}]", item.owned()),
            Kind::Int | Kind::Float | Kind::Bool => self.never_null().owned(),
        })
    }

    /// The type in Rust of a column of a table that goes in: texts are borrowed there.
    pub fn given(&self) -> String {
        if matches!(self.kind, Kind::List(_)) { self.owned() } else { self.borrowed() }
    }

    fn optional(&self, inner: String) -> String {
        if self.nulls { format!("Option<{inner}>") } else { inner }
    }
}

fn kind_of(ty: &Type, nulls: bool) -> Kind {
    match ty {
        Type::Int => Kind::Int,
        Type::Float => Kind::Float,
        Type::Bool => Kind::Bool,
        Type::Text => Kind::Text,
        Type::List(of) => Kind::List(Box::new(ValueLayout::new(kind_of(of, nulls), nulls))),
        Type::Open | Type::Never => Kind::Open,
    }
}
