//! `%latency`: which rows there are, what is published of them, and that each is measured or says why not. Never by
//! times.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use timelab::console::Console;
use timelab::latency::{self, Means, Missing, access, level, working_set};
use timelab::measure::Wall;
use timelab::session::Session;
use timelab::show::{self, Format, Style};

use crate::lab::{Lab, PLAIN, Printed};

#[track_caller]
fn cell(text: &str) -> Printed {
    Lab::new("batch").cell(text)
}

#[test]
fn each_row_is_measured_or_says_why_not() {
    let context = Session::new("batch", Console::default()).context();
    let means = Means { limit: Duration::from_millis(1), clock: &Wall, context: &context };
    for probe in latency::ALL.iter().flat_map(|group| group.probes) {
        match probe.run.map(|run| run(&means)) {
            Some(Ok(seconds)) => assert!((0.0..10.0).contains(&seconds), "{}: {seconds}", probe.name),
            Some(Err(Missing::Because(why))) => assert!(!why.is_empty(), "{}", probe.name),
            Some(Err(Missing::Stopped)) => panic!("nobody stopped {}", probe.name),
            None => assert!(probe.published.is_some(), "{} has no number at all", probe.name),
        }
    }
}

#[test]
fn a_stop_ends_each_row() {
    let context = Session::new("batch", Console::default()).context();
    context.stop.raise();
    let means = Means { limit: Duration::from_secs(60), clock: &Wall, context: &context };
    for probe in latency::ALL.iter().flat_map(|group| group.probes) {
        match probe.run.map(|run| run(&means)) {
            Some(Err(_)) | None => {}
            Some(Ok(_)) => panic!("{} does not look at the stop flag", probe.name),
        }
    }
    assert_eq!(access(&means, 1 << 20), Err(Missing::Stopped));
}

/// On one processor two threads never run at once: what one hands to the other then waits for the system.
#[test]
fn memory_that_threads_share_needs_two_processors() {
    let mut shell = Command::new(env!("CARGO_BIN_EXE_timelab"));
    shell.args(["--format", "csv", "-c", "%latency --only shared_memory_8_b,pipe_8_b --for 200ms"]);
    // SAFETY: two system calls.
    unsafe {
        shell.pre_exec(|| {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(libc::sched_getcpu() as usize, &mut one);
            match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let told = shell.output().expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    let measured = |name: &str| {
        let row = out.lines().find(|row| row.starts_with(&format!("\"{name}\""))).expect("it has a row");
        !row.split(',').nth(2).expect("it has a time").is_empty()
    };
    assert!(!measured("shared memory, 8 B") && measured("pipe, 8 B"), "{out}");
    assert!(err.contains("shared memory, 8 B: the two threads hardly ran at the same time"), "{err}");
}

#[test]
fn rows_have_distinct_names() {
    let mut keys: Vec<String> =
        latency::ALL.iter().flat_map(|group| group.probes.iter().map(|probe| probe.key())).collect();
    keys.extend(latency::ALL.iter().map(|group| group.name.to_string()));
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all);
    assert!(keys.iter().all(|key| !key.contains([' ', ','])), "{keys:?}");
}

#[test]
fn the_working_set_of_a_cache_fits_into_it() {
    for of in 1..=3 {
        if let (Some(set), Some(size)) = (working_set(of), level(of)) {
            assert!(set <= size && set >= 1 << 10, "L{of}: {set} of {size}");
        }
    }
}

#[test]
fn what_is_published_stands_beside_it() {
    let table = cell("%latency --only elsewhere").out;
    assert_eq!(
        table,
        "what,measured,published,year,source,ratio\n\
         round trip in a data centre,,0.0005,2009,\"Dean, LADIS\",\n\
         disk seek,,0.01,2009,\"Dean, LADIS\",\n\
         round trip California – Netherlands,,0.15,2009,\"Dean, LADIS\",\n\
         memory of a GPU,,2e-7,2021,Dive into Deep Learning,\n"
    );
    let mut lab = Lab::new("batch");
    assert_eq!(lab.cell("%latency --for 20ms --only L1,mutex,pipe_8_b").err, "");
    assert_eq!(lab.cell("_1 | map what").out, "what\nL1\nmutex\n\"pipe, 8 B\"\n");
    assert_eq!(
        lab.cell("_1 | filter what == \"mutex\" | map measured > 0, published, ratio > 0").out.lines().count(),
        2
    );
}

/// Longer tables are cut in a terminal, but this one is a list to be read.
#[test]
fn all_rows_are_shown() {
    let report = Lab::new("batch").evaluate("%latency --for 1ms").report;
    let shown = show::report(&report, &Style { format: Format::Table, ..PLAIN }).out;
    for probe in latency::ALL.iter().flat_map(|group| group.probes) {
        assert!(shown.contains(&format!("│ {} ", probe.name)), "{} is missing: {shown}", probe.name);
    }
}

#[test]
fn mistakes_say_what_would_be_right() {
    for (text, said) in [
        ("%latency L1", "%latency --only L1"),
        ("%latency --only mutx", "did you mean `mutex`?"),
        ("%latency --only ,", "is empty"),
        ("%latency --only nothing_like_it", "groups: caches"),
        ("%latency --for -1", "--for"),
        ("%latency --working-set --only L1", "remove one of them"),
        ("%latency --working-set 3", "`--working-set` takes no value"),
    ] {
        let printed = cell(text);
        assert!(printed.out.is_empty() && printed.err.contains(said), "{text}: {}", printed.err);
    }
}

#[test]
fn a_stop_keeps_the_rows_that_are_there() {
    let mut lab = Lab::new("batch");
    let said = lab.notes_stopped_at("%latency --for 2s --only arithmetic,threads", "mutex");
    assert!(said.contains("stopped: the measurements so far are kept"), "{said}");
    assert!(lab.cell("_1 | filter what == \"int add\" | count").out.ends_with("1\n"));
}

/// The curve ends early only where a time was asked for, and says which size did not fit.
#[test]
fn a_time_ends_the_curve_of_working_sets() {
    let mut lab = Lab::new("batch");
    let notes = lab.notes("%latency --working-set --for 30ms");
    assert!(notes.contains("and more: they do not fit into --for 30ms"), "{notes}");
    assert!(!lab.cell("_ | count").out.ends_with("\n0\n"));
}
