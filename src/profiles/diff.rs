//! Two profiles side by side.

use std::collections::HashMap;

use super::{Function, Profile};

/// A function in both, or in one.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub name: String,
    pub module: String,
    pub place: String,
    /// Own weights before and after, and cumulative ones.
    pub own: (f64, f64),
    pub cumulative: (f64, f64),
    pub calls: (Option<u64>, Option<u64>),
}

impl Change {
    pub fn grown(&self) -> f64 {
        self.own.1 - self.own.0
    }
}

/// All functions that are in either, what changed most first. Lines may move: functions are the same by name and file.
pub fn differences(before: &Profile, after: &Profile) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for (side, profile) in [before, after].into_iter().enumerate() {
        for function in &profile.functions {
            let key = (function.name.clone(), function.file.clone().unwrap_or_else(|| function.module.clone()));
            let at = *places.entry(key).or_insert_with(|| {
                changes.push(empty(function));
                changes.len() - 1
            });
            let change = &mut changes[at];
            let calls = function.calls.map(|(all, _)| all);
            let add = |known: Option<u64>| calls.map(|calls| calls + known.unwrap_or(0)).or(known);
            if side == 0 {
                change.own.0 += function.own;
                change.cumulative.0 += function.cumulative;
                change.calls.0 = add(change.calls.0);
            } else {
                change.own.1 += function.own;
                change.cumulative.1 += function.cumulative;
                change.calls.1 = add(change.calls.1);
                change.place = function.place();
            }
        }
    }
    changes.sort_by(|a, b| b.grown().abs().total_cmp(&a.grown().abs()).then_with(|| a.name.cmp(&b.name)));
    changes
}

fn empty(function: &Function) -> Change {
    Change {
        name: function.name.clone(),
        module: function.module.clone(),
        place: function.place(),
        own: (0.0, 0.0),
        cumulative: (0.0, 0.0),
        calls: (None, None),
    }
}
