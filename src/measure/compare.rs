//! Which of several subjects is faster: samples taken in turns, ratios within a turn, and the sign test on them.
//!
//! Each turn takes one sample of every subject. The turns are the rows of random cyclic Latin squares: with two
//! subjects they are ABBA or BAAB, so that a machine that gets slower or faster meanwhile harms both alike. The ratio
//! of two samples of one turn is free of what lasts longer than a turn. The median of the ratios has an interval from
//! the binomial distribution alone (the sign test), whatever the distribution of times is. One looks at 25, 50, 100 …
//! 6400 turns and may stop at each: the chance of a false verdict is shared out over these looks and over the subjects.
//! In 88 comparisons that were recorded for 4 s each at a load of 8 to 12 (sums, sorts, chased pointers and texts, with
//! themselves, with 2 % more work, and with each other), the first look with a verdict and all 6,000 to 15,000 turns
//! said the same. Turns after a verdict may contradict it all the same, and then withdraw it ([`linger`]).
//!
//! Turns are not independent of each other where something lasts longer than a turn and favours one subject: a phase of
//! the machine, where code lies in memory, which process runs it. So the sign test is also made on the medians of
//! longer stretches, and of each copy of the code and each process that took part ([`Design::units`]). The interval
//! holds all of these intervals. Where each sample is a process of its own, turns are too few for such medians: there
//! the interval of the sign test is widened by how much more the signs of neighbours agree than those of independent
//! turns. What the clock and the loop around the calls may hide is added to it.

use super::sampling::Workload;
use super::{Clock, Overhead, Samples};

/// After so many turns a verdict may end the comparison.
pub const LOOKS: [usize; 9] = [25, 50, 100, 200, 400, 800, 1600, 3200, 6400];
/// Turns that take less time than this together, in nanoseconds, say nothing: they all may lie in one moment of the
/// machine.
pub const LEAST_TIME: u64 = 20_000_000;
/// The chance that any verdict of one comparison is false.
const MISS: f64 = 0.05;
/// Ratios this near to 1 are the same; an interval that lies wholly beyond is a difference. Less than that is none: the
/// same two pipelines differ by as much from process to process, and one process cannot see it.
pub(super) const SAME: f64 = 0.01;
/// The same where each sample has a process of its own: what differs from process to process is in the ratios then, and
/// the interval holds it.
const SAME_OWN: f64 = 0.005;
/// A call that takes no more than so many times what calling costs is below the resolution: that cost is subtracted,
/// and differs by a good part of itself between subjects.
const RESOLVED: f64 = 2.0;
/// The turns are cut into so many stretches, of at least four turns each.
const STRETCHES: usize = 24;

/// What was found out about a subject beside the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// How many times as fast as the baseline it is; NaN below the resolution.
    pub speedup: f64,
    /// Where the speed-up lies.
    pub low: f64,
    pub high: f64,
    /// With which probability; shared out over looks and subjects, or with few turns what least and greatest cover.
    pub coverage: f64,
    pub verdict: Verdict,
    /// A difference is one that lies wholly beyond this share.
    pub apart: f64,
    pub pairs: usize,
    /// Whether the first looks gave a verdict that all samples together do not support.
    pub withdrawn: bool,
    /// Whether the turns took too little time together for a verdict.
    pub is_brief: bool,
    /// How far the medians of the processes that took part lie apart, as a share, where that is in the interval.
    pub processes: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    /// Within 1 %.
    Same,
    NotResolved,
    /// A sample of one of the two is shorter than the least time that its clock can tell, or its call is not much
    /// longer than what calling costs.
    BelowResolution,
}

impl Finding {
    /// Whether there were too few turns for the sign test, so that it stands on ranges that are apart.
    pub fn is_weak(&self) -> bool {
        self.pairs < LOOKS[0]
    }
}

/// A subject, and how samples of it are taken.
pub struct Sampled<'a, E> {
    pub workload: &'a mut dyn Workload<E>,
    pub clock: &'a dyn Clock,
    /// What measuring costs by this clock.
    pub overhead: Overhead,
    pub calls: u64,
    /// Whether each sample comes behind a call that is not timed.
    pub warm: bool,
}

