//! Growth: the selector against recorded counts and times, sizes and rounds with a clock that is set by hand.

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;

use timelab::measure::growth::{
    Answer, Budget, Class, Doubt, End, Exponent, Point, Question, ROUNDS, SAMPLE, Sampled, Verdict, Worked, answer,
    answer_timed, denser, rounds, usual, walk,
};
use timelab::measure::{Clock, Overhead};

/// Recorded with a counting build and under load; `tests/growth/README.md` says what each column is.
const COUNTS: [&str; 2] = [include_str!("growth/counts_1.csv"), include_str!("growth/counts_2.csv")];
const TIMES: [&str; 3] =
    [include_str!("growth/time_1.csv"), include_str!("growth/time_2.csv"), include_str!("growth/time2_1.csv")];
const TRUTHS: [&str; 2] = [include_str!("growth/truth_1.csv"), include_str!("growth/truth_2.csv")];

/// A quarter of the second cache of the machine that was recorded holds 256 KB.
const CACHE: u64 = 1 << 20;

fn class(name: &str) -> Class {
    match name {
        "1" => Class::Constant,
        "log n" => Class::Log,
        "sqrt n" => Class::Root,
        "n" => Class::Linear,
        "n log n" => Class::Linearithmic,
        "n^2" => Class::Quadratic,
        "n^3" => Class::Cubic,
        "c^n" => Class::Exponential,
        "n!" => Class::Factorial,
        other => panic!("there is no class {other}"),
    }
}

/// The true classes of cost and space, by name.
fn truths() -> HashMap<&'static str, (Class, Class)> {
    let lines = TRUTHS.iter().flat_map(|file| file.lines());
    lines
        .map(|line| {
            let [name, cost, space] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
            (name, (class(cost), class(space)))
        })
        .collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

/// The sweeps of a file: their names and lines, without the first two fields. A sweep ends where the size falls.
fn sweeps(file: &'static str) -> Vec<(&'static str, Vec<Vec<&'static str>>)> {
    let mut all: Vec<(&str, Vec<Vec<&str>>)> = Vec::new();
    for line in file.lines() {
        let mut fields = line.split(',');
        let (_, name) = (fields.next(), fields.next().expect("a name"));
        let fields: Vec<&str> = fields.collect();
        match all.last_mut() {
            Some((known, lines)) if *known == name && number(lines[lines.len() - 1][0]) < number(fields[0]) => {
                lines.push(fields)
            }
            _ => all.push((name, vec![fields])),
        }
    }
    all
}

/// How many answers are right, and how many exponents hold the truth.
#[derive(Default)]
struct Score {
    right: usize,
    all: usize,
    held: usize,
    exponents: usize,
    wrong: Vec<String>,
    /// Those of which a class is claimed, and the true one is not named beside it.
    misled: Vec<String>,
}

impl Score {
    fn take(&mut self, name: &str, found: &Answer, truth: Class) {
        self.all += 1;
        if matches!(found.verdict, Verdict::Class(class) if class != truth && !found.also.contains(&truth)) {
            self.misled.push(format!("{name}: {:?}, but it is {truth:?}", found.verdict));
        }
        match found.verdict {
            Verdict::Class(class) if class == truth => self.right += 1,
            other => self.wrong.push(format!("{name}: {other:?}, but it is {truth:?}")),
        }
        if let Some((low, high)) = true_exponent(truth, &found.used) {
            self.exponents += 1;
            let holds = |exponent: Exponent| exponent.low <= high && low <= exponent.high;
            self.held += usize::from(found.exponent.is_some_and(holds));
        }
    }

    fn print(&self, name: &str) {
        println!("{name}: {}/{} right, {}/{} exponents", self.right, self.all, self.held, self.exponents);
        self.wrong.iter().for_each(|line| println!("  {line}"));
    }
}

/// The exponent of a class at the upper half of these sizes: a range where a logarithm is in it, from its limit to its
/// slope there.
fn true_exponent(class: Class, points: &[Point]) -> Option<(f64, f64)> {
    let (power, _) = class.order()?;
    let middle = (points[0].n * points[points.len() - 1].n).sqrt();
    let upper: Vec<f64> = points.iter().map(|point| point.n).filter(|n| *n >= middle).collect();
    let (first, last) = (upper[0], upper[upper.len() - 1]);
    let ln = |n: f64| class.at(n).expect("it has an order").ln();
    Some((power, ((ln(last) - ln(first)) / (last / first).ln()).max(power)))
}

#[test]
fn the_scoreboard_of_counts() {
    let truths = truths();
    let (mut counts, mut space) = (Score::default(), Score::default());
    for (name, lines) in COUNTS.iter().flat_map(|file| sweeps(file)) {
        // n, live bytes, counters, bytes moved, allocations, bytes allocated, peak heap, stack
        let points = |cost: &dyn Fn(&[f64]) -> f64| -> Vec<Point> {
            let numbers = lines.iter().map(|line| line.iter().map(|field| number(field)).collect::<Vec<f64>>());
            numbers.map(|line| Point { n: line[0], cost: cost(&line) }).collect()
        };
        let (truth, truth_of_space) = truths[name];
        let steps = points(&|line| line[2] + line[3] / 8.0 + 20.0 * line[4]);
        counts.take(name, &answer(Question::Steps, &steps), truth);
        let held = points(&|line| line[6] + line[7]);
        space.take(name, &answer(Question::Space, &held), truth_of_space);
    }
    counts.print("counts");
    space.print("space");
    assert_eq!((counts.right, counts.all), (71, 71));
    assert_eq!(space.all, 71);
    assert!(space.right >= 69, "space: {}", space.right);
    for score in [counts, space] {
        assert!(10 * score.held >= 9 * score.exponents, "exponents: {} of {}", score.held, score.exponents);
    }
}

