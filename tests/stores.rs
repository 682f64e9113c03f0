//! Key-value stores: the processes that they are, and how these end.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use timelab::data::scalar::ScalarError;
use timelab::data::store;
use timelab::diagnostic::Kind;

use crate::lab::Lab;

/// The address of a store of a session.
#[track_caller]
fn address(lab: &mut Lab, name: &str) -> String {
    let told = lab.cell("%whos").out;
    let row = told.lines().find(|row| row.starts_with(&format!("{name},store,"))).expect("it is listed");
    row.split("at ").nth(1).and_then(|rest| rest.split('"').next()).expect("it has an address").to_string()
}

/// Whether somebody listens there.
fn listens(address: &str) -> bool {
    match TcpStream::connect(address) {
        Ok(_) => true,
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Whether nobody listens there any more: the system takes a process apart step by step.
fn has_ended(address: &str) -> bool {
    (0..10_000).any(|_| !listens(address))
}

#[track_caller]
fn good(lab: &mut Lab, cell: &str) -> String {
    let printed = lab.cell(cell);
    assert_eq!(printed.err, "", "{cell}");
    printed.out
}

#[test]
fn a_store_ends_with_its_name() {
    let mut lab = Lab::new("rows");
    good(&mut lab, "let kv = store delay 0ms keys 3 seed 1");
    let first = address(&mut lab, "kv");
    assert!(listens(&first));
    // A cell that fails changes nothing.
    assert!(lab.cell("let kv = 1; nothing").err.contains("unknown name"));
    assert_eq!(address(&mut lab, "kv"), first);
    assert!(listens(&first));
    // What is lazy still needs it.
    good(&mut lab, "let more = kv | map key, value = value + 1");
    good(&mut lab, "%del kv");
    assert!(listens(&first));
    assert_eq!(good(&mut lab, "more | count"), "count\n3\n");
    good(&mut lab, "%del more");
    assert!(has_ended(&first));
    // Another store of the same name is another process.
    good(&mut lab, "let kv = store delay 0ms keys 3 seed 1");
    let second = address(&mut lab, "kv");
    good(&mut lab, "let kv = store delay 0ms keys 4 seed 1");
    let third = address(&mut lab, "kv");
    assert!(has_ended(&second) && listens(&third));
    // `get` alone needs it too.
    good(&mut lab, "let asked = [1] | map get(kv, it)");
    good(&mut lab, "let kv = 1");
    assert!(listens(&third));
    good(&mut lab, "asked");
    good(&mut lab, "%reset");
    assert!(has_ended(&third));
}

/// A store of a cell that fails ends with the cell.
#[test]
fn a_store_of_a_failed_cell_ends() {
    let mut lab = Lab::new("rows");
    good(&mut lab, "let other = store delay 0ms keys 3");
    assert!(lab.cell("let kv = store delay 0ms keys 3; nothing").err.contains("unknown name"));
    assert!(lab.cell("kv | count").err.contains("unknown name `kv`"));
    good(&mut lab, "other | count");
    let most: Vec<String> = (0..20).map(|i| format!("let kv{i} = store delay 0ms keys 1")).collect();
    assert!(lab.cell(&most.join("; ")).err.contains("16 stores run already"));
    good(&mut lab, "other | count");
}

/// Whatever ends the shell, its stores end too: also where it cannot do anything any more.
#[test]
fn a_store_ends_with_the_shell() {
    for kills in [false, true] {
        let mut shell = Command::new(env!("CARGO_BIN_EXE_timelab"))
            .args(["--format", "csv"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut cells = shell.stdin.take().expect("it was asked for");
        cells.write_all(b"let kv = store delay 0ms keys 3\n%whos\n1\n").expect("it reads");
        let mut told = BufReader::new(shell.stdout.take().expect("it was asked for"));
        let mut line = String::new();
        while !line.contains("kv,store,") {
            line.clear();
            assert!(told.read_line(&mut line).expect("it writes") > 0, "the store is not listed");
        }
        let address = line.split("at ").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
        let mut connection = TcpStream::connect(address).expect("it listens");
        if kills {
            shell.kill().expect("it runs");
        }
        drop(cells);
        // The connection ends with the process at its other end, after its greeting.
        let mut said = Vec::new();
        let ended = connection.read_to_end(&mut said);
        assert!(said.len() <= 1, "{ended:?} {said:?}");
        shell.wait().expect("it has ended");
        // The system closes what the process had one after the other.
        assert!(has_ended(address));
    }
}

/// Who waits for a store can be stopped, on each engine, long before the answer.
#[test]
fn who_waits_for_a_store_can_be_stopped() {
    for engine in ["rows", "batch", "polars"] {
        let mut lab = Lab::new(engine);
        good(&mut lab, "let kv = store delay 60s keys 3");
        for cell in ["get(kv, 1)", "0..3 | map get(kv, it)", "kv | count"] {
            let error = lab.stopped(cell);
            assert_eq!(error.kind, Kind::Stopped, "{engine}: {cell}: {error:?}");
        }
        good(&mut lab, "1 + 1");
    }
}

/// A store that was killed is an error that says so, and the session goes on.
#[test]
fn a_dead_store_is_an_error() {
    for engine in ["rows", "batch", "polars"] {
        let mut lab = Lab::new(engine);
        good(&mut lab, "let kv = store delay 0ms keys 3 seed 1");
        good(&mut lab, "[1] | map get(kv, it)");
        let address = address(&mut lab, "kv");
        let process = process_at(&address);
        // SAFETY: it is the store that was just started.
        assert_eq!(unsafe { libc::kill(process, libc::SIGKILL) }, 0);
        while listens(&address) {
            std::thread::yield_now();
        }
        for cell in ["get(kv, 1)", "[1] | map get(kv, it)", "kv | count"] {
            let err = lab.cell(cell).err;
            assert!(err.contains(&format!("the store at {address} has ended")), "{engine}: {cell}: {err}");
        }
        good(&mut lab, "let kv = store delay 0ms keys 3 seed 1; [1] | map get(kv, it)");
    }
}

/// The child process of this one that is a store and listens there.
fn process_at(address: &str) -> libc::pid_t {
    let port: u16 = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let text = std::fs::read_to_string("/proc/net/tcp").expect("the system tells it");
    let local = format!("0100007F:{port:04X}");
    let row = text.lines().find(|row| row.contains(&format!(" {local} ")) && row.contains(" 0A ")).expect("it listens");
    let socket = format!("socket:[{}]", row.split_whitespace().nth(9).expect("an inode"));
    let processes = std::fs::read_dir("/proc").expect("the system tells it").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<libc::pid_t>().ok());
    let has_socket = |id: &libc::pid_t| {
        let files = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|link| link.as_os_str() == socket.as_str())
    };
    ids.into_iter().find(has_socket).expect("a process has it")
}

/// What `%time` says of a pipeline that asks a store, and the ways to read it: in a process of its own, as other tests
/// take CPU time in this one.
#[test]
fn who_asks_a_store_waits() {
    let told = |cells: &str| {
        let cells = format!("let kv = store delay 20ms keys 40 seed 1\n{cells}");
        let shell = Command::new(env!("CARGO_BIN_EXE_timelab")).args(["--format", "csv", "-c", &cells]).output();
        String::from_utf8(shell.expect("it starts").stdout).expect("text")
    };
    assert!(told("%time 0..5 | map get(kv, it) | sum\n_.bound").contains("waiting"));
    let told = told("%concurrency store kv --tasks 10");
    let field = |row: &str, column: usize| row.split(',').nth(column).unwrap_or_default().to_string();
    let rows: Vec<&str> = told.lines().skip(1).filter(|row| !row.starts_with("native")).collect();
    let at_once: Vec<String> = rows.iter().map(|row| field(row, 7)).collect();
    assert_eq!(at_once, ["1", "10", "40"], "{told}");
}

/// A store that gets the address of one that has ended is another store: whoever has a connection opens a new one, and
/// is stopped by the session of the new one.
#[test]
fn an_address_can_belong_to_another_store() {
    let [old, new] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let serve = |listener: TcpListener| {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.write_all(&store::GREETING).expect("it listens");
            let mut request = [0; store::REQUEST];
            // One who is stopped asks for nothing.
            if stream.read_exact(&mut request).is_ok() {
                stream.write_all(&[1; store::ANSWER]).expect("it listens");
            }
            listener
        })
    };
    store::watch(&address, old.clone());
    let first = serve(listener);
    assert!(store::get_value(&address, 1).expect("it answers").is_some());
    let second = serve(first.join().expect("it ends"));
    store::watch(&address, new.clone());
    store::unwatch(&address, &old);
    new.store(true, Ordering::Relaxed);
    assert_eq!(store::get_value(&address, 1), Err(ScalarError::Domain("stopped".to_string())));
    second.join().expect("it ends");
    store::unwatch(&address, &new);
}

