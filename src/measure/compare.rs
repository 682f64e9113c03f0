//! Which of several subjects is faster: samples taken in turns, ratios within a turn, and the sign test on them.
//!
//! Each turn takes one sample of every subject. The turns are the rows of random cyclic Latin squares: with two subjects
//! they are ABBA or BAAB, so that a machine that gets slower or faster meanwhile harms both alike. The ratio of two
//! samples of one turn is free of what lasts longer than a turn. The median of the ratios has an interval from the
//! binomial distribution alone (the sign test), whatever the distribution of times is. One looks at 25, 50, 100, 200, 400
//! and 800 turns and may stop at each: the chance of a false verdict is shared out over these looks and over the subjects.

use super::sampling::Workload;
use super::{Clock, Overhead, Samples};

/// After so many turns a verdict may end the comparison.
pub const LOOKS: [usize; 6] = [25, 50, 100, 200, 400, 800];
/// The chance that any verdict of one comparison is false.
const MISS: f64 = 0.05;
/// Ratios this near to 1 are the same.
const SAME: f64 = 0.01;
/// Ratios this near to 1 are not yet different.
const NEAR: f64 = 0.005;

/// What was found out about a subject beside the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// How many times as fast as the first it is.
    pub speedup: f64,
    /// Where the speed-up lies.
    pub low: f64,
    pub high: f64,
    /// With which probability; shared out over looks and subjects, or with few turns what least and greatest cover.
    pub coverage: f64,
    pub verdict: Verdict,
    pub pairs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    /// Within 1 %.
    Same,
    NotResolved,
}

impl Finding {
    /// Whether there were too few turns for the sign test, so that it stands on ranges that are apart.
    pub fn is_weak(&self) -> bool {
        self.pairs < LOOKS[0]
    }
}

/// The times of all subjects, turn by turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turns {
    pub calls: u64,
    /// For each subject the nanoseconds of a call in each turn, without what measuring costs.
    pub times: Vec<Vec<f64>>,
    /// The least time that can be told in a sample of so many calls.
    least: f64,
    /// How many of them the verdicts stand on, where more were taken later.
    judged: Option<usize>,
}

impl Turns {
    pub fn samples(&self, subject: usize) -> Samples {
        Samples::new(self.calls, self.times[subject].clone())
    }

    pub fn pairs(&self) -> usize {
        self.times.first().map_or(0, Vec::len)
    }

    /// What is known about a subject beside the first by now.
    pub fn finding(&self, subject: usize) -> Finding {
        let judged = self.judged.unwrap_or(self.pairs());
        judge(&self.times[0][..judged], &self.times[subject][..judged], self.times.len() - 1, self.least)
    }

    fn is_settled(&self) -> bool {
        (1..self.times.len()).all(|subject| self.finding(subject).verdict != Verdict::NotResolved)
    }
}

/// Takes turns until all is settled at a look, all looks are used up, or `go_on`, which sees what there is, says no.
/// Where a subject fails, the whole turns before stay.
pub fn compare<E>(
    clock: &dyn Clock,
    overhead: &Overhead,
    subjects: &mut [&mut dyn Workload<E>],
    calls: u64,
    chance: &mut fastrand::Rng,
    mut go_on: impl FnMut(&Turns) -> bool,
) -> (Turns, Option<E>) {
    let least = overhead.precision / calls as f64;
    let mut turns = Turns { calls, times: vec![Vec::new(); subjects.len()], least, judged: None };
    let failed = take(clock, overhead, subjects, chance, &mut turns, |turns| {
        let pairs = turns.pairs();
        let last = pairs >= LOOKS[LOOKS.len() - 1];
        !(last || LOOKS.contains(&pairs) && turns.is_settled()) && go_on(turns)
    });
    (turns, failed)
}

/// Takes more turns as long as `go_on` says so, for figures that rest on more than a moment; at least one. The verdicts
/// are those of before: they must not be looked at until they please.
pub fn linger<E>(
    clock: &dyn Clock,
    overhead: &Overhead,
    subjects: &mut [&mut dyn Workload<E>],
    chance: &mut fastrand::Rng,
    turns: &mut Turns,
    go_on: impl FnMut(&Turns) -> bool,
) -> Option<E> {
    turns.judged.get_or_insert(turns.times.first().map_or(0, Vec::len));
    take(clock, overhead, subjects, chance, turns, go_on)
}

