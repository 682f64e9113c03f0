//! All tests in one binary: each links everything, so one is enough.

mod agreement;
mod algorithms;
mod bigo;
mod command;
mod commands;
mod compare;
mod concurrency;
mod console;
mod counters;
mod dashboard;
mod edges;
mod engine;
mod examples;
mod files;
mod floor_plan;
mod fuzz;
mod growth;
mod history;
mod hostile;
mod interleave;
mod jobs;
mod jupyter;
mod kept;
mod lab;
mod latency;
mod mapreduce;
mod meaning;
mod measure;
mod measured;
mod mutations;
mod native;
mod notebook;
mod outside;
mod partials;
mod plots;
mod polars;
mod prepared;
mod profiles;
mod races;
mod random;
mod reading;
mod remote;
mod remote_server;
mod rounds;
mod rust;
mod samples;
mod shown;
mod sinks;
mod spill;
mod splits;
mod stores;
mod structures;
mod tasks;
mod terminal;
mod time;
mod trust;
mod typing;
mod words;
mod workers;

/// This program cannot be a worker process: the one that is tested can. Before any test, whichever comes first.
#[used]
#[unsafe(link_section = ".init_array")]
static WORKERS: extern "C" fn() = {
    extern "C" fn start_instead() {
        timelab::service::start_instead(std::path::Path::new(env!("CARGO_BIN_EXE_timelab")));
    }
    start_instead
};
