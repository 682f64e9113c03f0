//! Spark Connect, and all that speaks it: a small client of our own, since the published one needs `protoc` to build.

mod aggregates;
mod build;
mod client;
mod expressions;
mod files;
mod messages;
mod relations;
mod sql;

pub use client::run;
pub use relations::{objection, sql};
