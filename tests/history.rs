//! The file of all sessions' cells, as shells use it.

use std::os::unix::fs::PermissionsExt as _;

use timelab::history::{Entry, History, MOST};

fn cells(history: &History) -> Vec<String> {
    history.entries().expect("it can be read").into_iter().map(|entry| entry.cell).collect()
}

#[test]
fn shells_that_write_at_once_lose_nothing() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("new/history.jsonl");
    std::thread::scope(|scope| {
        for shell in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for cell in 0..50 {
                    History::at(path).add(&format!("{shell} +\n  {cell}")).expect("it can be written");
                }
            });
        }
    });
    let mut cells = cells(&History::at(&path));
    cells.sort();
    cells.dedup();
    assert_eq!(cells.len(), 200);
}

/// Whatever is wrong with it is an error, and never a wait.
#[test]
fn nothing_in_its_place_makes_it_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.jsonl");
    let history = History::at(&path);
    history.add("1").expect("it is written");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    history.add("2").expect("it is written");
    assert_eq!(mode(&path), 0o600);
    // Another process holds the lock.
    let lock = std::fs::File::open(path.with_extension("lock")).expect("it is there");
    lock.lock().expect("nobody holds it");
    let error = history.add("3").expect_err("it is held").to_string();
    assert!(error.contains("another process uses"), "{error}");
    drop(lock);
    assert_eq!(cells(&history), ["1", "2"]);
    // A pipe would wait for its other end.
    std::fs::remove_file(&path).expect("it is there");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    assert!(history.add("4").is_err() && history.entries().is_err());
}

/// Each failed cell is found among many at once.
#[test]
fn many_failed_cells_are_read_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.jsonl");
    let lines = |i: usize| format!("{{\"cell\":\"cell {i}\"}}\n{{\"failed\":\"cell {i}\"}}\n");
    std::fs::write(&path, (0..9_000).map(lines).collect::<String>()).expect("it is written");
    let entries = History::at(&path).entries().expect("it can be read");
    assert_eq!(entries.len(), 9_000);
    assert!(entries.iter().all(|entry| entry.failed));
}

#[test]
fn a_line_that_was_cut_off_costs_only_itself() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("history.jsonl");
    let history = History::at(&path);
    history.add("one").expect("it can be written");
    let text = std::fs::read_to_string(&path).expect("it was written");
    std::fs::write(&path, format!("{text}{{\"cell\":\"tw")).expect("it can be written");
    history.add("three").expect("it can be written");
    history.failed("three").expect("it can be written");
    let entry = |cell: &str, failed| Entry { cell: cell.to_string(), failed };
    assert_eq!(history.entries().expect("it can be read"), [entry("one", false), entry("three", true)]);
}

#[test]
fn a_long_history_is_shortened_to_its_end() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("history.jsonl");
    let lines: Vec<String> = (0..2 * MOST).map(|i| format!("{{\"cell\":\"{i}\"}}\n")).collect();
    std::fs::write(&path, lines.concat() + "{\"failed\":\"19998\"}\n").expect("it can be written");
    let history = History::at(&path);
    let before = history.entries().expect("it can be read");
    assert_eq!((before.len(), before[0].cell.as_str()), (MOST, "10000"));
    let lines = std::fs::read_to_string(&path).expect("it can be read").lines().count();
    assert_eq!(lines, MOST + 1, "the file has become short");
    assert_eq!(history.entries().expect("it can be read"), before);
    assert!(before[MOST - 2].failed && !before[MOST - 1].failed);
}
