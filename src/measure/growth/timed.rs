//! From times at many sizes to a class. What a machine does differently for larger inputs (caches, the allocator, the
//! predictor of branches, pages from the system) moves a time by a factor at some size, and a factor in the middle of a
//! sweep looks like a logarithm or a power. So parts of the sweep are asked alone, and what one of them contradicts is
//! not claimed.

use super::exponent::{Exponent, line};
use super::fit::fits;
use super::{Answer, Class, Doubt, LITTLE, NEARLY, Point, Question, Verdict, answer};

/// A size with its least time, and the bytes that it works on, where known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worked {
    pub point: Point,
    pub bytes: Option<f64>,
}

/// The sizes of a part are no fewer, and the largest is so many times the least.
const ENOUGH: usize = 8;
const RANGE: f64 = 16.0;

/// How far the exponent of a root may be to each side.
const ROOT_ERROR: f64 = 0.25;
/// How far its middle may be from a half.
const ROOT_OFF: f64 = 0.12;

/// The way from the cache to memory: an access costs some fifty times as much over a thousand times the bytes.
const MEMORY: f64 = 0.6;

/// Answers how the time grows: from the sizes in the second cache where they are enough, else from all.
pub fn answer_timed(sizes: &[Worked], cache: u64) -> Answer {
    let found = of_parts(sizes, cache);
    let Verdict::Class(class) = found.verdict else { return found };
    // What may be constant as well as linear is not known, and a root is one only where other powers are excluded.
    let may_be_constant = class == Class::Constant || class < Class::Linear && found.also.contains(&Class::Constant);
    let is_open = may_be_constant && found.also.iter().any(|other| is_far(Class::Constant, *other));
    let is_root = |exponent: Exponent| exponent.error() <= ROOT_ERROR && (exponent.middle() - 0.5).abs() <= ROOT_OFF;
    let is_wide = class == Class::Root && !found.exponent.is_some_and(is_root);
    if is_open || is_wide { unclaimed(found) } else { beside_log(found, sizes) }
}

/// The same, also with its logarithm where the times of all sizes ask for one that those in the cache do not show: the
/// way from the cache to memory looks like one, and so does a sort whose short runs are done in another way.
fn beside_log(found: Answer, sizes: &[Worked]) -> Answer {
    let Verdict::Class(class @ (Class::Linear | Class::Quadratic)) = found.verdict else { return found };
    let all = fits(&monotone(sizes), &Question::Time.rules());
    let own = all.iter().find(|fit| fit.class == class);
    let with_log = all.iter().find(|fit| fit.class.without_log() == Some(class));
    match own.zip(with_log) {
        Some((own, with_log)) if with_log.bic < own.bic - NEARLY => named(found, with_log.class),
        _ => found,
    }
}

fn of_parts(sizes: &[Worked], cache: u64) -> Answer {
    let points = monotone(sizes);
    let far = Part::all(&points);
    let inner = near(sizes, &points, cache).filter(|inner| inner.len() < points.len());
    let Some(inner) = inner else {
        let found = doubted(combined(&far, &[]), &points);
        return if may_be_lower(&found, sizes, &points, cache) { unclaimed(found) } else { found };
    };
    let near = Part::all(&inner);
    let exceeds =
        |part: &Part| part.class().is_some_and(|class| exceeds(class, sizes, &points, inner[inner.len() - 1]));
    // What larger sizes cost more than memory can explain is work that the near ones do not show.
    let found = if near.iter().any(exceeds) { combined(&far, &[]) } else { combined(&near, &far) };
    doubted(found, &points)
}

/// Some of the sizes, the largest among them, and what they say.
struct Part {
    answer: Answer,
    /// Whether the sizes that are left out agree.
    agrees: bool,
}

impl Part {
    /// All of the points, then time and again without the least third, as long as enough are left.
    fn all(points: &[Point]) -> Vec<Part> {
        let rests = std::iter::successors(Some(points), |rest| upper(rest));
        let part = |rest: &[Point]| {
            let answer = answer(Question::Time, rest);
            Part { agrees: spares(&answer, &points[..points.len() - rest.len()]), answer }
        };
        rests.map(part).collect()
    }

    fn class(&self) -> Option<Class> {
        match self.answer.verdict {
            Verdict::Class(class) if self.agrees => Some(class),
            Verdict::Class(_) | Verdict::Power | Verdict::NoClaim(_) => None,
        }
    }
}