/// The recorded sweeps of times, by name.
fn timed_sweeps() -> Vec<(&'static str, Vec<Worked>)> {
    // n, live bytes, calls, then wall:cpu of each round
    let worked = |line: &Vec<&str>| {
        let cpu = line[3].split_whitespace().map(|pair| number(pair.split_once(':').expect("two times").1));
        let least = cpu.reduce(f64::min).expect("there are rounds");
        Worked { point: Point { n: number(line[0]), cost: least }, bytes: Some(number(line[1])) }
    };
    let all = TIMES.iter().flat_map(|file| sweeps(file));
    all.map(|(name, lines)| (name, lines.iter().map(worked).collect())).collect()
}

#[test]
fn the_scoreboard_of_times() {
    let truths = truths();
    let mut score = Score::default();
    for (name, sizes) in timed_sweeps() {
        score.take(name, &answer_timed(&sizes, CACHE), truths[name].0);
    }
    score.print("time");
    assert_eq!(score.all, 115);
    assert!(score.right >= 110, "time: {} of {}", score.right, score.all);
    assert_eq!(score.misled, [""; 0]);
    assert!(10 * score.held >= 9 * score.exponents, "exponents: {} of {}", score.held, score.exponents);
}

/// In a part of a sweep little may be seen. Then nothing is claimed, or what else it may be is named.
#[test]
fn the_scoreboard_of_parts_of_times() {
    let truths = truths();
    let mut score = Score::default();
    for (name, sizes) in timed_sweeps() {
        for least in [2.0, 16.0, 64.0] {
            for most in (4..=20).step_by(2).map(|power| f64::from(1 << power)).filter(|most| *most >= 16.0 * least) {
                let is_in = |size: &&Worked| (least..=1.05 * most).contains(&size.point.n);
                let part: Vec<Worked> = sizes.iter().filter(is_in).copied().collect();
                if part.last().is_some_and(|last| last.point.n >= 0.7 * most) {
                    score.take(name, &answer_timed(&part, CACHE), truths[name].0);
                }
            }
        }
    }
    score.print("parts");
    println!("misled: {:#?}", score.misled);
    assert!(score.all > 1_700, "{}", score.all);
    assert!(100 * score.right >= 70 * score.all, "parts: {} of {}", score.right, score.all);
    assert!(100 * score.misled.len() <= 2 * score.all, "misled: {} of {}", score.misled.len(), score.all);
}

/// As it was measured: a text that is built by copying all before it. The copies begin to show at the largest sizes.
#[test]
fn a_square_that_begins_to_show_is_no_logarithm() {
    let times = [
        860.0, 1348.0, 1981.0, 2886.0, 4270.0, 6658.0, 9975.0, 14419.0, 21328.0, 31729.0, 48381.0, 73597.0, 107901.0,
        164437.0, 255476.0, 419221.0, 691869.0,
    ];
    let sizes = denser(&[16, 32, 64, 128, 256, 512, 1024, 2048, 4096]);
    for (bytes, noise, seed) in [None, Some(34.0)].into_iter().flat_map(|bytes| {
        [0.0, 0.3, 1.0].into_iter().flat_map(move |noise| (0..9).map(move |seed| (bytes, noise, seed)))
    }) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut worked = |(n, cost): (&i64, &f64)| {
            let (n, cost) = (*n as f64, cost * (1.0 + noise * random.f64() * random.f64()));
            Worked { point: Point { n, cost }, bytes: bytes.map(|each: f64| each * n) }
        };
        let all: Vec<Worked> = sizes.iter().zip(&times).map(&mut worked).collect();
        for cache in [CACHE, CACHE / 2] {
            for least in 0..8 {
                for most in least + 9..=all.len() {
                    let found = answer_timed(&all[least..most], cache);
                    let is_honest = match found.verdict {
                        // Noise hides that a line bends, but makes no logarithm of it.
                        Verdict::Class(Class::Linear) if noise > 0.0 => true,
                        Verdict::Class(class) => class == Class::Quadratic || found.also.contains(&Class::Quadratic),
                        Verdict::NoClaim(_) => true,
                        Verdict::Power => false,
                    };
                    let part = &sizes[least..most];
                    assert!(is_honest, "{part:?}: {:?}, also {:?}", found.verdict, found.also);
                }
            }
        }
    }
}

/// As it was measured: a file is read and sorted, and all of the sizes are larger than the cache. What the memory adds
/// to n log n looks like n².
#[test]
fn memory_makes_no_square() {
    let sizes = [
        2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096, 5793,
        8192, 11_585, 16_384, 23_170, 32_768, 46_341, 65_536, 92_682, 131_072, 185_364, 262_144, 370_728, 524_288,
        741_455,
    ];
    let micros = [
        251, 268, 238, 236, 244, 244, 243, 261, 238, 237, 242, 277, 284, 270, 254, 258, 259, 267, 283, 340, 324, 389,
        425, 484, 572, 717, 1155, 1805, 2363, 3327, 4960, 7162, 11_605, 27_826, 44_616, 75_772, 114_978, 197_639,
    ];
    let kilobytes = [
        528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528, 528,
        528, 561, 563, 692, 855, 1361, 1707, 2720, 3411, 5436, 6818, 10_870, 13_634, 21_738, 27_266, 43_472,
    ];
    let worked = |at: usize| {
        let point = Point { n: f64::from(sizes[at]), cost: 1e3 * f64::from(micros[at]) };
        Worked { point, bytes: Some(1e3 * f64::from(kilobytes[at])) }
    };
    let all: Vec<Worked> = (0..sizes.len()).map(worked).collect();
    for most in 24..=all.len() {
        let found = answer_timed(&all[..most], CACHE / 2);
        let is_wrong = matches!(found.verdict, Verdict::Class(class) if class >= Class::RootTimesLinear);
        assert!(!is_wrong && found.verdict != Verdict::Power, "up to {}: {:?}", sizes[most - 1], found.verdict);
    }
    // Work that memory cannot explain is still seen.
    let square = |size: &Worked| Worked { point: Point { cost: size.point.n.powi(2), ..size.point }, ..*size };
    let squares: Vec<Worked> = all.iter().map(square).collect();
    assert_eq!(answer_timed(&squares, CACHE / 2).verdict, Verdict::Class(Class::Quadratic));
}

