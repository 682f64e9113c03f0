//! How a cost grows with the size of its input: from costs at growing sizes to a class, an exponent, or an honest "no
//! claim". Counts say the class, times the constant. Knows sizes and costs, and no plan.
//!
//! The candidates, their fit and their choice are in `fit`. A choice is only an answer where it passes here: where the
//! cost of the largest sizes still runs away from the fitted curve, where a constant hides what grows, or where there
//! are too few sizes, nothing is claimed.

mod class;
mod exponent;
mod fit;
mod rounds;
mod sizes;
mod timed;

pub use class::Class;
pub use exponent::Exponent;
pub use fit::Fit;
pub use rounds::{ROUNDS, SAMPLE, Sampled, Times, rounds};
pub use sizes::{Budget, End, LARGEST, LEAST, Walk, denser, usual, walk};
pub use timed::{Worked, answer_timed};

use exponent::{Reading, exponent, line};
use fit::{Rules, fits, power_bic};

/// What a run of one size cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub n: f64,
    pub cost: f64,
}

/// What is asked of a growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    Time,
    Steps,
    Space,
    Allocs,
}

/// What the measured sizes say.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub verdict: Verdict,
    /// Of the upper half of the sizes, on log scales; none for a power or a factorial, or with too few sizes.
    pub exponent: Option<Exponent>,
    /// The other classes that fit nearly as well, in the order of their growth.
    pub also: Vec<Class>,
    /// The curve of the class, then that of the next best.
    pub curve: Option<Fit>,
    pub runner_up: Option<Fit>,
    /// The points that the answer stands on.
    pub used: Vec<Point>,
}

impl Answer {
    /// The exponent, unless nothing is claimed: then that of the nearest curve says nothing either.
    pub fn claimed_exponent(&self) -> Option<Exponent> {
        self.exponent.filter(|_| !matches!(self.verdict, Verdict::NoClaim(_)))
    }

    /// What it says of each of n things which cost this together; the curves are still those of all.
    pub fn of_each(self) -> Answer {
        let verdict = match self.verdict {
            Verdict::Class(class) => class.of_each().map_or(Verdict::NoClaim(Doubt::Ambiguous), Verdict::Class),
            other => other,
        };
        let less = |exponent: Exponent| Exponent { low: exponent.low - 1.0, high: exponent.high - 1.0 };
        let also = self.also.iter().filter_map(|class| class.of_each()).collect();
        Answer { verdict, exponent: self.exponent.map(less), also, ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    Class(Class),
    /// A power of n that is that of no class.
    Power,
    NoClaim(Doubt),
}

/// Why nothing is claimed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Doubt {
    /// So many sizes; it takes [`FEWEST`].
    FewSizes(usize),
    /// The largest size is less than [`NARROWEST`] times the least.
    NarrowSizes,
    /// From the least size to the largest the cost grows by this share of that of the largest.
    HiddenGrowth(f64),
    /// So many sizes have left the constant behind; it takes [`FEWEST`].
    LateGrowth(usize),
    /// The best curve is off by this much on average.
    NoCurve(f64),
    /// The cost of the largest sizes runs away from the best curve: as where the class changes on the way.
    Departs,
    /// Several classes fit: there are too few sizes to tell them apart.
    Ambiguous,
    /// The time grows faster by a power of n than the steps that were counted.
    Uncounted,
}

/// With fewer sizes nothing is claimed.
pub const FEWEST: usize = 5;
/// Between the least size and the largest lies at least this factor.
pub const NARROWEST: f64 = 4.0;
/// So much of the cost must grow at as many sizes.
const SEEN: f64 = 0.1;
/// With so many others that are nearly as good, nothing is known.
const AMBIGUOUS: usize = 3;
/// What grows by less from the small sizes to the large ones may be called constant: a hash table is fuller or emptier.
const HARDLY: f64 = 0.1;
/// How far the exponent of a counted root may be to each side.
const ROOT_ERROR: f64 = 0.2;
/// What carries less of the cost is not named.
const LITTLE: f64 = 0.02;
/// Classes within so many units of BIC of the best are nearly as good: the odds against them are below e^5.
const NEARLY: f64 = 10.0;
/// A curve that is off by no more goes through all the points.
const NOTHING_OPEN: f64 = 1e-3;

/// What a fit must pass before its class is an answer. Set from the kind of measurement, for all subjects alike.
#[derive(Debug, Clone, Copy)]
struct Trust {
    /// The relative residuals over all sizes.
    rms: f64,
    /// Of the logarithm of cost over curve, in the last third of the sizes: its slope, its mean, its largest.
    slope: f64,
    mean: f64,
    most: f64,
    /// How far from a line a power of n may be, on log scales.
    line: f64,
    /// How far the exponent may be to each side.
    error: f64,
    reading: Reading,
}

impl Question {
    pub const ALL: [Question; 4] = [Question::Time, Question::Steps, Question::Space, Question::Allocs];

