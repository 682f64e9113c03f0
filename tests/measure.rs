//! Sampling and comparing with a clock that is set by hand, and statistics against published values.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use timelab::measure::{
    Clock, Design, Finding, Level, Missed, Overhead, Readings, Sampled, Samples, Side, Spread, System, ThreadCpu,
    Turns, UnitKind, Units, Verdict, Workload, add_thread_cpu, calibrate, calls_for, compare, judge, linger,
    median_rank, noise, sample, square,
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

/// An instrument that costs nothing and tells each nanosecond.
const FREE: Overhead = Overhead { read: 0.0, call: 0.0, precision: 1.0 };

/// A subject that is sampled by a clock set by hand.
fn sampled<'a, E>(
    workload: &'a mut dyn Workload<E>,
    clock: &'a Hand,
    overhead: Overhead,
    calls: u64,
) -> Sampled<'a, E> {
    Sampled { workload, clock, overhead, calls, warm: false }
}

/// What times in milliseconds say, taken in turns that lasted as long as they do.
fn judged(first: &[f64], second: &[f64]) -> Finding {
    let side = |times| Side { times, calls: 1, overhead: Overhead { precision: 0.0, ..FREE } };
    judge(side(first), side(second), 1, 1_000_000_000, &[])
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
    let own = other.overhead(&hand).expect("it has its own");
    let mut subjects = [
        sampled(&mut one, &hand, here, 10),
        sampled(&mut other, &hand, own, 10),
        sampled(&mut nothing, &hand, own, 10),
    ];
    let chance = &mut fastrand::Rng::with_seed(5);
    let (turns, _) = compare(&hand, &mut subjects, Design::default(), chance, |turns| turns.pairs() < 3600);
    assert_eq!([0, 1, 2].map(|subject| turns.samples(subject).median()), [300.0, 300.0, 0.0]);
    let found = turns.finding(1);
    // A sample of 3 µs by a clock with steps of 21 ns tells nothing within 1 %.
    assert_eq!((found.verdict, found.speedup), (Verdict::NotResolved, 1.0));
    assert!((found.high / (2.0f64 * 21.0 / 3000.0).exp() - 1.0).abs() < 1e-9, "{found:?}");
    assert_eq!(turns.finding(2).verdict, Verdict::BelowResolution);
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
    let found = calibrate(&hand, &mut disturbed, u64::MAX).expect("it cannot fail");
    assert_eq!((found.call, found.interrupted), (80_001.0, false));
    assert_eq!(calls, 9 + 3, "three samples check it");
    let mut calls = 0;
    let mut slow = || {
        calls += 1;
        hand.pass(3_000_000_000);
        Ok::<(), Infallible>(())
    };
    calibrate(&hand, &mut slow, 100_000_000).expect("it cannot fail");
    assert_eq!(calls, 2, "a second one checks the first");
}

/// A call of 14 ns whose first sample is interrupted so long that the calibration loses patience.
#[test]
fn an_interrupted_calibration_starts_again() {
    let interrupted = |until: u64| {
        let hand = Hand::new(1);
        let mut samples = 0;
        let mut subject = SamplesOf(|calls: u64| {
            samples += 1;
            // Each sample of a single call is interrupted, as many times as is said.
            let interrupted = calls == 1 && samples <= until;
            hand.pass(calls * 14 + if interrupted { 30_000_000 } else { 0 });
        });
        let found = calibrate(&hand, &mut Timed { hand: &hand, subject: &mut subject }, 20_000_000);
        (found.expect("it cannot fail"), samples)
    };
    let (found, _) = interrupted(1);
    assert!(!found.interrupted && (3_000..4_000).contains(&found.calls), "{found:?}");
    let (found, _) = interrupted(u64::MAX);
    assert_eq!((found.calls, found.interrupted), (1, false), "it looks as slow each time it is looked at");
}

