//! All tests in one binary: each links everything, so one is enough.

mod agreement;
mod algorithms;
mod chance;
mod command;
mod compare;
mod examples;
mod extents;
mod files;
mod floor_plan;
mod fuzz;
mod history;
mod kept;
mod lab;
mod meaning;
mod measure;
mod native;
mod partials;
mod polars;
mod rust;
mod samples;
mod terminal;
mod typing;
