//! The scalar functions as plain Rust over plain types, without any crate. Every engine of ours calls these, so that
//! they cannot disagree.

/// Why a function has no value.
#[derive(Debug, Clone, PartialEq)]
pub enum ScalarError {
    /// The int does not fit into 64 bits.
    Overflow,
    /// `//` or `%` by the int zero.
    ZeroDivision,
    /// The function is not defined for the value; in words.
    Domain(String),
}

pub fn add(a: i64, b: i64) -> Result<i64, ScalarError> {
    a.checked_add(b).ok_or(ScalarError::Overflow)
}

pub fn subtract(a: i64, b: i64) -> Result<i64, ScalarError> {
    a.checked_sub(b).ok_or(ScalarError::Overflow)
}

pub fn multiply(a: i64, b: i64) -> Result<i64, ScalarError> {
    a.checked_mul(b).ok_or(ScalarError::Overflow)
}

/// Division rounded down.
pub fn floor_divide(a: i64, b: i64) -> Result<i64, ScalarError> {
    if b == 0 {
        return Err(ScalarError::ZeroDivision);
    }
    if (a | b) as u64 >> 32 == 0 {
        return Ok(i64::from(a as u32 / b as u32));
    }
    let quotient = a.checked_div(b).ok_or(ScalarError::Overflow)?;
    Ok(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

/// The remainder with the divisor's sign.
pub fn remainder(a: i64, b: i64) -> Result<i64, ScalarError> {
    if b == 0 {
        return Err(ScalarError::ZeroDivision);
    }
    // A division of 32 bits takes a third of the time of one of 64.
    if (a | b) as u64 >> 32 == 0 {
        return Ok(i64::from(a as u32 % b as u32));
    }
    let rest = a.wrapping_rem(b);
    Ok(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
}

/// The quotient rounded down, so that `a == (a // b) * b + a % b` up to rounding.
pub fn floor_divide_floats(a: f64, b: f64) -> f64 {
    let quotient = a / b;
    let whole = quotient.floor();
    // The division rounds, and only where it rounds up to a whole number is its floor too large.
    if quotient == whole && whole.is_finite() && b != 0.0 { not_above(a, b, whole) } else { whole }
}

/// `whole`, or one less where `a / b` is below it: what is left of `a` has the sign of `b` or is zero.
fn not_above(a: f64, b: f64, whole: f64) -> f64 {
    if b.is_infinite() {
        return if a != 0.0 && (a < 0.0) != (b < 0.0) { -1.0 } else { whole };
    }
    // Rounded only once, the rest has the right sign.
    let rest = (-whole).mul_add(b, a);
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { whole - 1.0 } else { whole }
}

/// `a - b * floor(a / b)`, with the divisor's sign.
pub fn remainder_floats(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
}

pub fn negate(a: i64) -> Result<i64, ScalarError> {
    a.checked_neg().ok_or(ScalarError::Overflow)
}

pub fn absolute(a: i64) -> Result<i64, ScalarError> {
    a.checked_abs().ok_or(ScalarError::Overflow)
}

pub fn power(base: i64, exponent: i64) -> Result<i64, ScalarError> {
    if exponent < 0 {
        return Err(ScalarError::Domain(format!("pow({base}, {exponent}): an int has no negative powers")));
    }
    match base {
        0 | 1 => return Ok(if exponent == 0 { 1 } else { base }),
        -1 => return Ok(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => {}
    }
    u32::try_from(exponent).ok().and_then(|exponent| base.checked_pow(exponent)).ok_or(ScalarError::Overflow)
}

/// Towards zero.
pub fn int_from_float(x: f64) -> Result<i64, ScalarError> {
    let whole = x.trunc();
    if (-9223372036854775808.0..9223372036854775808.0).contains(&whole) {
        return Ok(whole as i64);
    }
    Err(ScalarError::Domain(format!("int({}): this value does not fit into an int", float_text(x))))
}

pub fn int_from_text(text: &str) -> Result<i64, ScalarError> {
    text.trim().parse().map_err(|_| ScalarError::Domain(format!("int({:?}): this text is not an int", shortened(text))))
}

pub fn float_from_text(text: &str) -> Result<f64, ScalarError> {
    let trimmed = text.trim();
    let digits = trimmed.trim_start_matches(['+', '-']);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let named = !plain && ["nan", "inf", "infinity"].iter().any(|name| digits.eq_ignore_ascii_case(name));
    if (named || plain)
        && let Ok(x) = trimmed.parse::<f64>()
        && (named || x.is_finite())
    {
        return Ok(x);
    }
    Err(ScalarError::Domain(format!("float({:?}): this text is not a number", shortened(text))))
}

pub fn bool_from_text(text: &str) -> Result<bool, ScalarError> {
    match text.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(ScalarError::Domain(format!("bool({:?}): neither true nor false", shortened(text)))),
    }
}

/// The first forty characters, for messages.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// The shortest text that reads back as the same float: always with a point, an exponent or a name.
pub fn float_text(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_string();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let plain = x == 0.0 || (1e-5..1e16).contains(&x.abs());
    let text = if plain { format!("{x}") } else { format!("{x:e}") };
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}

pub fn lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() }
}

/// Maximal runs of characters that are no white space (Unicode White_Space).
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

pub fn split<'a>(text: &'a str, separator: &'a str) -> Result<std::str::Split<'a, &'a str>, ScalarError> {
    if separator.is_empty() {
        return Err(ScalarError::Domain("the separator is empty; chars(x) returns the characters".to_string()));
    }
    Ok(text.split(separator))
}