/// A subject of which every second sample of one call is interrupted: the check of each calibration finds that.
#[test]
fn a_calibration_that_is_interrupted_each_time_is_told() {
    let hand = Hand::new(1);
    let mut samples = 0;
    let mut subject = SamplesOf(|calls: u64| {
        samples += 1;
        hand.pass(calls * 14 + if samples % 2 == 1 { 30_000_000 } else { 0 });
    });
    let found = calibrate(&hand, &mut Timed { hand: &hand, subject: &mut subject }, 20_000_000);
    assert!(found.expect("it cannot fail").interrupted);
    // Once at first and five times again, each with one check.
    assert_eq!(samples, 12);
}

/// What a sample of so many calls does.
struct SamplesOf<F>(F);

/// A subject whose samples are timed as a whole.
struct Timed<'a, F> {
    hand: &'a Hand,
    subject: &'a mut SamplesOf<F>,
}

impl<F: FnMut(u64)> Workload<Infallible> for Timed<'_, F> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Result<u64, Infallible> {
        let _ = self.hand;
        let start = clock.now();
        (self.subject.0)(calls);
        Ok(clock.now() - start)
    }
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
    let mut subjects = [sampled(&mut works, &hand, FREE, 1), sampled(&mut fails, &hand, FREE, 1)];
    let (turns, failed) = compare(&hand, &mut subjects, Design::default(), chance, |_| true);
    assert_eq!((turns.pairs(), failed), (5, Some((1, "no more"))));
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

/// Nanoseconds a call of indexing, as they were recorded on a busy machine, one of them interrupted; the quartiles are
/// what Python's `statistics.quantiles(…, method="inclusive")` says of them.
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
fn compared(time: impl Fn(usize, u64) -> u64) -> Finding {
    let hand = Hand::new(0);
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
    let (mut one, mut other) = (subject(0), subject(1));
    let mut subjects = [sampled(&mut one, &hand, FREE, 1), sampled(&mut other, &hand, FREE, 1)];
    let (turns, _) = compare(&hand, &mut subjects, Design::default(), chance, |_| true);
    turns.finding(1)
}

#[test]
fn a_difference_is_found_at_the_first_look() {
    let found = compared(|which, _| if which == 0 { 510_000 } else { 500_000 });
    assert_eq!((found.verdict, found.pairs, found.is_weak()), (Verdict::Faster, 25, false));
    // A step of the clock in each of both samples may be wrong.
    let doubt = 1.0 / 510_000.0 + 1.0 / 500_000.0;
    assert!((found.speedup - 1.02).abs() < 1e-9 && (found.low - 1.02 * f64::exp(-doubt)).abs() < 1e-9, "{found:?}");
    assert!((found.coverage - (1.0 - 0.05 / 9.0)).abs() < 1e-12);
    assert_eq!(compared(|which, _| if which == 0 { 500_000 } else { 510_000 }).verdict, Verdict::Slower);
    assert_eq!(compared(|which, _| 500_000 + which as u64).verdict, Verdict::Same);
}

/// 25 turns of 100 µs are 2.5 ms, a moment: there is a verdict only when they are 20 ms together.
#[test]
fn a_verdict_needs_turns_of_twenty_milliseconds() {
    let found = compared(|_, _| 50_000);
    assert_eq!((found.verdict, found.pairs), (Verdict::Same, 200));
    let found = compared(|_, _| 1_000);
    assert_eq!((found.verdict, found.pairs, found.is_brief), (Verdict::NotResolved, 6_400, true));
    let side = |times| Side { times, calls: 1, overhead: FREE };
    let brief = judge(side(&[900.0; 10]), side(&[300.0; 10]), 1, 19_999_999, &[]);
    assert_eq!((brief.verdict, brief.is_brief), (Verdict::NotResolved, true), "ranges that are apart neither");
}

/// A machine that gets slower all the time: turns one after the other would find the second subject slower.
#[test]
fn drift_is_no_difference() {
    let found = compared(|_, call| 500_000 + call * 100);
    assert_eq!(found.verdict, Verdict::Same, "{found:?}");
}

