//! The batch kernel: typed columns of about two thousand rows, and loops over them. It reads files as batches,
//! evaluates expressions, and keeps what a pipeline breaker has seen. [`phase`] puts these together for a plan; who
//! runs the phases is for an engine to know.

mod aggregate;
mod arithmetic;
mod bytecode;
mod bytes;
mod calls;
mod column;
mod compare;
mod csv;
mod delimiters;
mod distinct;
mod expr;
mod flat;
mod groups;
mod join;
mod json;
mod loops;
mod partial;
mod parts;
pub mod phase;
mod reading;
mod records;
mod rows;
mod scope;
mod simd;
mod slots;
mod sort;
mod source;
mod splits;
mod summary;
mod table;
mod texts;
mod words;

pub use aggregate::Aggregates;
pub use bytes::{from_bytes, to_bytes};
pub use column::{Batch, Column, Data, Ints};
pub use distinct::Distinct;
pub use expr::{Compiled, Compiler, Fallback};
pub use join::{Matches, RightSide};
pub use partial::Partial;
pub use parts::{Part, parts};
pub use reading::Reading;
pub use rows::Rows;
pub use scope::Scope;
pub use simd::{Level, level};
pub use slots::{Nulls, Slots};
pub use sort::Sorted;
pub use source::{Source, source};
pub use splits::{cut, splits};
pub use table::{Cut, table};
pub use texts::{Buffers, GeneratedTexts, Stretch, Texts, view};
pub use words::{Place, Words};
