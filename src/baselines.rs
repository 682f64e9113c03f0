//! Measurements that a person keeps to hold later ones against: a file for each, in JSON. It knows no plan and runs
//! nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::history;
use crate::measure::{MOST_SAVES, Samples, Spread};

/// What one cell measured, and of what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// When, in seconds since 1970.
    pub taken: u64,
    /// The version of timelab.
    pub timelab: String,
    pub machine: Machine,
    /// The cell as it was entered.
    pub cell: String,
    /// What its setup says.
    pub setup: String,
    /// What all variants work on, as written.
    pub input: String,
    pub seed: i64,
    /// The files that are read, by their paths.
    pub files: Vec<Seen>,
    /// One for each size of a sweep; one alone without a sweep.
    pub points: Vec<Point>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
}

/// A file as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub path: PathBuf,
    pub bytes: u64,
    /// Nanoseconds since 1970.
    pub changed: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The number of a sweep.
    pub n: Option<i64>,
    /// Rows that come out of sources, where that is known.
    pub rows: Option<u64>,
    pub variants: Vec<Variant>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    pub name: String,
    /// As written.
    pub text: String,
    /// What ran it; empty where no engine did.
    pub engine: String,
    pub times: Spread,
    /// Whether no work was left that could be timed, so that the times tell nothing.
    #[serde(default)]
    pub removed: bool,
    /// The clock that timed it; empty in files of a time when all variants had one.
    #[serde(default)]
    pub clock: String,
    /// The medians of the last times that it was kept, oldest first, this one too.
    #[serde(default)]
    pub medians: Vec<f64>,
}

/// What hyperfine writes with `--export-json`, and `%compare --export` too.
#[derive(Deserialize)]
struct Exported {
    results: Vec<ExportedResult>,
}

#[derive(Deserialize)]
struct ExportedResult {
    command: String,
    /// Only timelab's own has one.
    name: Option<String>,
    times: Option<Vec<f64>>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

impl Baseline {
    /// What hyperfine has measured.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn of_hyperfine(text: &[u8], shown: &str, taken: u64) -> Result<Baseline, String> {
        let exported: Exported =
            serde_json::from_slice(text).map_err(|error| format!("it is not hyperfine's JSON: {error}"))?;
        let mut points: Vec<Point> = Vec::new();
        for result in exported.results {
            let name = result.name.unwrap_or(result.command.clone());
            let times = result.times.filter(|times| !times.is_empty());
            let times = times.ok_or_else(|| format!("it has no times of `{name}`"))?;
            if times.iter().any(|time| !time.is_finite() || *time < 0.0) {
                return Err(format!("a time of `{name}` is not a positive number"));
            }
            let n = match &result.parameters.values().map(String::as_str).collect::<Vec<_>>()[..] {
                [] => None,
                [n] => Some(n.parse().map_err(|_| format!("the parameter of `{name}` is not an int: {n}"))?),
                _ => return Err(format!("`{name}` has several parameters, and a sweep has one")),
            };
            let times = Samples::new(1, times.iter().map(|seconds| seconds * 1e9).collect());
            let Some(times) = Spread::of(&times) else { continue };
            let (text, engine, clock) = (format!("!{}", result.command), String::new(), "wall".to_string());
            let variant = Variant { name, text, engine, times, removed: false, clock, medians: vec![times.median] };
            let place = points.iter().position(|point| point.n == n).unwrap_or_else(|| {
                points.push(Point { n, rows: None, variants: Vec::new() });
                points.len() - 1
            });
            if points[place].variant(&variant.name).is_some() {
                return Err(format!("it has two results of `{}`", variant.name));
            }
            points[place].variants.push(variant);
        }
        if points.is_empty() {
            return Err("it has no results".to_string());
        }
        let machine = Machine { cpu: "unknown".to_string(), cores: 0 };
        let cell = format!("%baseline import {shown}");
        let [timelab, setup, input] = [HYPERFINE.to_string(), String::new(), String::new()];
        Ok(Baseline { taken, timelab, machine, cell, setup, input, seed: 0, files: Vec::new(), points })
    }
}