#[test]
fn what_is_neither_same_nor_apart_is_not_resolved() {
    // The second is 3 % faster in half of the turns and 3 % slower in the others.
    let found = compared(|which, call| if which == 1 { 500_000 + call / 2 % 2 * 30_000 } else { 515_000 });
    assert_eq!((found.verdict, found.pairs), (Verdict::NotResolved, 6_400), "{found:?}");
    assert!(found.low < 0.98 && found.high > 1.02);
}

/// What differs from process to process is no difference of programs, unless each sample has a process of its own.
#[test]
fn samples_in_processes_of_their_own_resolve_less() {
    let side = |times| Side { times, calls: 1, overhead: Overhead { precision: 0.0, ..FREE } };
    let slow: Vec<f64> = (0..90).map(|turn| 20.12 + 0.02 * f64::from(turn * 4 % 9)).collect();
    let quick = [20.0; 90];
    let each = [0; 100];
    let own = [Level { each: &each, kind: UnitKind::Own }];
    let judged = |levels: &[Level]| judge(side(&slow), side(&quick), 1, 1_000_000_000, levels);
    let (together, apart) = (judged(&[]), judged(&own));
    assert_eq!((together.low, together.high), (apart.low, apart.high));
    assert!(apart.low > 1.005 && apart.low < 1.01 && apart.high > 1.01, "{apart:?}");
    assert_eq!((together.verdict, apart.verdict), (Verdict::NotResolved, Verdict::Faster));
    let same = [20.0, 20.1].repeat(50);
    assert_eq!(judge(side(&same), side(&same), 1, 1_000_000_000, &own).verdict, Verdict::Same);
}

/// Times in milliseconds, made up: of four runs each, and of fewer.
#[test]
fn few_pairs_have_least_and_greatest() {
    let (slow, quick) = ([203.1, 204.8, 202.9, 203.4], [101.2, 104.0, 101.1, 101.9]);
    let found = judged(&slow, &quick);
    assert_eq!((found.verdict, found.is_weak(), found.coverage), (Verdict::Faster, true, 0.875));
    assert!((found.low - 204.8 / 104.0).abs() < 1e-9 && (found.high - 202.9 / 101.1).abs() < 1e-9, "{found:?}");
    let overlapping = judged(&[203.1, 204.8, 202.9], &[201.0, 203.0, 204.0]);
    assert_eq!(overlapping.verdict, Verdict::NotResolved);
    // Two runs each are apart by chance in one of three cases: the gap must be wide.
    assert_eq!(judged(&[10.0, 11.0], &[8.9, 9.9]).verdict, Verdict::NotResolved);
    assert_eq!(judged(&[10.0, 11.0], &[3.0, 3.1]).verdict, Verdict::Faster);
    let one = judged(&[10.0], &[3.0]);
    assert!(one.verdict == Verdict::NotResolved && one.low.is_nan(), "one run has no error bar");
}

#[test]
fn more_subjects_ask_for_more_certainty() {
    let times: Vec<f64> = (0..50).map(|i| 50.0 + f64::from(i * 37 % 50) / 7.0).collect();
    let others: Vec<f64> = times.iter().rev().copied().collect();
    let side = |times| Side { times, calls: 1, overhead: Overhead { precision: 0.0, ..FREE } };
    let [two, five] = [1, 4].map(|count| judge(side(&times), side(&others), count, 1_000_000_000, &[]));
    assert!(five.low < two.low && five.high > two.high && five.coverage > two.coverage, "{two:?} {five:?}");
}

