//! Where cells print: into their reports where nobody watches, and on the process's own output else.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use timelab::console::{Console, MOST_PRINTED, Printed, Reply, Sink, Stream};
use timelab::diagnostic::Kind;
use timelab::magics::{Evaluation, evaluate};
use timelab::report::Block;
use timelab::rust::Rust;
use timelab::session::Session;

use crate::command::{out, timelab};

fn session(console: Console) -> Session {
    let mut session = Session::new(None, console);
    // This program is no runner.
    session.rust = Rust::new(Path::new(env!("CARGO_BIN_EXE_timelab")), session.console.clone());
    session
}

fn run(session: &mut Session, cell: &str) -> Evaluation {
    let context = session.context();
    evaluate(session, cell, &context)
}

/// What a cell printed, apart for each stream: how they come between each other is not known.
fn printed(evaluation: &Evaluation) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    if let Some(Block::Printed(Printed { pieces, .. })) = evaluation.report.blocks.first() {
        for (stream, text) in pieces {
            match stream {
                Stream::Out => out.push_str(text),
                Stream::Err => err.push_str(text),
            }
        }
    }
    (out, err)
}

/// The test below in a process of its own, whose standard streams are files: not a byte may be in them.
#[test]
fn nothing_is_printed_past_a_capturing_console() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let output = Command::new(std::env::current_exe().expect("this program is known"))
        .args(["--exact", "console::in_a_process_of_its_own", "--ignored", "--nocapture"])
        .env("TIMELAB_STREAMS", folder.path())
        // Nothing is to be installed: rust-analyzer finds a folder without sources.
        .env("RUST_SRC_PATH", folder.path())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("this program starts");
    assert!(output.status.success(), "{}{}", out(&output), crate::command::err(&output));
    for name in ["out", "err"] {
        assert_eq!(std::fs::read_to_string(folder.path().join(name)).expect("it was made"), "", "{name}");
    }
}

#[test]
#[ignore = "the test before runs it in a process of its own"]
fn in_a_process_of_its_own() {
    let folder = std::env::var("TIMELAB_STREAMS").expect("the test before sets it");
    let folder = Path::new(&folder);
    let _streams = Redirected::to(folder);
    let questions = Arc::new(Mutex::new(Vec::new()));
    let asked = questions.clone();
    let mut session = session(Console::capturing(Arc::new(move |question, _| {
        asked.lock().expect("nobody fails").push(question.to_string());
        Reply::Line("y".to_string())
    })));
    for (cell, out, err) in [
        ("rust { println!(\"a\"); eprintln!(\"b\"); 1 }", "a\n", "b\n"),
        ("%%rust\nprint!(\"c\"); eprint!(\"d\"); 2", "c\n", "d\n"),
        ("rust { println!(\"\\ne\\n\"); eprintln!(\"\"); panic!(\"it fails\") }", "\ne\n\n", "\n"),
        ("%%rust\nprintln!(\"f\"); eprintln!(\"g\"); panic!(\"it fails\");", "f\n", "g\n"),
        ("!echo h; echo i >&2", "h\n", "i\n"),
        ("!printf j; exit 3", "j", ""),
        ("let lines = !echo k; echo l >&2", "", "l\n"),
        ("lines", "", ""),
        ("[1, 2] | peek 1 \"m\" | sum", "", "m 1\n"),
        ("fn max(x) = x", "", ""),
    ] {
        let evaluation = run(&mut session, cell);
        assert_eq!(printed(&evaluation), (out.to_string(), err.to_string()), "{cell}: {:?}", evaluation.error);
        let fails = cell.contains("fails") || cell.contains("exit");
        assert_eq!(evaluation.error.is_some(), fails, "{cell}: {:?}", evaluation.error);
        assert_eq!(evaluation.warnings.len(), usize::from(cell.starts_with("fn max")), "{cell}");
    }
    let reports = ["rust { println!(\"a\"); 1 }", "!echo b"].map(|cell| run(&mut session, cell).report);
    let drawn = reports.map(|report| timelab::show::report(&report, &crate::lab::PLAIN).out);
    assert_eq!(drawn.concat(), "a\n1\nb\n");
    let cells = folder.join("cells.txt");
    std::fs::write(&cells, "!echo n\n").expect("it can be written");
    let evaluation = run(&mut session, &format!("%run {cells:?}"));
    assert_eq!(evaluation.next.cells, ["!echo n"], "{:?}", evaluation.error);
    let questions = questions.lock().expect("nobody fails");
    assert_eq!(questions.len(), 1);
    assert!(questions[0].contains("!echo n") && questions[0].ends_with("run them? [y/N] "), "{questions:?}");
}