/// Counts of a sweep from `least` to `most`.
fn counted(question: Question, least: i64, most: i64, cost: impl Fn(f64) -> f64) -> Answer {
    let sizes = usual(most).into_iter().filter(|n| *n >= least).map(|n| n as f64);
    answer(question, &sizes.map(|n| Point { n, cost: cost(n) }).collect::<Vec<_>>())
}

/// A logarithm is claimed only where the slope of the counts shows one.
#[test]
fn a_line_that_bends_is_no_logarithm() {
    for (factor, turn) in [(7.0, 200.0), (8.0, 1_000.0), (8.0, 4_000.0), (20.0, 1_000.0)] {
        for most in [64_000, 1_000_000] {
            let cost = |n: f64| if n < turn { 5.0 * n } else { factor * n };
            let found = counted(Question::Steps, 2, most, cost).verdict;
            let is_honest = matches!(found, Verdict::Class(Class::Linear) | Verdict::NoClaim(_));
            assert!(is_honest, "{factor} n from {turn} on, up to {most}: {found:?}");
        }
    }
    let swings = |n: f64| n * (36.0 + 7.0 * n.log2().fract());
    let falls = |n: f64| n * if n > 2e6 { 12.0 } else { 16.0 };
    for question in [Question::Space, Question::Allocs] {
        for cost in [&swings as &dyn Fn(f64) -> f64, &falls] {
            let found = counted(question, 64, 5_000_000, cost).verdict;
            assert!(matches!(found, Verdict::Class(Class::Linear) | Verdict::NoClaim(_)), "{question:?} {found:?}");
        }
    }
    for least in [0.0, 5.0, 20.0] {
        let found = counted(Question::Steps, 2, 1_000_000, |n| n * n.log2() + least * n).verdict;
        assert_eq!(found, Verdict::Class(Class::Linearithmic), "n log n + {least} n");
    }
    // As it was counted: rows in order up to 7919, then runs that are merged. That is no power of n.
    let merged = [
        (1_414, 7_064),
        (2_000, 9_994),
        (2_828, 14_134),
        (4_000, 19_994),
        (5_657, 28_279),
        (8_000, 48_259),
        (11_314, 67_876),
        (16_000, 104_072),
        (22_627, 150_461),
        (32_000, 232_230),
        (45_255, 346_187),
        (64_000, 520_545),
        (90_510, 782_883),
        (128_000, 1_161_172),
        (181_019, 1_738_854),
        (256_000, 2_570_419),
        (362_039, 3_839_741),
        (512_000, 5_647_629),
        (724_077, 8_403_508),
        (1_024_000, 12_313_737),
        (1_448_155, 18_247_183),
    ];
    let points = merged.map(|(n, cost)| Point { n: f64::from(n), cost: f64::from(cost) });
    assert!(matches!(answer(Question::Steps, &points).verdict, Verdict::NoClaim(_)));
    // A square begins to show, and a power keeps its slope.
    let begins = |n: f64| 4.0 * n + 3.0 * (n / 64.0).floor() * ((n / 64.0).floor() - 1.0);
    assert!(matches!(counted(Question::Steps, 64, 2_000, begins).verdict, Verdict::NoClaim(_)));
    let found = counted(Question::Steps, 2, 1_000_000, |n| n.powf(1.1)).verdict;
    assert!(matches!(found, Verdict::NoClaim(_) | Verdict::Power), "{found:?}");
}

/// No answer contradicts the interval that stands beside it.
#[test]
fn the_exponent_holds_the_class() {
    for question in Question::ALL {
        for tenths in 2..35 {
            let power = f64::from(tenths) / 10.0;
            for noise in [0.0, 0.02, 0.05] {
                let wave = |n: f64| 1.0 + noise * (n * 12.9898).sin();
                let found = counted(question, 16, 65_536, |n| n.powf(power) * wave(n));
                let (Verdict::Class(class), Some(exponent)) = (found.verdict, found.exponent) else { continue };
                let Some((low, high)) = true_exponent(class, &found.used) else { continue };
                let holds = exponent.low <= high + 0.1 && low <= exponent.high + 0.1;
                assert!(holds, "n^{power}, {noise}, {question:?}: {class:?} beside {exponent:?}");
            }
        }
    }
}

