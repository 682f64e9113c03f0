//! What the process of this program is prepared for, and what of that is outside of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// This program, as a process may start it again.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Where rust-analyzer looks for the sources of the standard library. The folder is there only where the toolchain has
/// none: else rust-analyzer would install them without a word.
pub fn no_sources() -> PathBuf {
    std::env::temp_dir().join(format!("{NO_SOURCES}{}", std::process::id()))
}

/// Removes what is ours outside of the processes.
pub fn remove(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    if let Some(path) = std::env::var_os(SOURCES).map(PathBuf::from)
        && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(NO_SOURCES))
    {
        let _ = std::fs::remove_dir_all(&path);
    }
}

static PREPARED: AtomicBool = AtomicBool::new(false);

/// Whether a process of this program becomes a runner, and nothing would be installed.
pub fn may_start(program: &Path) -> bool {
    let becomes_runner = PREPARED.load(Ordering::Relaxed) || program != Path::new(THIS_PROGRAM);
    becomes_runner && std::env::var_os(SOURCES).is_some()
}

const NO_SOURCES: &str = "timelab-no-sources-";
const SOURCES: &str = "RUST_SRC_PATH";

/// Says that this process would have become a runner, and lets nothing be installed. Before a second thread starts.
pub fn set_up() {
    PREPARED.store(true, Ordering::Relaxed);
    if std::env::var_os(SOURCES).is_none() {
        // SAFETY: the process has one thread yet.
        unsafe { std::env::set_var(SOURCES, no_sources()) };
    }
}

/// Gives a command of the person's the environment that the person gave.
pub fn without_ours(command: &mut std::process::Command) -> &mut std::process::Command {
    if std::env::var_os(SOURCES).is_some_and(|path| path == *no_sources().as_os_str()) {
        command.env_remove(SOURCES);
    }
    command
}