/// Whole turns, as long as `go_on` says so.
fn take<E>(
    clock: &dyn Clock,
    overhead: &Overhead,
    subjects: &mut [&mut dyn Workload<E>],
    chance: &mut fastrand::Rng,
    turns: &mut Turns,
    mut go_on: impl FnMut(&Turns) -> bool,
) -> Option<E> {
    let overheads: Vec<Overhead> =
        subjects.iter().map(|subject| subject.overhead(clock).unwrap_or(*overhead)).collect();
    loop {
        for row in square(subjects.len(), chance) {
            let mut times = vec![0.0; subjects.len()];
            for subject in row {
                match subjects[subject].time(clock, turns.calls) {
                    Ok(elapsed) => times[subject] = overheads[subject].of_call(elapsed, turns.calls),
                    Err(error) => return Some(error),
                }
            }
            turns.times.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
            if !go_on(turns) {
                return None;
            }
        }
    }
}

/// A random cyclic Latin square: each row is the row before moved by one, in random order, so that each subject stands
/// once in each place.
pub fn square(subjects: usize, chance: &mut fastrand::Rng) -> Vec<Vec<usize>> {
    let mut names: Vec<usize> = (0..subjects).collect();
    chance.shuffle(&mut names);
    let mut shifts: Vec<usize> = (0..subjects).collect();
    chance.shuffle(&mut shifts);
    let row = |shift: usize| (0..subjects).map(|place| names[(place + shift) % subjects]).collect();
    shifts.into_iter().map(row).collect()
}

/// What two subjects' times in the same turns say, where the first is held against `others`. No time counts as less than
/// `least`.
pub fn judge(first: &[f64], second: &[f64], others: usize, least: f64) -> Finding {
    let pairs = first.len().min(second.len());
    let least = least.max(f64::MIN_POSITIVE);
    let ratio = |(a, b): (&f64, &f64)| (a.max(least) / b.max(least)).ln();
    let ratios = Samples::new(1, first.iter().zip(second).map(ratio).collect());
    let speedup = ratios.median().exp();
    let unknown =
        Finding { speedup, low: f64::NAN, high: f64::NAN, coverage: 0.0, verdict: Verdict::NotResolved, pairs };
    if pairs < 2 {
        return unknown;
    }
    let found = |low: f64, high: f64, coverage| Finding { low: low.exp(), high: high.exp(), coverage, ..unknown };
    if pairs < LOOKS[0] {
        // The median lies between the least and the greatest unless all lie on one side of it.
        let coverage = 1.0 - 0.5f64.powi(pairs as i32 - 1);
        let finding = found(ratios.quantile(0.0), ratios.quantile(1.0), coverage);
        let verdict = match apart(first, second) {
            true if speedup > 1.0 => Verdict::Faster,
            true => Verdict::Slower,
            false => Verdict::NotResolved,
        };
        return Finding { verdict, ..finding };
    }
    let miss = MISS / (others.max(1) * LOOKS.len()) as f64;
    let Some(rank) = median_rank(pairs, miss) else { return unknown };
    let mut sorted = ratios.each().to_vec();
    sorted.sort_by(f64::total_cmp);
    let finding = found(sorted[rank - 1], sorted[pairs - rank], 1.0 - miss);
    Finding { verdict: verdict(finding.low, finding.high), ..finding }
}

fn verdict(low: f64, high: f64) -> Verdict {
    let inside = |x: f64| (1.0 / (1.0 + SAME)..=1.0 + SAME).contains(&x);
    if inside(low) && inside(high) {
        Verdict::Same
    } else if low > 1.0 + NEAR {
        Verdict::Faster
    } else if high < 1.0 / (1.0 + NEAR) {
        Verdict::Slower
    } else {
        Verdict::NotResolved
    }
}

/// Whether the ranges of two subjects' times are apart; with fewer than four each, by more than both are wide.
fn apart(first: &[f64], second: &[f64]) -> bool {
    let range = |times: &[f64]| {
        let samples = Samples::new(1, times.to_vec());
        (samples.quantile(0.0), samples.quantile(1.0))
    };
    let (first_range, second_range) = (range(first), range(second));
    let gap = (second_range.0 - first_range.1).max(first_range.0 - second_range.1);
    let width = (first_range.1 - first_range.0) + (second_range.1 - second_range.0);
    gap > if first.len() < 4 { width } else { 0.0 }
}

/// The rank r, from 1, for which the r-th least and the r-th greatest of `count` values hold the median between them but
/// for a chance of at most `miss`: the order statistics of the sign test (Conover, Practical Nonparametric Statistics,
/// 3.2). None where there are too few values.
pub fn median_rank(count: usize, miss: f64) -> Option<usize> {
    let mut term = count as f64 * 0.5f64.ln();
    let mut below = 0.0;
    let mut rank = 0;
    // `below` is the chance that fewer than `rank + 1` values lie below the median.
    while rank < count.div_ceil(2) {
        below += term.exp();
        if 2.0 * below > miss {
            break;
        }
        term += ((count - rank) as f64 / (rank + 1) as f64).ln();
        rank += 1;
    }
    (rank > 0).then_some(rank)
}
