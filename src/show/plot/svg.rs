//! A plot as one SVG element that needs nothing else: no script, no font, no style sheet, no names that could clash
//! with those of the page around it. Text and axes have the colour of the text around.

use std::collections::HashSet;
use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use crate::data::Value;
use crate::report::{Across, Axis, Drawn, Field, Plot, Tone, Unit};

use super::super::{cut, figure};
use super::axis::{Projection, Tick};
use super::{Drawable, axis_words, safe};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 12.0;
const LINE: f64 = 18.0;
/// About as wide as a character is.
const LETTER: f64 = 7.0;
/// A longer text is cut.
const LONGEST: usize = 80;
/// From so many points on, those in one pixel are one.
const MANY: usize = 2000;
/// Colours that can be told from white and from black alike.
const COLOURS: [&str; 6] = ["#3b7dd8", "#d1670f", "#2f9e5b", "#b05cc8", "#d9455f", "#6f8a16"];

/// The plot as an element.
pub fn svg(plot: &Plot) -> String {
    let found = Drawable::of(plot);
    let mut page = Page { body: String::new(), top: MARGIN };
    if !plot.title.is_empty() {
        page.top += LINE;
        page.text(MARGIN, page.top - 4.0, "start", &plot.title, " font-weight=\"bold\" font-size=\"14\"");
    }
    match (found.up(plot), &plot.x) {
        (None, _) => {
            page.top += LINE;
            page.text(MARGIN, page.top, "start", "no points to draw", "");
        }
        (Some(up), Across::Numbers(axis)) => grid(&mut page, plot, &found, axis, &up),
        (Some(up), Across::Names { label, names }) => bars_of_names(&mut page, plot, &found, label, names, &up),
    }
    if found.points().next().is_some() {
        legend(&mut page, plot);
    }
    if let Some(note) = found.note() {
        page.top += LINE;
        page.text(MARGIN, page.top, "start", &note, "");
    }
    let height = page.top + MARGIN;
    let (title, told) = (escaped(&plot.title), escaped(&in_words(plot, &found)));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}: {told}\" font-family=\"sans-serif\" font-size=\"12\" \
         fill=\"currentColor\" \
         style=\"max-width:100%;height:auto\">\n<title>{title}</title>\n<desc>{told}</desc>\n{}</svg>\n",
        page.body
    )
}

/// What was drawn so far, and how far down.
struct Page {
    body: String,
    top: f64,
}

impl Page {
    fn push(&mut self, element: String) {
        self.body.push_str(&element);
        self.body.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str, more: &str) {
        let text = escaped(&cut(&safe(text), LONGEST));
        self.push(format!("<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\"{more}>{text}</text>", px(x), px(y)));
    }

    fn rule(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), opacity: f64) {
        self.push(format!(
            "<path d=\"M{} {}L{} {}\" stroke=\"currentColor\" stroke-opacity=\"{opacity}\"/>",
            px(x1),
            px(y1),
            px(x2),
            px(y2)
        ));
    }
}