/// How the turns are made up, and what is held against what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Design {
    /// The subject that all others are held against.
    pub base: usize,
    /// What takes part in turns besides the subjects, innermost first.
    pub units: Vec<Units>,
}

/// Copies of the code, or processes: each turn has one of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Units {
    pub count: usize,
    /// Turns that follow each other with the same one.
    pub each: usize,
    pub kind: UnitKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitKind {
    /// Each side has the fastest of many copies of its own: as far as these lie apart, the fastest of others would lie
    /// from them.
    Fastest,
    /// All sides have the same one.
    Shared,
    /// Each sample of each side has a process of its own.
    Own,
    /// Only one side changes with them, while the other side has a single one: its own part in the ratio cannot be
    /// seen, and may be as large as what is seen.
    OneSided,
}

/// The times of all subjects, turn by turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turns {
    /// For each subject the nanoseconds of a call in each turn, without what measuring costs.
    pub times: Vec<Vec<f64>>,
    /// For each subject the calls of a sample.
    pub calls: Vec<u64>,
    overheads: Vec<Overhead>,
    design: Design,
    /// For each of the design's units, which one each turn had.
    units: Vec<Vec<usize>>,
    /// The nanoseconds of the wall from the first turn to the last.
    passed: u64,
    /// The turns that the verdicts stand on, and their time, where more were taken later.
    judged: Option<(usize, u64)>,
}

impl Turns {
    pub fn samples(&self, subject: usize) -> Samples {
        Samples::new(self.calls[subject], self.times[subject].clone())
    }

    /// The subject that the others are held against.
    pub fn base(&self) -> usize {
        self.design.base
    }

    /// The nanoseconds of the wall that they took together.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    pub fn pairs(&self) -> usize {
        self.times.first().map_or(0, Vec::len)
    }

    /// What is known about a subject beside the baseline by now: of all samples, and a verdict only where those on
    /// which it was looked for support it too.
    pub fn finding(&self, subject: usize) -> Finding {
        let all = self.judge(subject, self.pairs(), self.passed);
        let Some((pairs, passed)) = self.judged else { return all };
        let judged = self.judge(subject, pairs, passed);
        match judged.verdict {
            verdict if verdict == all.verdict || all.verdict == Verdict::BelowResolution => all,
            Verdict::BelowResolution => Finding { pairs: all.pairs, ..judged },
            Verdict::NotResolved => Finding { verdict: Verdict::NotResolved, ..all },
            Verdict::Faster | Verdict::Slower | Verdict::Same => {
                Finding { verdict: Verdict::NotResolved, withdrawn: true, ..all }
            }
        }
    }

    fn judge(&self, subject: usize, pairs: usize, passed: u64) -> Finding {
        let side = |subject: usize| Side {
            times: &self.times[subject][..pairs],
            calls: self.calls[subject],
            overhead: self.overheads[subject],
        };
        let units = self.design.units.iter().zip(&self.units);
        let levels: Vec<Level> = units.map(|(units, each)| Level { each: &each[..pairs], kind: units.kind }).collect();
        judge(side(self.design.base), side(subject), self.times.len() - 1, passed, &levels)
    }

    fn is_settled(&self) -> bool {
        let others = (0..self.times.len()).filter(|subject| *subject != self.design.base);
        let mut verdicts = others.map(|subject| self.finding(subject).verdict);
        verdicts.all(|verdict| verdict != Verdict::NotResolved)
    }
}

/// Takes turns until all is settled at a look, all looks are used up, or `go_on`, which sees what there is, says no.
/// Where a subject fails, the whole turns before stay; its number comes with its error.
pub fn compare<E>(
    wall: &dyn Clock,
    subjects: &mut [Sampled<E>],
    design: Design,
    rng: &mut fastrand::Rng,
    mut go_on: impl FnMut(&Turns) -> bool,
) -> (Turns, Option<(usize, E)>) {
    let mut turns = Turns {
        times: vec![Vec::new(); subjects.len()],
        calls: subjects.iter().map(|subject| subject.calls).collect(),
        overheads: subjects.iter().map(|subject| subject.overhead).collect(),
        units: vec![Vec::new(); design.units.len()],
        design,
        passed: 0,
        judged: None,
    };
    let failed = take(wall, subjects, rng, &mut turns, |turns| {
        let pairs = turns.pairs();
        let last = pairs >= LOOKS[LOOKS.len() - 1];
        !(last || LOOKS.contains(&pairs) && turns.is_settled()) && go_on(turns)
    });
    (turns, failed)
}