/// A class is named beside an answer only where the exponent may be its own.
#[test]
fn other_classes_agree_with_the_exponent() {
    const SLACK: f64 = 0.1;
    let mut named = 0;
    for tenths in 5..32 {
        for noise in [0.0, 0.02] {
            let wave = |at: usize| 1.0 + noise * (at as f64 * 2.4).sin();
            let point = |(at, n): (usize, &i64)| Point {
                n: *n as f64,
                cost: (*n as f64).powf(f64::from(tenths) / 10.0) * wave(at),
            };
            let points: Vec<Point> = usual(100_000).iter().enumerate().map(point).collect();
            for question in [Question::Steps, Question::Time] {
                let found = answer(question, &points);
                let Some(exponent) = found.exponent else { continue };
                for class in &found.also {
                    let Some((low, high)) = true_exponent(*class, &found.used) else { continue };
                    named += 1;
                    let may_be = exponent.low <= high + SLACK && low <= exponent.high + SLACK;
                    assert!(may_be, "n^{tenths}/10, {noise}, {question:?}: {class:?} beside {exponent:?}");
                }
            }
        }
    }
    assert!(named > 0, "no class was named beside an answer");
}

/// A clock that moves only when a subject says so.
#[derive(Clone, Default)]
struct Hand(Rc<Cell<f64>>);

impl Clock for Hand {
    fn now(&self) -> u64 {
        self.0.get() as u64
    }
}

const NOTHING: Overhead = Overhead { read: 0.0, call: 0.0, precision: 1.0 };

/// What was measured of a cost in nanoseconds, as `%bigo` does it: walked up, then sampled.
fn measured(sizes: &[i64], cost: impl Fn(f64) -> f64 + Copy) -> Vec<Worked> {
    const SECOND: u64 = 1_000_000_000;
    let hand = Hand::default();
    let walked = walk(&hand, sizes, SECOND, |at| {
        hand.0.set(hand.0.get() + cost(sizes[at] as f64));
        Ok::<u64, Infallible>(cost(sizes[at] as f64) as u64)
    });
    let sampled = |size: &i64| {
        let (hand, time) = (hand.clone(), cost(*size as f64));
        let subject = move || {
            hand.0.set(hand.0.get() + time);
            Ok::<(), Infallible>(())
        };
        Sampled { subject: Box::new(subject), overhead: NOTHING }
    };
    let mut subjects: Vec<Sampled<Infallible>> = sizes[..walked.done].iter().map(sampled).collect();
    let random = &mut fastrand::Rng::with_seed(7);
    let (times, failed) = rounds(&hand, &hand, &mut subjects, SECOND, random, || true);
    assert_eq!(failed, None);
    let worked = |(size, times): (&i64, &timelab::measure::growth::Times)| {
        let point = Point { n: *size as f64, cost: times.least().expect("each size is sampled") };
        Worked { point, bytes: None }
    };
    sizes.iter().zip(&times).map(worked).collect()
}

/// The verdicts by time and by counts of the same cost, at the usual sizes up to `most`.
fn verdicts(most: i64, cost: impl Fn(f64) -> f64 + Copy) -> [Verdict; 2] {
    let sizes = measured(&usual(most), cost);
    let points: Vec<Point> = sizes.iter().map(|size| size.point).collect();
    let counted = points.iter().map(|point| Point { n: point.n, cost: cost(point.n) }).collect::<Vec<_>>();
    [answer_timed(&sizes, CACHE).verdict, answer(Question::Steps, &counted).verdict]
}

#[track_caller]
fn claims(most: i64, cost: impl Fn(f64) -> f64 + Copy, class: Class) {
    assert_eq!(verdicts(most, cost), [Verdict::Class(class); 2]);
}

#[track_caller]
fn claims_nothing(most: i64, cost: impl Fn(f64) -> f64 + Copy) {
    let found = verdicts(most, cost);
    assert!(found.iter().all(|verdict| matches!(verdict, Verdict::NoClaim(_))), "{found:?}");
}

#[test]
fn what_is_of_a_class_is_called_so() {
    claims(100_000, |_| 300.0, Class::Constant);
    claims(1_000_000, |n| 40.0 + 30.0 * n.log2(), Class::Log);
    claims(1_000_000, |n| 20.0 * n.sqrt(), Class::Root);
    claims(1_000_000, |n| 3.0 * n + 50.0, Class::Linear);
    claims(1_000_000, |n| 4.0 * n * n.log2() + 3.0 * n, Class::Linearithmic);
    claims(100_000, |n| n * n + 9.0 * n, Class::Quadratic);
    claims(64, |n| 4.0 * n * n - 3.0 * n + 2.0, Class::Quadratic);
    claims(10_000, |n| n * (n - 1.0) * (n + 4.0) + 90.0, Class::Cubic);
    claims(1_000_000, |n| 9.0 * 1.618f64.powf(n), Class::Exponential);
    claims(20, |n| 5.0 * (1..=n as u64).map(|i| i as f64).product::<f64>(), Class::Factorial);
}

#[test]
fn nothing_is_claimed_where_nothing_is_known() {
    // The constant hides what grows.
    claims_nothing(65_536, |n| n + 1e6);
    claims_nothing(65_536, |n| 1000.0 + n.log2());
    // The class changes on the way.
    claims_nothing(16_384, |n| if n < 4096.0 { 9.0 * n } else { 9.0 * n * n / 4096.0 });
    claims_nothing(65_536, |n| if n < 4096.0 { n } else { n * n });
    claims_nothing(65_536, |n| if n < 4096.0 { n * n } else { 4096.0 * n });
    claims_nothing(8_192, |n| if n < 4096.0 { 4096.0 } else { n });
    // It is periodic.
    claims_nothing(100_000, |n| n * (1.5 + n.sin()));
    claims_nothing(100_000, |n| if n % 2.0 == 0.0 { n } else { n * n });
    claims_nothing(100_000, |n| 1.0 + n % 100.0);
    claims_nothing(100_000, |n| 1.0 + f64::from((n as u64).count_ones()));
    // It falls.
    claims_nothing(100_000, |n| if n < 300.0 { 1e6 / n } else { n });
}

