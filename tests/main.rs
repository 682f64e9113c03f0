//! All tests in one binary: each links everything, so one is enough.

mod agreement;
mod algorithms;
mod command;
mod compare;
mod console;
mod examples;
mod files;
mod floor_plan;
mod fuzz;
mod history;
mod interleave;
mod kept;
mod lab;
mod meaning;
mod measure;
mod native;
mod partials;
mod plots;
mod polars;
mod random;
mod reading;
mod rust;
mod samples;
mod splits;
mod terminal;
mod typing;