    pub fn name(self) -> &'static str {
        match self {
            Question::Time => "time",
            Question::Steps => "steps",
            Question::Space => "space",
            Question::Allocs => "allocs",
        }
    }

    fn rules(self) -> Rules {
        // What a program does is counted exactly.
        let counts = Rules { floor: 0.01, lead: 0.25, margin: 2.0, slope: f64::INFINITY, signed: true, without: &[] };
        match self {
            Question::Steps => counts,
            // The heap grows by doubling, the stack by frames.
            Question::Space | Question::Allocs => Rules { floor: 0.03, ..counts },
            Question::Time => Rules {
                floor: 0.20,
                lead: 0.5,
                margin: 5.0,
                slope: 0.4,
                signed: false,
                without: &[Class::QuadraticLog],
            },
        }
    }

    fn trust(self) -> Trust {
        let exact = |systematic, ends| Reading { systematic, ends, is_exact: true };
        let counts =
            Trust { rms: 0.30, slope: 0.06, mean: 0.10, most: 0.25, line: 0.03, error: 0.35, reading: exact(0.0, 0.0) };
        let stepped = Trust { slope: 0.50, mean: 0.25, most: 0.80, line: 0.10, error: 0.50, ..counts };
        match self {
            Question::Steps => counts,
            Question::Space => Trust { reading: exact(0.02, 0.0), ..stepped },
            // What smoothing leaves of the steps of doubling.
            Question::Allocs => Trust { error: 0.25, reading: exact(0.0, 0.15), ..stepped },
            // Caches alone make an access of a larger input cost more, with an exponent of up to 0.15.
            Question::Time => {
                let reading = Reading { systematic: 0.15, ends: 0.0, is_exact: false };
                Trust { slope: 0.30, mean: 0.40, most: 0.60, line: 0.15, error: 0.50, reading, ..counts }
            }
        }
    }
}

/// Answers a question from the costs at sizes, the least first, each size once.
pub fn answer(question: Question, points: &[Point]) -> Answer {
    let used: Vec<Point> = points.iter().copied().filter(|point| point.n >= 1.0 && point.cost > 0.0).collect();
    let nothing = |doubt| Answer {
        verdict: Verdict::NoClaim(doubt),
        exponent: None,
        also: Vec::new(),
        curve: None,
        runner_up: None,
        used: used.clone(),
    };
    if used.len() < FEWEST {
        return nothing(Doubt::FewSizes(used.len()));
    }
    if used[used.len() - 1].n < NARROWEST * used[0].n {
        return nothing(Doubt::NarrowSizes);
    }
    let found = match question {
        Question::Allocs => return fitted(question, without_steps(&used)),
        Question::Time | Question::Steps | Question::Space => fitted(question, used.clone()),
    };
    // What moves to twice the room now and then costs more at some sizes than any curve says.
    let departs = matches!(found.verdict, Verdict::NoClaim(Doubt::Departs | Doubt::NoCurve(_)));
    if departs && question != Question::Time {
        let smooth = fitted(Question::Allocs, without_steps(&used));
        // Whoever counts steps has no smoothing that could bend a line into a logarithm.
        let is_answer = |class: Class| question == Question::Space || class.without_log().is_none();
        // What was counted exactly has a slope that smoothing need not explain away; a power of c has none.
        let is_clear = |class: Class| {
            let of = |exponent| may_be(question, exponent, class, &used);
            question == Question::Space || smooth.exponent.is_some_and(of)
        };
        if matches!(smooth.verdict, Verdict::Class(class) if is_answer(class) && is_clear(class)) {
            return as_foreseen(question, smooth, &used);
        }
    }
    as_foreseen(question, found, &used)
}

