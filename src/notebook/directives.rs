//! What a comment before a fence says about it.

use std::path::Path;

use super::KERNEL;

/// For all cells of a fence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Directives {
    /// `play` does not wait.
    pub auto: bool,
    /// What `play` asks before it shows the output.
    pub stop: Option<String>,
    /// Runs, and is not shown by `play` and exports.
    pub hidden: bool,
    /// Runs in `test` only where slow cells are asked for.
    pub slow: bool,
    pub skip: bool,
    pub needs: Vec<Needed>,
}

/// What this machine must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Needed {
    Cores(usize),
    /// Bytes that are free.
    Memory(u64),
    Rust,
    Python,
    /// An engine that is not of this machine.
    Engine(&'static str),
}

const ENGINES: [&str; 4] = ["spark", "dask", "beam", "ray"];
const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    // What ends with another unit ends with this one too.
    ("B", 1),
];

impl Directives {
    /// The words behind `timelab:`.
    ///
    /// # Errors
    /// In words, where one is unknown.
    pub fn parse(text: &str) -> Result<Directives, String> {
        let mut directives = Directives::default();
        let mut rest = text.trim_start();
        let mut stops = false;
        while !rest.is_empty() {
            let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
            let word = &rest[..end];
            rest = &rest[end..];
            let value = match rest.strip_prefix('=') {
                None => None,
                Some(quoted) => {
                    let inside = quoted.strip_prefix('"').and_then(|inside| inside.split_once('"'));
                    let (value, more) = inside.ok_or_else(|| format!("expected `{word}=\"…\"`"))?;
                    rest = more;
                    Some(value)
                }
            };
            match (word, value) {
                ("auto", None) => directives.auto = true,
                ("stop", None) => stops = true,
                ("ask", Some(question)) => directives.stop = Some(question.to_string()),
                ("hidden", None) => directives.hidden = true,
                ("slow", None) => directives.slow = true,
                ("skip", None) => directives.skip = true,
                ("needs", Some(list)) => {
                    directives.needs =
                        list.split(',').map(|need| Needed::parse(need.trim())).collect::<Result<_, _>>()?;
                }
                _ => {
                    return Err(format!(
                        "unknown directive `{word}`: there are auto, stop ask=\"…\", hidden, slow, needs=\"…\", skip"
                    ));
                }
            }
            rest = rest.trim_start();
        }
        if stops && directives.stop.is_none() {
            return Err("`stop` needs its question: stop ask=\"10×? 100×?\"".to_string());
        }
        Ok(directives)
    }

    /// What both say; a question that comes later takes the place of the other.
    pub fn and(self, more: Directives) -> Directives {
        Directives {
            auto: self.auto || more.auto,
            stop: more.stop.or(self.stop),
            hidden: self.hidden || more.hidden,
            slow: self.slow || more.slow,
            skip: self.skip || more.skip,
            needs: self.needs.into_iter().chain(more.needs).collect(),
        }
    }

    /// Whether a comment is meant to hold directives, and does not begin as they do.
    pub fn is_nearly(comment: &str) -> bool {
        let text = comment.trim_start();
        let Some((name, rest)) = text.split_at_checked(KERNEL.len()) else { return false };
        let rest = rest.trim();
        name.eq_ignore_ascii_case(KERNEL)
            && (rest.starts_with(':') || !rest.is_empty() && Directives::parse(rest).is_ok())
    }

    /// Why its cells cannot run here, in words.
    pub fn unmet(&self) -> Option<String> {
        if self.skip { Some("skip".to_string()) } else { self.needs.iter().find_map(Needed::unmet) }
    }
}

/// The words that [`Directives::parse`] takes.
impl std::fmt::Display for Directives {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let flags = [(self.auto, "auto"), (self.hidden, "hidden"), (self.slow, "slow"), (self.skip, "skip")];
        let mut words: Vec<String> = flags.iter().filter(|(is, _)| *is).map(|(_, word)| word.to_string()).collect();
        words.extend(self.stop.as_ref().map(|question| format!("stop ask=\"{question}\"")));
        let needs: Vec<String> = self.needs.iter().map(Needed::to_string).collect();
        words.extend((!needs.is_empty()).then(|| format!("needs=\"{}\"", needs.join(", "))));
        f.write_str(&words.join(" "))
    }
}

impl std::fmt::Display for Needed {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Needed::Cores(count) => write!(f, "cores>={count}"),
            Needed::Memory(bytes) => {
                let whole = UNITS.iter().filter(|(_, unit)| bytes % unit == 0);
                match whole.max_by_key(|(_, unit)| *unit) {
                    Some((name, unit)) => write!(f, "memory>={}{name}", bytes / unit),
                    None => write!(f, "memory>={bytes}B"),
                }
            }
            Needed::Rust => f.write_str("rust"),
            Needed::Python => f.write_str("python"),
            Needed::Engine(name) => f.write_str(name),
        }
    }
}

impl Needed {
    fn parse(text: &str) -> Result<Needed, String> {
        let unknown =
            || format!("unknown need `{text}`: there are cores>=N, memory>=4GB, rust, python, {}", ENGINES.join(", "));
        if let Some(count) = text.strip_prefix("cores>=") {
            return count.trim().parse().map(Needed::Cores).map_err(|_| unknown());
        }
        if let Some(size) = text.strip_prefix("memory>=") {
            let unit = UNITS.iter().find_map(|(unit, bytes)| Some((size.strip_suffix(unit)?, bytes)));
            let (number, bytes) = unit.ok_or_else(unknown)?;
            let number: u64 = number.trim().parse().map_err(|_| unknown())?;
            return number.checked_mul(*bytes).map(Needed::Memory).ok_or_else(unknown);
        }
        match text {
            "rust" => Ok(Needed::Rust),
            "python" => Ok(Needed::Python),
            _ => {
                ENGINES.iter().find(|engine| **engine == text).map(|engine| Needed::Engine(engine)).ok_or_else(unknown)
            }
        }
    }

    /// Why it is not there, in words.
    pub fn unmet(&self) -> Option<String> {
        let there = |tool: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
        };
        match self {
            Needed::Cores(least) => {
                let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
                (cores < *least).then(|| format!("needs {least} cores, there are {cores}"))
            }
            Needed::Memory(least) => {
                let free = free_memory()?;
                let text = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
                (free < *least).then(|| format!("needs {} of memory, {} are free", text(*least), text(free)))
            }
            Needed::Rust => (!there("rustc") || !there("cargo")).then(|| "needs rust: no cargo in PATH".to_string()),
            Needed::Python => (!there("python3")).then(|| "needs python: no python3 in PATH".to_string()),
            Needed::Engine(name) => Some(format!("needs {name}: this timelab has no such engine")),
        }
    }
}

/// What the system says to be available; none where it does not say.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}
