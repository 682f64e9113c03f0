//! Sampling and comparing with a clock that is set by hand, and statistics against published values.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use timelab::measure::{
    Clock, Overhead, Samples, Spread, ThreadCpu, Verdict, Workload, add_thread_cpu, calibrate, calls_for, compare,
    judge, linger, median_rank, noise, sample, square,
};

/// A clock that moves only when it is told, and by `read` nanoseconds each time it is asked.
#[derive(Clone)]
struct Hand {
    time: Rc<Cell<u64>>,
    read: u64,
}

impl Hand {
    fn new(read: u64) -> Hand {
        Hand { time: Rc::new(Cell::new(0)), read }
    }

    fn pass(&self, nanoseconds: u64) {
        self.time.set(self.time.get() + nanoseconds);
    }

    /// A subject that takes so long.
    fn takes(&self, nanoseconds: u64) -> impl FnMut() -> Result<(), Infallible> {
        let hand = self.clone();
        move || {
            hand.pass(nanoseconds);
            Ok(())
        }
    }
}

impl Clock for Hand {
    fn now(&self) -> u64 {
        self.pass(self.read);
        self.time.get()
    }
}

#[test]
fn the_instrument_measures_and_subtracts_itself() {
    let hand = Hand::new(21);
    let overhead = Overhead::measure(&hand);
    assert_eq!(overhead, Overhead { read: 21.0, call: 0.0, precision: 21.0 });
    let (samples, failed) = sample(&hand, &overhead, &mut hand.takes(700), 3, |taken| taken < 5);
    assert_eq!((samples.each(), samples.calls, failed), (&[700.0; 5][..], 3, None));
    let (nothing, _) = sample(&hand, &overhead, &mut hand.takes(0), 1000, |taken| taken < 5);
    assert_eq!(nothing.median(), 0.0);
}

/// A subject that times itself, where a call costs so much beside its work.
struct Elsewhere {
    hand: Hand,
    call: u64,
    work: u64,
}

impl Workload<Infallible> for Elsewhere {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Result<u64, Infallible> {
        let start = clock.now();
        self.hand.pass(calls * (self.call + self.work));
        Ok(clock.now() - start)
    }

    fn overhead(&self, clock: &dyn Clock) -> Option<Overhead> {
        Overhead::of(clock, &mut Elsewhere { hand: self.hand.clone(), work: 0, ..*self }).ok()
    }
}

#[test]
fn what_is_subtracted_is_the_subjects_own() {
    let hand = Hand::new(21);
    let here = Overhead::measure(&hand);
    let there = |work: u64| Elsewhere { hand: hand.clone(), call: 7, work };
    let (mut one, mut other, mut nothing) = (hand.takes(300), there(300), there(0));
    let subjects: &mut [&mut dyn Workload<Infallible>] = &mut [&mut one, &mut other, &mut nothing];
    let chance = &mut fastrand::Rng::with_seed(5);
    let (turns, _) = compare(&hand, &here, subjects, 10, chance, |turns| turns.pairs() < 30);
    assert_eq!([0, 1, 2].map(|subject| turns.samples(subject).median()), [300.0, 300.0, 0.0]);
    assert_eq!(turns.finding(1).verdict, Verdict::Same);
    let (samples, _) = sample(&hand, &here, &mut there(40), 10, |taken| taken < 5);
    assert_eq!(samples.median(), 40.0);
}

#[test]
fn work_that_costs_no_more_than_a_call_is_hidden() {
    let hand = Hand::new(21);
    let there = |work: u64| Elsewhere { hand: hand.clone(), call: 7, work };
    let overhead = there(0).overhead(&hand).expect("it has its own");
    assert_eq!(overhead, Overhead { read: 21.0, call: 7.0, precision: 21.0 });
    for (work, hidden) in [(0, true), (6, true), (8, false), (300, false)] {
        let found = calibrate(&hand, &mut there(work), u64::MAX).expect("it cannot fail");
        assert_eq!(overhead.hides(found.call - overhead.call), hidden, "{work} ns");
    }
    assert!(overhead.hides(-0.1) && overhead.hides(7.0) && !overhead.hides(7.1));
}