/// Marks between two axes.
fn grid(page: &mut Page, plot: &Plot, found: &Drawable, axis: &Axis, up: &Projection) {
    let across = found.across(plot, axis).expect("there is a point: it has a height");
    let words = axis_words(&plot.y);
    if !words.is_empty() {
        page.top += LINE;
        page.text(MARGIN, page.top - 4.0, "start", &words, "");
    }
    let heights = up.ticks(plot.y.unit, 8);
    let left = MARGIN + widest(&heights) + 8.0;
    let right = WIDTH - MARGIN - 16.0;
    let (top, bottom) = (page.top + 8.0, page.top + 8.0 + HEIGHT);
    let height = |y: f64| bottom - (bottom - top) * up.place(y);
    let from_left = |x: f64| left + (right - left) * across.place(x);
    for tick in &heights {
        let y = height(tick.value);
        page.rule((left, y), (right, y), 0.15);
        page.text(left - 6.0, y + 4.0, "end", &tick.text, "");
    }
    for tick in side_by_side(&across, axis.unit, right - left) {
        let x = from_left(tick.value);
        page.rule((x, top), (x, bottom + 4.0), 0.15);
        page.text(x, bottom + LINE, "middle", &tick.text, "");
    }
    page.rule((left, top), (left, bottom), 0.6);
    page.rule((left, bottom), (right, bottom), 0.6);
    page.top = bottom + LINE;
    let words = axis_words(axis);
    if !words.is_empty() {
        page.top += LINE;
        page.text((left + right) / 2.0, page.top, "middle", &words, "");
    }
    let place = |(x, y): &(f64, f64)| (from_left(*x), height(*y));
    let of = |drawn: Drawn| {
        plot.series.iter().zip(&found.series).enumerate().filter(move |(_, (series, _))| series.drawn == drawn)
    };
    let beside = of(Drawn::Bars).count();
    let wide = found.bar_room(plot, &across) * (right - left) * 0.8 / beside.max(1) as f64;
    let ground = bottom - (bottom - top) * up.ground();
    for (at, (series, (_, points))) in of(Drawn::Bars).enumerate() {
        let bar = |point: &(f64, f64)| {
            let (x, y) = place(point);
            let x = x + wide * (at as f64 - beside as f64 / 2.0);
            (x, y.min(ground), wide, (y - ground).abs().max(0.5))
        };
        page.push(bars(plot, series, &points.iter().flatten().map(bar).collect::<Vec<_>>()));
        if beside > 1 {
            let tops = points.iter().flatten().map(|point| {
                let (x, y) = place(point);
                let beyond = if y > ground { 6.0 } else { -6.0 };
                (x + wide * (at as f64 - beside as f64 / 2.0 + 0.5), y + beyond)
            });
            page.push(marks(plot, series, &tops.collect::<Vec<_>>()));
        }
    }
    let mut below = String::new();
    for (series, points) in zones(plot, found) {
        let places: Vec<(f64, f64)> = points.iter().flatten().map(place).collect();
        let under = under(&places, right, bottom);
        // Only what no zone before it has: where two areas overlap, even-odd leaves a hole.
        page.push(format!(
            "<path d=\"{under}{below}\" fill=\"{}\" fill-opacity=\"0.25\" fill-rule=\"evenodd\"/>",
            colour(plot, series)
        ));
        below = under;
    }
    let all = || plot.series.iter().zip(&found.series).enumerate().filter(|(_, (series, _))| series.drawn.is_line());
    let lines = all().count();
    for (series, (_, points)) in all() {
        let places: Vec<Option<(f64, f64)>> = points.iter().map(|point| point.as_ref().map(place)).collect();
        page.push(line(plot, series, &places));
        if lines > 1 {
            // A few of its points, others than those of the lines beside it.
            let drawn: Vec<(f64, f64)> = places.into_iter().flatten().collect();
            let every = (drawn.len() / 5).max(1);
            let marked: Vec<(f64, f64)> =
                drawn.iter().copied().skip(series * every / plot.series.len()).step_by(every).collect();
            page.push(marks(plot, series, &marked));
        }
    }
    let clouds = of(Drawn::Points).count();
    for (series, (_, points)) in of(Drawn::Points) {
        let places: Vec<(f64, f64)> = points.iter().flatten().map(place).collect();
        page.push(if clouds == 1 && places.len() > MANY {
            dots(plot, series, &places)
        } else {
            marks(plot, series, &places)
        });
    }
}

