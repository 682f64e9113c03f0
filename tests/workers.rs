//! Worker processes: whatever is killed, and whenever, the result is the same or there is none, and nothing is left.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use timelab::console::Console;
use timelab::diagnostic::Kind;
use timelab::magics::evaluate;
use timelab::session::Session;

use crate::command::{err, out, timelab};
use crate::lab::Lab;

/// A shell that runs a cell on two workers.
fn shell(cell: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["--format", "csv", "-c", "%set workers 2", "-c", &format!("{cell} | on workers")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("timelab starts")
}

/// The worker processes of a shell.
fn workers(shell: u32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{shell}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids: Vec<i32> =
        children.flat_map(|all| all.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    pids.into_iter().filter(|pid| is_worker(*pid)).collect()
}

fn is_worker(pid: i32) -> bool {
    let is_dead = fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    !is_dead && fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with("timelab-worker"))
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: a plain system call; the process is a child of a child of ours.
    unsafe { libc::kill(pid, signal) };
}

/// Waits until something is so, for as long as a busy machine may need.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..30_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("{what} did not come");
}

fn text(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).expect("it is text");
    text
}

/// Each of its 39 tasks gives a row that is printed as it is taken.
const STEPS: &str =
    "1..20M | filter it % 524288 == 5 | peek 100 | map k = it % 3, x = it | agg sum(x), count() by k | sort by k";

#[test]
fn a_worker_that_is_killed_at_any_step_changes_nothing() {
    let expected = out(&timelab(&["--format", "csv", "-c", STEPS], ""));
    assert_eq!(expected.lines().count(), 4, "{expected}");
    // Before the first task gave anything; when the first, a later and the last ones were taken.
    for step in [0, 1, 2, 7, 20, 37, 38] {
        let mut shell = shell(STEPS);
        let id = shell.id();
        let mut lines = BufReader::new(shell.stderr.take().expect("it is piped"));
        wait_until("a worker", || !workers(id).is_empty());
        let mut seen = 0;
        let mut line = String::new();
        while seen < step && lines.read_line(&mut line).expect("it is text") > 0 {
            seen += 1;
        }
        let all = workers(id);
        all.iter().take(1 + step % 2).for_each(|pid| kill(*pid, libc::SIGKILL));
        let rest = text(lines);
        let given = text(shell.stdout.take().expect("it is piped"));
        assert!(shell.wait().expect("it ends").success(), "step {step}: {line}{rest}");
        assert_eq!(given, expected, "step {step}: {line}{rest}");
        wait_until("the end of the workers", || !all.iter().any(|pid| is_worker(*pid)));
    }
}

#[test]
fn a_task_that_ends_three_workers_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("t.csv");
    fs::write(&path, "n\n40\n").expect("it is written");
    let slow = "fn fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)";
    let mut shell = Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["-c", slow, "-c", &format!("read {path:?} | map fib(n) | sum | on workers workers 2")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("timelab starts");
    let (ended, id) = (AtomicBool::new(false), shell.id());
    let said = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                workers(id).into_iter().for_each(|pid| kill(pid, libc::SIGKILL));
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        // One that is killed before it says that it is there cannot be started: that is another error.
        let said = text(shell.stderr.as_mut().expect("it is piped"));
        ended.store(true, Ordering::SeqCst);
        said
    });
    assert_eq!(shell.wait().expect("it ends").code(), Some(1), "{said}");
    let is_task = said.contains("3 times (signal 9)") && said.contains("t.csv\", bytes 0 to 5");
    assert!(is_task || said.contains("no worker process can be started"), "{said}");
}

#[test]
fn workers_end_with_their_shell() {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGINT] {
        let mut shell = shell("1..1000G | filter it % 3 == 1 | sum");
        let id = shell.id();
        wait_until("two workers", || workers(id).len() == 2);
        let all = workers(id);
        kill(id as i32, signal);
        shell.wait().expect("it ends");
        wait_until("the end of the workers", || !all.iter().any(|pid| is_worker(*pid)));
    }
}

#[test]
fn a_stopped_run_leaves_workers_that_go_on() {
    let mut session = Session::new(Some("workers"), Console::default());
    for _ in 0..3 {
        let context = session.context();
        let (stop, progress) = (context.stop.clone(), context.progress.clone());
        let error = std::thread::scope(|scope| {
            scope.spawn(move || {
                wait_until("a row", || progress.rows() > 0);
                stop.raise();
            });
            evaluate(&mut session, "1..1000G | filter it % 3 == 1 | sum", &context).error
        });
        assert_eq!(error.expect("it never ends").kind, Kind::Stopped);
        context.stop.clear();
        let context = session.context();
        assert!(evaluate(&mut session, "1..3M | sum", &context).error.is_none());
    }
}

#[test]
fn tables_go_to_workers_as_they_are() {
    let table = "[1, 2, null, 4] | map i = it, x = if it == 2 then 0 / 0 else it / 3, b = it == 1, \
                 t = if it == 1 then \"é\\n\" else null, l = if it == 4 then [[\"a\", null], []] else null";
    let mut lab = Lab::new("workers");
    lab.cell(&format!("let t = {table} | persist"));
    lab.cell("let none = 1..1 | map a = it, l = [it] | persist");
    lab.cell("let many = 1..200k | map a = it, t = text(it) | persist");
    for cell in [
        "t",
        "t | filter true",
        "none | map l, a",
        "t | join (t | map i, other = l) on i",
        "t | map i | join left (many | map i = a, t) on i",
        "many | filter a % 1000 == 7",
        "many | count by len(t)",
        "t | group by b",
    ] {
        let same = lab.cell(&format!("%same {cell}"));
        assert!(same.out.contains("workers: ✓ the same table"), "{cell}: {}{}", same.out, same.err);
    }
}

#[test]
fn what_stays_in_the_shell_is_an_objection() {
    let refused = |cell: &str, input: &str| {
        let output = timelab(&["-c", cell], input);
        assert_eq!(output.status.code(), Some(1), "{cell}");
        err(&output)
    };
    assert!(refused("read \"-\" | count | on workers", "a\nb\n").contains("standard input"));
    assert!(refused("1..5 | fold 0 acc + it | on workers", "").contains("the result of the row before"));
    for (option, why) in [("workers 0", "1 to 1024"), ("workers 2000", "1 to 1024"), ("wrkers 2", "did you mean")] {
        assert!(refused(&format!("1..5 | sum | on workers {option}"), "").contains(why), "{option}");
    }
}