/// Takes more turns as long as `go_on` says so, for figures that rest on more than a moment; at least one. No verdict
/// is found in them, since they must not be looked at until they please; one that they contradict is withdrawn.
pub fn linger<E>(
    wall: &dyn Clock,
    subjects: &mut [Sampled<E>],
    rng: &mut fastrand::Rng,
    turns: &mut Turns,
    go_on: impl FnMut(&Turns) -> bool,
) -> Option<(usize, E)> {
    turns.judged.get_or_insert((turns.times.first().map_or(0, Vec::len), turns.passed));
    take(wall, subjects, rng, turns, go_on)
}

/// Whole turns, as long as `go_on` says so.
fn take<E>(
    wall: &dyn Clock,
    subjects: &mut [Sampled<E>],
    rng: &mut fastrand::Rng,
    turns: &mut Turns,
    mut go_on: impl FnMut(&Turns) -> bool,
) -> Option<(usize, E)> {
    let (start, before) = (wall.now(), turns.passed);
    let mut orders: Vec<Vec<usize>> = turns.design.units.iter().map(|units| (0..units.count).collect()).collect();
    loop {
        for row in square(subjects.len(), rng) {
            let units = next_units(turns, &mut orders, rng);
            let mut times = vec![0.0; subjects.len()];
            for number in row {
                let Sampled { workload, clock, overhead, calls, warm } = &mut subjects[number];
                workload.replicate(&units);
                let elapsed = if *warm { workload.time_warm(*clock, *calls) } else { workload.time(*clock, *calls) };
                match elapsed {
                    Ok(elapsed) => times[number] = overhead.of_call(elapsed, *calls),
                    Err(error) => return Some((number, error)),
                }
            }
            turns.times.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
            turns.units.iter_mut().zip(units).for_each(|(all, unit)| all.push(unit));
            turns.passed = before + (wall.now() - start);
            if !go_on(turns) {
                return None;
            }
        }
    }
}

/// Which units the next turn has: all in a random order, then all in another one.
fn next_units(turns: &Turns, orders: &mut [Vec<usize>], rng: &mut fastrand::Rng) -> Vec<usize> {
    let pairs = turns.pairs();
    let next = |(units, order): (&Units, &mut Vec<usize>)| {
        let place = pairs / units.each.max(1) % units.count.max(1);
        if place == 0 && pairs.is_multiple_of(units.each.max(1)) {
            rng.shuffle(order);
        }
        order[place]
    };
    turns.design.units.iter().zip(orders).map(next).collect()
}

/// A random cyclic Latin square: each row is the row before moved by one, in random order, so that each subject stands
/// once in each place.
pub fn square(subjects: usize, rng: &mut fastrand::Rng) -> Vec<Vec<usize>> {
    let mut names: Vec<usize> = (0..subjects).collect();
    rng.shuffle(&mut names);
    let mut shifts: Vec<usize> = (0..subjects).collect();
    rng.shuffle(&mut shifts);
    let row = |shift: usize| (0..subjects).map(|place| names[(place + shift) % subjects]).collect();
    shifts.into_iter().map(row).collect()
}

/// One of two subjects: its times in the turns, and how they were taken.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub times: &'a [f64],
    pub calls: u64,
    pub overhead: Overhead,
}

/// Which unit each turn had.
#[derive(Debug, Clone, Copy)]
pub struct Level<'a> {
    pub each: &'a [usize],
    pub kind: UnitKind,
}