/// 135 ns and 14 ns by a clock with steps of 200 ns, one call each: they are not the same, and there is no ratio.
#[test]
fn samples_that_the_clock_cannot_tell_have_no_ratio() {
    let side = |times, calls| Side { times, calls, overhead: Overhead { precision: 200.0, ..FREE } };
    let (slow, quick) = ([135.0; 30], [14.0; 30]);
    let found = judge(side(&slow, 1), side(&quick, 1), 1, 1_000_000_000, &[]);
    assert_eq!(found.verdict, Verdict::BelowResolution);
    assert!(found.speedup.is_nan() && found.low.is_nan() && found.high.is_nan());
    // With calls enough in each sample they can be told.
    let found = judge(side(&slow, 370), side(&quick, 3_571), 1, 1_000_000_000, &[]);
    assert_eq!(found.verdict, Verdict::Faster);
    let doubt = 2.0 * 200.0 / 49_950.0;
    assert!((found.low / found.speedup - f64::exp(-doubt)).abs() < 1e-4, "a step in 50 µs on each side: {found:?}");
}

/// The loop around the calls may cost more or less beside work than alone, on both sides.
#[test]
fn what_a_call_costs_is_in_the_interval() {
    let side = |times| Side { times, calls: 1_000_000, overhead: Overhead { call: 2.0, precision: 0.0, ..FREE } };
    let (slow, quick) = ([20.0; 30], [10.0; 30]);
    let found = judge(side(&slow), side(&quick), 1, 1_000_000_000, &[]);
    assert!((found.low - 2.0 * f64::exp(-0.1)).abs() < 1e-9 && (found.high - 2.0 * f64::exp(0.1)).abs() < 1e-9);
    let same = judge(side(&slow), side(&slow), 1, 1_000_000_000, &[]);
    assert_eq!((same.low, same.high), (1.0, 1.0));
}

/// 1.97 ns beside a call's 1.66 ns are no time, whatever the ratio is.
#[test]
fn what_is_near_to_the_cost_of_a_call_has_no_ratio() {
    let overhead = Overhead { call: 1.66, precision: 30.0, ..FREE };
    let judged = |first: f64, second: f64| {
        let (first, second) = ([first; 30], [second; 30]);
        let [first, second] = [&first, &second].map(|times| Side { times, calls: 30_000, overhead });
        judge(first, second, 1, 1_000_000_000, &[])
    };
    for (first, second) in [(1.97, 1.97), (1.94, 2.18), (1.9, 300.0), (300.0, 1.9)] {
        let found = judged(first, second);
        assert_eq!(found.verdict, Verdict::BelowResolution, "{first} {second}");
        assert!(found.speedup.is_nan() && found.low.is_nan());
    }
    assert_eq!(judged(30.0, 10.0).verdict, Verdict::Faster);
}

/// *Same* lies within 1 %, a difference beyond it.
#[test]
fn an_interval_within_one_percent_is_no_difference() {
    let base = [1000.0; 100];
    let other = |time: f64| (0..100).map(|i| time + f64::from(i % 5)).collect::<Vec<f64>>();
    let verdict = |time: f64| judged(&base, &other(time)).verdict;
    assert_eq!([1003.0, 1008.0, 1014.0].map(verdict), [Verdict::Same, Verdict::NotResolved, Verdict::Slower]);
    assert_eq!([993.0, 988.0, 976.0].map(verdict), [Verdict::Same, Verdict::NotResolved, Verdict::Faster]);
    let weak = |time: f64| judged(&[1000.0; 5], &[time; 5]).verdict;
    assert_eq!([995.0, 980.0].map(weak), [Verdict::NotResolved, Verdict::Faster]);
}

/// Ratios of 1.000 but for a stretch, as when something else runs on one of two processors for a while.
#[test]
fn phases_of_the_machine_are_in_the_interval() {
    let side = |times| Side { times, calls: 1, overhead: Overhead { precision: 0.0, ..FREE } };
    let first = [1000.0; 2400];
    // A quarter of the time the second one takes 5 % longer, in one piece, and half of it 0.1 % longer.
    let second: Vec<f64> =
        (0..2400).map(|turn| if turn < 600 { 1050.0 } else { 1000.0 + f64::from(turn % 2) }).collect();
    let scattered: Vec<f64> = (0..2400).map(|turn| second[turn * 701 % 2400]).collect();
    let [piece, scattered] = [&second, &scattered].map(|times| judge(side(&first), side(times), 1, 1_000_000_000, &[]));
    assert!(piece.low < 0.96, "{piece:?}");
    assert!(scattered.low > 0.99, "{scattered:?}");
}