#[test]
fn a_sample_lasts_fifty_microseconds_or_one_call() {
    for (call, calls) in [(1, 49_999), (700, 71), (24_000, 2), (33_000, 2), (60_000, 1), (5_000_000, 1)] {
        let hand = Hand::new(1);
        let found = calibrate(&hand, &mut hand.takes(call), u64::MAX).expect("it cannot fail");
        assert_eq!(found.calls, calls, "{call} ns a call");
        assert!((found.call / call as f64 - 1.0).abs() < 0.01, "{call} ns a call: {found:?}");
    }
    assert_eq!(calls_for(0.0), 1 << 30);
}

#[test]
fn calibration_takes_the_least_of_nine_and_has_little_patience() {
    let hand = Hand::new(1);
    let mut calls = 0;
    let mut disturbed = || {
        calls += 1;
        // Seven of eight calls are interrupted.
        hand.pass(if calls % 8 == 0 { 80_000 } else { 900_000 });
        Ok::<(), Infallible>(())
    };
    assert_eq!(calibrate(&hand, &mut disturbed, u64::MAX).expect("it cannot fail").call, 80_001.0);
    assert_eq!(calls, 9);
    let mut calls = 0;
    let mut slow = || {
        calls += 1;
        hand.pass(3_000_000_000);
        Ok::<(), Infallible>(())
    };
    calibrate(&hand, &mut slow, 100_000_000).expect("it cannot fail");
    assert_eq!(calls, 1);
}

#[test]
fn what_was_measured_before_a_failure_stays() {
    let hand = Hand::new(0);
    let overhead = Overhead { read: 0.0, call: 0.0, precision: 1.0 };
    let mut left = 4;
    let mut fails = || {
        left -= 1;
        hand.pass(10);
        if left == 0 { Err("no more") } else { Ok(()) }
    };
    let (samples, failed) = sample(&hand, &overhead, &mut fails, 1, |_| true);
    assert_eq!((samples.each(), failed), (&[10.0, 10.0, 10.0][..], Some("no more")));
    left = 6;
    let mut fails = || {
        left -= 1;
        if left == 0 { Err("no more") } else { Ok(()) }
    };
    let mut works = || Ok(());
    let chance = &mut fastrand::Rng::with_seed(1);
    let (turns, failed) = compare(&hand, &overhead, &mut [&mut works, &mut fails], 1, chance, |_| true);
    assert_eq!((turns.pairs(), failed), (5, Some("no more")));
}

/// What R says of `quantile(c(1, 2, 4, 7, 11, 100))`: type 7 is its default.
#[test]
fn quantiles_are_those_of_r() {
    let samples = Samples::new(1, vec![11.0, 1.0, 100.0, 4.0, 2.0, 7.0]);
    assert_eq!(samples.median(), 5.5);
    assert_eq!((samples.quantile(0.25), samples.quantile(0.75)), (2.5, 10.0));
    assert_eq!((samples.iqr(), samples.best()), (7.5, 1.0));
    // Tukey's fence is 10 + 1.5 × 7.5.
    assert_eq!(samples.outliers(), 1);
    let histogram = samples.histogram(5);
    assert_eq!((histogram.low, histogram.high, histogram.counts), (1.0, 11.0, vec![2, 1, 0, 1, 1]));
    assert_eq!(samples.each()[0], 11.0, "the order stays");
}