pub fn reverse(text: &str) -> String {
    text.chars().rev().collect()
}

/// The characters of a text in order of their numbers.
pub fn sorted(text: &str) -> String {
    if text.is_ascii() {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        return bytes.into_iter().map(char::from).collect();
    }
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars.into_iter().collect()
}

/// Characters, not bytes.
pub fn length(text: &str) -> i64 {
    if text.is_ascii() { text.len() as i64 } else { text.chars().count() as i64 }
}

/// The part of `0..length` that `slice(x, start, count)` takes: a negative start counts from the end, what lies outside
/// is left out.
pub fn slice_range(length: usize, start: i64, count: i64) -> std::ops::Range<usize> {
    let length = length as i128;
    let from = if start < 0 { length + i128::from(start) } else { i128::from(start) };
    let to = from + i128::from(count.max(0));
    let clip = |x: i128| x.clamp(0, length) as usize;
    clip(from)..clip(to).max(clip(from))
}

pub fn slice(text: &str, start: i64, count: i64) -> &str {
    let range = slice_range(length(text) as usize, start, count);
    if text.is_ascii() {
        return &text[range];
    }
    let byte = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    &text[byte(range.start)..byte(range.end)]
}

/// The place of element `index` of `length`; negative ones count from the end; outside there is none.
pub fn place(length: usize, index: i64) -> Option<usize> {
    let at = if index < 0 { (length as i64).checked_add(index)? } else { index };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// Half away from zero.
pub fn round(x: f64) -> f64 {
    x.round()
}

/// To so many decimal places, or, where `digits` is negative, to tens, hundreds …; half away from zero. The number is
/// taken as exactly what it is: 1.005 is a little less than that, so that it becomes 1.0 with two places.
pub fn round_to(x: f64, digits: i64) -> f64 {
    // From here on floats are whole numbers; below it, halves of whole numbers are floats too.
    const WHOLE: f64 = (1u64 << 52) as f64;
    if !x.is_finite() || x == 0.0 || (digits >= 0 && x.abs() >= WHOLE) {
        return x;
    }
    let Ok(power) = i32::try_from(digits.unsigned_abs()) else {
        return if digits > 0 { x } else { 0.0f64.copysign(x) };
    };
    // The powers of ten up to this one are floats; with the others, digit by digit.
    const EXACT: i32 = 22;
    if power > EXACT {
        return round_digits(x, digits);
    }
    let unit = 10f64.powi(power);
    let (scaled, back): (f64, fn(f64, f64) -> f64) =
        if digits < 0 { (x / unit, |whole, unit| whole * unit) } else { (x * unit, |whole, unit| whole / unit) };
    // The product is no longer near enough to the number.
    if scaled.abs() >= WHOLE {
        return round_digits(x, digits);
    }
    let mut whole = scaled.round();
    if (whole - scaled).abs() == 0.5 {
        // It may only have been rounded to a half: what is lost tells on which side it is.
        let lost = if digits < 0 { (-scaled).mul_add(unit, x) } else { x.mul_add(unit, -scaled) };
        if lost != 0.0 && (lost < 0.0) != (x < 0.0) {
            whole -= 1.0f64.copysign(x);
        }
    }
    back(whole, unit).copysign(x)
}

/// The same by all the digits of a number.
fn round_digits(x: f64, digits: i64) -> f64 {
    // A float is a whole number of the power of two that its last bit is: it has as many digits after the point as that
    // one halves.
    let exponent = (x.to_bits() >> 52 & 0x7ff).max(1) as i64 - 1075;
    let after = (-exponent).max(0);
    if digits >= after {
        return x;
    }
    let text = format!("{:.width$}", x.abs(), width = after as usize);
    let before = text.find('.').unwrap_or(text.len());
    let Ok(kept) = usize::try_from(before as i64 + digits) else { return 0.0f64.copysign(x) };
    // A zero before it, for what is carried.
    let mut number: Vec<u8> = b"0".iter().copied().chain(text.bytes().filter(|byte| *byte != b'.')).collect();
    let (before, kept) = (before + 1, kept + 1);
    let up = number[kept] >= b'5';
    number[kept..].fill(b'0');
    if up {
        let mut at = kept - 1;
        while number[at] == b'9' {
            number[at] = b'0';
            at -= 1;
        }
        number[at] += 1;
    }
    let number: String = number.into_iter().map(char::from).collect();
    let rounded: f64 = format!("{}.{}", &number[..before], &number[before..]).parse().unwrap_or(f64::NAN);
    rounded.copysign(x)
}

/// To tens, hundreds … where `digits` is negative; half away from zero.
pub fn round_int_to(i: i64, digits: i64) -> Result<i64, ScalarError> {
    // The largest int has 19 digits.
    match digits {
        0.. => return Ok(i),
        -19..0 => {}
        _ => return Ok(0),
    }
    let unit = 10i128.pow(digits.unsigned_abs() as u32);
    let half = if i < 0 { -unit / 2 } else { unit / 2 };
    i64::try_from((i128::from(i) + half) / unit * unit).map_err(|_| ScalarError::Overflow)
}

/// The standard deviation of a sample. Its sums are those of the differences from the first value, each in two floats,
/// of which the second has what rounding takes from the first (Dekker 1971): as near as makes no difference, in
/// whatever parts the values come. A sum of squares of such differences is at most some `count` times that of those
/// from the mean, so that taking the mean out cancels few of its 106 bits.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    count: u64,
    first: Twofold,
    sum: Twofold,
    squares: Twofold,
    /// All of these are of values times [`Spread::SCALE`].
    is_scaled: bool,
    /// There was a NaN or an infinity.
    has_other: bool,
}