/// The same of a few processes: the ratios of one comparison, in the order of its turns and in another one.
#[test]
fn phases_are_in_the_interval_of_processes() {
    let side = |times| Side { times, calls: 1, overhead: Overhead { precision: 0.0, ..FREE } };
    let each = [0; 64];
    let first = [20.0; 64];
    let sorted: Vec<f64> = (0..64).map(|turn| if turn < 40 { 20.5 } else { 19.9 } + f64::from(turn) * 1e-4).collect();
    let scattered: Vec<f64> = (0..64).map(|turn| sorted[turn * 27 % 64]).collect();
    let own = [Level { each: &each, kind: UnitKind::Own }];
    let [phases, scattered] =
        [&sorted, &scattered].map(|times| judge(side(&first), side(times), 1, 1_000_000_000, &own));
    assert!(phases.low < 0.98 && phases.high > 1.004, "{phases:?}");
    assert!(scattered.low > phases.low || scattered.high < phases.high, "{scattered:?}");
}

/// Copies of the same code, which are faster or slower by where they lie.
#[test]
fn what_is_shared_is_the_replicate_not_its_turns() {
    let side = |times| Side { times, calls: 1, overhead: Overhead { precision: 0.0, ..FREE } };
    let unit: Vec<usize> = (0..1600).map(|turn| turn % 16).collect();
    let first = [1000.0; 1600];
    // With nine of sixteen the second one is slower by 4 %, with the others faster by 1 %.
    let second: Vec<f64> = unit.iter().map(|unit| if *unit < 9 { 1040.0 } else { 990.0 }).collect();
    let alone = judge(side(&first), side(&second), 1, 1_000_000_000, &[]);
    assert_eq!(alone.verdict, Verdict::Slower, "by the turns alone it looks certain");
    let levels = [Level { each: &unit, kind: UnitKind::Shared }];
    let found = judge(side(&first), side(&second), 1, 1_000_000_000, &levels);
    assert_eq!(found.verdict, Verdict::NotResolved, "{found:?}");
    assert!(found.low < 0.97 && found.high > 1.0 && found.processes.is_none());
}

/// The fastest copies of one side lie 4 % apart, so those of other copies might lie as far from these.
#[test]
fn how_far_the_fastest_copies_lie_apart_is_in_the_interval() {
    let copy: Vec<usize> = (0..400).map(|turn| turn % 4).collect();
    let times = |of: [f64; 4]| copy.iter().map(|copy| of[*copy]).collect::<Vec<f64>>();
    let levels = [Level { each: &copy, kind: UnitKind::Fastest }];
    let judged = |first: [f64; 4], second: [f64; 4]| {
        let (first, second) = (times(first), times(second));
        let [first, second] =
            [&first, &second].map(|times| Side { times, calls: 1, overhead: Overhead { precision: 0.0, ..FREE } });
        judge(first, second, 1, 1_000_000_000, &levels)
    };
    let found = judged([1000.0, 1010.0, 1020.0, 1040.0], [980.0, 980.0, 980.0, 980.0]);
    let middle = (1010.0f64 / 980.0 * 1020.0 / 980.0).sqrt();
    assert!((found.low - middle / 1.04).abs() < 1e-9 && (found.high - middle * 1.04).abs() < 1e-9, "{found:?}");
    assert_eq!(found.verdict, Verdict::NotResolved);
    assert_eq!(judged([1000.0; 4], [980.0, 981.0, 982.0, 980.0]).verdict, Verdict::Faster);
}