/// The same, unless the smaller sizes foresee the largest ones less well than they foresee each other: a growth that
/// ends or begins at the last sizes. What is counted has no noise that could do so.
fn as_foreseen(question: Question, answer: Answer, used: &[Point]) -> Answer {
    const LAST: usize = 3;
    /// Of what was foreseen, where the smaller sizes lie on the curve.
    const EXACT: f64 = 0.02;
    const WORSE: f64 = 2.0;
    let (Question::Steps, Verdict::Class(class)) = (question, answer.verdict) else { return answer };
    let (inner, last) = used.split_at(used.len().saturating_sub(LAST));
    if class.order().is_none() || inner.len() < FEWEST {
        return answer;
    }
    let Some(curve) = fits(inner, &question.rules()).into_iter().find(|fit| fit.class == class) else { return answer };
    let worst =
        |points: &[Point]| points.iter().map(|point| (point.cost / curve.at(point.n) - 1.0).abs()).fold(0.0, f64::max);
    if worst(last) <= (WORSE * worst(&inner[inner.len() / 2..])).max(EXACT) {
        return answer;
    }
    Answer { verdict: Verdict::NoClaim(Doubt::Departs), also: Vec::new(), ..answer }
}

/// The class of costs that are there in sufficient number.
fn fitted(question: Question, used: Vec<Point>) -> Answer {
    let rules = question.rules();
    let all = fits(&used, &rules);
    let (chosen, best) = choose(&all, &rules);
    let found = judged(question, &used, &all, chosen, best);
    let Verdict::Class(class) = found.verdict else { return found };
    let Some(power) = class.without_log().filter(|_| question != Question::Time) else { return found };
    // Counts show a logarithm as a slope above that of its power.
    let shows = |(exponent, curve): (Exponent, &Fit)| shows_log(exponent, class, &used, curve);
    if found.exponent.zip(found.curve.as_ref()).is_some_and(shows) {
        return found;
    }
    let alone = all.iter().position(|fit| fit.class == power).map(|at| judged(question, &used, &all, at, best));
    match alone.filter(|alone| alone.verdict == Verdict::Class(power)) {
        Some(alone) => alone,
        None if is_power(&used, &question.trust()) => Answer { verdict: Verdict::Power, ..found },
        None => Answer { verdict: Verdict::NoClaim(Doubt::Departs), ..found },
    }
}

/// Whether the largest sizes show the logarithm of a class: their slope is above that of its power, and falls, as that
/// of a logarithm does. A power between two classes keeps its slope, and where a higher power begins to show it rises.
fn shows_log(exponent: Exponent, class: Class, used: &[Point], curve: &Fit) -> bool {
    const RISES: f64 = 0.03;
    /// Of what the slope of the curve falls.
    const SHARE: f64 = 0.25;
    const ERRORS: f64 = 2.0;
    if class.order().is_none_or(|(power, _)| exponent.low <= power) {
        return false;
    }
    let fall = |points: &[Point]| {
        let logs = exponent::upper(points, curve.constant());
        let (before, last) = logs.split_at(logs.len() / 2);
        let (before, last) = (before.len() > 2).then(|| (line(before), line(last)))?;
        Some((before.slope - last.slope, before.error.hypot(last.error)))
    };
    let fitted: Vec<Point> = used.iter().map(|point| Point { n: point.n, cost: curve.at(point.n) }).collect();
    let Some(((fell, error), (expected, _))) = fall(used).zip(fall(&fitted)) else { return true };
    fell > -RISES && fell + ERRORS * error >= SHARE * expected
}