/// A number as the sum of two.
#[derive(Debug, Clone, Copy, Default)]
struct Twofold {
    high: f64,
    low: f64,
}

impl Spread {
    /// The square of a number below this one has room for as many as there may be.
    const LARGE: f64 = f64::from_bits((1023 + 480) << 52);
    /// 2^-600: with it no square is too large.
    const SCALE: f64 = f64::from_bits((1023 - 600) << 52);

    #[inline]
    pub fn add(&mut self, x: f64) {
        if self.is_scaled || x.is_nan() || x.abs() >= Spread::LARGE {
            return self.add_large(x);
        }
        self.add_twofold(Twofold { high: x, low: 0.0 });
    }

    #[inline]
    pub fn add_int(&mut self, i: i64) {
        let high = i as f64;
        let low = if i.unsigned_abs() < 1 << 53 { 0.0 } else { (i as i128 - high as i128) as f64 };
        self.add_twofold(Twofold { high, low });
    }

    #[cold]
    fn add_large(&mut self, x: f64) {
        if !x.is_finite() {
            self.count += 1;
            self.has_other = true;
            return;
        }
        self.scale();
        self.add_twofold(Twofold { high: x * Spread::SCALE, low: 0.0 });
    }

    fn scale(&mut self) {
        if !self.is_scaled {
            self.is_scaled = true;
            let scaled = |of: Twofold| Twofold { high: of.high * Spread::SCALE, low: of.low * Spread::SCALE };
            self.first = scaled(self.first);
            self.sum = scaled(self.sum);
            self.squares = scaled(scaled(self.squares));
        }
    }