/// A power of n between or beyond the classes is called one, with its exponent.
#[test]
fn a_power_that_is_no_class_is_called_a_power() {
    for exponent in [1.3, 1.5, 2.5, 4.0, 5.0] {
        let points: Vec<Point> =
            usual(500).iter().map(|n| *n as f64).map(|n| Point { n, cost: n.powf(exponent) }).collect();
        let found = answer(Question::Steps, &points);
        assert_eq!(found.verdict, Verdict::Power, "{exponent}");
        assert!((found.exponent.expect("it has one").middle() - exponent).abs() < 0.02);
    }
    let fourth = measured(&usual(1_000), |n| n.powi(4));
    let found = answer_timed(&fourth, CACHE);
    assert_eq!(found.verdict, Verdict::Power);
    assert!(found.exponent.expect("it has one").holds(4.0));
}

#[test]
fn few_sizes_and_near_ones_claim_nothing() {
    let points = |sizes: &[i64]| sizes.iter().map(|n| *n as f64).map(|n| Point { n, cost: n * n }).collect::<Vec<_>>();
    let verdict = |sizes: &[i64]| answer(Question::Steps, &points(sizes)).verdict;
    assert_eq!(verdict(&[]), Verdict::NoClaim(Doubt::FewSizes(0)));
    assert_eq!(verdict(&[1, 2, 4, 8]), Verdict::NoClaim(Doubt::FewSizes(4)));
    assert_eq!(verdict(&[0, 2, 4, 8, 16]), Verdict::NoClaim(Doubt::FewSizes(4)));
    assert_eq!(verdict(&[100, 101, 102, 103, 104, 105]), Verdict::NoClaim(Doubt::NarrowSizes));
    assert_eq!(verdict(&[1, 2, 4, 8, 16]), Verdict::Class(Class::Quadratic));
}

/// A class that fits nearly as well is named, and a higher one that carries too little of the cost.
#[test]
fn the_runners_up_are_named() {
    let also = |cost: fn(f64) -> f64| {
        let points: Vec<Point> = usual(60_000).iter().map(|n| *n as f64).map(|n| Point { n, cost: cost(n) }).collect();
        let found = answer(Question::Steps, &points);
        (found.verdict, found.also)
    };
    let (verdict, runners_up) = also(|n| n * n.log2() + 50.0 * n);
    assert_eq!(verdict, Verdict::Class(Class::Linear));
    assert!(runners_up.contains(&Class::Linearithmic), "{runners_up:?}");
    assert!(also(|n| 3.0 * n * n + n).1.is_empty());
}

#[test]
fn sizes_are_steps_of_the_root_of_two() {
    assert_eq!(usual(20), [2, 3, 4, 6, 8, 11, 16, 20]);
    assert_eq!(usual(2), [2]);
    assert_eq!(usual(1), [1]);
    assert_eq!(usual(0), [1]);
    assert_eq!(denser(&[500, 1000, 2000]), [500, 707, 1000, 1414, 2000]);
    assert_eq!(denser(&[1, 2, 4]), [1, 2, 3, 4]);
    assert_eq!(denser(&[7]), [7]);
    assert!(denser(&[]).is_empty());
}

#[test]
fn a_walk_ends_before_the_time_does() {
    let sizes = usual(1_000_000);
    let far = |cost: fn(f64) -> f64, limit: u64| {
        let hand = Hand::default();
        let walked = walk(&hand, &sizes, limit, |at| {
            hand.0.set(hand.0.get() + cost(sizes[at] as f64));
            Ok::<u64, ()>(cost(sizes[at] as f64) as u64)
        });
        // nⁿ grows by more from step to step.
        assert!(hand.now() <= limit.saturating_mul(2), "{} of {limit}", hand.now());
        (walked.done, walked.end)
    };
    assert_eq!(far(|n| n, u64::MAX >> 1), (sizes.len(), None));
    for limit in [100_000, 10_000_000, 1_000_000_000] {
        for cost in [|n: f64| 9e3 * n, |n: f64| n.powi(4), |n: f64| 2f64.powf(n), |n: f64| n.powf(n)] {
            let (done, end) = far(cost, limit);
            assert!(done > 2 && done < sizes.len(), "{done}");
            assert_eq!(end, Some(End::Time));
        }
    }
}

#[test]
fn a_failure_ends_a_walk_and_what_was_done_stays() {
    let walked = walk(&Hand::default(), &[2, 4, 8, 16], 1_000, |at| if at < 2 { Ok(1) } else { Err("no") });
    assert_eq!((walked.done, walked.end), (2, Some(End::Failed("no"))));
}

#[test]
fn each_size_is_sampled_as_often_as_its_share_of_the_time_allows() {
    let hand = Hand::default();
    let subject = |time: f64| {
        let hand = hand.clone();
        let call = move || {
            hand.0.set(hand.0.get() + time);
            Ok::<(), Infallible>(())
        };
        Sampled { subject: Box::new(call), overhead: NOTHING }
    };
    let mut sizes = vec![subject(10.0), subject(1_000.0), subject(4e6), subject(1e9)];
    let limit = 1_100_000_000;
    let (times, failed) = rounds(&hand, &hand, &mut sizes, limit, &mut fastrand::Rng::with_seed(1), || true);
    assert_eq!(failed, None);
    let taken: Vec<usize> = times.iter().map(|times| times.each.len()).collect();
    assert_eq!((taken[0], taken[1], taken[3]), (ROUNDS, ROUNDS, 1));
    assert!((2..=ROUNDS).contains(&taken[2]), "{taken:?}");
    assert_eq!(
        times.iter().map(|times| times.least().expect("sampled")).collect::<Vec<_>>(),
        [10.0, 1_000.0, 4e6, 1e9]
    );
    for times in &times[..2] {
        let sample = times.calls as f64 * times.each[0];
        assert!((SAMPLE as f64 / 2.0..=2.0 * SAMPLE as f64).contains(&sample), "{sample}");
    }
    assert!(hand.now() <= limit + limit / 10);
}