/// Standard output and standard error in files until it is dropped.
struct Redirected([(libc::c_int, libc::c_int); 2]);

impl Redirected {
    fn to(folder: &Path) -> Redirected {
        Redirected([("out", libc::STDOUT_FILENO), ("err", libc::STDERR_FILENO)].map(|(name, stream)| {
            let file = File::create(folder.join(name)).expect("it can be made");
            // SAFETY: both descriptors are open; `dup2` makes a copy that the stream keeps.
            unsafe {
                let before = libc::dup(stream);
                libc::dup2(file.as_raw_fd(), stream);
                (stream, before)
            }
        }))
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        for (stream, before) in self.0 {
            // SAFETY: the copy from before is open.
            unsafe { libc::dup2(before, stream) };
        }
    }
}

#[test]
fn output_and_results_come_in_order() {
    let cells = ["rust { println!(\"a\"); 1 }", "!echo b"];
    assert_eq!(out(&timelab(&["-c", cells[0], "-c", cells[1]], "")), "a\n1\nb\n");
}

#[test]
fn a_mebibyte_of_what_a_cell_prints_is_kept() {
    let mut session = session(Console::default());
    let evaluation = run(&mut session, "!head -c 3000000 /dev/zero | tr '\\0' x");
    let Some(Block::Printed(kept)) = evaluation.report.blocks.first() else { panic!("{:?}", evaluation.report) };
    assert_eq!(kept.left_out, 3_000_000 - (1 << 20));
    assert_eq!(printed(&evaluation).0, "x".repeat(1 << 20));
    let told = timelab::show::report(&evaluation.report, &crate::lab::PLAIN).err;
    assert!(told.contains("were printed but not kept"), "{told}");
    // The next cell has room again.
    assert_eq!(printed(&run(&mut session, "!echo next")).0, "next\n");
}

#[test]
fn a_character_is_kept_whole_or_not_at_all() {
    let console = Console::default();
    console.out.write(&vec![b'x'; MOST_PRINTED - 1]);
    console.out.write("é and more".as_bytes());
    console.out.write(b"y");
    let kept = console.take_printed();
    assert_eq!(kept.pieces, [(Stream::Out, "x".repeat(MOST_PRINTED - 1))]);
    assert_eq!(kept.left_out, "é and morey".len() as u64);
    // Its bytes may come one by one, and between those of the other stream.
    for byte in "é".bytes() {
        console.out.write(&[byte]);
    }
    console.err.write(b"z");
    console.out.write(b"\xff");
    let pieces = [(Stream::Out, "é"), (Stream::Err, "z"), (Stream::Out, "\u{fffd}")];
    assert_eq!(console.take_printed().pieces, pieces.map(|(stream, text)| (stream, text.to_string())));
    assert_eq!(console.take_printed(), Printed::default());
}

/// The first output of the command stops it: it would never end by itself.
#[test]
fn a_command_is_stopped_where_its_output_is_kept() {
    for cell in ["!echo ready; sleep 100000", "!trap '' INT; echo ready; while true; do sleep 100000; done"] {
        let stop = timelab::run_context::Stop::default();
        let raised = stop.clone();
        let out = Sink::new(move |_| raised.raise());
        let mut session = session(Console::new(out.clone(), out, Console::cannot_ask()));
        session.stop = stop;
        let evaluation = run(&mut session, cell);
        assert_eq!(evaluation.error.map(|error| error.kind), Some(Kind::Stopped), "{cell}");
    }
}

#[test]
fn without_an_answer_a_file_with_commands_is_refused() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let cells = folder.path().join("cells.txt");
    std::fs::write(&cells, "!echo ran\n").expect("it can be written");
    for (reply, message) in [
        (Reply::CannotAsk, "contains Rust, commands or writing elsewhere, such as: !echo ran"),
        (Reply::Line("no".to_string()), "was not run"),
        (Reply::Line(" y".to_string()), "was not run"),
        (Reply::End, "was not run"),
        (Reply::Stopped, "stopped: "),
    ] {
        let given = reply.clone();
        let mut session = session(Console::capturing(Arc::new(move |_, _| given.clone())));
        let evaluation = run(&mut session, &format!("%run {cells:?}"));
        let error = evaluation.error.expect("it is refused");
        assert!(error.message.contains(message), "{reply:?}: {error:?}");
        assert_eq!(error.kind == Kind::Stopped, reply == Reply::Stopped);
        assert!(evaluation.next.cells.is_empty());
    }
}