#[test]
fn mistakes_about_ways_to_ask_a_store_are_told() {
    let mut lab = Lab::new("rows");
    good(&mut lab, "let kv = store delay 0ms keys 3 seed 1");
    for (cell, message) in [
        ("%concurrency store", "needs the name of a store"),
        ("%concurrency store 3", "`3` is not a store"),
        ("%concurrency store kv kv", "unexpected `kv`"),
        ("%concurrency store kv --each 5ms", "`--each` only applies to"),
        ("%concurrency store kv --tasks 100", "`--tasks` is at most 64"),
    ] {
        assert!(lab.cell(cell).err.contains(message), "{cell}: {}", lab.cell(cell).err);
    }
}

#[test]
fn what_is_stopped_keeps_its_rows() {
    let notes = Lab::new("rows").notes_stopped_at("%c10k 50", "event loop per core: 50 connections");
    assert!(notes.contains("stopped: 1 of 4 servers"), "{notes}");
    let mut lab = Lab::new("rows");
    good(&mut lab, "let kv = store delay 40ms keys 20");
    // No Rust is compiled in this process, so `native` is left out.
    let notes = lab.notes_stopped_at("%concurrency store kv --tasks 1", "keys: threads");
    assert!(notes.contains("stopped: 1 of 4 ways"), "{notes}");
}

/// Each server gets all its connections, and says what they cost it.
#[test]
fn servers_answer_all_their_connections() {
    let mut lab = Lab::new("rows");
    let told = good(&mut lab, "%c10k 50");
    let rows: Vec<Vec<&str>> = told.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let firsts: Vec<&[&str]> = rows.iter().map(|row| &row[..3]).collect();
    let expected = [
        ["event loop", "50", "0"],
        ["event loop per core", "50", "0"],
        ["thread per connection", "50", "0"],
        ["serial", "20", "0"],
    ];
    assert_eq!(firsts, expected, "{told}");
    assert_eq!((rows[0][7], rows[2][7], rows[3][7]), ("1", "51", "1"), "{told}");
    for (cell, message) in [
        ("%c10k 0", "connections, got `0`"),
        ("%c10k 1M", "connections, got `1M`"),
        ("%c10k many", "got `many`"),
        ("%c10k 10 20", "unexpected `20`"),
        ("%c10k --each 5", "has no option `--each`"),
    ] {
        assert!(lab.cell(cell).err.contains(message), "{cell}: {}", lab.cell(cell).err);
    }
}