/// Large inputs are left out where enough fit into the cache, and no size costs more than a larger one.
#[test]
fn times_are_those_of_the_near_memory_and_rise() {
    let size = |n: f64, cost: f64, bytes: f64| Worked { point: Point { n, cost }, bytes: Some(bytes) };
    let near: Vec<Worked> = usual(4_096).iter().map(|n| *n as f64).map(|n| size(n, n, 8.0 * n)).collect();
    let far = [size(1e6, 9e6, 8e6), size(2e6, 3e7, 1.6e7)];
    let all: Vec<Worked> = near.iter().chain(&far).copied().collect();
    let points = answer_timed(&all, CACHE).used;
    assert_eq!((points[0].n, points[points.len() - 1].n), (4.0, 4_096.0));
    let disturbed = [size(10.0, 5.0, 1e9), size(20.0, 9.0, 1e9), size(40.0, 7.0, 1e9)];
    let used = answer_timed(&disturbed, CACHE).used;
    assert_eq!(used.iter().map(|point| point.cost).collect::<Vec<_>>(), [5.0, 7.0, 7.0]);
}

/// Costs of lists of sizes, as they were seen, and what is said of them.
#[track_caller]
fn says(question: Question, sizes: &[i64], cost: impl Fn(f64) -> f64) -> Answer {
    let points: Vec<Point> = sizes.iter().map(|n| Point { n: *n as f64, cost: cost(*n as f64) }).collect();
    answer(question, &points)
}

#[test]
fn a_line_may_begin_below_zero() {
    let powers = [1, 2, 4, 8, 16, 32];
    for (slope, constant) in [(2.0, -1.0), (5.0, -4.0), (3.0, -2.5), (1.0, 7.0)] {
        for sizes in [&powers[..], &denser(&[2, 4, 8, 16, 32, 64]), &usual(4_096)] {
            let found = says(Question::Steps, sizes, |n| slope * n + constant);
            assert_eq!(found.verdict, Verdict::Class(Class::Linear), "{slope} n + {constant}, {sizes:?}");
            assert!(found.exponent.expect("a line has one").holds(1.0), "{slope} n + {constant}: {:?}", found.exponent);
        }
    }
    let found = says(Question::Steps, &denser(&[2, 4, 8, 16, 32, 64]), |n| 5.0 * (n - 1.0));
    assert_eq!((found.verdict, &found.also[..]), (Verdict::Class(Class::Linear), &[][..]));
}

/// Times of a cost on a machine that makes each longer by up to so much.
fn disturbed(sizes: &[i64], cost: impl Fn(f64) -> f64, noise: f64, seed: u64) -> Answer {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut time = |n: f64| cost(n) * (1.0 + noise * random.f64() * random.f64());
    let worked = |n: &i64| Worked { point: Point { n: *n as f64, cost: time(*n as f64) }, bytes: None };
    let sizes: Vec<Worked> = sizes.iter().map(worked).collect();
    answer_timed(&sizes, CACHE)
}

/// Doubling points from 1 to `most`, with one more between each two.
fn from_one(most: i64) -> Vec<i64> {
    denser(&(0..).map(|power| 1 << power).take_while(|n| *n <= most).collect::<Vec<i64>>())
}

/// In a short sweep a power of n over a constant bends as a power of c does.
#[test]
fn a_power_of_n_is_not_called_exponential() {
    for (exponent, constant, most) in (2..=6)
        .flat_map(|exponent| [0.0, 5.0, 50.0, 1e3, 1e5].map(|constant| (exponent, constant)))
        .flat_map(|(exponent, constant)| [8, 16, 32, 64].map(|most| (exponent, constant, most)))
    {
        for sizes in [from_one(most), (1..=most.min(24)).collect()] {
            for seed in 0..5 {
                let found = disturbed(&sizes, |n| n.powi(exponent) + constant, 0.15, seed);
                let is_wrong = match found.verdict {
                    Verdict::Class(Class::Quadratic) => exponent != 2,
                    Verdict::Class(Class::Cubic) => exponent != 3,
                    // So little of it can be seen that it may as well be noise.
                    Verdict::Class(Class::Constant) => constant < 2.0 * (sizes[sizes.len() - 1] as f64).powi(exponent),
                    Verdict::Class(_) => true,
                    Verdict::Power => !found.exponent.expect("it has one").holds(f64::from(exponent)),
                    Verdict::NoClaim(_) => false,
                };
                assert!(!is_wrong, "n^{exponent} + {constant} up to {most}: {:?}", found.verdict);
            }
        }
    }
}

#[test]
fn an_exponential_is_called_so_where_its_range_is_wide_enough() {
    for (base, most) in [(1.618f64, 32), (2.0, 32), (3.0, 16)] {
        for constant in [0.0, 50.0, 1e3] {
            let found = disturbed(&from_one(most), |n| 10.0 * base.powf(n) + constant, 0.15, 7);
            assert_eq!(found.verdict, Verdict::Class(Class::Exponential), "{base}^n + {constant}");
        }
    }
}

