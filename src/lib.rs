//! timelab: an interactive, notebook-style shell for exploring performance.
//!
//! The floor plan, ground first. A paragraph of `mod` lines is a floor: a module imports only from the paragraphs
//! before its own, never from a sibling.

pub mod console;
pub mod data;
pub mod descendants;
pub mod diagnostic;
pub mod escape;
pub mod measure;
pub mod monitor;
pub mod panics;
pub mod service;
pub mod temporary;

pub mod meters;
pub mod profiles;
pub mod sources;

pub mod functions;
pub mod history;
pub mod lang;
pub mod report;
pub mod run_context;
pub mod threads;

pub mod plan;

pub mod autosave;
pub mod baselines;
pub mod commands;
pub mod dashboard;
pub mod files;
pub mod rowwise;
pub mod show;

pub mod interleave;
pub mod kernel;
pub mod native;

pub mod remote;
pub mod rust;
pub mod schedule;

pub mod algorithms;
pub mod concurrency;
pub mod engines;
pub mod latency;
pub mod races;
pub mod stages;
pub mod structures;

pub mod harness;

pub mod session;

pub mod notebook;

pub mod magics;

pub mod player;

pub mod shell;

pub mod jupyter;