/// What two subjects' times in the same turns say, which took so much time of the wall together; the first is the
/// baseline of `others`.
pub fn judge(first: Side, second: Side, others: usize, passed: u64, levels: &[Level]) -> Finding {
    let pairs = first.times.len().min(second.times.len());
    let is_brief = passed < LEAST_TIME;
    let is_own = levels.iter().any(|level| level.kind == UnitKind::Own);
    let apart = if is_own { SAME_OWN } else { SAME };
    let unknown = Finding {
        speedup: f64::NAN,
        low: f64::NAN,
        high: f64::NAN,
        coverage: 0.0,
        verdict: Verdict::NotResolved,
        apart,
        pairs,
        withdrawn: false,
        is_brief,
        processes: None,
    };
    if pairs == 0 {
        return unknown;
    }
    let medians = [first, second].map(|side| Samples::new(1, side.times.to_vec()).median());
    let least = [first, second].map(|side| side.overhead.precision / side.calls as f64);
    let resolved = |number: usize, side: &Side| {
        medians[number] >= least[number].max(f64::MIN_POSITIVE) && medians[number] > RESOLVED * side.overhead.call
    };
    if !resolved(0, &first) || !resolved(1, &second) {
        return Finding { verdict: Verdict::BelowResolution, ..unknown };
    }
    // A single sample may be disturbed by more than it lasts: no time counts as less than the clock can tell.
    let ratio =
        |(a, b): (&f64, &f64)| (a.max(least[0]).max(f64::MIN_POSITIVE) / b.max(least[1]).max(f64::MIN_POSITIVE)).ln();
    let ratios: Vec<f64> = first.times.iter().zip(second.times).map(ratio).collect();
    let samples = Samples::new(1, ratios.clone());
    let speedup = samples.median().exp();
    let unknown = Finding { speedup, ..unknown };
    if pairs < 2 {
        return unknown;
    }
    // The clock may be off by a step in each sample. What the loop costs was found with a subject that does nothing;
    // where it is another beside work, it is so on both sides.
    let call = first.overhead.call.max(second.overhead.call);
    let doubt = least[0] / medians[0] + least[1] / medians[1] + call * (1.0 / medians[0] - 1.0 / medians[1]).abs();
    let found = |(low, high): (f64, f64), coverage| Finding {
        low: (low - doubt).exp(),
        high: (high + doubt).exp(),
        coverage,
        ..unknown
    };
    if is_few(pairs) {
        // The median lies between the least and the greatest unless all lie on one side of it.
        let coverage = 1.0 - 0.5f64.powi(pairs as i32 - 1);
        let finding = found((samples.quantile(0.0), samples.quantile(1.0)), coverage);
        let verdict = match verdict(finding.low, finding.high, apart) {
            found @ (Verdict::Faster | Verdict::Slower) if !is_brief && are_apart(first.times, second.times) => found,
            _ => Verdict::NotResolved,
        };
        return Finding { verdict, ..finding };
    }
    let miss = MISS / (others.max(1) * LOOKS.len()) as f64;
    let dispersion = if is_own { dispersion(&ratios) } else { 1.0 };
    let Some(mut interval) = median_interval(ratios.clone(), miss, dispersion) else { return unknown };
    let mut hold = |(low, high): (f64, f64)| interval = (interval.0.min(low), interval.1.max(high));
    if !is_own && pairs >= 4 * STRETCHES {
        let stretch: Vec<usize> = (0..pairs).map(|turn| turn * STRETCHES / pairs).collect();
        hold(spread(unit_medians(&ratios, &stretch), miss));
    }
    let mut processes = None;
    for level in levels {
        let medians = unit_medians(&ratios, level.each);
        if medians.len() < 2 {
            continue;
        }
        match level.kind {
            UnitKind::Own => {}
            UnitKind::Shared => hold(spread(medians, miss)),
            UnitKind::OneSided => {
                let (least, greatest) = range(&medians);
                let reach = greatest - least;
                let middle = Samples::new(1, medians).median();
                processes = Some(reach.exp() - 1.0);
                hold((middle - reach, middle + reach));
            }
            UnitKind::Fastest => {
                let reach = [first, second].map(|side| {
                    let (least, greatest) = range(&unit_medians(side.times, level.each));
                    (greatest / least.max(f64::MIN_POSITIVE)).ln()
                });
                let reach = reach[0].max(reach[1]);
                let middle = Samples::new(1, medians).median();
                hold((middle - reach, middle + reach));
            }
        }
    }
    let finding = Finding { processes, ..found(interval, 1.0 - miss) };
    let verdict = if is_brief { Verdict::NotResolved } else { verdict(finding.low, finding.high, apart) };
    Finding { verdict, ..finding }
}