/// Whether sizes that were left out cost at least a tenth of what the curve says. A machine spares so much of small
/// inputs, whose branches it has learned and whose memory it has at hand; what costs less is of another class. (A bound
/// of 6 gives the same classes for all that was recorded, one of 20 takes a sort for quadratic.)
fn spares(answer: &Answer, left_out: &[Point]) -> bool {
    const SPARED: f64 = 10.0;
    let Some(curve) = &answer.curve else { return left_out.is_empty() };
    left_out.iter().all(|point| curve.at(point.n) <= SPARED * point.cost)
}

/// The answer of the first part that has one, if none of the others contradicts it. `others` are the parts with sizes
/// that do not fit into the cache.
fn combined(parts: &[Part], others: &[Part]) -> Answer {
    let first = &parts[0].answer;
    let is_open = match first.verdict {
        Verdict::Class(_) | Verdict::NoClaim(Doubt::Departs | Doubt::NoCurve(_)) => true,
        // Of too few sizes, or of a cost that hardly grows, a part says no more.
        Verdict::NoClaim(_) | Verdict::Power => false,
    };
    let all = || parts.iter().chain(others).filter_map(|part| Some((part.class()?, part)));
    let Some((class, found)) = all().next().filter(|_| is_open) else { return first.clone() };
    let answer = found.answer.clone();
    let is_in_cache = parts.iter().any(|part| part.class().is_some()) && !others.is_empty();
    let contradicts =
        |(other, part): (Class, &Part)| is_far(class, other) && !(is_in_cache && may_be_memory(class, part));
    if all().any(contradicts) {
        return Answer { verdict: Verdict::NoClaim(Doubt::Departs), also: Vec::new(), ..answer };
    }
    let Some(power) = without_log(class) else { return answer };
    // The slope of a logarithm falls: where no larger sizes say whether a step has ended, a higher power may begin.
    if others.is_empty() && rises(class, &answer.used) {
        return Answer { verdict: Verdict::NoClaim(Doubt::Departs), also: Vec::new(), ..answer };
    }
    // A logarithm that the larger sizes of the same cache do not show came from a step at a small one.
    let alone = |part: &&Part| part.class() == Some(power) && !part.answer.also.contains(&class);
    if let Some(part) = parts.iter().find(alone) {
        return named(part.answer.clone(), class);
    }
    // Nor is it certain where a slope without it is in the interval.
    let is_near = answer.exponent.zip(power.order()).is_some_and(|(exponent, (power, _))| exponent.low <= power);
    if is_near { named(answer, power) } else { answer }
}

/// Whether the way from the cache to memory may be why the times are of a class, and not of one that is lower by a
/// factor of n: where none of the sizes in the cache says so, and where those in it are no steeper than the lower one.
fn may_be_lower(found: &Answer, sizes: &[Worked], points: &[Point], cache: u64) -> bool {
    // How many sizes in the cache say how steep they are, and what is more than noise.
    const FEW: usize = 4;
    const STEEPER: f64 = 0.5;
    let Verdict::Class(class) = found.verdict else { return false };
    let (Some(first), Some(last)) = (found.used.get(found.used.len() / 2), found.used.last()) else { return false };
    let bytes_at = |n: f64| sizes.iter().find(|size| size.point.n == n)?.bytes;
    let Some((from, to)) = bytes_at(first.n).zip(bytes_at(last.n)).filter(|(_, to)| *to > cache as f64) else {
        return false;
    };
    let memory = (to / from.max(1.0)).max(1.0).powf(MEMORY);
    let inner = in_cache(sizes, points, cache);
    let inner: Vec<(f64, f64)> = inner[inner.len() / 2..].iter().map(|point| (point.n.ln(), point.cost.ln())).collect();
    let is_as_steep = |lower: &Class| {
        let steeper = lower.order().map(|(power, _)| line(&inner).slope - power);
        inner.len() < FEW || steeper.is_none_or(|steeper| steeper < STEEPER)
    };
    let explained = |lower: &Class| {
        let grows = lower.at(last.n).zip(lower.at(first.n)).map(|(last, first)| last / first);
        let is_explained = grows.is_some_and(|grows| last.cost / first.cost <= memory * grows);
        *lower < class && is_far(class, *lower) && is_explained && is_as_steep(lower)
    };
    Class::CANDIDATES.iter().any(explained)
}

