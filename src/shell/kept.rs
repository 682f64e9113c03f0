//! What commands write over: a file that is there is replaced only where nothing of a person is lost.

use std::path::Path;

use crate::escape::file_name;
use crate::files::{is_writable, same_place};

/// Whether a command may write this file, which is asked before anything runs: it is not there, or empty, or not a
/// regular file, or it is `input` itself, or what the same command has written before, as `is_former` finds out
/// from its text. Nothing replaces a read-only file.
///
/// # Errors
/// In words for people.
pub fn may_replace(
    out: &Path,
    input: Option<&Path>,
    force: bool,
    is_former: impl FnOnce(&str) -> bool,
) -> Result<(), String> {
    let Ok(metadata) = std::fs::metadata(out) else { return Ok(()) };
    is_writable(out).map_err(|error| format!("\"{}\": {error}", file_name(out)))?;
    let is_input = || input.is_some_and(|input| same_place(input) == same_place(out));
    if force || !metadata.is_file() || metadata.len() == 0 || is_input() {
        return Ok(());
    }
    if std::fs::read_to_string(out).is_ok_and(|found| is_former(&found)) {
        return Ok(());
    }
    let name = file_name(out);
    Err(format!("\"{name}\" is there, and this command has not written it\n\n  to replace it: --force"))
}
