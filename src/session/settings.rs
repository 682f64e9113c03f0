//! The settings: what `%set` and the configuration file may say, each with its name, values and meaning.

use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::engines;
use crate::lang::{Word, whole_number};
use crate::show::{Theme, bytes_text};

#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine of cells that do not say `on`, where the person chose one.
    pub engine: Option<&'static str>,
    /// The seed of `letters`, `random` and `sample` where none is said.
    pub seed: i64,
    /// The most heap that a run may need, in bytes; otherwise what is free.
    pub memory: Option<u64>,
    /// The folder for what does not fit into memory; otherwise that of the system's temporary files.
    pub scratch: Option<PathBuf>,
    /// How many tasks run at a time; otherwise one for each processor that this process may use.
    pub workers: Option<usize>,
    /// The characters of a line; otherwise those of the window.
    pub width: Option<usize>,
    pub theme: Theme,
    /// Whether a cell ends with its status line.
    pub timing: bool,
    pub keys: Keys,
    /// Whether the shell saves its cells while it runs.
    pub autosave: bool,
}

/// Whose keys edit a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Emacs,
    Vi,
}

impl Settings {
    pub fn new(engine: Option<&'static str>) -> Settings {
        Settings {
            engine,
            seed: 0,
            memory: None,
            scratch: None,
            workers: None,
            width: None,
            theme: Theme::Dark,
            timing: true,
            keys: Keys::Emacs,
            autosave: true,
        }
    }
}

/// The processors that this process may use: those of its affinity, and no more than its control group's quota.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, |processors| processors.get()).min(engines::MOST_WORKERS)
}

impl Settings {
    /// Where what does not fit into memory is written.
    pub fn scratch_folder(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(env::temp_dir)
    }
}

pub struct Setting {
    pub name: &'static str,
    /// What it takes.
    pub values: &'static str,
    pub about: &'static str,
    /// A value to try.
    pub example: &'static str,
    /// The value in words.
    pub value: fn(&Settings) -> String,
    pub set: fn(&mut Settings, &Word) -> Fallible<()>,
}