/// A bar to the right for each name and series.
fn bars_of_names(page: &mut Page, plot: &Plot, found: &Drawable, label: &str, names: &[String], along: &Projection) {
    const THICK: f64 = 16.0;
    const MOST: usize = 200;
    if !label.is_empty() {
        page.top += LINE;
        page.text(MARGIN, page.top - 4.0, "start", label, "");
    }
    let shown = &names[..names.len().min(MOST)];
    let short = |name: &String| cut(&safe(name), 30);
    let wide = shown.iter().map(|name| short(name).width()).max().unwrap_or(0) as f64 * LETTER;
    let (left, right) = (MARGIN + wide + 8.0, WIDTH - MARGIN - 12.0 * LETTER);
    let from_left = |y: f64| left + (right - left) * along.place(y);
    let ground = left + (right - left) * along.ground();
    let top = page.top + 4.0;
    let series = found.series.iter().enumerate();
    let all = || series.clone().flat_map(|(i, points)| points.iter().flatten().map(move |point| (i, point)));
    let mut bottom = top;
    for (at, name) in shown.iter().enumerate() {
        bottom += 4.0;
        page.text(left - 6.0, bottom + THICK - 4.0, "end", &short(name), "");
        let before = bottom;
        for (series, (_, y)) in all().filter(|(_, point)| point.0 == at as f64) {
            let end = from_left(*y);
            let middle = bottom + THICK / 2.0;
            if plot.series[series].drawn == Drawn::Bars {
                let bar = (end.min(ground), bottom, (end - ground).abs().max(0.5), THICK - 2.0);
                page.push(bars(plot, series, &[bar]));
            }
            let is_marked = plot.series[series].drawn != Drawn::Bars || plot.series.len() > 1;
            let mut after = end.max(ground) + 6.0;
            if is_marked {
                // Behind a bar, so that it is seen; without a bar the place of the mark is the value.
                let is_bar = plot.series[series].drawn == Drawn::Bars;
                page.push(marks(plot, series, &[(if is_bar { after + 4.0 } else { end }, middle - 1.0)]));
                after += if is_bar { 14.0 } else { 4.0 };
            }
            let value = figure(&Field::counted("", Value::Float(*y), plot.y.unit));
            page.text(after, bottom + THICK - 4.0, "start", &value, "");
            bottom += THICK;
        }
        bottom = bottom.max(before + THICK);
    }
    for tick in side_by_side(along, plot.y.unit, right - left) {
        let x = from_left(tick.value);
        page.rule((x, top), (x, bottom + 8.0), 0.15);
        page.text(x, bottom + 4.0 + LINE, "middle", &tick.text, "");
    }
    page.rule((left, top), (left, bottom + 4.0), 0.6);
    page.rule((left, bottom + 4.0), (right, bottom + 4.0), 0.6);
    page.top = bottom + 4.0 + LINE;
    page.top += LINE;
    page.text((left + right) / 2.0, page.top, "middle", &axis_words(&plot.y), "");
    if shown.len() < names.len() {
        page.top += LINE;
        page.text(MARGIN, page.top, "start", &format!("{} more names are not drawn", names.len() - shown.len()), "");
    }
}

/// Which mark is which series.
fn legend(page: &mut Page, plot: &Plot) {
    let one = matches!(&plot.series[..], [series] if series.label.is_empty());
    if one || plot.series.is_empty() {
        return;
    }
    let lines = plot.series.iter().filter(|series| series.drawn.is_line()).count();
    page.top += LINE;
    let mut x = MARGIN;
    for (i, series) in plot.series.iter().enumerate() {
        let label = cut(&safe(&series.label), LONGEST);
        let wide = 40.0 + label.width() as f64 * LETTER;
        if x > MARGIN && x + wide > WIDTH {
            (x, page.top) = (MARGIN, page.top + LINE);
        }
        let y = page.top - 4.0;
        match series.drawn {
            Drawn::Line | Drawn::Zone(_) => {
                page.push(line(plot, i, &[Some((x, y)), Some((x + 24.0, y))]));
                if lines > 1 {
                    page.push(marks(plot, i, &[(x + 12.0, y)]));
                }
            }
            Drawn::Points => page.push(marks(plot, i, &[(x + 12.0, y)])),
            Drawn::Bars => {
                page.push(bars(plot, i, &[(x, y - 5.0, 14.0, 10.0)]));
                if plot.series.len() > 1 {
                    page.push(marks(plot, i, &[(x + 22.0, y)]));
                }
            }
        }
        page.text(x + 30.0, page.top, "start", &label, "");
        x += wide + 12.0;
    }
}

