//! What Rust cells need of the machine, looked for before anything starts: nothing is ever installed silently.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::file_name;

/// Where the shared standard library lies.
///
/// # Errors
/// What is missing, and how to get it.
pub fn library_folder() -> Fallible<PathBuf> {
    if !cfg!(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return Err(missing("Rust cells run on Linux with glibc only").hint("the rest of the shell works here"));
    }
    for tool in ["rustc", "cargo"] {
        if output_of(tool, &["--version"]).is_none() {
            if let Some(why) = in_its_way() {
                return Err(missing(&format!("Rust cells cannot start: {why}")));
            }
            return Err(missing(&format!("Rust cells need `{tool}`, which is not on the PATH or does not run"))
                .hint("install Rust from https://rustup.rs; the rest of the shell works without it"));
        }
    }
    if output_of("cc", &["--version"]).is_none() {
        return Err(
            missing("Rust cells need a linker: `cc` is not on the PATH").hint("apt install gcc, or dnf install gcc")
        );
    }
    let folder = PathBuf::from(output_of("rustc", &["--print", "target-libdir"]).unwrap_or_default());
    let shared = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".so")
    };
    if !std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(shared))) {
        let message = format!(
            "Rust cells need the shared standard library (libstd-*.so), which is not in {}",
            file_name(&folder)
        );
        return Err(missing(&message).hint("toolchains of rustup have it; packages of some distributions do not"));
    }
    Ok(folder)
}

/// What of this process keeps a tool from running, as far as that is known.
fn in_its_way() -> Option<String> {
    const LEAST_STACK: u64 = 1 << 20;
    if !Path::new("/proc/self").exists() {
        return Some("`/proc` is not mounted".to_string());
    }
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the system fills the structure.
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) };
    let kib = limit.rlim_cur >> 10;
    (limit.rlim_cur < LEAST_STACK).then(|| format!("rustc needs a larger stack than the {kib} KiB of `ulimit -s`"))
}

/// Whether the sources of the standard library are there. Only completion of Rust knows more with them.
pub fn has_sources() -> bool {
    let root = output_of("rustc", &["--print", "sysroot"]);
    root.is_some_and(|root| PathBuf::from(root).join("lib/rustlib/src/rust/library").is_dir())
}

fn missing(what: &str) -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, what)
}

/// What a program prints, without the last line end.
fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}
