//! Threads, processes and event loops: the laws of speed-up on figures that are known, and the cells that measure.

use timelab::concurrency::contention::{Point, bound, break_even};
use timelab::measure::scaling::{Usl, amdahl, fan, karp_flatt, paired};

use crate::lab::Lab;

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
}

/// The serial share comes back from the speed-up that it causes.
#[test]
fn the_serial_share_is_found_again() {
    for serial in [0.0, 0.1, 0.25, 1.0] {
        for threads in [2.0, 3.0, 16.0, 1024.0] {
            near(karp_flatt(amdahl(serial, threads), threads).expect("there are several threads"), serial);
        }
    }
    near(amdahl(0.1, 2.0), 1.0 / 0.55);
    assert_eq!(karp_flatt(1.0, 1.0), None);
    assert_eq!(karp_flatt(0.0, 2.0), None);
}

#[test]
fn one_number_of_threads_gives_a_fan_and_several_give_a_law() {
    let one = fan(&[(2.0, 1.6)]).expect("there is a point");
    // 2 / 1.6 - 1 = 0.25, all of it contention or all of it coherency.
    near(one.best.contention, 0.25);
    near(one.worst.coherency, 0.125);
    near(one.best.speed_up(2.0), 1.6);
    near(one.worst.speed_up(2.0), 1.6);
    assert!(one.best.speed_up(8.0) > one.worst.speed_up(8.0));
    // Contention alone is Amdahl's law.
    near(one.best.speed_up(8.0), amdahl(0.25, 8.0));
    let law = Usl { contention: 0.05, coherency: 0.002 };
    let points: Vec<(f64, f64)> = [2.0, 4.0, 8.0, 16.0].map(|threads| (threads, law.speed_up(threads))).to_vec();
    let found = fan(&points).expect("there are points");
    assert_eq!(found.best, found.worst);
    near(found.best.contention, 0.05);
    near(found.best.coherency, 0.002);
    // More than linear is no loss below 0.
    let better = fan(&[(2.0, 2.1), (4.0, 4.3)]).expect("there are points");
    assert_eq!((better.best.contention, better.best.coherency), (0.0, 0.0));
    assert_eq!(fan(&[(1.0, 1.0)]), None);
}

/// A machine that becomes slower meanwhile changes no ratio of neighbours.
#[test]
fn paired_ratios_do_not_see_a_drift() {
    let alone = [1.0, 2.0, 4.0, 8.0, 1.0];
    let together: Vec<f64> = alone.iter().map(|time| time / 1.5).collect();
    near(paired(&alone, &together).expect("there are pairs"), 1.5);
    assert_eq!(paired(&[], &[]), None);
}

#[test]
fn threads_break_even_where_they_stay_faster() {
    let point = |outside, least| Point { outside, speed_up: least + 0.1, range: (least, least + 0.2), waiting: 0.1 };
    let points = [point(0, 0.3), point(1, 1.2), point(2, 0.9), point(4, 1.1), point(8, 1.5)];
    assert_eq!(break_even(&points), Some(4));
    assert_eq!(break_even(&points[..3]), None);
    assert_eq!(break_even(&[]), None);
    assert_eq!([bound(4, 0), bound(4, 1), bound(4, 64)], [1.0, 2.0, 4.0]);
}

/// The first fields of the rows of a csv text.
fn firsts(printed: &str, column: usize) -> Vec<String> {
    let rows = printed.lines().skip(1);
    rows.map(|row| row.split(',').nth(column).unwrap_or_default().to_string()).collect()
}