/// The path of a line, in dashes of its own.
fn line(plot: &Plot, series: usize, places: &[Option<(f64, f64)>]) -> String {
    const DASHES: [&str; 4] =
        ["", " stroke-dasharray=\"7 3\"", " stroke-dasharray=\"2 3\"", " stroke-dasharray=\"9 3 2 3\""];
    let many = places.len() > MANY;
    let mut path = String::new();
    let mut last = None;
    for place in places {
        let here = place.map(|(x, y)| if many { (x.round(), y.round()) } else { (x, y) });
        if let Some((x, y)) = here
            && here != last
        {
            let joins = if last.is_some() { 'L' } else { 'M' };
            write!(path, "{joins}{} {}", px(x), px(y)).expect("a text grows as it is asked to");
            if last.is_none() {
                // A line of one point is a dot.
                path.push_str("h0");
            }
        }
        last = here;
    }
    let (colour, dashes) = (colour(plot, series), DASHES[series % DASHES.len()]);
    format!(
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linecap=\"round\"{dashes}/>"
    )
}

/// The marks of a series, each around its place.
fn marks(plot: &Plot, series: usize, places: &[(f64, f64)]) -> String {
    const SHAPES: [&str; 4] =
        ["m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "m-4.5 3.5h9l-4.5-8z", "m-4-4h8v8h-8z", "m0-5l5 5l-5 5l-5-5z"];
    let places = distinct(places);
    let colour = colour(plot, series);
    // Shapes first, full and hollow; then letters, the same as in a terminal.
    if series >= 2 * SHAPES.len() {
        let letter = char::from(b'A' + ((series - 2 * SHAPES.len()) % 26) as u8);
        let letters = places.iter().map(|(x, y)| format!("<tspan x=\"{x}\" y=\"{y}\">{letter}</tspan>"));
        let letters: String = letters.collect();
        return format!("<text fill=\"{colour}\" text-anchor=\"middle\" dy=\"4\">{letters}</text>");
    }
    let shape = SHAPES[series % SHAPES.len()];
    let path: String = places.iter().map(|(x, y)| format!("M{x} {y}{shape}")).collect();
    let fill = if series < SHAPES.len() { colour } else { "none" };
    format!("<path d=\"{path}\" fill=\"{fill}\" stroke=\"{colour}\"/>")
}

/// Many points without marks of their own.
fn dots(plot: &Plot, series: usize, places: &[(f64, f64)]) -> String {
    let path: String = distinct(places).iter().map(|(x, y)| format!("M{x} {y}h0")).collect();
    format!("<path d=\"{path}\" stroke=\"{}\" stroke-width=\"3\" stroke-linecap=\"round\"/>", colour(plot, series))
}

/// Places as they are written, each once; of many, one in a pixel.
fn distinct(places: &[(f64, f64)]) -> Vec<(String, String)> {
    let many = places.len() > MANY;
    let place = |(x, y): &(f64, f64)| if many { (px(x.round()), px(y.round())) } else { (px(*x), px(*y)) };
    let mut seen = HashSet::new();
    places.iter().map(place).filter(|place| seen.insert(place.clone())).collect()
}

/// Bars: left, top, width, height.
fn bars(plot: &Plot, series: usize, places: &[(f64, f64, f64, f64)]) -> String {
    let bar = |(x, y, wide, high): &(f64, f64, f64, f64)| {
        format!("M{} {}h{}v{}h{}z", px(*x), px(*y), px(*wide), px(*high), px(-*wide))
    };
    let path: String = places.iter().map(bar).collect();
    format!("<path d=\"{path}\" fill=\"{}\"/>", colour(plot, series))
}

fn colour(plot: &Plot, series: usize) -> &'static str {
    match plot.series.get(series).map(|series| series.drawn) {
        Some(Drawn::Zone(tone)) => match tone {
            Tone::Best => "#2f9e5b",
            Tone::Good => "#6f9e1a",
            Tone::StillGood => "#a39a10",
            Tone::Fair => "#c98a0a",
            Tone::Bad => "#d9661a",
            Tone::Horrible => "#d9354f",
        },
        Some(Drawn::Points | Drawn::Line | Drawn::Bars) | None => COLOURS[series % COLOURS.len()],
    }
}

