//! Where values lie on an axis, and its ticks. It knows no characters and no pixels: places are shares of the axis.

use crate::report::{Scale, Unit};

/// The values at the ends of an axis.
#[derive(Debug, Clone, Copy)]
pub struct Projection {
    scale: Scale,
    pub low: f64,
    pub high: f64,
}

/// Whether a linear axis holds 0, where no value is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// Bars begin there.
    Needed,
    /// Where that leaves at least half of the axis to the values.
    Near,
    No,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub text: String,
}

/// Values that differ by a smaller share of themselves lie in one place: their labels would have no end.
const SAME: f64 = 1e-9;
/// What is nearer to 0 lies there: floats beyond have too few digits for the arithmetic below.
const LEAST: f64 = 1e-290;

impl Projection {
    /// An axis that holds all these finite values; on a log axis all are above 0.
    pub fn over(values: impl Iterator<Item = f64>, scale: Scale, zero: Zero) -> Option<Projection> {
        let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (mut low, mut high) = ends?;
        match scale {
            Scale::Log => {
                (low, high) = (low.max(LEAST), high.max(LEAST));
                if high / low < 1.0 + SAME {
                    (low, high) = ((low / 2.0).max(LEAST), (high * 2.0).min(f64::MAX));
                }
                if zero == Zero::Needed {
                    // The shortest bar must be seen.
                    low = (low / (high / low).powf(0.1).max(1.1)).max(LEAST);
                }
            }
            Scale::Linear => {
                if low > 0.0 && (zero == Zero::Needed || zero == Zero::Near && low <= high / 2.0) {
                    low = 0.0;
                } else if high < 0.0 && (zero == Zero::Needed || zero == Zero::Near && high >= low / 2.0) {
                    high = 0.0;
                }
                let size = low.abs().max(high.abs());
                if high * 0.5 - low * 0.5 <= (size * SAME).max(LEAST) {
                    let half = if size > LEAST { size / 2.0 } else { 1.0 };
                    (low, high) = (low - half, high + half);
                }
                // To round numbers that are near: 19.998 would leave the label 20 out.
                let near = round_up((high * 0.5 - low * 0.5) / 50.0);
                (low, high) = ((low / near + 1e-6).floor() * near, (high / near - 1e-6).ceil() * near);
            }
        }
        // Sums of the largest floats.
        Some(Projection { scale, low: low.max(f64::MIN), high: high.min(f64::MAX) })
    }

    /// With so much more room at both ends, as a share of the axis.
    pub fn padded(self, share: f64) -> Projection {
        let (low, high) = (self.at(-share), self.at(1.0 + share));
        let low = if self.scale == Scale::Log { low.max(LEAST) } else { low.max(f64::MIN) };
        Projection { low, high: high.min(f64::MAX), ..self }
    }