/// The same without a claim: several classes may be the one.
fn unclaimed(answer: Answer) -> Answer {
    Answer { verdict: Verdict::NoClaim(Doubt::Ambiguous), also: Vec::new(), ..answer }
}

/// An answer with the doubt that it deserves: what bends looks like a higher power that begins to show, and only much
/// larger sizes tell them apart. `points` are all that were measured.
fn doubted(answer: Answer, points: &[Point]) -> Answer {
    let Verdict::Class(class) = answer.verdict else { return answer };
    let answer = match has_ended(&answer, points) {
        // It rises so slowly that noise may hide it.
        true if class == Class::Log => named(answer, Class::Constant),
        true => return Answer { verdict: Verdict::NoClaim(Doubt::Departs), also: Vec::new(), ..answer },
        false => answer,
    };
    let bends = without_log(class).is_some() || class == Class::Root;
    let may_bend = bends || answer.also.iter().any(|other| without_log(*other) == Some(class));
    let goes_on = points[points.len() - 1].n >= RANGE * answer.used[answer.used.len() - 1].n;
    let from = points.partition_point(|point| point.n < answer.used[0].n);
    let Some(power) = class.order().map(|(power, _)| power.floor() + 1.0).filter(|_| may_bend && !goes_on) else {
        return answer;
    };
    let rules = Question::Time.rules();
    let all = fits(&points[from..], &rules);
    let of = |order| all.iter().find(|fit| fit.class.order() == Some(order));
    let Some((own, higher)) = class.order().and_then(of).zip(of((power, 0))) else { return answer };
    // What scatters much excludes no curve that misses the times by a little more.
    if higher.share <= LITTLE || higher.rms > rules.floor.hypot(own.rms) {
        return answer;
    }
    if bends && higher.rms <= rules.floor {
        return unclaimed(answer);
    }
    named(answer, higher.class)
}

/// Whether the largest of all sizes rise by less than half of what the curve says: what grew has come to its end. A
/// slow rise shows over more sizes only.
fn has_ended(answer: &Answer, points: &[Point]) -> bool {
    const SHARE: f64 = 0.5;
    // How much of the sizes, and a slope that noise does not make of them.
    const WINDOWS: [(usize, f64); 3] = [(8, 0.4), (4, 0.2), (2, 0.07)];
    let Some(curve) = &answer.curve else { return false };
    let has_ended = |(of, least): (usize, f64)| {
        let slope = |cost: &dyn Fn(&Point) -> f64| {
            line(&last(points, of).iter().map(|point| (point.n.ln(), cost(point).ln())).collect::<Vec<_>>()).slope
        };
        let expected = slope(&|point| curve.at(point.n));
        expected > least && slope(&|point| point.cost) < SHARE * expected
    };
    WINDOWS.into_iter().any(has_ended)
}

/// The largest of the sizes, one of so many.
fn last(points: &[Point], of: usize) -> &[Point] {
    const FEWEST: usize = 4;
    &points[points.len() - (points.len() / of).max(FEWEST).min(points.len())..]
}

/// Whether the largest sizes are steeper than a class by more than noise.
fn rises(class: Class, points: &[Point]) -> bool {
    const STEEPER: f64 = 0.25;
    let last = last(points, 3);
    let over = |point: &Point| Some((point.n.ln(), (point.cost / class.at(point.n)?).ln()));
    last.iter().map(over).collect::<Option<Vec<_>>>().is_some_and(|over| line(&over).slope > STEEPER)
}

/// With another class that the time may be of.
fn named(mut answer: Answer, class: Class) -> Answer {
    if !answer.also.contains(&class) {
        answer.also.push(class);
        answer.also.sort_unstable();
    }
    answer
}

