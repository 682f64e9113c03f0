//! The settings: what `%set` and the configuration file may say, each with its name, values and meaning.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::engines::{self, Engine};
use crate::escape::without_token;
use crate::lang::{Word, whole_number};
use crate::plan::{Place, Words};
use crate::remote;
use crate::show::{Theme, bytes_text};

#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine of cells that do not say `on`, where the person chose one.
    pub engine: Option<&'static str>,
    /// The addresses of engines that run elsewhere, by their names.
    pub addresses: BTreeMap<&'static str, String>,
    /// The programs that run the drivers of engines that were started here.
    pub pythons: BTreeMap<&'static str, String>,
    /// The program that runs drivers of engines in Python; otherwise that of the active virtual environment.
    pub python: Option<String>,
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
            addresses: BTreeMap::new(),
            pythons: BTreeMap::new(),
            python: None,
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
    /// The program that runs Python.
    pub fn python_program(&self) -> String {
        remote::python(self.python.as_deref())
    }

    /// How many processes do the work of a server that is started here.
    pub fn processes(&self) -> usize {
        self.workers.unwrap_or_else(processors)
    }

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
            let names: Vec<&str> = engines::here().map(|engine| engine.name()).collect();
            let engine = engines::find(&word.text).ok_or_else(|| {
                let message = format!("unknown engine `{}`; engines are {}", word.text, listed(&names));
                Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names.iter().copied())
            })?;
            settings.engine = Some(engine.name());
            Ok(())
        },
    },
    Setting {
        name: "spark",
        values: "ADDRESS|auto",
        about: "sets the server that `on spark` uses, Spark Connect or Sail; auto: $SPARK_REMOTE",
        example: "sc://127.0.0.1:15002",
        value: |settings| address_of(settings, "spark"),
        set: |settings, word| set_address(settings, "spark", word),
    },
    Setting {
        name: "dask",
        values: "ADDRESS|auto",
        about: "sets the scheduler that `on dask` uses; auto: $DASK_SCHEDULER_ADDRESS, else one on this machine",
        example: "tcp://127.0.0.1:8786",
        value: |settings| address_of(settings, "dask"),
        set: |settings, word| set_address(settings, "dask", word),
    },
    Setting {
        name: "ray",
        values: "ADDRESS|auto",
        about: "sets the cluster that `on ray` uses; auto: $RAY_ADDRESS, else one on this machine",
        example: "ray://127.0.0.1:10001",
        value: |settings| address_of(settings, "ray"),
        set: |settings, word| set_address(settings, "ray", word),
    },
    Setting {
        name: "python",
        values: "PATH|auto",
        about: "chooses the Python of engines that need one; auto: the active virtual environment, else python3",
        example: "python3",
        value: |settings| settings.python.clone().unwrap_or_else(|| "auto".to_string()),
        set: |settings, word| {
            settings.python = (word.text != "auto").then(|| word.text.clone());
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

/// The address of an engine without its token.
fn address_of(settings: &Settings, engine: &str) -> String {
    settings.addresses.get(engine).map_or("auto".to_string(), |address| without_token(address))
}

fn set_address(settings: &mut Settings, engine: &'static str, word: &Word) -> Fallible<()> {
    if word.text == "auto" {
        settings.addresses.remove(engine);
        return Ok(());
    }
    let known = engines::find(engine).expect("it is in the table");
    check_address(known, &word.text, Some(word.span))?;
    settings.addresses.insert(engine, word.text.clone());
    Ok(())
}

/// Where a run on an engine takes place: at the address that is said, that of the settings, or that of the
/// environment. None where the engine runs here.
///
/// # Errors
/// The address is not one of this engine.
pub fn place(settings: &Settings, engine: &dyn Engine, said: Option<(&str, Span)>) -> Fallible<Option<Place>> {
    let Some(elsewhere) = engine.elsewhere() else { return Ok(None) };
    let set = settings.addresses.get(engine.name()).cloned();
    let address = match said {
        Some((address, span)) => {
            check_address(engine, address, Some(span))?;
            Some(address.to_string())
        }
        None if set.is_some() => set,
        None => {
            let found = elsewhere.variable.and_then(|name| env::var(name).ok()).filter(|value| !value.is_empty());
            if let Some(address) = &found {
                check_address(engine, address, None)?;
            }
            found
        }
    };
    let python = settings.python.clone().or_else(|| settings.pythons.get(engine.name()).cloned());
    Ok(Some(Place::of(Words { address, python, options: Vec::new() })))
}

fn check_address(engine: &dyn Engine, address: &str, span: Option<Span>) -> Fallible<()> {
    let Some(elsewhere) = engine.elsewhere() else { return Ok(()) };
    if elsewhere.schemes.is_empty() {
        let mut error = Diagnostic::new(Kind::Type, format!("{} takes no address", engine.name()));
        error.span = span;
        return Err(error.hint(elsewhere.example));
    }
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| elsewhere.schemes.contains(&scheme)) {
        return Ok(());
    }
    let schemes: Vec<String> = elsewhere.schemes.iter().map(|scheme| format!("{scheme}://")).collect();
    let message = format!(
        "an address of {} begins with {}, got `{}`",
        engine.name(),
        schemes.join(" or "),
        without_token(address)
    );
    let mut error = Diagnostic::new(Kind::Type, message).hint(format!("for example: {}", elsewhere.example));
    error.span = span;
    Err(error)
}

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