/// What one of the curves says, if it passes.
fn judged(question: Question, used: &[Point], all: &[Fit], chosen: usize, best: f64) -> Answer {
    let rules = question.rules();
    let mut all = all.to_vec();
    let curve = all.remove(chosen);
    let top = used[used.len() - 1].n;
    // What fits far better, but for a constant that carries nearly all of it, leaves nothing to the others.
    let hides = |fit: &&Fit| {
        let is_better = fit.class > curve.class && fit.bic < curve.bic - NEARLY && fit.share > LITTLE;
        is_better && fit.constant() >= (1.0 - rules.lead) * fit.at(top)
    };
    let verdict = match all.iter().any(|fit| hides(&fit)) {
        true => Verdict::NoClaim(hidden(used)),
        false => verdict(question, used, &curve, &all),
    };
    // A curve that is not trusted has no constant that could be subtracted.
    let constant = if matches!(verdict, Verdict::Class(_)) { curve.constant() } else { 0.0 };
    let has_exponent = curve.class.order().is_some() || verdict == Verdict::Power;
    let exponent = has_exponent.then(|| exponent(used, constant, question.trust().reading));
    // A higher class may fit far better, and yet carry too little of the cost to be the answer.
    let is_hidden = |fit: &Fit| fit.share > LITTLE && fit.class > curve.class && fit.bic < curve.bic - NEARLY;
    let is_near = |fit: &&Fit| fit.bic <= best + NEARLY && fit.is_admissible(&rules) || is_hidden(fit);
    let also: Vec<Class> = all.iter().filter(is_near).map(|fit| fit.class).collect();
    let verdict = match verdict {
        Verdict::Class(_) if also.len() >= AMBIGUOUS => Verdict::NoClaim(Doubt::Ambiguous),
        // The slope of the largest sizes contradicts the class.
        Verdict::Class(class) if exponent.is_some_and(|exponent| !may_be(question, exponent, class, used)) => {
            Verdict::NoClaim(Doubt::Departs)
        }
        // A logarithm or a root that does not rise at the largest sizes has ended on the way.
        Verdict::Class(Class::Log | Class::Root)
            if question != Question::Time && exponent.is_some_and(|exponent| exponent.low <= 0.0) =>
        {
            Verdict::NoClaim(Doubt::Departs)
        }
        // Counts have no noise that could hide a factor of n.
        Verdict::Class(class) if question == Question::Time && also.iter().any(|other| is_far(class, *other)) => {
            Verdict::NoClaim(Doubt::Ambiguous)
        }
        // Nor is a root what may as well be a constant or linear.
        Verdict::Class(Class::Root)
            if question != Question::Time && exponent.is_some_and(|exponent| exponent.error() > ROOT_ERROR) =>
        {
            Verdict::NoClaim(Doubt::Departs)
        }
        Verdict::Class(Class::Exponential) if question == Question::Steps && !keeps_base(used, &curve, &rules) => {
            Verdict::NoClaim(Doubt::Departs)
        }
        other => other,
    };
    // Beside an exponent that excludes a class, it is named only where its curve leaves nothing open: another curve
    // that bends a little stands for what is none of the classes.
    let is_named = |class: &Class| {
        let is_exact = || all.iter().any(|fit| fit.class == *class && fit.rms <= NOTHING_OPEN);
        exponent.is_none_or(|exponent| agrees(exponent, *class, used)) || is_exact()
    };
    let mut also: Vec<Class> = also.into_iter().filter(is_named).collect();
    if let Verdict::Class(class) = verdict {
        // What this kind of measurement cannot tell from its neighbour is as likely as that.
        let is_neighbour = |other: &&Class| other.without_log() == Some(class) && is_named(other);
        also.extend(rules.without.iter().filter(is_neighbour));
    }
    let runner_up = all.iter().filter(is_near).min_by(|a, b| a.bic.total_cmp(&b.bic));
    let runner_up = runner_up.or_else(|| all.iter().min_by(|a, b| a.bic.total_cmp(&b.bic))).cloned();
    Answer { verdict, exponent, also, curve: Some(curve), runner_up, used: used.to_vec() }
}

/// Whether the larger half of the sizes has the same c as all of them: beside a power of n, a c that is fitted to all
/// lies below that of the largest.
fn keeps_base(used: &[Point], curve: &Fit, rules: &Rules) -> bool {
    const NEAR: f64 = 0.05;
    let upper = &used[used.len() / 2..];
    let of_upper = fits(upper, rules).into_iter().find(|fit| fit.class == Class::Exponential).and_then(|fit| fit.base);
    let both = curve.base.zip(of_upper);
    upper.len() < FEWEST || both.is_none_or(|(all, upper)| (upper.ln() / all.ln() - 1.0).abs() <= NEAR)
}

/// Whether an exponent may be that of a claimed class at these sizes: between the slope that its power has and the one
/// that its logarithms add.
fn may_be(question: Question, exponent: Exponent, class: Class, points: &[Point]) -> bool {
    // What the heap's steps leave.
    let near = match question {
        Question::Time => 0.0,
        Question::Steps => 0.02,
        Question::Space | Question::Allocs => 0.1,
    };
    let Some(((power, _), slope)) = class.order().zip(slope_of(class, points)) else { return true };
    exponent.low - near <= slope && power <= exponent.high + near
}

/// Whether an exponent may be that of a class at these sizes.
fn agrees(exponent: Exponent, class: Class, points: &[Point]) -> bool {
    // As far as a logarithm bends.
    const NEAR: f64 = 0.1;
    slope_of(class, points).is_none_or(|slope| exponent.low - NEAR <= slope && slope <= exponent.high + NEAR)
}