impl Baseline {
    /// Whether it comes from there.
    pub fn is_of_hyperfine(&self) -> bool {
        self.timelab == HYPERFINE
    }
}

/// In the place of a version of timelab.
const HYPERFINE: &str = "hyperfine";

impl Machine {
    /// The one that this runs on.
    pub fn here() -> Machine {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let cpu = model.map_or_else(|| std::env::consts::ARCH.to_string(), |(_, model)| model.trim().to_string());
        Machine { cpu, cores: std::thread::available_parallelism().map_or(1, usize::from) }
    }
}

/// The time now, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

impl Point {
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

impl Baseline {
    pub fn point(&self, n: Option<i64>) -> Option<&Point> {
        self.points.iter().find(|point| point.n == n)
    }

    /// Takes over the medians of what was kept before under the same name, where it is the same: machine, version, seed
    /// and texts, and for each variant its engine and clock.
    pub fn go_on_from(&mut self, before: &Baseline) {
        let told = |of: &Baseline| {
            (of.machine.clone(), of.timelab.clone(), of.seed, of.input.clone(), of.setup.clone(), of.files.clone())
        };
        let is_same = told(self) == told(before);
        for point in &mut self.points {
            for variant in &mut point.variants {
                let then = before.point(point.n).and_then(|point| point.variant(&variant.name)).filter(|then| {
                    let told = |of: &Variant| (of.text.clone(), of.engine.clone(), of.clock.clone(), of.removed);
                    is_same && told(then) == told(variant)
                });
                let earlier = then.map_or(&[][..], |then| &then.medians);
                let most = earlier.len().min(MOST_SAVES - 1);
                variant.medians = [&earlier[earlier.len() - most..], &[variant.times.median]].concat();
            }
        }
    }

    /// The names of all variants, each once.
    pub fn variants(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for variant in self.points.iter().flat_map(|point| &point.variants) {
            if !names.contains(&variant.name.as_str()) {
                names.push(&variant.name);
            }
        }
        names
    }
}

/// Where they are kept; nowhere without a folder.
#[derive(Debug, Clone, Default)]
pub struct Baselines {
    folder: Option<PathBuf>,
}

impl Baselines {
    /// The person's own, beside the history.
    pub fn own() -> Baselines {
        Baselines { folder: history::own_folder().map(|folder| folder.join("baselines")) }
    }

    pub fn at(folder: &Path) -> Baselines {
        Baselines { folder: Some(folder.to_path_buf()) }
    }

    /// The names of all, sorted.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry?.file_name();
            names.extend(
                file.to_str()
                    .and_then(|file| file.strip_suffix(".json"))
                    .filter(|name| is_name(name))
                    .map(str::to_string),
            );
        }
        names.sort();
        Ok(names)
    }

    /// None where there is none of that name.
    pub fn read(&self, name: &str) -> io::Result<Option<Baseline>> {
        let Ok(path) = self.path(name) else { return Ok(None) };
        match fs::read(path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes one, whole or not at all; over an older one of that name only where `replace` says so.
    pub fn write(&self, name: &str, baseline: &Baseline, replace: bool) -> io::Result<()> {
        let path = self.path(name)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all((serde_json::to_string_pretty(baseline)? + "\n").as_bytes())?;
        file.as_file().sync_all()?;
        if replace {
            file.persist(path)?
        } else {
            file.persist_noclobber(path)?
        };
        Ok(())
    }

    /// Whether there was one.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        let Ok(path) = self.path(name) else { return Ok(false) };
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        match &self.folder {
            Some(folder) if is_name(name) => Ok(folder.join(format!("{name}.json"))),
            Some(_) => Err(io::ErrorKind::InvalidFilename.into()),
            None => Err(io::Error::other("there is no folder for saved files: neither HOME nor XDG_STATE_HOME is set")),
        }
    }
}

/// Letters, digits, `_`, `-` and `.`, so that it is a file's name everywhere and hides no other file.
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with(['.', '-']) && name.chars().all(fits)
}