/// A constant that carries nearly all of the cost leaves nothing to the other classes.
#[test]
fn what_a_constant_hides_is_not_called_by_another_class() {
    for question in [Question::Steps, Question::Allocs, Question::Space] {
        let found = says(question, &denser(&[4, 8, 16, 32, 64]), |n| 2247.0 + 8.0 * n);
        assert!(matches!(found.verdict, Verdict::NoClaim(Doubt::HiddenGrowth(_))), "{question:?} {:?}", found.verdict);
    }
    for (most, constant) in [(256, 2e3), (4_096, 1e4), (4_096, 2e4), (65_536, 3e5)] {
        for seed in 0..5 {
            let found = disturbed(&usual(most), |n| n + constant, 0.1, seed);
            assert!(
                matches!(found.verdict, Verdict::NoClaim(_) | Verdict::Class(Class::Constant)),
                "n + {constant} up to {most}: {:?}",
                found.verdict
            );
        }
    }
    // A third more at the largest sizes is no noise.
    let found = disturbed(&usual(4_096), |n| n + 8e3, 0.1, 3);
    assert!(matches!(found.verdict, Verdict::NoClaim(_)), "{:?}", found.verdict);
}

/// A list that grows by doubling allocates in steps: in all, less than four times what it holds in the end.
#[test]
fn steps_of_doubling_are_linear() {
    let doubling = |n: f64| {
        let (mut room, mut sum) = (4.0, 32.0);
        while room < n {
            room *= 2.0;
            sum += 8.0 * room;
        }
        sum
    };
    for sizes in [usual(64), usual(2_048), usual(131_072), denser(&[64, 128, 256, 512, 1024, 2048, 4096, 8192])] {
        for beside in [0.0, 8.0, 24.0] {
            let found = says(Question::Allocs, &sizes, |n| doubling(n) + beside * n);
            assert_eq!(found.verdict, Verdict::Class(Class::Linear), "{beside} n beside, {sizes:?}");
        }
    }
    let found = says(Question::Allocs, &usual(8_192), |n| 8.0 * n * n.log2() + 48.0);
    assert_eq!(found.verdict, Verdict::Class(Class::Linearithmic));
}

/// An exponent that may be nearly anything is no claim.
#[test]
fn a_wide_interval_claims_nothing() {
    for seed in 0..40 {
        let found = disturbed(&from_one(32), |n| n.powi(3) + 300.0, 1.5, seed);
        if let Verdict::Class(class) = found.verdict
            && let Some(exponent) = found.exponent
        {
            assert!(exponent.error() <= 0.5, "{class:?} with {exponent:?}");
        }
    }
}

/// A cost that rises at the first few sizes and then no more is constant.
#[test]
fn what_has_stopped_to_grow_is_constant() {
    let found = says(Question::Steps, &usual(1_000_000), |n| 400.0 + 350.0 * (1.0 - 1.0 / n) + (n * 1.7).sin() * 60.0);
    assert_eq!(found.verdict, Verdict::Class(Class::Constant));
}

/// What counts include of steps of doubling is seen through in a short sweep as well.
#[test]
fn steps_of_doubling_do_not_hide_a_line_of_counts() {
    // As they were counted: a list that is pushed to, its steps and its space.
    let sizes = [256, 362, 512, 724, 1024, 1448, 2048, 2862, 4000];
    let steps = [679, 1065, 1215, 1963, 2263, 3735, 4335, 7221, 8359];
    let space = [3544, 6616, 6616, 12760, 12760, 25048, 25048, 49624, 49624];
    for (question, costs) in [(Question::Steps, steps), (Question::Space, space)] {
        let points: Vec<Point> =
            sizes.iter().zip(costs).map(|(n, cost)| Point { n: f64::from(*n), cost: f64::from(cost) }).collect();
        assert_eq!(answer(question, &points).verdict, Verdict::Class(Class::Linear), "{question:?}");
    }
}

/// Beyond the cache a cost may rise with the memory. What rises by more is not left out.
#[test]
fn work_beyond_the_cache_is_seen() {
    let sizes = |cost: &dyn Fn(f64) -> f64| -> Vec<Worked> {
        let worked = |n: f64| Worked { point: Point { n, cost: cost(n) }, bytes: Some(24.0 * n) };
        usual(1_000_000).into_iter().map(|n| worked(n as f64)).collect()
    };
    let verdict = |cost: &dyn Fn(f64) -> f64| answer_timed(&sizes(cost), CACHE).verdict;
    // A hash table, whose accesses miss.
    assert_eq!(verdict(&|n| 3.0 * (n / 1e4).max(1.0).powf(0.6)), Verdict::Class(Class::Constant));
    // An engine that takes 26 µs to begin.
    let found = verdict(&|n| 26e3 + 2.3 * n);
    assert!(!matches!(found, Verdict::Class(Class::Constant)), "{found:?}");
}

/// What is said of a cost whose inputs hold 30 bytes for each n.
fn timed_up_to(most: i64, cost: impl Fn(f64) -> f64) -> Answer {
    let worked = |n: f64| Worked { point: Point { n, cost: cost(n) }, bytes: Some(30.0 * n) };
    let sizes: Vec<Worked> = usual(most).into_iter().map(|n| worked(n as f64)).collect();
    answer_timed(&sizes, CACHE)
}