/// The slope of a class on log scales, in the upper half of these sizes.
fn slope_of(class: Class, points: &[Point]) -> Option<f64> {
    let cost = |point: &Point| class.at(point.n).map(|cost| Point { n: point.n, cost });
    let costs: Vec<Point> = points.iter().map(cost).collect::<Option<_>>()?;
    Some(line(&exponent::upper(&costs, 0.0)).slope)
}

/// Whether a factor of n or more lies between two classes.
fn is_far(one: Class, other: Class) -> bool {
    one.order().zip(other.order()).is_some_and(|(one, other)| (one.0 - other.0).abs() >= 1.0)
}

/// Costs without the steps of what grows by doubling: each size with half of its neighbours, on log scales. Sizes that
/// lie a factor of √2 apart meet such steps in turn, and a power of n stays as it is.
fn without_steps(points: &[Point]) -> Vec<Point> {
    let mean = |around: &[Point]| {
        let [before, here, after] = around else { unreachable!("windows of three") };
        // Neighbours lie where the one in the middle would be, were the sizes evenly spread.
        let at = (here.n / before.n).ln() / (after.n / before.n).ln();
        let beside = before.cost.ln() + (after.cost / before.cost).ln() * at;
        Point { n: here.n, cost: ((here.cost.ln() + beside) / 2.0).exp() }
    };
    let inner: Vec<Point> = points.windows(3).map(mean).collect();
    if inner.len() < FEWEST { points.to_vec() } else { inner }
}

/// Which fit is chosen, and the best BIC: the lowest class within the margin of the best.
fn choose(all: &[Fit], rules: &Rules) -> (usize, f64) {
    let lowest = |rules: &Rules| {
        let admissible = |fit: &&Fit| fit.is_admissible(rules);
        let best = all.iter().filter(admissible).map(|fit| fit.bic).fold(f64::INFINITY, f64::min);
        // Only logarithms are hard to tell apart: a lower power of n is not preferred to one that fits better.
        let power = |fit: &Fit| fit.class.order().map(|(power, _)| power);
        let of_best = all.iter().filter(admissible).find(|fit| fit.bic <= best).and_then(power);
        let is_near = |fit: &Fit| fit.bic <= best + rules.margin && power(fit) == of_best;
        let chosen = all.iter().position(|fit| fit.is_admissible(rules) && is_near(fit));
        (chosen.unwrap_or(0), best)
    };
    let (chosen, best) = lowest(rules);
    // Where no slope agrees and the cost is not constant either, slopes decide nothing.
    let nothing_agrees = all[chosen].class == Class::Constant && all[chosen].rms > 3.0 * rules.floor;
    if nothing_agrees { lowest(&Rules { slope: f64::INFINITY, ..*rules }) } else { (chosen, best) }
}

