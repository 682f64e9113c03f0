//! Paths as a user types them.

use std::path::PathBuf;

/// The path that a text names: `~` and a leading `~/` are the user's home folder. A file that is really called `~` is
/// `./~`.
pub fn expanded(shown: &str) -> PathBuf {
    let rest = shown.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match (rest, std::env::var_os("HOME").filter(|home| !home.is_empty())) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest.trim_start_matches('/')),
        _ => PathBuf::from(shown),
    }
}