    #[inline]
    fn add_twofold(&mut self, x: Twofold) {
        if self.count == 0 {
            self.first = x;
        }
        self.count += 1;
        let off = x.minus(self.first);
        self.sum.add(off);
        self.squares.add(off.times(off));
    }

    pub fn merge(&mut self, later: &Spread) {
        if later.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = later.clone();
            return;
        }
        let mut later = later.clone();
        if self.is_scaled || later.is_scaled {
            self.scale();
            later.scale();
        }
        // The sums of the later part as differences from the first value of this one.
        let off = later.first.minus(self.first);
        let count = Twofold { high: later.count as f64, low: 0.0 };
        let all_off = off.times(count);
        self.sum.add(later.sum);
        self.sum.add(all_off);
        self.squares.add(later.squares);
        let once = off.times(later.sum.settled());
        self.squares.add(once);
        self.squares.add(once);
        self.squares.add(off.times(all_off));
        self.count += later.count;
        self.has_other |= later.has_other;
    }

    /// What it holds, as numbers: [`Spread::of_parts`] makes it again.
    pub fn parts(&self) -> (u64, [f64; 6], [bool; 2]) {
        let Spread { count, first, sum, squares, is_scaled, has_other } = self;
        let sums = [first.high, first.low, sum.high, sum.low, squares.high, squares.low];
        (*count, sums, [*is_scaled, *has_other])
    }

    pub fn of_parts(count: u64, sums: [f64; 6], [is_scaled, has_other]: [bool; 2]) -> Spread {
        let twofold = |at: usize| Twofold { high: sums[at], low: sums[at + 1] };
        Spread { count, first: twofold(0), sum: twofold(2), squares: twofold(4), is_scaled, has_other }
    }

    /// None of fewer than two values.
    pub fn deviation(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        if self.has_other {
            return Some(f64::NAN);
        }
        let (sum, count) = (self.sum.settled(), self.count as f64);
        // The mean times the sum; the mean to as many bits.
        let high = sum.high / count;
        let rest = sum.minus(Twofold { high, low: 0.0 }.times(Twofold { high: count, low: 0.0 }));
        let mean = Twofold { high, low: rest.high / count }.settled();
        let squares = self.squares.settled().minus(mean.times(sum)).high.max(0.0);
        let scaled = (squares / (count - 1.0)).sqrt();
        Some(if self.is_scaled { scaled / Spread::SCALE } else { scaled })
    }
}

impl Twofold {
    /// `a + b` and what rounding takes from it (Knuth 1969).
    #[inline]
    fn sum(a: f64, b: f64) -> Twofold {
        let high = a + b;
        let part = high - a;
        Twofold { high, low: (a - (high - part)) + (b - part) }
    }

    /// The high part as near as a float can be.
    #[inline]
    fn settled(self) -> Twofold {
        Twofold::sum(self.high, self.low)
    }

