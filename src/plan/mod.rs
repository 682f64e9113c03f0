//! What is meant: a typed pipeline as plain data. Every typing rule is here; no engine, no stage is known.

pub mod aggregates;
mod bound;
mod builder;
mod describe;
mod expr;
mod magnitudes;
mod measured;
mod open;
mod ops;
mod place;
mod prepared;
mod prune;
mod typing;

pub use bound::{BoundOp, KeyValueStore, Plan, Rounds, Storage};
pub use builder::{Builder, constant, int, ready, whole};
pub use describe::{expr_text, op_text, rounds_text, source_text};
pub use expr::{Expr, ExternalFunction, ExternalPlace, Function, Link, Node};
pub use magnitudes::{Magnitudes, magnitudes};
pub use open::close_files;
pub use ops::{
    Agg, AggFunc, Basis, Bound, CsvOptions, Field, File, Format, Iterated, JoinKind, Kept, Named, Op, Reach, Read,
    Shared, SortKey, Source, Step, Write,
};
pub use place::{Place, Words};
pub use prepared::{Beside, JobLimits, Limits, Prepared};
pub use prune::{prune, unused};
pub use typing::{Binding, DEEPEST_TYPE, Definition, Elsewhere, Evaluator, Scope, Typer};