fn verdict(question: Question, points: &[Point], curve: &Fit, others: &[Fit]) -> Verdict {
    let trust = question.trust();
    if curve.class == Class::Constant && hides_growth(points, curve, others) {
        return Verdict::NoClaim(hidden(points));
    }
    // Noise and caches move a cost by as much as a fit is expected to miss; what moves it by more is growth, unless it
    // has risen at the small sizes alone.
    let third = (points.len() / 3).max(1);
    let level = |part: &[Point]| part.iter().map(|point| point.cost.ln()).sum::<f64>() / part.len() as f64;
    let end = level(&points[points.len() - third..]);
    let rise = |from: usize| 1.0 - (level(&points[from..from + third]) - end).exp();
    let (growth, late) = (rise(0), rise(third));
    let most = question.rules().floor.max(HARDLY);
    if curve.class == Class::Constant && growth > most && late > most / 2.0 {
        return Verdict::NoClaim(hidden(points));
    }
    // In a short sweep a power of n bends on log scales as a power of c does, where a constant lies below it.
    let is_exponential = curve.class.order().is_none();
    if is_exponential && power_bic(points, &question.rules()) <= curve.bic + question.rules().margin {
        let is_line = is_power(points, &trust);
        return if is_line { Verdict::Power } else { Verdict::NoClaim(Doubt::Ambiguous) };
    }
    // What has hardly grown between the ends says nothing of how it grows.
    if curve.class != Class::Constant && risen(points) < question.rules().lead {
        return Verdict::NoClaim(hidden(points));
    }
    // A power of c leaves the constant behind within a few sizes.
    let seen = points.iter().filter(|point| point.cost - curve.constant() >= SEEN * point.cost).count();
    if curve.class != Class::Constant && curve.class.order().is_some() && seen < FEWEST {
        return Verdict::NoClaim(Doubt::LateGrowth(seen));
    }
    let tail = &points[points.len() - (points.len() / 3).max(FEWEST)..];
    let off = |curve: &Fit, point: &Point| (point.cost / curve.at(point.n).max(f64::MIN_POSITIVE)).ln();
    let mean = tail.iter().map(|point| off(curve, point)).sum::<f64>() / tail.len() as f64;
    let most = tail.iter().map(|point| off(curve, point).abs()).fold(0.0, f64::max);
    // A power of c is steep in ln n: a c that is off by a little would already look like a slope.
    let slope = match curve.class.order() {
        Some(_) => line(&tail.iter().map(|point| (point.n.ln(), off(curve, point))).collect::<Vec<_>>()).slope,
        None => 0.0,
    };
    let departs =
        curve.class.order().is_some() && (slope.abs() > trust.slope || mean.abs() > trust.mean || most > trust.most);
    // The terms of an exact fit explain why the slope changes; with noise a wide interval explains nothing.
    let is_exact = trust.reading.is_exact && curve.rms <= question.rules().floor;
    let is_vague = curve.class.order().is_some()
        && !is_exact
        && exponent(points, curve.constant(), trust.reading).error() > trust.error;
    if curve.rms <= trust.rms && !departs && !is_vague && !changes(question, tail, curve) {
        return Verdict::Class(curve.class);
    }
    if is_power(points, &trust) {
        return Verdict::Power;
    }
    Verdict::NoClaim(if curve.rms > trust.rms { Doubt::NoCurve(curve.rms) } else { Doubt::Departs })
}

/// Whether the largest sizes alone are of another class, and fit it far better than the curve through all sizes.
fn changes(question: Question, tail: &[Point], curve: &Fit) -> bool {
    const BETTER: f64 = 0.25;
    let rules = question.rules();
    let all = fits(tail, &rules);
    let alone = &all[choose(&all, &rules).0];
    let off = |point: &Point| (curve.at(point.n) / point.cost - 1.0).powi(2);
    let rms = (tail.iter().map(off).sum::<f64>() / tail.len() as f64).sqrt();
    curve.class.order().is_some() && alone.class != curve.class && rms > 3.0 * rules.floor && alone.rms < BETTER * rms
}

/// What the cost has grown by from the least size to the largest, as a share of that of the largest.
fn risen(points: &[Point]) -> f64 {
    (1.0 - points[0].cost / points[points.len() - 1].cost).max(0.0)
}

/// Why nothing is claimed of a cost most of which seems to be a constant: a cost that has grown much all the same
/// follows no curve.
pub fn hidden(points: &[Point]) -> Doubt {
    const MUCH: f64 = 0.5;
    let share = risen(points);
    if share < MUCH { Doubt::HiddenGrowth(share) } else { Doubt::Departs }
}

/// Whether a growing curve explains nearly all that a constant leaves open: then something does grow, but too little of
/// the cost to say how.
fn hides_growth(points: &[Point], constant: &Fit, others: &[Fit]) -> bool {
    const EXPLAINED: f64 = 0.2;
    // Below, it is rounding.
    const LEAST: f64 = 1e-9;
    let mut growing = others.iter().filter(|fit| fit.share > 0.0 && fit.rms <= EXPLAINED * constant.rms);
    let (first, last) = (points[0].n, points[points.len() - 1].n);
    growing.any(|fit| 1.0 - fit.at(first) / fit.at(last) > LEAST)
}

/// Whether the upper half of the points lies on a line on log scales, whose slope is that of no class.
fn is_power(points: &[Point], trust: &Trust) -> bool {
    const STRAIGHT: f64 = 0.1;
    let logs = exponent::upper(points, 0.0);
    let (before, last) = logs.split_at(logs.len() / 2);
    let bend = if before.len() > 1 { line(last).slope - line(before).slope } else { 0.0 };
    let interval = exponent(points, 0.0, trust.reading);
    let of_class = |class: Class| slope_of(class, points).is_some_and(|slope| interval.holds(slope));
    line(&logs).spread <= trust.line
        && bend.abs() <= STRAIGHT.min(trust.line)
        && !Class::CANDIDATES.into_iter().any(of_class)
}
