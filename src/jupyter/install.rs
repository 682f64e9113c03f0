//! What tells Jupyter of the kernel: a folder `kernels/timelab` with `kernel.json`.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::escape::file_name;

/// The name of the kernel, and of its folder.
const NAME: &str = "timelab";

/// Where kernels of a user are, or those of an installation: `$JUPYTER_DATA_DIR`, or `share/jupyter` below the prefix.
fn folder(prefix: Option<&Path>) -> Result<PathBuf, String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = match prefix {
        Some(prefix) => prefix.join("share/jupyter"),
        None => set("JUPYTER_DATA_DIR")
            .or_else(|| Some(set("XDG_DATA_HOME")?.join("jupyter")))
            .or_else(|| Some(set("HOME")?.join(".local/share/jupyter")))
            .ok_or("HOME is not set; `--prefix` says where Jupyter is")?,
    };
    Ok(data.join("kernels").join(NAME))
}

/// Tells Jupyter of this program; where.
///
/// # Errors
/// The folder cannot be written, or nobody knows where it is.
pub fn install(prefix: Option<&Path>) -> Result<String, String> {
    folder(prefix).and_then(|folder| {
        let program = std::env::current_exe().map_err(|error| format!("timelab does not find itself: {error}"))?;
        let spec = json!({
            "argv": [program.to_string_lossy(), "kernel", "run", "{connection_file}"],
            "display_name": NAME,
            "language": NAME,
            "interrupt_mode": "message",
            "metadata": { "debugger": false },
        });
        write(&folder, &spec).map_err(|error| format!("\"{}\": {error}", file_name(&folder)))?;
        Ok(format!("installed in {}", file_name(&folder)))
    })
}

fn write(folder: &Path, spec: &Json) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let text = serde_json::to_string_pretty(spec)? + "\n";
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.persist(folder.join("kernel.json"))?;
    Ok(())
}

/// Takes back what [`install`] did, and nothing else; from where.
///
/// # Errors
/// There is nothing to take back.
pub fn uninstall(prefix: Option<&Path>) -> Result<String, String> {
    folder(prefix).and_then(|folder| {
        let spec = folder.join("kernel.json");
        let failed = |error: io::Error| format!("\"{}\": {error}", file_name(&spec));
        if !spec.exists() {
            return Err(format!("the kernel is not installed in {}", file_name(&folder)));
        }
        let text = std::fs::read_to_string(&spec).map_err(failed)?;
        let is_ours = serde_json::from_str::<Json>(&text).is_ok_and(|spec| spec["language"] == NAME);
        if !is_ours {
            return Err(format!("\"{}\" is not a kernel of timelab", file_name(&spec)));
        }
        std::fs::remove_file(&spec).map_err(failed)?;
        // What somebody has added stays.
        let _ = std::fs::remove_dir(&folder);
        Ok(format!("removed from {}", file_name(&folder)))
    })
}
