//! What each magic may say of what it measures: the forms stand beside the code that says it.

use crate::notebook::Sayings;
use crate::races;

use super::{
    against, amdahl, asynchronous, bigo, c10k, check, command_options, compare, concurrency, contention, cost, jobs,
    latency, mapreduce, need, prof, race, speedup, structures, time, timeit, timing,
};

/// Those of the magic of this name.
pub fn of(magic: &str) -> Sayings {
    match magic {
        "amdahl" => &[races::SAYS, amdahl::SAYS],
        "async" => &[asynchronous::SAYS],
        "bigo" => &[bigo::SAYS, command_options::SAYS],
        "c10k" => &[races::SAYS, c10k::SAYS],
        "check" => &[check::SAYS],
        "compare" => &[compare::SAYS, timing::SAYS, command_options::SAYS, against::SAYS],
        "concurrency" => &[races::SAYS, concurrency::SAYS],
        "contention" => &[races::SAYS, contention::SAYS],
        "cost" => &[cost::SAYS],
        "jobs" => &[jobs::SAYS],
        "latency" => &[latency::SAYS],
        "mapreduce" => &[mapreduce::SAYS],
        "need" => &[need::SAYS],
        "prof" => &[prof::SAYS],
        "race" => &[races::SAYS, race::SAYS],
        "speedup" => &[races::SAYS, speedup::SAYS],
        "structures" => &[structures::SAYS],
        "time" => &[time::SAYS, command_options::SAYS],
        "timeit" => &[timing::SAYS, timeit::SAYS, command_options::SAYS, against::SAYS],
        _ => &[],
    }
}
