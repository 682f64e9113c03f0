//! The batch kernel: typed columns of about a thousand rows, and loops over them. It runs expressions and keeps what a
//! pipeline breaker has seen; it knows nothing of where batches come from and go to.

mod aggregate;
mod arithmetic;
mod bytecode;
mod column;
mod compare;
mod csv;
mod distinct;
mod expr;
mod groups;
mod join;
mod loops;
mod partial;
mod reading;
mod rows;
mod simd;
mod sort;
mod table;
mod text;
mod texts;
mod words;

pub use aggregate::Aggregates;
pub use column::{Batch, Column, Data, Ints, Nulls, Slots};
pub use distinct::Distinct;
pub use expr::{Apart, Code, Compiler, Scope};
pub use join::{Matches, RightSide};
pub use partial::Partial;
pub use reading::Reading;
pub use rows::Rows;
pub use simd::{Level, level};
pub use sort::Sorted;
pub use table::{Cut, table};
pub use texts::{Buffers, Made, Stretch, Texts, view};
pub use words::{Place, Words};