/// Where only one side runs in several processes, the other's part in the ratio is as large as what they show.
#[test]
fn the_spread_between_processes_is_in_the_interval() {
    let side = |times| Side { times, calls: 1, overhead: Overhead { precision: 0.0, ..FREE } };
    let process: Vec<usize> = (0..400).map(|turn| turn / 100).collect();
    let first = [1000.0; 400];
    let second: Vec<f64> = process.iter().map(|process| [950.0, 960.0, 970.0, 980.0][*process]).collect();
    let levels = [Level { each: &process, kind: UnitKind::OneSided }];
    let found = judge(side(&first), side(&second), 1, 1_000_000_000, &levels);
    let spread = 980.0 / 950.0 - 1.0;
    assert!((found.processes.expect("it is told") - spread).abs() < 1e-9);
    assert_eq!(found.verdict, Verdict::NotResolved);
    assert_eq!(judge(side(&first), side(&second), 1, 1_000_000_000, &[]).verdict, Verdict::Faster, "by turns alone");
    let middle = (1000.0f64 / 960.0 * 1000.0 / 970.0).sqrt();
    assert!((found.low - middle / (1.0 + spread)).abs() < 1e-6 && (found.high - middle * (1.0 + spread)).abs() < 1e-6);
}

/// What takes part in turns: each copy once before any comes again, each process for so many turns.
#[test]
fn units_take_turns() {
    struct Noted(Vec<Vec<usize>>);
    impl Workload<Infallible> for Noted {
        fn time(&mut self, _: &dyn Clock, _: u64) -> Result<u64, Infallible> {
            Ok(1)
        }

        fn replicate(&mut self, units: &[usize]) {
            self.0.push(units.to_vec());
        }
    }
    let (hand, mut one, mut other) = (Hand::new(0), Noted(Vec::new()), Noted(Vec::new()));
    let units = |count, each| Units { count, each, kind: UnitKind::Shared };
    let design = Design { base: 1, units: vec![units(4, 1), units(2, 6)] };
    let mut subjects = [sampled(&mut one, &hand, FREE, 1), sampled(&mut other, &hand, FREE, 1)];
    let chance = &mut fastrand::Rng::with_seed(3);
    let (turns, _) = compare(&hand, &mut subjects, design, chance, |turns| turns.pairs() < 24);
    assert_eq!((turns.base(), &one.0), (1, &other.0), "all subjects of a turn have the same");
    for copies in one.0.chunks(4) {
        let mut copies: Vec<usize> = copies.iter().map(|units| units[0]).collect();
        copies.sort();
        assert_eq!(copies, [0, 1, 2, 3]);
    }
    for processes in one.0.chunks(6) {
        assert!(processes.iter().all(|units| units[1] == processes[0][1]));
    }
    assert_ne!(one.0[0][1], one.0[6][1]);
}

/// CPU time of the thread is all the work, or says what it leaves out.
#[test]
fn clocks_that_do_not_agree_say_what_is_missed() {
    const MS: u64 = 1_000_000;
    let read = |wall: u64, thread: u64, process: u64, children: u64, queued: Option<u64>, waits: u64| {
        let queued = queued.map(|queued| queued * MS);
        let system = System { process: process * MS, reading: 0, children: children * MS, queued, waits };
        Readings { wall: wall * MS, thread: thread * MS, system }.missed()
    };
    assert_eq!(read(100, 100, 100, 0, Some(0), 0), None);
    assert_eq!(read(100, 98, 101, 0, Some(1), 3), None, "they differ by less than 5 %");
    // A busy machine: most of the time it waited for a processor, and nothing else.
    assert_eq!(read(400, 100, 100, 0, Some(299), 2), None);
    // Without that source it is enough that it never gave up the processor.
    assert_eq!(read(400, 100, 100, 0, None, 0), None);
    assert_eq!(read(400, 100, 100, 0, None, 2), Some(Missed::Waiting));
    assert_eq!(read(16, 1, 1, 0, Some(0), 1), Some(Missed::Waiting), "15 ms of sleep");
    assert_eq!(read(100, 90, 190, 0, Some(0), 1), Some(Missed::Others), "two threads");
    assert_eq!(read(100, 2, 2, 95, Some(0), 1), Some(Missed::Others), "another process");
}

