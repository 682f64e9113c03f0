//! The configuration file, a line a setting, and the file of cells that run when a shell starts. Scripts read neither.

use std::path::{Path, PathBuf};
use std::{fs, io};

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::escape::file_name;
use crate::lang::Word;
use crate::session::settings::{self, Settings};

/// `$XDG_CONFIG_HOME/timelab`, or under `~/.config`.
fn folder() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(config.join("timelab"))
}

pub fn path() -> Option<PathBuf> {
    Some(folder()?.join("config.toml"))
}

/// The cells that run when a shell starts.
pub fn init_path() -> Option<PathBuf> {
    Some(folder()?.join("init.txt"))
}

/// The text of a file that the user may have.
///
/// # Errors
/// Also where reading it would wait for another program or never end.
pub fn text(path: &Path) -> io::Result<String> {
    const MOST: u64 = 16 << 20;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > MOST {
        return Err(io::Error::other(format!("it is larger than {} MiB", MOST >> 20)));
    }
    fs::read_to_string(path)
}

/// What the text of a configuration file sets.
///
/// # Errors
/// The first mistake, with its place in the text. What stands before it is set.
pub fn read(text: &str, settings: &mut Settings) -> Fallible<()> {
    let span = |range: std::ops::Range<usize>| Span::new(0, range.start, range.end);
    let table = DeTable::parse(text).map_err(|error| {
        let message = error.message().to_string();
        let hint = "a line is: name = \"value\"";
        match error.span() {
            Some(range) => Diagnostic::at(Kind::Syntax, span(range), message).hint(hint),
            None => Diagnostic::new(Kind::Syntax, message).hint(hint),
        }
    })?;
    let mut lines: Vec<_> = table.into_inner().into_iter().collect();
    lines.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in lines {
        let setting = settings::find(&Word { text: name.get_ref().to_string(), span: span(name.span()) })?;
        let place = span(value.span());
        let text = match value.into_inner() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_string(),
            DeValue::Boolean(flag) => if flag { "on" } else { "off" }.to_string(),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return Err(Diagnostic::at(Kind::Type, place, format!("`{}` must be a text or an int", setting.name))
                    .hint(format!("{} = \"{}\"", setting.name, setting.example)));
            }
        };
        (setting.set)(settings, &Word { text, span: place })?;
    }
    Ok(())
}

/// A configuration file that sets nothing yet, with every setting as a comment.
pub fn template() -> String {
    let mut text =
        "# Settings of timelab, read when a shell starts. Remove the `# ` to set one; `timelab config` checks this\n\
         # file. The cells of init.txt beside this file also run when a shell starts.\n\
         "
        .to_string();
    for setting in settings::ALL {
        text.push_str(&format!(
            "\n# {}\n# values: {}\n# {} = \"{}\"\n",
            setting.about, setting.values, setting.name, setting.example
        ));
    }
    text
}

/// Writes the commented file where there is none.
pub fn write() -> Result<PathBuf, String> {
    let path = path().ok_or("HOME is not set, so there is no folder for a configuration file")?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("the file \"{}\" already exists and was not changed", file_name(&path))
        }
        _ => format!("\"{}\" cannot be written: {error}", file_name(&path)),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = fs::File::create_new(&path).map_err(failed)?;
    io::Write::write_all(&mut file, template().as_bytes()).map_err(failed)?;
    Ok(path)
}