/// Whether the sizes after the first `inner` cost more than a class and the way from the cache to memory explain: an
/// access costs some fifty times as much over a thousand times the bytes. Pages that the system has to give make a step
/// of up to ten, but beside a logarithm a step looks like a power, and after it the slope is what it was before.
fn exceeds(class: Class, sizes: &[Worked], points: &[Point], last: Point) -> bool {
    const STEP: f64 = 10.0;
    // Above that of memory by more than noise.
    const STEEP: f64 = 0.7;
    let beyond = points.partition_point(|point| point.n <= last.n);
    let (Some(largest), Some(inner)) = (sizes.last().filter(|_| beyond < points.len()), beyond.checked_sub(1)) else {
        return false;
    };
    let over = |point: &Point| Some((point.n.ln(), (point.cost / class.at(point.n)?).ln()));
    let Some(rest) = points[inner..].iter().map(over).collect::<Option<Vec<_>>>() else { return false };
    let bytes = largest.bytes.zip(sizes[inner].bytes).map_or(1.0, |(to, from)| (to / from.max(1.0)).max(1.0));
    let step = if without_log(class).is_some() { 1.0 } else { STEP };
    if (rest[rest.len() - 1].1 - rest[0].1).exp() > bytes.powf(MEMORY).max(step) {
        return true;
    }
    let (before, after) = rest.split_at(rest.len() / 2);
    before.len() > 2 && line(before).slope > MEMORY / 2.0 && line(after).slope > STEEP
}

/// What remains of a class without its logarithm.
fn without_log(class: Class) -> Option<Class> {
    if class == Class::Log { Some(Class::Constant) } else { class.without_log() }
}

/// Whether the slope of a part is one that the way from the cache to memory gives to a class.
fn may_be_memory(class: Class, part: &Part) -> bool {
    const MOST: f64 = 0.8;
    let slope = part.answer.exponent.zip(class.order()).map(|(exponent, (power, _))| exponent.middle() - power);
    slope.is_some_and(|slope| (0.0..=MOST).contains(&slope))
}

/// Whether a factor of n or more lies between two classes, or one of them alone is a power of c.
fn is_far(one: Class, other: Class) -> bool {
    match one.order().zip(other.order()) {
        Some((one, other)) => (one.0 - other.0).abs() >= 1.0,
        None => one != other,
    }
}

/// No size costs more than a larger one: what does was disturbed, unless so many do that the cost is like that.
fn monotone(sizes: &[Worked]) -> Vec<Point> {
    const DISTURBED: f64 = 1.3;
    const MANY: usize = 5;
    let mut points: Vec<Point> = sizes.iter().map(|size| size.point).collect();
    // From the end: a larger size that took less shows what the smaller one takes without what disturbed it.
    for at in (1..points.len()).rev() {
        points[at - 1].cost = points[at - 1].cost.min(points[at].cost);
    }
    let lowered = sizes.iter().zip(&points).filter(|(size, point)| size.point.cost > DISTURBED * point.cost).count();
    if MANY * lowered > sizes.len() {
        points = sizes.iter().map(|size| size.point).collect();
    }
    points
}

/// The sizes in a quarter of the second cache.
fn in_cache(sizes: &[Worked], points: &[Point], cache: u64) -> Vec<Point> {
    const LEAST: f64 = 4.0;
    let fits = |size: &Worked| size.point.n >= LEAST && size.bytes.is_some_and(|bytes| bytes <= cache as f64 / 4.0);
    sizes.iter().zip(points).filter(|(size, _)| fits(size)).map(|(_, point)| *point).collect()
}

/// The sizes in the cache, where they are enough: in larger ones the memory grows slower, which
/// looks like a logarithm.
fn near(sizes: &[Worked], points: &[Point], cache: u64) -> Option<Vec<Point>> {
    let near = in_cache(sizes, points, cache);
    let last = *near.last()?;
    (is_enough(&near) && is_memory(&near, last, points[points.len() - 1])).then_some(near)
}

fn is_enough(points: &[Point]) -> bool {
    points.len() >= ENOUGH && points[points.len() - 1].n >= RANGE * points[0].n
}

/// Without the least third of the sizes, which say most about what does not grow.
fn upper(points: &[Point]) -> Option<&[Point]> {
    let upper = &points[points.len() / 3..];
    is_enough(upper).then_some(upper)
}

/// Whether the memory alone may be why sizes beyond `last` cost more, where the near ones hardly grow: from a cache to
/// memory, an access costs some fifty times as much over a thousand times the size. What rises by more does other work,
/// and must be seen.
fn is_memory(near: &[Point], last: Point, largest: Point) -> bool {
    const FLAT: f64 = 0.3;
    const STEEP: f64 = 0.8;
    let slope = |from: Point, to: Point| (to.cost / from.cost).ln() / (to.n / from.n).ln();
    largest.n <= last.n || slope(near[near.len() / 2], last) > FLAT || slope(last, largest) <= STEEP
}