/// Nanoseconds a call of indexing, as they were recorded on a busy machine, one of them interrupted; the quartiles are what
/// Python's `statistics.quantiles(…, method="inclusive")` says of them.
#[test]
fn recorded_samples_have_the_quartiles_of_python() {
    let recorded = vec![
        0.5586, 0.5564, 0.5564, 0.5639, 0.5563, 0.687, 0.5563, 0.5601, 1.1267, 1.0527, 1.1002, 70.2617, 0.5564, 1.0536,
        1.0908, 0.5601,
    ];
    let samples = Samples::new(343, recorded);
    for (q, expected) in [(0.25, 0.5564), (0.5, 0.562), (0.75, 1.0629)] {
        assert!((samples.quantile(q) - expected).abs() < 1e-12, "{q}: {}", samples.quantile(q));
    }
    assert_eq!((samples.best(), samples.outliers()), (0.5563, 1));
    let kept: usize = samples.histogram(12).counts.iter().sum();
    assert_eq!(kept, 15, "the outlier is counted, not drawn");
}

#[test]
fn few_samples_have_statistics_too() {
    let one = Samples::new(1, vec![3.0]);
    assert_eq!((one.median(), one.iqr(), one.best(), one.outliers()), (3.0, 0.0, 3.0, 0));
    assert_eq!(one.histogram(8).counts, [1]);
    let none = Samples::new(1, Vec::new());
    assert!(none.median().is_nan() && none.histogram(8).counts.is_empty());
}

/// Tables of order statistics for the median's interval at 95 % (K. R. Nair, 1940): n and the rank from both ends.
#[test]
fn the_medians_interval_is_that_of_the_tables() {
    for (count, rank) in [(6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8), (30, 10), (50, 18)] {
        assert_eq!(median_rank(count, 0.05), Some(rank), "{count}");
    }
    assert_eq!(median_rank(100, 0.05), Some(40));
    assert_eq!(median_rank(5, 0.05), None, "2 × 0.5⁵ is more than 5 %");
    assert_eq!(median_rank(0, 0.05), None);
    // The normal approximation, for a number where it is good: n/2 - 1.96 √n / 2.
    assert_eq!(median_rank(10_000, 0.05), Some(4902));
}

#[test]
fn each_subject_stands_once_in_each_place() {
    let chance = &mut fastrand::Rng::with_seed(7);
    let mut seen = Vec::new();
    for _ in 0..50 {
        let rows = square(2, chance);
        assert!(rows == [[0, 1], [1, 0]] || rows == [[1, 0], [0, 1]]);
        if !seen.contains(&rows) {
            seen.push(rows);
        }
    }
    assert_eq!(seen.len(), 2, "ABBA and BAAB");
    for subjects in 1..8 {
        let rows = square(subjects, chance);
        for place in 0..subjects {
            let mut column: Vec<usize> = rows.iter().map(|row| row[place]).collect();
            column.sort();
            assert_eq!(column, (0..subjects).collect::<Vec<_>>());
        }
    }
}

/// Compares two subjects whose calls take what `time` says of the subject and the number of the call.
fn compared(time: impl Fn(usize, u64) -> u64) -> timelab::measure::Finding {
    let hand = Hand::new(0);
    let overhead = Overhead { read: 0.0, call: 0.0, precision: 1.0 };
    let calls = Cell::new(0);
    let subject = |which: usize| {
        let (hand, calls, time) = (&hand, &calls, &time);
        move || {
            calls.set(calls.get() + 1);
            hand.pass(time(which, calls.get()));
            Ok::<(), Infallible>(())
        }
    };
    let chance = &mut fastrand::Rng::with_seed(3);
    let (turns, _) = compare(&hand, &overhead, &mut [&mut subject(0), &mut subject(1)], 1, chance, |_| true);
    turns.finding(1)
}

