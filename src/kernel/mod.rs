//! The batch kernel: typed columns of about two thousand rows, and loops over them. It reads files as batches,
//! evaluates expressions, and keeps what a pipeline breaker has seen; what follows on what is for an engine to know.

mod aggregate;
mod arithmetic;
mod bytecode;
mod calls;
mod column;
mod compare;
mod csv;
mod delimiters;
mod distinct;
mod expr;
mod groups;
mod join;
mod json;
mod loops;
mod partial;
mod reading;
mod records;
mod rows;
mod scope;
mod simd;
mod slots;
mod sort;
mod splits;
mod summary;
mod table;
mod texts;
mod words;

pub use aggregate::Aggregates;
pub use column::{Batch, Column, Data, Ints};
pub use distinct::Distinct;
pub use expr::{Compiled, Compiler, Fallback};
pub use join::{Matches, RightSide};
pub use partial::Partial;
pub use reading::Reading;
pub use rows::Rows;
pub use scope::Scope;
pub use simd::{Level, level};
pub use slots::{Nulls, Slots};
pub use sort::Sorted;
pub use splits::{cut, splits};
pub use table::{Cut, table};
pub use texts::{Buffers, GeneratedTexts, Stretch, Texts, view};
pub use words::{Place, Words};