/// All settings, in the order of the help.
pub static ALL: &[Setting] = &[
    Setting {
        name: "engine",
        values: "NAME",
        about: "chooses the engine for cells without `on`",
        example: "rows",
        value: |settings| settings.engine.map_or(format!("{} (the default)", engines::DEFAULT.name()), str::to_string),
        set: |settings, word| {
            let names: Vec<&str> = engines::ALL.iter().map(|engine| engine.name()).collect();
            let engine = engines::find(&word.text).ok_or_else(|| {
                let message = format!("unknown engine `{}`; engines are {}", word.text, listed(&names));
                Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names.iter().copied())
            })?;
            settings.engine = Some(engine.name());
            Ok(())
        },
    },
    Setting {
        name: "seed",
        values: "N",
        about: "sets the default seed of letters, random and sample",
        example: "7",
        value: |settings| settings.seed.to_string(),
        set: |settings, word| {
            settings.seed = word.text.parse().map_err(|_| refuse(word, "a seed must be an int"))?;
            Ok(())
        },
    },
    Setting {
        name: "memory",
        values: "BYTES|auto",
        about: "limits the memory of a run, which goes on in files beyond; auto: nine tenths of what is free",
        example: "2GiB",
        value: |settings| settings.memory.map_or("auto".to_string(), |bytes| bytes_text(bytes as f64)),
        set: |settings, word| {
            let bytes = auto(word, whole_number(&word.text).filter(|bytes| *bytes >= engines::LEAST_MEMORY));
            settings.memory =
                bytes.ok_or_else(|| refuse(word, "memory must be at least 8MB, such as 2GiB, or auto"))?;
            Ok(())
        },
    },
    Setting {
        name: "scratch",
        values: "FOLDER|auto",
        about: "chooses the folder for what does not fit into memory; auto: that of temporary files",
        example: "/tmp",
        value: |settings| match &settings.scratch {
            Some(folder) => folder.display().to_string(),
            None => "auto".to_string(),
        },
        set: |settings, word| {
            let folder = Some(PathBuf::from(&word.text)).filter(|folder| folder.is_dir());
            settings.scratch = auto(word, folder).ok_or_else(|| refuse(word, "scratch must be a folder, or auto"))?;
            Ok(())
        },
    },
    Setting {
        name: "workers",
        values: "N|auto",
        about: "sets how many tasks `threads` and `workers` run at a time; auto: one per processor",
        example: "2",
        value: |settings| settings.workers.map_or("auto".to_string(), |workers| workers.to_string()),
        set: |settings, word| {
            let workers =
                usize::from_str(&word.text).ok().filter(|workers| (1..=engines::MOST_WORKERS).contains(workers));
            settings.workers = auto(word, workers).ok_or_else(|| refuse(word, "workers must be 1 to 1024, or auto"))?;
            Ok(())
        },
    },
    Setting {
        name: "width",
        values: "N|auto",
        about: "sets the width of the output in characters; auto: the width of the window",
        example: "100",
        value: |settings| settings.width.map_or("auto".to_string(), |width| width.to_string()),
        set: |settings, word| {
            let width = usize::from_str(&word.text).ok().filter(|width| (20..=10_000).contains(width));
            settings.width = auto(word, width).ok_or_else(|| refuse(word, "a width must be 20 to 10000, or auto"))?;
            Ok(())
        },
    },
    Setting {
        name: "theme",
        values: "dark|light",
        about: "chooses colours for a dark or a light background",
        example: "light",
        value: |settings| word_of(settings.theme, &THEMES),
        set: |settings, word| one_of(word, "a theme", &THEMES).map(|theme| settings.theme = theme),
    },
    Setting {
        name: "timing",
        values: "on|off",
        about: "turns the status line on or off: rows, engine, time",
        example: "off",
        value: |settings| word_of(settings.timing, &SWITCHES),
        set: |settings, word| one_of(word, "timing", &SWITCHES).map(|timing| settings.timing = timing),
    },
    Setting {
        name: "keys",
        values: "emacs|vi",
        about: "chooses emacs or vi key bindings",
        example: "vi",
        value: |settings| word_of(settings.keys, &KEYS),
        set: |settings, word| one_of(word, "keys", &KEYS).map(|keys| settings.keys = keys),
    },
    Setting {
        name: "autosave",
        values: "on|off",
        about: "saves the cells after each one, for %restore after a crash",
        example: "off",
        value: |settings| word_of(settings.autosave, &SWITCHES),
        set: |settings, word| one_of(word, "autosave", &SWITCHES).map(|autosave| settings.autosave = autosave),
    },
];

const THEMES: [(&str, Theme); 2] = [("dark", Theme::Dark), ("light", Theme::Light)];
const SWITCHES: [(&str, bool); 2] = [("on", true), ("off", false)];
const KEYS: [(&str, Keys); 2] = [("emacs", Keys::Emacs), ("vi", Keys::Vi)];

/// The setting of this name.
pub fn find(word: &Word) -> Fallible<&'static Setting> {
    ALL.iter().find(|setting| setting.name == word.text).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|setting| setting.name).collect();
        let message = format!("unknown setting `{}`; settings are {}", word.text, listed(&names));
        Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names)
    })
}

/// `auto` as nothing, else what the word was read as.
fn auto<T>(word: &Word, read: Option<T>) -> Option<Option<T>> {
    if word.text == "auto" { Some(None) } else { read.map(Some) }
}

fn refuse(word: &Word, wanted: &str) -> Box<Diagnostic> {
    Diagnostic::at(Kind::Type, word.span, format!("{wanted}, got `{}`", word.text))
}

fn one_of<T: Copy>(word: &Word, what: &str, values: &[(&str, T)]) -> Fallible<T> {
    let found = values.iter().find(|(name, _)| *name == word.text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        refuse(word, &format!("{what} must be {}", names.join(" or "))).near(&word.text, names)
    })
}

fn word_of<T: PartialEq>(value: T, values: &[(&str, T)]) -> String {
    values.iter().find(|(_, each)| *each == value).map(|(name, _)| name.to_string()).unwrap_or_default()
}