#[test]
fn a_difference_is_found_at_the_first_look() {
    let found = compared(|which, _| if which == 0 { 51_000 } else { 50_000 });
    assert_eq!((found.verdict, found.pairs, found.is_weak()), (Verdict::Faster, 25, false));
    assert!((found.speedup - 1.02).abs() < 1e-9 && (found.low - 1.02).abs() < 1e-9, "{found:?}");
    assert!((found.coverage - (1.0 - 0.05 / 6.0)).abs() < 1e-12);
    assert_eq!(compared(|which, _| if which == 0 { 50_000 } else { 51_000 }).verdict, Verdict::Slower);
    assert_eq!(compared(|which, _| 50_000 + which as u64).verdict, Verdict::Same);
}

/// A machine that gets slower all the time: turns one after the other would find the second subject slower.
#[test]
fn drift_is_no_difference() {
    let found = compared(|_, call| 50_000 + call * 100);
    assert_eq!(found.verdict, Verdict::Same, "{found:?}");
}

#[test]
fn what_is_neither_same_nor_apart_is_not_resolved() {
    // The second is 3 % faster in half of the turns and 3 % slower in the others.
    let found = compared(|which, call| if which == 1 { 50_000 + call / 2 % 2 * 3_000 } else { 51_500 });
    assert_eq!((found.verdict, found.pairs), (Verdict::NotResolved, 800), "{found:?}");
    assert!(found.low < 0.98 && found.high > 1.02);
}

/// Times in milliseconds, made up: of four runs each, and of fewer.
#[test]
fn few_pairs_have_least_and_greatest() {
    let (slow, quick) = ([203.1, 204.8, 202.9, 203.4], [101.2, 104.0, 101.1, 101.9]);
    let found = judge(&slow, &quick, 1, 0.0);
    assert_eq!((found.verdict, found.is_weak(), found.coverage), (Verdict::Faster, true, 0.875));
    assert!((found.low - 204.8 / 104.0).abs() < 1e-9 && (found.high - 202.9 / 101.1).abs() < 1e-9, "{found:?}");
    let overlapping = judge(&[203.1, 204.8, 202.9], &[201.0, 203.0, 204.0], 1, 0.0);
    assert_eq!(overlapping.verdict, Verdict::NotResolved);
    // Two runs each are apart by chance in one of three cases: the gap must be wide.
    assert_eq!(judge(&[10.0, 11.0], &[8.9, 9.9], 1, 0.0).verdict, Verdict::NotResolved);
    assert_eq!(judge(&[10.0, 11.0], &[3.0, 3.1], 1, 0.0).verdict, Verdict::Faster);
    let one = judge(&[10.0], &[3.0], 1, 0.0);
    assert!(one.verdict == Verdict::NotResolved && one.low.is_nan(), "one run has no error bar");
}

#[test]
fn more_subjects_ask_for_more_certainty() {
    let times: Vec<f64> = (0..50).map(|i| 50.0 + f64::from(i % 10)).collect();
    let others: Vec<f64> = times.iter().rev().copied().collect();
    let (two, five) = (judge(&times, &others, 1, 0.0), judge(&times, &others, 4, 0.0));
    assert!(five.low < two.low && five.high > two.high && five.coverage > two.coverage, "{two:?} {five:?}");
}

/// A time below what the clock can tell counts as that: no ratio is infinite.
#[test]
fn times_under_the_overhead_have_ratios() {
    let found = judge(&[-0.2; 30], &[0.3; 30], 1, 0.1);
    assert!((found.speedup - 1.0 / 3.0).abs() < 1e-9, "{found:?}");
}

#[test]
fn a_quiet_machine_has_no_noise() {
    let hand = Hand::new(100_000);
    let overhead = Overhead { read: 0.0, call: 0.0, precision: 1.0 };
    let found = noise(&hand, &overhead);
    assert_eq!((found.spread, found.disturbed), (0.0, 0.0));
}

