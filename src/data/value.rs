use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::scalar::{self, compare_floats};
use crate::data::{Type, bits};

/// One value of any type. Cloning is cheap: texts and lists are shared.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub enum Value {
    #[default]
    Null,
    Int(i64),
    Float(#[serde(with = "bits")] f64),
    Bool(bool),
    Text(Arc<str>),
    List(Arc<[Value]>),
}

impl Value {
    pub fn text(text: &str) -> Value {
        Value::Text(Arc::from(text))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The least type that this value has.
    pub fn ty(&self) -> Type {
        match self {
            Value::Null => Type::Open,
            Value::Int(_) => Type::Int,
            Value::Float(_) => Type::Float,
            Value::Bool(_) => Type::Bool,
            Value::Text(_) => Type::Text,
            Value::List(items) => {
                let of = items.iter().fold(Type::Open, |ty, item| ty.meet(&item.ty()).unwrap_or(ty));
                Type::list(of)
            }
        }
    }

    /// The value as one of type `ty`: ints become floats where floats are asked for. Anything else stays.
    pub fn widen(self, ty: &Type) -> Value {
        match (self, ty) {
            (Value::Int(i), Type::Float) => Value::Float(i as f64),
            (Value::List(items), Type::List(of)) => {
                let wrong = |item: &Value| matches!((item, &**of), (Value::Int(_), Type::Float) | (Value::List(_), _));
                if !items.iter().any(wrong) {
                    return Value::List(items);
                }
                Value::List(items.iter().map(|item| item.clone().widen(of)).collect())
            }
            (value, _) => value,
        }
    }

    /// The order of `sort`: texts by bytes, NaN above all numbers, `-0.0` equal to `0.0`, nulls last.
    /// Both values are of one type.
    pub fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Greater,
            (_, Value::Null) => Ordering::Less,
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Float(a), Value::Float(b)) => compare_floats(*a, *b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::List(a), Value::List(b)) => {
                let pairs = a.iter().zip(b.iter());
                let first = pairs.map(|(a, b)| a.compare(b)).find(|order| order.is_ne());
                first.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Value::Int(a), Value::Float(b)) => compare_floats(*a as f64, *b),
            (Value::Float(a), Value::Int(b)) => compare_floats(*a, *b as f64),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    /// The order of `sort` in one direction: nulls stay last in both.
    pub fn compare_directed(&self, other: &Value, descending: bool) -> Ordering {
        if descending && !self.is_null() && !other.is_null() { other.compare(self) } else { self.compare(other) }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Bool(_) => 0,
            Value::Int(_) | Value::Float(_) => 1,
            Value::Text(_) => 2,
            Value::List(_) => 3,
            Value::Null => 4,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.compare(other).is_eq()
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Null => state.write_u8(4),
            Value::Int(i) => state.write_i64(*i),
            Value::Float(f) if f.is_nan() => state.write_u64(f64::NAN.to_bits()),
            Value::Float(f) => state.write_u64((f + 0.0).to_bits()),
            Value::Bool(b) => state.write_u8(*b as u8),
            Value::Text(text) => text.hash(state),
            Value::List(items) => items.hash(state),
        }
    }
}

/// The key of a group: null is one group, NaN is one group.
pub type Key = Box<[Value]>;

/// As it would be typed: texts in quotes. `show` draws cells of tables without them.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => write!(f, "null"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(x) => write!(f, "{}", scalar::float_text(*x)),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(items) => {
                write!(f, "[")?;
                for (i, item) in items.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                write!(f, "]")
            }
        }
    }
}
