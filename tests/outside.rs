//! What a run leaves to the system, seen from outside: how much memory its processes take, and that nothing is left of
//! it however it ends.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::command::{err, out, timelab};

/// A shell that runs a cell, with scratch files in a folder.
fn shell(folder: &Path, cell: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["--format", "csv", "-c", cell])
        .env("TMPDIR", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("timelab starts")
}

/// Cells that need several times their memory.
const LARGE: [&str; 5] = [
    "1..1M | map k = it * 2654435761 % 1000003, v = it | agg s = sum(v) by k | top 1 by s",
    "1..1M | map k = it * 2654435761 % 1000003, t = \"text number \" + text(it) | sort by k \
     | agg first(t), last(t), count()",
    "1..1M | map it * 2654435761 % 1000003 | distinct | count",
    "1..1M | map k = it % 700001, x = it | join (1..1M | map k = it * 7919 % 800011, y = it) on k | agg sum(x * y % 9)",
    "1..1M | map k = it % 300007, x = it | agg median(x) by k | top 2 by k",
];

#[test]
fn the_system_sees_no_more_memory_than_the_budget_allows() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for cell in LARGE {
        let expected = out(&timelab(&["--format", "csv", "-c", cell], ""));
        assert!(expected.lines().count() >= 2, "{cell}: {expected}");
        for engine in ["batch", "threads workers 2"] {
            // The system counts for a process what the one that started it had, but not here.
            let peak = "!grep VmHWM /proc/$PPID/status";
            let cell_there = format!("{cell} | on {engine} memory 32MB");
            let scratch = format!("%set scratch {}", folder.path().display());
            let output = timelab(&["--format", "csv", "-c", &scratch, "-c", &cell_there, "-c", peak], "");
            let given = out(&output);
            let (given, peak) = given.split_once("VmHWM:").unwrap_or_else(|| panic!("{cell}: {}", err(&output)));
            let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("the system tells a number");
            assert_eq!(given, expected, "{engine}: {cell}");
            // 1.25 times the budget and 32 MB.
            assert!(peak <= 72 << 10, "{engine}: {cell}: {peak} KiB");
            assert!(is_empty(folder.path()), "{engine}: {cell}");
        }
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("it is there").next().is_none()
}

/// The CPU time of a process so far, in hundredths of a second; none once it is gone.
fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let time = |at: usize| fields.get(at)?.parse::<u64>().ok();
    (fields[0] != "Z").then_some(time(11)? + time(12)?)
}

/// Processes that work for it.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

fn is_there(pid: u32) -> bool {
    ticks(pid).is_some()
}

/// Waits for a moment that no step of the run knows: until it has used so much CPU time.
fn wait_for(shell: &mut Child, moment: u64) {
    while shell.try_wait().expect("it is ours").is_none() && ticks(shell.id()).is_some_and(|ticks| ticks < moment) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Whatever a run does when it is stopped: files without names, parts of a folder, worker processes, shared memory.
#[test]
#[ignore = "takes minutes on a busy machine: cargo test --release --locked -- --ignored whenever_it_is_stopped"]
fn whenever_it_is_stopped_nothing_is_left() {
    let endings = ["on batch memory 16MB", "on threads memory 16MB workers 2", "on workers memory 16MB workers 2"];
    let mut moment = 1;
    for (number, cell) in LARGE.iter().enumerate() {
        for (place, ending) in endings.iter().enumerate() {
            let folder = tempfile::tempdir().expect("a folder can be made");
            let cell = match (number + place) % 3 {
                0 => format!("{cell} | write \"parts/\" parts 3 | {ending}"),
                _ => format!("{cell} | {ending}"),
            };
            // Moments that have nothing to do with what goes on.
            moment = moment * 7 % 61;
            let mut shell = shell(folder.path(), &cell);
            wait_for(&mut shell, moment);
            let workers = children(shell.id());
            // SAFETY: a plain system call; the process is a child of ours that nobody has waited for.
            let is_running = shell.try_wait().expect("it is ours").is_none();
            if is_running {
                unsafe { libc::kill(shell.id() as i32, libc::SIGINT) };
            }
            let status = shell.wait().expect("it ends");
            assert!(matches!(status.code(), Some(0 | 130)), "{cell} at {moment}: {status}");
            let left: Vec<String> = fs::read_dir(folder.path())
                .expect("it is there")
                .map(|entry| entry.expect("it is there").file_name().to_string_lossy().into_owned())
                .collect();
            let is_whole = left == ["parts"] && folder.path().join("parts/manifest.json").is_file();
            assert!(left.is_empty() || (status.success() && is_whole), "{cell} at {moment}: {left:?}");
            for worker in workers {
                let gone = (0..30_000).any(|_| {
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(is_there(worker))));
                    !is_there(worker)
                });
                assert!(gone, "{cell} at {moment}: {worker}");
            }
        }
    }
}

/// A disk that is really full: a small one, which only this process sees.
#[test]
fn a_scratch_disk_that_is_full_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let disk = |size: &str, engine: &str| {
        let cell = format!("{} | on {engine} memory 16MB", LARGE[0]);
        let script = "mount -t tmpfs -o size=$1 none \"$2\" && TMPDIR=$2 \"$0\" --format csv -c \"$3\"; \
                      status=$?; ls -A \"$2\"; exit $status";
        let arguments = ["-Urm", "sh", "-c", script, env!("CARGO_BIN_EXE_timelab"), size];
        Command::new("unshare").args(arguments).arg(folder.path()).arg(cell).output()
    };
    let mount = ["-Urm", "sh", "-c", "mount -t tmpfs -o size=1m none \"$0\""];
    let probe = Command::new("unshare").args(mount).arg(folder.path()).output();
    if !probe.as_ref().is_ok_and(|probe| probe.status.success()) {
        println!("skipped: a_scratch_disk_that_is_full_is_an_error: no tmpfs in a user namespace here: {probe:?}");
        return;
    }
    for engine in ["batch", "threads workers 2", "workers workers 2"] {
        let full = disk("3m", engine).expect("unshare runs");
        assert!(err(&full).contains("is full; nothing is left in it of this run"), "{engine}: {}", err(&full));
        assert_eq!((full.status.code(), out(&full).as_str()), (Some(1), ""), "{engine}");
        let wide = disk("300m", engine).expect("unshare runs");
        assert_eq!((wide.status.code(), out(&wide).lines().count()), (Some(0), 2), "{engine}: {}", err(&wide));
    }
}

/// Workers that are killed while groups, a sort and a join go on in scratch files.
#[test]
fn workers_that_are_killed_cost_only_time() {
    for cell in [LARGE[0], LARGE[1], LARGE[3]] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let expected = out(&timelab(&["--format", "csv", "-c", cell], ""));
        for moment in [3, 17, 40] {
            let mut shell = shell(folder.path(), &format!("{cell} | on workers workers 2 memory 32MB"));
            wait_for(&mut shell, moment);
            let killed = children(shell.id());
            // SAFETY: plain system calls; the processes are children of a child of ours.
            killed.iter().for_each(|pid| unsafe { _ = libc::kill(*pid as i32, libc::SIGKILL) });
            let output = shell.wait_with_output().expect("it ends");
            assert_eq!((output.status.code(), out(&output)), (Some(0), expected.clone()), "{cell}: {}", err(&output));
            assert!(is_empty(folder.path()), "{cell}");
        }
    }
}