/// More samples change the figures, not what was decided.
#[test]
fn lingering_leaves_the_verdict() {
    let hand = Hand::new(0);
    let overhead = Overhead { read: 0.0, call: 0.0, precision: 1.0 };
    let slower = Cell::new(0);
    let subject = |each: u64| {
        let (hand, slower) = (&hand, &slower);
        move || {
            hand.pass(each + slower.get());
            Ok::<(), Infallible>(())
        }
    };
    let (mut one, mut other) = (subject(60_000), subject(50_000));
    let chance = &mut fastrand::Rng::with_seed(3);
    let mut subjects: [&mut dyn timelab::measure::Workload<Infallible>; 2] = [&mut one, &mut other];
    let (mut turns, _) = compare(&hand, &overhead, &mut subjects, 1, chance, |_| true);
    let before = turns.finding(1);
    slower.set(1_000_000);
    let failed = linger(&hand, &overhead, &mut subjects, chance, &mut turns, |turns| turns.pairs() < 100);
    assert!(failed.is_none() && turns.pairs() == 100);
    assert_eq!(turns.finding(1), before);
    assert_eq!((before.pairs, turns.samples(1).median()), (25, 1_050_000.0));
}

fn spread(times: impl IntoIterator<Item = f64>) -> Spread {
    Spread::of(&Samples::new(1, times.into_iter().collect())).expect("there are samples")
}

#[test]
fn a_spread_is_where_the_times_lie() {
    let found = spread((0..101).map(f64::from));
    assert_eq!(found, Spread { samples: 101, least: 0.0, low: 5.0, median: 50.0, high: 95.0, greatest: 100.0 });
    assert_eq!(Spread::of(&Samples::new(1, Vec::new())), None);
}

/// Of another time: only what is well apart is told.
#[test]
fn samples_that_were_not_taken_in_turns_have_a_verdict_where_they_are_apart() {
    let around = |median: f64, count: u32| spread((0..count).map(move |i| median + f64::from(i % 11) - 5.0));
    let kept = around(100.0, 110);
    assert_eq!(around(80.0, 110).beside(&kept), Verdict::Faster);
    assert_eq!(around(125.0, 110).beside(&kept), Verdict::Slower);
    assert!((around(80.0, 110).speedup(&kept) - 1.25).abs() < 1e-12);
    // Detached, but by less than what two processes may differ; and by more, but not apart.
    let narrow = |median: f64| spread((0..100).map(move |i| median + f64::from(i) / 1000.0));
    assert_eq!(narrow(91.0).beside(&narrow(100.0)), Verdict::NotResolved);
    assert_eq!(narrow(85.0).beside(&narrow(100.0)), Verdict::Faster);
    assert_eq!(around(89.5, 110).beside(&around(100.0, 110)), Verdict::Faster);
    let wide = |median: f64| spread((0..100).map(move |i| median + f64::from(i % 50) - 25.0));
    assert_eq!(wide(80.0).beside(&wide(100.0)), Verdict::NotResolved);
    // One of forty is an outlier; where there are few it counts.
    let with_outlier = |count: usize| spread((0..count).map(|i| if i == 3 { 200.0 } else { 80.0 }));
    assert_eq!(with_outlier(40).beside(&narrow(100.0)), Verdict::Faster);
    assert_eq!(with_outlier(10).beside(&narrow(100.0)), Verdict::NotResolved);
    assert_eq!(spread([50.0]).beside(&kept), Verdict::NotResolved, "one has no error bar");
    assert_eq!(spread([50.0, 70.0]).beside(&spread([75.0, 76.0])), Verdict::NotResolved, "few must be far apart");
    assert_eq!(spread([50.0, 51.0]).beside(&spread([75.0, 76.0])), Verdict::Faster);
}

#[test]
fn work_of_another_thread_counts_as_this_threads() {
    let before = ThreadCpu.now();
    add_thread_cpu(5_000_000_000);
    assert!(ThreadCpu.now() - before >= 5_000_000_000);
    let elsewhere = std::thread::spawn(|| ThreadCpu.now()).join().expect("it ends");
    assert!(elsewhere < 5_000_000_000, "only there");
}
