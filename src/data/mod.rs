//! Types, values, schemas and tables: what flows through a pipeline. It knows nothing of text, plans or engines.

pub mod bits;
mod columns;
pub mod encode;
pub mod generate;
mod same;
pub mod scalar;
pub mod store;
mod table;
mod types;
mod value;

pub use columns::{dtype, series, values};
pub use same::{Sameness, Summed};
pub use scalar::compare_floats;
pub use table::Table;
pub use types::{Column, Order, Schema, Type};
pub use value::{Key, Value};