/// The zones with what can be drawn of them.
fn zones<'a>(plot: &'a Plot, found: &'a Drawable) -> impl Iterator<Item = (usize, &'a Vec<Option<(f64, f64)>>)> {
    let all = plot.series.iter().zip(&found.series).enumerate();
    all.filter(|(_, (series, _))| matches!(series.drawn, Drawn::Zone(_))).map(|(at, (_, points))| (at, points))
}

/// The path around what lies below a line; to its right, what lies below its end.
fn under(places: &[(f64, f64)], right: f64, bottom: f64) -> String {
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return String::new() };
    let line: String = places.iter().map(|(x, y)| format!("L{} {}", px(*x), px(*y))).collect();
    let (left, right, bottom) = (px(first.0), px(right), px(bottom));
    format!("M{left} {bottom}{line}L{right} {}L{right} {bottom}z", px(last.1))
}

/// The ticks of an x axis that is so wide, as many as have room.
fn side_by_side(projection: &Projection, unit: Unit, wide: f64) -> Vec<Tick> {
    let fits = |ticks: &Vec<Tick>| {
        ticks.windows(2).all(|pair| {
            let distance = (projection.place(pair[1].value) - projection.place(pair[0].value)) * wide;
            distance >= widest(pair) + 2.0 * LETTER
        })
    };
    let tries = (2..=10).rev().map(|most| projection.ticks(unit, most));
    tries.into_iter().find(fits).unwrap_or_default()
}

fn widest(ticks: &[Tick]) -> f64 {
    ticks.iter().map(|tick| tick.text.width()).max().unwrap_or(0) as f64 * LETTER
}

/// The text alternative: axes with their ranges, series with their ends.
fn in_words(plot: &Plot, found: &Drawable) -> String {
    let shown = |axis: &Axis, value: f64| figure(&Field::counted("", Value::Float(value), axis.unit));
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        })
    };
    let from_to = |axis: &Axis, values: &mut dyn Iterator<Item = f64>| {
        let range = ends(values).map(|(low, high)| format!(" from {} to {}", shown(axis, low), shown(axis, high)));
        format!("{}{}", axis_words(axis), range.unwrap_or_default())
    };
    let x = match &plot.x {
        Across::Numbers(axis) => from_to(axis, &mut found.points().map(|point| point.0)),
        Across::Names { label, names } => format!("{label}, {} names", names.len()),
    };
    let mut parts = vec![
        format!("x axis: {}", x.trim_start_matches([',', ' '])),
        format!("y axis: {}", from_to(&plot.y, &mut found.points().map(|point| point.1)).trim_start()),
    ];
    for (series, points) in plot.series.iter().zip(&found.series) {
        let drawn = match series.drawn {
            Drawn::Points => "points",
            Drawn::Line => "a line",
            Drawn::Bars => "bars",
            Drawn::Zone(_) => "a line over a zone",
        };
        let place = |(x, y): (f64, f64)| {
            let x = match &plot.x {
                Across::Numbers(axis) => shown(axis, x),
                Across::Names { names, .. } => names[x as usize].clone(),
            };
            format!("{} at {x}", shown(&plot.y, y))
        };
        let points: Vec<(f64, f64)> = points.iter().flatten().copied().collect();
        let range = match &points[..] {
            [] => "no points".to_string(),
            [one] => place(*one),
            [first, .., last] => format!("{} points, {} to {}", points.len(), place(*first), place(*last)),
        };
        let name = if series.label.is_empty() { drawn.to_string() } else { format!("{} ({drawn})", series.label) };
        parts.push(format!("{name}: {range}"));
    }
    const MOST: usize = 20;
    let more = parts.len().saturating_sub(MOST);
    parts.truncate(MOST);
    if more > 0 {
        parts.push(format!("{more} more series"));
    }
    parts.extend(found.note());
    if found.points().next().is_none() {
        parts.push("no points to draw".to_string());
    }
    format!("{}.", parts.join("; "))
}

/// A length in tenths of a pixel.
fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

/// Text for XML, without the characters that it does not know.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in safe(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