    /// Where a value lies: 0 is the low end, 1 the high one.
    pub fn place(&self, value: f64) -> f64 {
        let (low, high, value) = (self.along(self.low), self.along(self.high), self.along(value));
        ((value - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// The value at a place.
    fn at(&self, place: f64) -> f64 {
        let (low, high) = (self.along(self.low), self.along(self.high));
        let along = low + (high - low) * place;
        match self.scale {
            Scale::Linear => along / 0.25,
            Scale::Log => along.exp(),
        }
    }

    /// A measure whose equal steps are equally long. A quarter, so that no difference is infinite.
    fn along(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value * 0.25,
            Scale::Log => value.ln(),
        }
    }

    /// Where bars begin.
    pub fn ground(&self) -> f64 {
        match self.scale {
            Scale::Linear => self.place(0.0),
            Scale::Log => 0.0,
        }
    }

    /// At most `most` values that are easily read, at least two where the axis has them.
    pub fn ticks(&self, unit: Unit, most: usize) -> Vec<Tick> {
        let most = most.max(2);
        match self.scale {
            Scale::Linear => self.even_ticks(unit, most),
            Scale::Log => self.log_ticks(unit, most),
        }
    }

    fn even_ticks(&self, unit: Unit, most: usize) -> Vec<Tick> {
        let size = Size::of(unit, self.low.abs().max(self.high.abs()));
        let (low, high) = (self.low / size.factor, self.high / size.factor);
        let half_span = high * 0.5 - low * 0.5;
        let mut step = round_up(half_span / (most as f64 / 2.0));
        let whole = matches!(unit, Unit::Count(_)) || unit == Unit::Bytes && size.factor == 1.0;
        if whole {
            step = step.max(1.0 / size.factor);
        }
        // The ends are in where only a rounding keeps them out.
        let ends = |step: f64| ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
        let (mut first, mut last) = ends(step);
        while last - first + 1.0 > most as f64 {
            step = round_up(step * 1.5);
            (first, last) = ends(step);
        }
        let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
        let count = (last - first).max(0.0) as usize + 1;
        let tick = |i: usize| {
            let scaled = (first + i as f64) * step;
            Tick { value: scaled * size.factor, text: size.text(scaled, decimals) }
        };
        (0..count).map(tick).collect()
    }

    fn log_ticks(&self, unit: Unit, most: usize) -> Vec<Tick> {
        let inside = |value: &f64| *value >= self.low * (1.0 - SAME) && *value <= self.high * (1.0 + SAME);
        let base = if matches!(unit, Unit::Bytes | Unit::BytesPerSecond) { 2.0f64 } else { 10.0 };
        let exponents = (self.low.log(base).floor() as i32, self.high.log(base).ceil() as i32);
        let values = |factors: &[f64], every: usize| -> Vec<f64> {
            let exponents = (exponents.0..=exponents.1).filter(|exponent| exponent.rem_euclid(every as i32) == 0);
            let all = exponents.flat_map(|exponent| factors.iter().map(move |factor| factor * base.powi(exponent)));
            all.filter(|value| value.is_normal()).filter(inside).collect()
        };
        let fits = |values: &Vec<f64>| (2..=most).contains(&values.len());
        let factors: &[&[f64]] = if base == 10.0 {
            &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[1.0, 2.0, 5.0], &[1.0, 3.0]]
        } else {
            &[]
        };
        const EVERY: [usize; 12] = [1, 2, 3, 4, 5, 10, 20, 30, 50, 100, 200, 500];
        let dense = factors.iter().map(|factors| values(factors, 1));
        let decades = EVERY.iter().map(|every| values(&[1.0], *every));
        match dense.chain(decades).find(fits) {
            Some(values) => {
                let tick = |value: f64| {
                    let size = Size::of(unit, value);
                    Tick { value, text: size.text(value / size.factor, 0) }
                };
                values.into_iter().map(tick).collect()
            }
            // Less than a decade.
            None => self.even_ticks(unit, most),
        }
    }
}

/// The step of ticks that is no smaller: 1, 2 or 5 times a power of ten.
fn round_up(step: f64) -> f64 {
    let power = 10f64.powi(step.log10().floor() as i32);
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
    (factor.unwrap_or(10.0) * power).clamp(f64::MIN_POSITIVE, f64::MAX)
}

/// The unit in which values of one size are written.
struct Size {
    factor: f64,
    suffix: String,
}

impl Size {
    fn of(unit: Unit, value: f64) -> Size {
        const TIMES: [(f64, &str); 4] = [(1e-9, " ns"), (1e-6, " µs"), (1e-3, " ms"), (1.0, " s")];
        const COUNTS: [(f64, &str); 5] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
        const BYTES: [(f64, &str); 5] =
            [(1.0, " B"), (1024.0, " KiB"), (1048576.0, " MiB"), (1073741824.0, " GiB"), (1099511627776.0, " TiB")];
        let (units, after): (&[(f64, &str)], &str) = match unit {
            Unit::Seconds => (&TIMES, ""),
            Unit::Bytes => (&BYTES, ""),
            Unit::BytesPerSecond => (&BYTES, "/s"),
            Unit::Ratio(_) | Unit::Times | Unit::Low | Unit::High => (&COUNTS, "×"),
            Unit::Count(_) | Unit::Calls | Unit::Primitive | Unit::PerSecond(_) | Unit::Plain => (&COUNTS, ""),
            Unit::Share | Unit::Bar => (&[(0.01, " %")], ""),
        };
        let fitting = units.iter().rev().find(|(factor, _)| value >= factor * (1.0 - SAME));
        let (factor, suffix) = *fitting.unwrap_or(&units[0]);
        let scaled = value / factor;
        if value > 0.0 && !(1e-3..1e5).contains(&scaled) {
            // No unit is of this size.
            let (factor, suffix) = units.iter().find(|(factor, _)| *factor == 1.0).unwrap_or(&units[0]);
            let exponent = ((value / factor).log10() + SAME).floor().clamp(-300.0, 308.0);
            return Size {
                factor: factor * 10f64.powi(exponent as i32),
                suffix: format!("e{exponent}{suffix}{after}"),
            };
        }
        Size { factor, suffix: format!("{suffix}{after}") }
    }

    /// A number of this unit with at least so many decimals.
    fn text(&self, scaled: f64, decimals: usize) -> String {
        if scaled == 0.0 {
            return "0".to_string();
        }
        let fixed = format!("{scaled:.decimals$}");
        let close = |text: &str| text.parse::<f64>().is_ok_and(|read| (read - scaled).abs() <= scaled.abs() * 1e-6);
        let text = if close(&fixed) { fixed } else { format!("{scaled:.6}").trim_end_matches('0').to_string() };
        format!("{}{}", text.trim_end_matches('.'), self.suffix)
    }
}