#[test]
fn the_commands_print_their_rows() {
    let mut lab = Lab::new("rows");
    let told = lab.cell("%contention");
    assert_eq!(told.err, "");
    assert_eq!(firsts(&told.out, 0), ["0.0", "1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "64.0"]);
    assert_eq!(firsts(&told.out, 3), ["1.0", "2.0", "2.0", "2.0", "2.0", "2.0", "2.0", "2.0"]);
    let told = lab.cell("%concurrency --tasks 3 --each 5ms");
    assert_eq!(told.err, "");
    let ways = ["serial", "threads", "threads under a GIL", "processes", "async", "async that blocks"];
    assert_eq!(firsts(&told.out, 0), ways);
    assert_eq!(firsts(&told.out, 5), ["1", "3", "3", "1", "1", "1"]);
    assert_eq!(firsts(&told.out, 6), ["1", "1", "1", "3", "1", "1"]);
    let told = lab.cell("%amdahl --threads 4");
    assert_eq!(told.err, "");
    let cores = timelab::interleave::barrier::cores().len();
    assert_eq!(firsts(&told.out, 0)[..2], ["1", "2"]);
    let kinds = firsts(&told.out, 1);
    assert_eq!(kinds[0], "measured");
    assert_eq!(kinds[1], if cores > 1 { "measured" } else { "oversubscribed" });
    // Predictions stand there only where the probe allows them.
    let probe: f64 = match cores {
        1 => 0.0,
        _ => lab.cell("_.probe").out.trim().parse().expect("a number"),
    };
    assert_eq!(kinds.iter().any(|kind| kind == "predicted (model)"), probe >= 1.9, "{kinds:?} {probe}");
}

#[test]
fn demos_that_are_stopped_keep_their_rows() {
    let notes = Lab::new("rows").notes_stopped_at("%contention", "work outside the lock: 2×");
    assert!(notes.contains("stopped: 2 of 8 rows"), "{notes}");
    let cell = "%concurrency --tasks 10 --each 50ms";
    let notes = Lab::new("rows").notes_stopped_at(cell, "tasks: threads under a GIL");
    assert!(notes.contains("stopped: 2 of 6 ways"), "{notes}");
    let notes = Lab::new("rows").notes_stopped_at("%amdahl", "round 3 of");
    assert!(notes.contains("stopped after 2 rounds"), "{notes}");
}

#[test]
fn mistakes_have_good_messages() {
    for (cell, message) in [
        ("%amdahl 3", "unexpected `3`"),
        ("%amdahl --serial 1.5", "`--serial` must be a share from 0 to 1, got `1.5`"),
        ("%amdahl --threads 100", "`--threads` is at most 64, got 100"),
        ("%contention --threads 1", "`--threads` must be from 2 to 64, got 1"),
        ("%contention foo", "unexpected `foo`"),
        ("%concurrency --tasks 100", "`--tasks` is at most 64, got 100"),
        ("%concurrency --each fast", "`--each` must be a positive time, got `fast`"),
        ("%concurrency --each 10s", "8 tasks of 10 s take 80 s one after the other; the limit is 2 s"),
    ] {
        let err = Lab::new("rows").cell(cell).err;
        assert!(err.contains(message), "{cell}\n{err}");
    }
}

#[test]
fn generators_go_on_where_they_stopped() {
    use timelab::concurrency::generators::Step::{Returns, Yields};
    let all = timelab::concurrency::generators::all();
    assert_eq!(all[0].1, [Yields(1), Yields(2), Yields(3), Returns(6)]);
    // Delegation passes the values on, and gets what the inner one returns.
    assert_eq!(all[1].1, [Yields(0), Yields(1), Yields(2), Yields(3), Yields(100), Returns(6)]);
}

#[test]
fn an_event_loop_calls_what_is_due_first() {
    let moments = timelab::concurrency::styles::trace();
    let runs: Vec<&str> = moments.iter().map(|moment| moment.runs.as_str()).collect();
    let order = ["", "a connected", "c connected", "b connected", "b answered", "c answered", "a answered"];
    assert_eq!(runs, order);
    assert_eq!(moments[1].queue, ["2 ms: c connected", "3 ms: b connected", "10 ms: a answered"]);
    assert!(moments.last().is_some_and(|moment| moment.queue.is_empty()));
}

/// Every style lets all requests wait at the same time, on one thread.
#[test]
fn all_styles_wait_on_one_thread() {
    for style in &timelab::concurrency::styles::ALL {
        let requests = timelab::concurrency::styles::Requests::new(50, &|| false);
        (style.run)(&requests).expect("a runtime can be made");
        assert_eq!((requests.done(), requests.peak(), requests.threads()), (50, 50, 1), "{}", style.name);
        assert!(style.source().starts_with("fn ") && style.source().ends_with('}'), "{}", style.source());
        let requests = timelab::concurrency::styles::Requests::new(50, &|| true);
        (style.run)(&requests).expect("a runtime can be made");
        assert!(requests.done() < 50, "{} was stopped", style.name);
    }
    let mut lab = Lab::new("rows");
    let source = lab.cell("async??").out;
    for name in ["fn callbacks(", "fn futures(", "fn async_await(", "fn poll_loop(", "async fn delegates("] {
        assert!(source.contains(name), "{name} in {source}");
    }
    let told = lab.cell("%async --requests 20");
    assert_eq!((told.err.as_str(), firsts(&told.out, 0).len()), ("", 4), "{}", told.out);
    assert_eq!(lab.cell("_2.queue | count").out, "count\n7\n");
    let err = lab.cell("%async --requests 20k").err;
    assert!(err.contains("`--requests` is at most 10000, got 20000"), "{err}");
    let notes = Lab::new("rows").notes_stopped_at("%async", "requests: futures");
    assert!(notes.contains("stopped: 1 of 4 styles"), "{notes}");
}