fn is_few(pairs: usize) -> bool {
    pairs < LOOKS[0]
}

/// Where the median of values lies, by the sign test, where the number of those above it varies by so many times the
/// variance that it has for independent values. The range of them where that is all one can say.
fn median_interval(mut values: Vec<f64>, miss: f64, dispersion: f64) -> Option<(f64, f64)> {
    let rank = median_rank(values.len(), miss)?;
    let middle = values.len() as f64 / 2.0;
    let rank = (middle - (middle - rank as f64) * dispersion.sqrt()).max(1.0) as usize;
    values.sort_by(f64::total_cmp);
    Some((values[rank - 1], values[values.len() - rank]))
}

/// How many times as much the number of ratios above their median varies from stretch to stretch as that of
/// independent ones, at least 1: the greatest of stretches of 4, 8, 16 … turns, at least twelve of them (batch means:
/// Law, Simulation Modeling and Analysis, 9.5.3).
fn dispersion(ratios: &[f64]) -> f64 {
    const SHORTEST: usize = 4;
    const FEWEST: usize = 12;
    let turns = ratios.len();
    let median = Samples::new(1, ratios.to_vec()).median();
    let sign = |ratio: &f64| ratio.partial_cmp(&median).map_or(0.0, |order| f64::from(order as i8));
    let of = |length: usize| {
        let stretches = turns / length;
        let sum = |stretch: usize| -> f64 {
            ratios[stretch * turns / stretches..(stretch + 1) * turns / stretches].iter().map(sign).sum()
        };
        (0..stretches).map(|stretch| sum(stretch).powi(2)).sum::<f64>() / turns as f64
    };
    let lengths = std::iter::successors(Some(SHORTEST), |length| Some(2 * length));
    lengths.take_while(|length| turns / length >= FEWEST || *length == SHORTEST).map(of).fold(1.0, f64::max)
}

/// The same, or where there are too few values the range of them.
fn spread(values: Vec<f64>, miss: f64) -> (f64, f64) {
    let whole = range(&values);
    median_interval(values, miss, 1.0).unwrap_or(whole)
}

fn range(values: &[f64]) -> (f64, f64) {
    let bound = |(low, high): (f64, f64), value: &f64| (low.min(*value), high.max(*value));
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), bound)
}

/// The median of the ratios of each unit's turns.
fn unit_medians(ratios: &[f64], units: &[usize]) -> Vec<f64> {
    let mut each: Vec<Vec<f64>> = vec![Vec::new(); units.iter().max().map_or(0, |last| last + 1)];
    ratios.iter().zip(units).for_each(|(ratio, unit)| each[*unit].push(*ratio));
    each.into_iter().filter(|ratios| !ratios.is_empty()).map(|ratios| Samples::new(1, ratios).median()).collect()
}

/// What an interval says; a difference is one that lies wholly beyond `apart`.
fn verdict(low: f64, high: f64, apart: f64) -> Verdict {
    let inside = |x: f64| (1.0 / (1.0 + SAME)..=1.0 + SAME).contains(&x);
    if inside(low) && inside(high) {
        Verdict::Same
    } else if low > 1.0 + apart {
        Verdict::Faster
    } else if high < 1.0 / (1.0 + apart) {
        Verdict::Slower
    } else {
        Verdict::NotResolved
    }
}

/// Whether the ranges of two subjects' times are apart; with fewer than four each, by more than both are wide.
fn are_apart(first: &[f64], second: &[f64]) -> bool {
    let range = |times: &[f64]| {
        let samples = Samples::new(1, times.to_vec());
        (samples.quantile(0.0), samples.quantile(1.0))
    };
    let (first_range, second_range) = (range(first), range(second));
    let gap = (second_range.0 - first_range.1).max(first_range.0 - second_range.1);
    let width = (first_range.1 - first_range.0) + (second_range.1 - second_range.0);
    gap > if first.len() < 4 { width } else { 0.0 }
}

/// The rank r, from 1, for which the r-th least and the r-th greatest of `count` values hold the median between them
/// but for a chance of at most `miss`: the order statistics of the sign test (Conover, Practical Nonparametric
/// Statistics, 3.2). None where there are too few values.
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
