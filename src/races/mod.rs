//! The catalogue of races: what goes wrong when threads share something, beside what makes it right. One file per demo.
//!
//! Most demos are programs of the race language, so they can be explored, run and played. The counter and the lists are
//! Rust, because their versions differ in what the language leaves out: locks of the library, channels, processes. No
//! version does anything undefined: what races is atomic and relaxed.

mod aba;
mod counter;
mod deadlock;
mod fork;
mod gil;
mod lazy_init;
mod lists;
mod livelock;
mod publication;
mod rounds;
mod store_buffering;
mod ticket;
mod torn_print;
mod torn_total;
mod versions;
mod wake_up;

use std::sync::OnceLock;

use crate::data::Value;
use crate::diagnostic::Fallible;
use crate::interleave::{Program, read};
use crate::report::{Figures, Note, Plot};
use crate::run_context::RunContext;

pub use rounds::{MOST_EACH, MOST_THREADS, SAYS, busy, busy_note};

pub struct Demo {
    pub name: &'static str,
    /// What goes wrong, in a few words.
    pub wrong: &'static str,
    pub lesson: &'static str,
    /// The race in the race language, for `%race play`.
    pub program: &'static str,
    pub versions: Versions,
}

/// The ways in which a demo does the same thing.
pub enum Versions {
    Programs(&'static [Version]),
    Native(&'static Native),
}

/// A version in the race language.
pub struct Version {
    pub name: &'static str,
    pub about: &'static str,
    pub is_safe: bool,
    pub program: &'static str,
}

/// A demo in Rust.
pub struct Native {
    pub versions: &'static [Described],
    /// Ways that others of the catalogue have and this one does not, and why.
    pub left_out: &'static [(&'static str, &'static str)],
    /// How many operations each thread does unless specified.
    pub each: u64,
    /// Elements that fit into memory, where the demo holds them.
    pub most_each: u64,
    /// Whether it needs exactly two threads.
    pub is_pair: bool,
    pub run: fn(&Asked, &RunContext) -> Fallible<DemoResult>,
    /// The text of its file.
    pub text: &'static str,
}

pub struct Described {
    pub name: &'static str,
    pub about: &'static str,
    pub safety: Safety,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    Safe,
    /// Nothing is lost, but the order is not kept.
    KeepsElements,
    Unsafe,
}

impl Safety {
    pub fn said(self) -> &'static str {
        match self {
            Safety::Safe => "yes",
            Safety::KeepsElements => "no: order",
            Safety::Unsafe => "no",
        }
    }
}

/// What the user wants of a demo in Rust.
pub struct Asked {
    pub each: u64,
    pub threads: usize,
    /// The versions by name; empty for all.
    pub only: Vec<String>,
    /// After how many operations the state is looked at while it runs.
    pub checkpoint: Option<u64>,
}

pub struct DemoResult {
    pub figures: Figures,
    pub notes: Vec<Note>,
    pub plot: Option<Plot>,
}

impl DemoResult {
    /// Whether a version of this name ran.
    fn has(&self, version: &str) -> bool {
        let table = &self.figures.table;
        table.values(0, 0, table.height()).contains(&Value::text(version))
    }
}

/// All demos, in the order of the help.
pub static ALL: &[&Demo] = &[
    &counter::COUNTER,
    &lists::LISTS,
    &ticket::TICKET,
    &torn_total::TORN_TOTAL,
    &torn_print::TORN_PRINT,
    &deadlock::DEADLOCK,
    &livelock::LIVELOCK,
    &lazy_init::LAZY_INIT,
    &aba::ABA,
    &wake_up::WAKE_UP,
    &store_buffering::STORE_BUFFERING,
    &publication::PUBLICATION,
];

pub fn find(name: &str) -> Option<&'static Demo> {
    ALL.iter().copied().find(|demo| demo.name == name)
}

impl Demo {
    pub fn version_names(&self) -> Vec<&'static str> {
        match &self.versions {
            Versions::Programs(versions) => versions.iter().map(|version| version.name).collect(),
            Versions::Native(native) => native.versions.iter().map(|version| version.name).collect(),
        }
    }

    /// What each version does: name, a line about it, whether it is safe.
    pub fn described(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        match &self.versions {
            Versions::Programs(versions) => versions
                .iter()
                .map(|version| (version.name, version.about, if version.is_safe { "yes" } else { "no" }))
                .collect(),
            Versions::Native(native) => {
                native.versions.iter().map(|version| (version.name, version.about, version.safety.said())).collect()
            }
        }
    }

    /// The source of every version.
    pub fn source(&self) -> String {
        match &self.versions {
            Versions::Programs(versions) => {
                let each = versions.iter().map(|version| {
                    let Version { name, about, program, .. } = version;
                    format!("# {name}: {about}\n%%race {program}")
                });
                each.collect::<Vec<_>>().join("\n\n")
            }
            Versions::Native(native) => {
                let each = native.versions.iter().map(|version| {
                    let function = function(native.text, version.name).unwrap_or_default();
                    format!("// {}: {}\n{function}", version.name, version.about)
                });
                each.collect::<Vec<_>>().join("\n\n")
            }
        }
    }
}

/// The program of a version, read once: its text is ours and has no mistakes.
pub fn program(text: &'static str) -> &'static Program {
    static READ: OnceLock<Vec<(&'static str, Program)>> = OnceLock::new();
    let all = READ.get_or_init(|| {
        let texts = ALL.iter().flat_map(|demo| {
            let versions = match &demo.versions {
                Versions::Programs(versions) => versions.iter().map(|version| version.program).collect(),
                Versions::Native(_) => Vec::new(),
            };
            versions.into_iter().chain([demo.program])
        });
        texts.map(|text| (text, read(text).expect("the programs of the catalogue are tested"))).collect()
    });
    all.iter().find(|(known, _)| *known == text).map(|(_, program)| program).expect("it is in the catalogue")
}

/// The function of a version in the text of its file: `racy, functional` is `fn racy_functional`. It relies on rustfmt:
/// what stands at the first column begins or ends an item.
fn function(text: &'static str, version: &str) -> Option<&'static str> {
    let name = version.replace("()", "").replace(", ", "_").replace([' ', '-'], "_");
    let start = text.find(&format!("\nfn {name}("))? + 1;
    let end = start + text[start..].find("\n}\n")? + "\n}".len();
    Some(&text[start..end])
}