#[test]
fn a_quiet_machine_has_no_noise() {
    let hand = Hand::new(100_000);
    let overhead = Overhead { read: 0.0, call: 0.0, precision: 1.0 };
    let found = noise(&hand, &overhead);
    assert_eq!((found.spread, found.disturbed), (0.0, 0.0));
}

/// Two subjects of which the second becomes slower when the first looks are over; all turns after `linger`.
fn lingered(first: u64, second: u64, later: u64) -> (Finding, Turns) {
    let hand = Hand::new(0);
    let added = Cell::new(0);
    let subject = |each: u64, is_second: bool| {
        let (hand, added) = (&hand, &added);
        move || {
            hand.pass(each + if is_second { added.get() } else { 0 });
            Ok::<(), Infallible>(())
        }
    };
    let (mut one, mut other) = (subject(first, false), subject(second, true));
    let mut subjects = [sampled(&mut one, &hand, FREE, 1), sampled(&mut other, &hand, FREE, 1)];
    let chance = &mut fastrand::Rng::with_seed(3);
    let (mut turns, _) = compare(&hand, &mut subjects, Design::default(), chance, |_| true);
    let before = turns.finding(1);
    added.set(later);
    let failed = linger(&hand, &mut subjects, chance, &mut turns, |turns| turns.pairs() < 100);
    assert!(failed.is_none() && turns.pairs() == 100);
    (before, turns)
}

#[test]
fn later_samples_support_a_verdict_or_withdraw_it() {
    let (before, turns) = lingered(600_000, 500_000, 0);
    assert_eq!((before.verdict, before.pairs), (Verdict::Faster, 25));
    let after = turns.finding(1);
    assert_eq!((after.verdict, after.pairs, after.withdrawn), (Verdict::Faster, 100, false));
    // The speed-up is that of the medians.
    assert_eq!(after.speedup, turns.samples(0).median() / turns.samples(1).median());
    let (before, turns) = lingered(600_000, 500_000, 100_000);
    let after = turns.finding(1);
    assert_eq!((before.verdict, after.verdict, after.withdrawn), (Verdict::Faster, Verdict::NotResolved, true));
    assert!(after.low < 1.0 + 1e-5, "{after:?}");
    let (before, turns) = lingered(500_000, 500_000, 50_000);
    assert_eq!((before.verdict, turns.finding(1).verdict), (Verdict::Same, Verdict::NotResolved));
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
    assert_eq!(around(80.0, 110).beside(&kept, &[]).verdict, Verdict::Faster);
    assert_eq!(around(125.0, 110).beside(&kept, &[]).verdict, Verdict::Slower);
    assert!((around(80.0, 110).speedup(&kept) - 1.25).abs() < 1e-12);
    // Detached, but by less than what two processes may differ; and by more, but not apart.
    let narrow = |median: f64| spread((0..100).map(move |i| median + f64::from(i) / 1000.0));
    assert_eq!(narrow(91.0).beside(&narrow(100.0), &[]).verdict, Verdict::NotResolved);
    assert_eq!(narrow(85.0).beside(&narrow(100.0), &[]).verdict, Verdict::Faster);
    assert_eq!(around(89.5, 110).beside(&around(100.0, 110), &[]).verdict, Verdict::Faster);
    let wide = |median: f64| spread((0..100).map(move |i| median + f64::from(i % 50) - 25.0));
    assert_eq!(wide(80.0).beside(&wide(100.0), &[]).verdict, Verdict::NotResolved);
    // One of forty is an outlier; where there are few it counts.
    let with_outlier = |count: usize| spread((0..count).map(|i| if i == 3 { 200.0 } else { 80.0 }));
    assert_eq!(with_outlier(40).beside(&narrow(100.0), &[]).verdict, Verdict::Faster);
    assert_eq!(with_outlier(10).beside(&narrow(100.0), &[]).verdict, Verdict::NotResolved);
    assert_eq!(spread([50.0]).beside(&kept, &[]).verdict, Verdict::NotResolved, "one has no error bar");
    assert_eq!(
        spread([50.0, 70.0]).beside(&spread([75.0, 76.0]), &[]).verdict,
        Verdict::NotResolved,
        "few must be far apart"
    );
    assert_eq!(spread([50.0, 51.0]).beside(&spread([75.0, 76.0]), &[]).verdict, Verdict::Faster);
}

