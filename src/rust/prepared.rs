//! What the process of this program is prepared for, and what of that is outside of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::service::THIS_PROGRAM;

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
    // Where no memory is left, a backtrace asks for more.
    if let Some(wanted) = std::env::var_os(BACKTRACE) {
        // SAFETY: as above.
        unsafe { std::env::remove_var(BACKTRACE) };
        let _ = USERS_BACKTRACE.set(wanted);
    }
    // A file `rust-toolchain.toml` in the current folder would have rustup run programs of that folder, and so would an
    // entry of PATH that is not absolute.
    if std::env::var_os(TOOLCHAIN).is_none()
        && let Some(toolchain) = default_toolchain()
    {
        let _ = OWN_TOOLCHAIN.set(());
        // SAFETY: as above.
        unsafe { std::env::set_var(TOOLCHAIN, toolchain) };
    }
    let Some(path) = std::env::var_os("PATH") else { return };
    if std::env::split_paths(&path).any(|entry| !entry.is_absolute()) {
        let absolute = std::env::split_paths(&path).filter(|entry| entry.is_absolute());
        if let Ok(absolute) = std::env::join_paths(absolute) {
            // SAFETY: as above.
            unsafe { std::env::set_var("PATH", absolute) };
            let _ = USERS_PATH.set(path);
        }
    }
}

const TOOLCHAIN: &str = "RUSTUP_TOOLCHAIN";
/// Whether this process has set the toolchain, and the PATH that the user gave, where it was changed.
static OWN_TOOLCHAIN: OnceLock<()> = OnceLock::new();
static USERS_PATH: OnceLock<OsString> = OnceLock::new();
const BACKTRACE: &str = "RUST_BACKTRACE";
static USERS_BACKTRACE: OnceLock<OsString> = OnceLock::new();

/// The toolchain that rustup runs where no folder says otherwise.
fn default_toolchain() -> Option<String> {
    let own = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup"));
    let folder = std::env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(own)?;
    let settings = std::fs::read_to_string(folder.join("settings.toml")).ok()?;
    let value = settings.lines().find_map(|line| line.trim().strip_prefix("default_toolchain"))?;
    let name = value.trim().strip_prefix('=')?.trim().trim_matches('"');
    (!name.is_empty()).then(|| name.to_string())
}

/// Gives a command of the person's the environment that the person gave.
pub fn without_ours(command: &mut std::process::Command) -> &mut std::process::Command {
    if std::env::var_os(SOURCES).is_some_and(|path| path == *no_sources().as_os_str()) {
        command.env_remove(SOURCES);
    }
    if OWN_TOOLCHAIN.get().is_some() {
        command.env_remove(TOOLCHAIN);
    }
    if let Some(path) = USERS_PATH.get() {
        command.env("PATH", path);
    }
    if let Some(wanted) = USERS_BACKTRACE.get() {
        command.env(BACKTRACE, wanted);
    }
    command
}
