//! Spark Connect, and all that speaks it: a small client of our own, since the published one needs `protoc` to build.

mod client;
mod messages;
mod relations;

pub use client::run;
pub use relations::objection;