/// Five saves of the same code in five processes say how much processes differ.
#[test]
fn earlier_saves_say_how_far_processes_lie_apart() {
    let kept = spread([100.0; 30]);
    let now = |median: f64| spread([median; 30]);
    let medians = [98.0, 101.0, 100.0, 99.0, 102.0];
    let found = now(100.0).beside(&kept, &medians);
    // In R: x <- log(c(98, 101, 100, 99, 102)); exp(mean(x) + c(-1, 1) * qt(0.9995, 4) * sd(x) * sqrt(1 + 1/5)) / 100
    let (low, high) = found.interval.expect("there are five");
    assert!((low - 0.86128).abs() < 2e-4 && (high - 1.16069).abs() < 2e-4, "{found:?}");
    assert!((found.then - 99.98998).abs() < 1e-4 && (found.speedup - 0.9998998).abs() < 1e-6, "{found:?}");
    assert_eq!(found.verdict, Verdict::NotResolved);
    assert_eq!(now(80.0).beside(&kept, &medians).verdict, Verdict::Faster);
    assert_eq!(now(90.0).beside(&kept, &medians).verdict, Verdict::NotResolved, "10 % is not enough for these");
    assert_eq!(now(120.0).beside(&kept, &medians).verdict, Verdict::Slower);
    // Twenty that hardly differ tell 3 %; four tell nothing of themselves.
    let near: Vec<f64> = (0..20).map(|i| 100.0 + f64::from(i % 3) * 0.1).collect();
    assert_eq!(now(97.0).beside(&kept, &near).verdict, Verdict::Faster);
    let few = now(97.0).beside(&kept, &near[..4]);
    assert_eq!((few.verdict, few.interval), (Verdict::NotResolved, None));
    // One that was far off once may be so again.
    let once: Vec<f64> = near[1..].iter().copied().chain([70.0]).collect();
    assert_eq!(now(75.0).beside(&kept, &once).verdict, Verdict::NotResolved);
}

#[test]
fn work_of_another_thread_counts_as_this_threads() {
    let before = ThreadCpu.now();
    add_thread_cpu(5_000_000_000);
    assert!(ThreadCpu.now() - before >= 5_000_000_000);
    let elsewhere = std::thread::spawn(|| ThreadCpu.now()).join().expect("it ends");
    assert!(elsewhere < 5_000_000_000, "only there");
}

/// What another subject ran before has taken the caches: a call that is not timed brings them back.
#[test]
fn a_warm_sample_does_not_pay_for_what_ran_before_it() {
    let medians = |warm: bool| {
        let hand = Hand::new(0);
        let last = Rc::new(Cell::new(2));
        let subject = |number: usize| {
            let (hand, last) = (hand.clone(), last.clone());
            move || {
                hand.pass(if last.replace(number) == number { 100_000 } else { 140_000 });
                Ok::<(), Infallible>(())
            }
        };
        let (mut one, mut other) = (subject(0), subject(1));
        let mut subjects = [
            Sampled { warm, ..sampled(&mut one, &hand, FREE, 1) },
            Sampled { warm, ..sampled(&mut other, &hand, FREE, 1) },
        ];
        let chance = &mut fastrand::Rng::with_seed(3);
        let (turns, _) = compare(&hand, &mut subjects, Design::default(), chance, |turns| turns.pairs() < 9);
        [0, 1].map(|subject| turns.samples(subject).median())
    };
    assert_eq!(medians(true), [100_000.0, 100_000.0]);
    assert!(medians(false).iter().all(|median| *median > 100_000.0));
}
