//! `%engine` with a Python that is made up: what it installs, starts and ends, and what it says of failures.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::command::{err, out};

/// Stands in the place of Python: makes environments of nothing, notes what pip is asked for, and serves by this test.
const PYTHON: &str = r#"#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip") shift 2; echo "pip $*" >> "$TIMELAB_FAKE_LOG"; echo "the words of pip" >&2; exit "${TIMELAB_FAKE_PIP:-0}" ;;
"-c "*) TIMELAB_FAKE_PORT=$3 exec "$TIMELAB_FAKE_SERVER" engine::serves_where_it_is_asked --exact ;;
*) exit 9 ;;
esac
"#;

struct Place {
    folder: PathBuf,
}

impl Place {
    fn new(name: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("timelab-engine-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let python = folder.join("python");
        fs::write(&python, PYTHON).expect("it can be written");
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Place { folder }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .env("XDG_CACHE_HOME", self.folder.join("cache"))
            .env("TIMELAB_FAKE_LOG", self.folder.join("log"))
            .env("TIMELAB_FAKE_SERVER", std::env::current_exe().expect("it runs"))
            .env_remove("VIRTUAL_ENV")
            .env_remove("SPARK_REMOTE");
        command
    }

    fn run(&self, change: impl FnOnce(&mut Command), cells: &[&str]) -> Output {
        let mut command = self.command();
        change(&mut command);
        let python = format!("%set python {}", self.folder.join("python").display());
        command.args(["--keep-going", "-c", &python]);
        cells.iter().for_each(|cell| _ = command.args(["-c", cell]));
        command.output().expect("timelab starts")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn installed(&self) -> PathBuf {
        self.folder.join("cache/timelab/engines/sail")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The server itself, where the stand-in for Python runs this test alone: it takes connections until its input ends.
#[test]
fn serves_where_it_is_asked() {
    let Ok(port) = std::env::var("TIMELAB_FAKE_PORT") else { return };
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port is free");
    std::thread::spawn(move || listener.incoming().flatten().for_each(std::mem::forget));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn a_server_is_installed_started_and_ended() {
    let place = Place::new("whole");
    let cells = ["%engine start sail --yes", "%engine", "%set spark", "%engine stop", "%engine", "%set spark"];
    let output = place.run(|_| {}, &cells);
    let (out, err) = (out(&output), err(&output));
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(out.contains("sail runs at sc://127.0.0.1:") && out.contains("`sail` has ended"), "{out}");
    assert!(out.contains("sail  runs at") && out.contains("sail  installed"), "{out}");
    assert!(out.contains("sc://127.0.0.1:") && out.contains("spark  auto"), "{out}");
    assert!(place.log().contains("install") && place.log().contains("pysail=="), "{}", place.log());
    // What is there is not installed again, and nobody is asked.
    let output = place.run(|_| {}, &["%engine start sail"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(place.log().lines().count(), 1, "{}", place.log());
}

#[test]
fn nothing_is_installed_unless_somebody_says_so() {
    let place = Place::new("asks");
    let output = place.run(|_| {}, &["%engine start sail"]);
    let err = err(&output);
    assert_eq!(output.status.code(), Some(1));
    for words in ["nobody can be asked", "pysail==", " MB", "%engine start sail --yes"] {
        assert!(err.contains(words), "no `{words}` in: {err}");
    }
    assert!(!place.installed().exists() && place.log().is_empty());
}

#[test]
fn an_installation_that_fails_leaves_nothing() {
    let place = Place::new("fails");
    let output = place.run(|command| _ = command.env("TIMELAB_FAKE_PIP", "1"), &["%engine start sail --yes"]);
    let err = err(&output);
    assert!(err.contains("sail cannot be installed") && err.contains("the words of pip"), "{err}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!place.installed().exists());
}

#[test]
fn a_server_that_does_not_start_is_told() {
    let place = Place::new("ends");
    let output =
        place.run(|command| _ = command.env("TIMELAB_FAKE_SERVER", "/bin/false"), &["%engine start sail --yes"]);
    assert!(err(&output).contains("sail cannot be started: it ended"), "{}", err(&output));
    let output = place.run(|_| {}, &["%set python /nowhere/python", "%engine start dask --yes"]);
    assert!(err(&output).contains("`/nowhere/python` cannot be started"), "{}", err(&output));
}

#[test]
fn spark_needs_a_java() {
    let place = Place::new("java");
    let without = |command: &mut Command| _ = command.env("PATH", "/nowhere").env_remove("JAVA_HOME");
    let output = place.run(without, &["%engine start spark --yes"]);
    let err = err(&output);
    assert!(err.contains("spark needs Java") && err.contains("package manager"), "{err}");
    assert!(place.log().is_empty());
}

#[test]
fn mistakes_are_told() {
    let place = Place::new("mistakes");
    let said = |cell: &str| err(&place.run(|_| {}, &[cell]));
    assert!(said("%engine start").contains("`sail`, `spark`, `dask` and `ray`"), "{}", said("%engine start"));
    assert!(said("%engine start sial").contains("did you mean `sail`?"));
    assert!(said("%engine start beam").contains("| on beam"));
    assert!(said("%engine go").contains("unexpected `go`"));
}

/// A shell that is killed takes its servers with it.
#[test]
fn a_server_ends_with_a_shell_that_is_killed() {
    let place = Place::new("killed");
    let python = format!("%set python {}", place.folder.join("python").display());
    let mut shell = place
        .command()
        .args(["-c", &python, "-c", "%engine start sail --yes", "-c", "1..100G | sum"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("timelab starts");
    let lines = BufReader::new(shell.stdout.take().expect("it is a pipe")).lines().map_while(Result::ok);
    let found = lines.into_iter().find_map(|line| Some(line.split_once("sc://127.0.0.1:")?.1.to_string()));
    let port: u16 = found.and_then(|port| port.trim().parse().ok()).expect("it says where");
    let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    shell.kill().expect("it runs");
    shell.wait().expect("it has ended");
    // The server's end closes the connection.
    assert_eq!(connection.read(&mut [0; 1]).unwrap_or(0), 0);
}
