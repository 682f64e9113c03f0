//! Dates and times of parquet and arrow files as ISO text. Polars formats them one by one, with an allocation each:
//! fifteen times as long.

use polars::prelude::{DataType, IntoSeries, PolarsError, Series, StringChunked, TimeUnit};
use polars_arrow::array::{MutablePlString, Utf8ViewArray, View};
use polars_arrow::datatypes::ArrowDataType;
use polars_buffer::Buffer;

/// The days since 1970 of 0000-01-01 and of 9999-12-31: years beyond have a sign.
const FIRST_DAY: i64 = -719_528;
const LAST_DAY: i64 = 2_932_896;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A column of dates, times or instants as text: `1998-12-01`, `1998-12-01T06:30:00.250`.
pub fn as_text(series: &Series) -> Result<Series, PolarsError> {
    match series.dtype() {
        DataType::Date => match days(series)? {
            Some(text) => Ok(text),
            None => Ok(series.date()?.strftime("%Y-%m-%d")?.into_series()),
        },
        DataType::Datetime(unit, zone) => {
            // The instant is kept in UTC, whatever zone it is shown in.
            let end = if zone.is_some() { "Z" } else { "" };
            match instants(series, *unit, end)? {
                Some(text) => Ok(text),
                None => Ok(series.datetime()?.strftime(&format!("%Y-%m-%dT%H:%M:%S%.f{end}"))?.into_series()),
            }
        }
        _ => Ok(series.time()?.strftime("%H:%M:%S%.f").into_series()),
    }
}

/// Whether the year of a day has four digits and no sign.
pub fn is_plain(day: i64) -> bool {
    (FIRST_DAY..=LAST_DAY).contains(&day)
}

/// A day since 1970 whose year has four digits.
pub fn text(day: i64) -> String {
    String::from_utf8_lossy(&letters(day)).into_owned()
}

/// Dates as text; none where a year has a sign.
fn days(series: &Series) -> Result<Option<Series>, PolarsError> {
    /// Days are looked up where there are at most so many: those of 180 years.
    const MOST_KNOWN: i64 = 1 << 16;
    let physical = series.to_physical_repr();
    let days = physical.i32()?;
    let (Some(least), Some(most)) = (days.iter().flatten().min(), days.iter().flatten().max()) else {
        // There are only nulls.
        return Ok(Some(Series::full_null(series.name().clone(), series.len(), &DataType::String)));
    };
    let (least, most) = (i64::from(least), i64::from(most));
    if !is_plain(least) || !is_plain(most) {
        return Ok(None);
    }
    // What stands in the place of a null may be any number.
    let view = |day: i64| View::new_inline(&letters(day.clamp(FIRST_DAY, LAST_DAY)));
    let known: Vec<View> =
        if most - least < MOST_KNOWN.min(days.len() as i64) { (least..=most).map(view).collect() } else { Vec::new() };
    let chunks = days.downcast_iter().map(|chunk| {
        let views: Vec<View> = match &known[..] {
            [] => chunk.values_iter().map(|day| view(i64::from(*day))).collect(),
            known => {
                chunk.values_iter().map(|day| known[(i64::from(*day).clamp(least, most) - least) as usize]).collect()
            }
        };
        // SAFETY: each view holds its ten letters itself.
        unsafe {
            let (views, none) = (views.into(), Buffer::default());
            Utf8ViewArray::new_unchecked(ArrowDataType::Utf8View, views, none, chunk.validity().cloned(), None, 0)
        }
    });
    Ok(Some(StringChunked::from_chunk_iter(series.name().clone(), chunks).into_series()))
}

/// Instants as text with `end` behind each; none where a year has a sign.
fn instants(series: &Series, unit: TimeUnit, end: &str) -> Result<Option<Series>, PolarsError> {
    let a_second: i64 = match unit {
        TimeUnit::Milliseconds => 1_000,
        TimeUnit::Microseconds => 1_000_000,
        TimeUnit::Nanoseconds => 1_000_000_000,
    };
    let physical = series.to_physical_repr();
    let instants = physical.i64()?;
    let day = |instant: i64| instant.div_euclid(a_second).div_euclid(DAY_SECONDS);
    if instants.iter().flatten().any(|instant| !is_plain(day(instant))) {
        return Ok(None);
    }
    let (mut text, mut known) = (Vec::with_capacity(32), None);
    let mut chunks = Vec::new();
    for chunk in instants.downcast_iter() {
        let mut texts = MutablePlString::with_capacity(chunk.len());
        for instant in chunk.values_iter() {
            let (seconds, part) = (instant.div_euclid(a_second), instant.rem_euclid(a_second));
            // What stands in the place of a null may be any number.
            let day = seconds.div_euclid(DAY_SECONDS).clamp(FIRST_DAY, LAST_DAY);
            let letters = match known {
                Some((known, letters)) if known == day => letters,
                _ => letters(day),
            };
            known = Some((day, letters));
            text.clear();
            text.extend_from_slice(&letters);
            let second = seconds.rem_euclid(DAY_SECONDS) as u64;
            for (sign, number) in [(b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)] {
                text.extend_from_slice(&[sign, digit(number / 10), digit(number)]);
            }
            push_part(&mut text, part as u64 * (1_000_000_000 / a_second as u64));
            text.extend_from_slice(end.as_bytes());
            texts.push_value_ignore_validity(std::str::from_utf8(&text).expect("these are ASCII letters"));
        }
        chunks.push(texts.freeze().with_validity(chunk.validity().cloned()));
    }
    Ok(Some(StringChunked::from_chunk_iter(series.name().clone(), chunks).into_series()))
}

/// The part of a second, in three, six or nine digits; nothing where it is 0.
fn push_part(text: &mut Vec<u8>, nanoseconds: u64) {
    let (digits, mut rest) = match nanoseconds {
        0 => return,
        part if part % 1_000_000 == 0 => (3, part / 1_000_000),
        part if part % 1_000 == 0 => (6, part / 1_000),
        part => (9, part),
    };
    text.push(b'.');
    let start = text.len();
    text.resize(start + digits, b'0');
    for place in text[start..].iter_mut().rev() {
        *place = digit(rest);
        rest /= 10;
    }
}

fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// The date of a day since 1970, of the years 0 to 9999. After Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`: years begin in March, so that a leap day ends its year.
fn letters(day: i64) -> [u8; 10] {
    let day = (day + 719_468 + 146_097) as u64;
    // One more than it is: the first two months of year 0 belong to an era before.
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2) - 400;
    [
        digit(year / 1000),
        digit(year / 100),
        digit(year / 10),
        digit(year),
        b'-',
        digit(month / 10),
        digit(month),
        b'-',
        digit(of_month / 10),
        digit(of_month),
    ]
}
