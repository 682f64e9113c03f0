//! The file of all sessions' cells, as shells use it.

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