    /// Adds a number to a sum, which stays unsettled.
    #[inline]
    fn add(&mut self, x: Twofold) {
        let Twofold { high, low } = Twofold::sum(self.high, x.high);
        self.high = high;
        self.low += low + x.low;
    }

    #[inline]
    fn minus(self, other: Twofold) -> Twofold {
        let Twofold { high, low } = Twofold::sum(self.high, -other.high);
        Twofold { high, low: low + (self.low - other.low) }.settled()
    }

    #[inline]
    fn times(self, other: Twofold) -> Twofold {
        // 2^27 + 1: the halves of a number have so few bits that their products are exact (Veltkamp 1968).
        const SPLIT: f64 = 134_217_729.0;
        let halves = |x: f64| {
            let wide = SPLIT * x;
            let upper = wide - (wide - x);
            (upper, x - upper)
        };
        let high = self.high * other.high;
        let ((a, b), (c, d)) = (halves(self.high), halves(other.high));
        let low = ((a * c - high) + a * d + b * c) + b * d;
        Twofold { high, low: low + (self.high * other.low + self.low * other.high) }
    }
}

/// A float with so many decimal places, rounded as by [`round_to`].
pub fn fixed_float(x: f64, places: usize) -> String {
    match x.is_finite() {
        true => format!("{:.places$}", round_to(x, places as i64)),
        false => float_text(x),
    }
}

/// An int with so many decimal places.
pub fn fixed_int(i: i64, places: usize) -> String {
    let point = if places == 0 { "" } else { "." };
    format!("{i}{point}{:0<places$}", "")
}

/// The longest list that `range` makes.
pub const LONGEST_RANGE: i64 = 10_000_000;

pub fn range(a: i64, b: i64) -> Result<std::ops::Range<i64>, ScalarError> {
    if b.saturating_sub(a) > LONGEST_RANGE {
        return Err(ScalarError::Domain(format!(
            "range({a}, {b}) has more than {LONGEST_RANGE} elements; a..b returns them as rows"
        )));
    }
    Ok(a..b.max(a))
}

/// Digits in groups of three, with narrow no-break spaces between; numbers of up to four digits stay as they are.
pub fn grouped(digits: &str) -> String {
    grouped_from(digits, 4)
}

/// The same from one digit more than `plain` on.
pub fn grouped_from(digits: &str, plain: usize) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    if digits.len() <= plain {
        return format!("{sign}{digits}");
    }
    let mut out = sign.to_string();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// The total order of floats: NaN equals NaN and is above all, `-0.0` equals `0.0`.
pub fn compare_floats(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The q-quantile, with linear interpolation between the two nearest; none of nothing.
pub fn quantile(mut numbers: Vec<f64>, q: f64) -> Option<f64> {
    numbers.sort_by(|a, b| compare_floats(*a, *b));
    let last = numbers.len().checked_sub(1)?;
    let place = q * last as f64;
    let (low, high) = (numbers[place.floor() as usize], numbers[place.ceil() as usize]);
    let share = place - place.floor();
    let distance = high - low;
    Some(if low == high || share == 0.0 {
        low
    } else if distance.is_infinite() && low.is_finite() && high.is_finite() {
        // The distance of two floats may be beyond all floats.
        low * (1.0 - share) + high * share
    } else {
        low + distance * share
    })
}

/// The distance of the quartiles; none of nothing.
pub fn interquartile_range(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(|a, b| compare_floats(*a, *b));
    Some(quantile(numbers.clone(), 0.75)? - quantile(numbers, 0.25)?)
}

/// A sum that keeps what rounding loses (Neumaier 1974).
pub fn sum_floats(floats: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for x in floats {
        let total = sum + x;
        let rest = if sum.abs() >= x.abs() { (sum - total) + x } else { (x - total) + sum };
        // An infinity is no rounding error.
        if rest.is_finite() {
            lost += rest;
        }
        sum = total;
    }
    sum + lost
}