/// From some size on a machine takes a few times as long for each step: a buffer of the allocator is full, branches are
/// no longer learned by heart, the memory comes from the system. That is no logarithm and no other power.
#[test]
fn a_step_of_the_machine_is_no_class() {
    let (mut right, mut all) = (0, 0);
    for class in [Class::Constant, Class::Linear, Class::Linearithmic, Class::Quadratic] {
        for factor in [1.0, 2.0, 3.0, 5.0, 8.0] {
            for turn in [16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0] {
                for most in [4_096, 65_536, 1_000_000] {
                    let step = |n: f64| if n < turn { 9.0 } else { 9.0 * factor };
                    let found = timed_up_to(most, |n| step(n) * class.at(n).expect("it is a power"));
                    let is_right = found.verdict == Verdict::Class(class);
                    let is_open = matches!(found.verdict, Verdict::NoClaim(_)) || found.also.contains(&class);
                    let also = &found.also;
                    assert!(is_right || is_open, "{class}, {factor} from {turn} on: {:?}, {also:?}", found.verdict);
                    all += 1;
                    right += usize::from(is_right);
                }
            }
        }
    }
    assert!(3 * right >= 2 * all, "{right} of {all}");
}

/// What grows and then grows no more is of no class that grows.
#[test]
fn what_ends_on_the_way_is_no_root() {
    for class in [Class::Linear, Class::Linearithmic, Class::Quadratic] {
        for start in [0.0, 300.0, 5_000.0] {
            for most in [16_384, 65_536, 1_000_000] {
                for part in [3.0, 8.0, 30.0, 100.0, 500.0] {
                    let end = most as f64 / part;
                    let found = timed_up_to(most, |n| start + 9.0 * class.at(n.min(end)).expect("it is a power"));
                    let is_honest = match found.verdict {
                        Verdict::Class(Class::Constant) | Verdict::NoClaim(_) => true,
                        Verdict::Class(Class::Log) => found.also.contains(&Class::Constant),
                        Verdict::Class(_) | Verdict::Power => false,
                    };
                    assert!(is_honest, "{start} + {class} to {end} of {most}: {:?}", found.verdict);
                }
            }
        }
    }
}

/// What moves to a block of twice the size now and then, however much that costs beside each step.
#[test]
fn amortised_steps_are_linear() {
    for copied in [0.1, 1.0, 10.0, 30.0] {
        let count = |n: f64| n + copied * n.log2().ceil().exp2();
        let points: Vec<Point> = (usual(65_536).into_iter().filter(|n| *n >= 16))
            .map(|n| Point { n: n as f64, cost: count(n as f64) })
            .collect();
        let found = answer(Question::Steps, &points);
        let is_honest = matches!(found.verdict, Verdict::Class(Class::Linear) | Verdict::NoClaim(Doubt::NoCurve(_)));
        assert!(is_honest, "{copied}: {:?}", found.verdict);
    }
}

/// A power between the classes is no root by time, and no logarithm. (n to the fourth root is one at the sizes that can
/// be measured: both are 16 at 65,536.)
#[test]
fn a_slow_power_is_no_root_by_time() {
    for power in [1.0 / 3.0, 0.65, 0.7, 0.75] {
        for most in [65_536, 1_000_000] {
            let found = timed_up_to(most, |n| 30.0 * n.powf(power));
            let is_claimed = matches!(found.verdict, Verdict::Class(Class::Root | Class::Log));
            assert!(!is_claimed, "n^{power} up to {most}: {:?}", found.verdict);
        }
    }
    let found = timed_up_to(1_000_000, |n| 30.0 * n.sqrt());
    assert_eq!(found.verdict, Verdict::Class(Class::Root), "{found:?}");
}

/// A list of sizes may jump: a short time at a small size is not extrapolated as a power of c.
#[test]
fn a_jump_of_the_sizes_is_walked() {
    let hand = Hand::default();
    let sizes = [1, 2, 4, 8, 16, 32, 64, 100_000];
    let walked = walk(&hand, &sizes, 5_000_000_000, |at| Ok::<u64, Infallible>(2_000 + 100 * at as u64));
    assert_eq!((walked.done, walked.end), (sizes.len(), None));
}

/// Copying all that is there before each part is quadratic, but the parts cost more than the copies for long.
#[test]
fn a_line_that_hides_a_square_is_no_logarithm() {
    for part in [30.0, 60.0, 200.0] {
        for copied in [0.005, 0.02, 0.1] {
            for most in [16_384, 65_536, 100_000, 1_000_000] {
                // Four fifths of the largest size are copies.
                if copied * (most as f64) < 4.0 * part {
                    continue;
                }
                let found = timed_up_to(most, |n| part * n + copied * n * n);
                let is_honest = matches!(found.verdict, Verdict::Class(Class::Quadratic) | Verdict::NoClaim(_));
                assert!(is_honest, "{part} n + {copied} n² up to {most}: {:?}", found.verdict);
            }
        }
    }
}

/// On a machine that gives a tenth of its time, fewer sizes are run, not for longer.
#[test]
fn a_busy_machine_ends_a_walk_earlier() {
    let sizes = [100, 200, 400, 800, 1_600, 3_200, 6_400];
    let done = |busy: f64| {
        let (spent, wall) = (Hand::default(), Hand::default());
        let budget = Budget { limit: 12_000, wall: Some((&wall, 40_000)) };
        let walked = walk(&spent, &sizes, budget, |at| {
            spent.0.set(spent.0.get() + sizes[at] as f64);
            wall.0.set(wall.0.get() + busy * sizes[at] as f64);
            Ok::<u64, Infallible>(sizes[at] as u64)
        });
        assert_eq!(walked.end, Some(End::Time));
        assert!(wall.now() <= 40_000, "{} by the wall", wall.now());
        walked.done
    };
    assert_eq!((done(1.0), done(10.0)), (6, 5));
}
