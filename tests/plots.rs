//! Plots through the report: as text at several widths and as SVG (`tests/kept/plots/`, renewed by `TIMELAB_UPDATE=1`),
//! and what holds for every plot: nothing is wider than the window, each value lies where its axis says.

use std::path::Path;

use timelab::data::{Column, Order, Schema, Table, Type, Value};
use timelab::escape;
use timelab::report::{
    Across, Axis, Block, Bounds, Drawn, Figures, MeasuredRows, Plot, Report, Scale, Series, Tone, Unit,
};
use timelab::show::{self, Format, Style, in_ascii_only};
use unicode_width::UnicodeWidthStr;

use crate::lab::PLAIN;

fn axis(label: &str, unit: Unit, scale: Scale) -> Axis {
    Axis { label: label.to_string(), unit, scale, measured: false }
}

fn series(label: &str, drawn: Drawn, points: Vec<(f64, f64)>) -> Series {
    Series { label: label.to_string(), drawn, points }
}

fn plot(title: &str, x: Axis, y: Axis, series: Vec<Series>) -> Plot {
    Plot { title: title.to_string(), x: Across::Numbers(x), y, series, in_table: false }
}

const COUNT: Unit = Unit::Count("n");

/// Points with two curves, as growth is shown.
fn growth(scale: Scale) -> Plot {
    let curve = |f: fn(f64) -> f64| (0..=60).map(|i| 500.0 * 16f64.powf(i as f64 / 60.0)).map(|n| (n, f(n))).collect();
    let found = vec![(500.0, 122e-6), (1000.0, 487e-6), (2000.0, 1.95e-3), (4000.0, 7.8e-3), (8000.0, 31.1e-3)];
    let series = vec![
        series("measured", Drawn::Points, found),
        series("n²", Drawn::Line, curve(|n| 4.86e-10 * n * n)),
        series("n", Drawn::Line, curve(|n| 2.44e-7 * n)),
    ];
    plot("letters n | fold", axis("n", COUNT, scale), axis("median time", Unit::Seconds, scale), series)
}

fn cloud() -> Plot {
    let point = |i: u32| {
        let x = f64::from(i) / 500.0;
        (x, x.sin() * x + f64::from(i * 7919 % 1000) / 1000.0)
    };
    let linear = |label| axis(label, Unit::Plain, Scale::Linear);
    plot("10,000 points", linear("x"), linear("y"), vec![series("", Drawn::Points, (0..10_000).map(point).collect())])
}

/// Lines that judge, the first before the others; the last leaves the plot at its top.
fn zones() -> Plot {
    let line = |f: fn(f64) -> f64, last: i32| (0..=last).map(f64::from).map(|x| (x, f(x))).collect();
    let series = vec![
        series("low", Drawn::Zone(Tone::Best), line(|_| 2.0, 40)),
        series("middle", Drawn::Zone(Tone::Fair), line(|x| x, 40)),
        series("high", Drawn::Zone(Tone::Horrible), line(|x| x * x / 5.0, 14)),
    ];
    plot("Zones", axis("x", Unit::Plain, Scale::Linear), axis("y", Unit::Plain, Scale::Linear), series)
}

fn named(names: &[&str], scale: Scale, series: Vec<Series>) -> Plot {
    let names = names.iter().map(|name| name.to_string()).collect();
    let x = Across::Names { label: "what".to_string(), names };
    Plot { title: "Latency".to_string(), x, y: axis("time", Unit::Seconds, scale), series, in_table: false }
}

fn places(values: &[f64]) -> Vec<(f64, f64)> {
    values.iter().enumerate().map(|(i, y)| (i as f64, *y)).collect()
}

fn all() -> Vec<(&'static str, Plot)> {
    let log = |label, unit| axis(label, unit, Scale::Log);
    let linear = |label, unit| axis(label, unit, Scale::Linear);
    let long = "a label that goes on and on, far beyond what any window can show beside a plot, and then goes on";
    let classes = ["1", "log n", "√n", "n", "n log n", "n√n", "n²", "n² log n", "n³", "2ⁿ", "n!"];
    let slope = |i: usize| (1..=50).map(|x| (f64::from(x), f64::from(x).powf(i as f64 / 3.0))).collect();
    let many = classes.iter().enumerate().map(|(i, class)| series(class, Drawn::Line, slope(i)));
    let found = [1.2e-9, 4e-9, 87e-9, 110e-9, 20e-6, 150e-6];
    let published = [1e-9, 4e-9, 100e-9, f64::NAN, 10e-6, 100e-6];
    let gap = |i: i32| (f64::from(i), if i == 20 { f64::NAN } else { 1.0 + (f64::from(i) / 5.0).sin().abs() });
    vec![
        ("linear", growth(Scale::Linear)),
        ("log", growth(Scale::Log)),
        (
            "one",
            plot(
                "One",
                log("n", COUNT),
                log("time", Unit::Seconds),
                vec![series("", Drawn::Points, vec![(100.0, 0.5)])],
            ),
        ),
        (
            "none",
            plot("None", linear("n", COUNT), linear("time", Unit::Seconds), vec![series("a", Drawn::Line, vec![])]),
        ),
        (
            "left-out",
            plot(
                "Left out",
                log("n", COUNT),
                linear("ratio", Unit::Times),
                vec![
                    series("gap", Drawn::Line, (0..40).map(gap).collect()),
                    series("p", Drawn::Points, vec![(10.0, 1.5), (3.0, f64::INFINITY)]),
                    series("q", Drawn::Points, vec![(10.0, 1.5), (-3.0, 1.0)]),
                ],
            ),
        ),
        ("cloud", cloud()),
        ("zones", zones()),
        (
            "long",
            plot(
                long,
                linear(long, Unit::Bytes),
                linear(long, Unit::PerSecond("rows")),
                vec![
                    series(long, Drawn::Points, vec![(1e5, 1e6), (2e5, 3e6)]),
                    series(long, Drawn::Line, vec![(1e5, 1e6), (2e5, 3e6)]),
                ],
            ),
        ),
        ("many", plot("Classes", linear("n", COUNT), log("steps", Unit::Count("steps")), many.collect())),
        (
            "bars",
            plot(
                "Bars",
                linear("n", COUNT),
                linear("change", Unit::Bytes),
                vec![
                    series("a", Drawn::Bars, (1..6).map(|i| (f64::from(i), f64::from(i * 1000 - 2500))).collect()),
                    series("b", Drawn::Bars, (1..6).map(|i| (f64::from(i), f64::from(6000 - i * 1500))).collect()),
                ],
            ),
        ),
        (
            "names",
            named(
                &["L1", "L2", "memory", "system call", long, "disk read, cold"],
                Scale::Log,
                vec![
                    series("measured", Drawn::Bars, places(&found)),
                    series("published", Drawn::Bars, places(&published)),
                ],
            ),
        ),
    ]
}

fn styled(width: usize) -> Style {
    Style { format: Format::Table, width, ..PLAIN }
}

fn text(plot: &Plot, style: &Style) -> String {
    let report = Report { blocks: vec![Block::Plot(plot.clone())], ..Report::default() };
    let drawn = show::report(&report, style);
    assert_eq!(drawn.err, "", "a plot says nothing on standard error");
    drawn.out
}

#[test]
fn plots_look_as_they_were_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept/plots");
    let update = std::env::var_os("TIMELAB_UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut check = |name: String, now: String| {
        let path = folder.join(name);
        if update {
            std::fs::create_dir_all(&folder).expect("the folder can be made");
            std::fs::write(&path, &now).expect("the kept plot can be written");
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != now {
            wrong.push(format!("{} is now\n{now}", path.display()));
        }
    };
    for (name, plot) in all() {
        let widths = [60, 80, 120].map(|width| format!("{width} columns\n{}\n", text(&plot, &styled(width))));
        let ascii = text(&plot, &Style { ascii: true, ..styled(60) });
        let coloured = text(&plot, &Style { color_out: true, ..styled(60) }).replace('\u{1b}', "␛");
        check(
            format!("{name}.txt"),
            format!("{}60 columns, ASCII\n{ascii}\n60 columns, colours\n{coloured}", widths.concat()),
        );
        check(format!("{name}.svg"), show::svg(&plot));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Values of every size, alone and together.
fn odd() -> Vec<Plot> {
    let values = [
        vec![0.0],
        vec![-1.0],
        vec![1.0, 1.0],
        vec![f64::MAX, f64::MIN],
        vec![f64::MAX],
        vec![5e-324, 1e-323],
        vec![5e-324, f64::MAX],
        vec![f64::MIN_POSITIVE, 1.0],
        vec![1e16, 1e16 + 2.0],
        vec![-3e-9, 2e-9, 7e-9],
        vec![1.0, 1.000001],
        vec![119.0, 121.0],
        vec![0.1, 0.2, 0.3],
        vec![1e-20, 2e-20],
        vec![999.0, 1001.0],
        vec![f64::NAN, f64::NEG_INFINITY],
        vec![],
    ];
    let units = [
        Unit::Seconds,
        Unit::Bytes,
        Unit::Count("rows"),
        Unit::PerSecond("rows"),
        Unit::BytesPerSecond,
        Unit::Ratio(Bounds::Interval),
        Unit::Times,
        Unit::Plain,
    ];
    let mut plots = Vec::new();
    for (i, values) in values.iter().enumerate() {
        for scale in [Scale::Linear, Scale::Log] {
            for drawn in [Drawn::Points, Drawn::Line, Drawn::Bars] {
                let unit = units[plots.len() % units.len()];
                let (x, y) = (axis("x", unit, scale), axis("y", units[i % units.len()], scale));
                let same = values.iter().map(|value| (*value, *value)).collect();
                let reversed = values.iter().copied().zip(values.iter().rev().copied()).collect();
                let series = vec![series("a", drawn, same), series("b", Drawn::Line, reversed)];
                plots.push(plot("odd \u{1b}[31m <&>\"' \u{202e}", x, y, series));
                let one = vec![Series { label: "\u{1b}[2J".to_string(), drawn, points: places(values) }];
                plots.push(named(&["ünïcode 漢字漢字", ""], scale, one));
            }
        }
    }
    plots
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_string();
    first + &parts.map(|part| part.split_once('m').expect("a colour ends").1).collect::<String>()
}

#[test]
fn every_plot_fits_into_its_window() {
    let plots: Vec<Plot> = all().into_iter().map(|(_, plot)| plot).chain(odd()).collect();
    for plot in &plots {
        for width in [1, 30, 60, 80, 120, 1000] {
            let plain = text(plot, &styled(width));
            let widest = plain.lines().map(|line| line.width()).max().unwrap_or(0);
            assert!(widest < width.max(25), "{widest} columns in a window of {width}:\n{plain}\n{plot:?}");
            assert!(plain.chars().all(|c| c == '\n' || !c.is_control()), "{plain}");
            let coloured = text(plot, &Style { color_out: true, ..styled(width) });
            assert_eq!(without_colours(&coloured), plain, "colours change nothing else");
            let ascii = text(plot, &Style { ascii: true, ..styled(width) });
            assert!(ascii.is_ascii(), "{ascii}");
            let widest = ascii.lines().map(str::len).max().unwrap_or(0);
            assert!(widest < width.max(25), "{widest} columns in a window of {width}:\n{ascii}\n{plot:?}");
        }
    }
}

#[test]
fn the_svg_is_one_well_formed_element_without_references() {
    let plots: Vec<Plot> = all().into_iter().map(|(_, plot)| plot).chain(odd()).collect();
    for plot in &plots {
        let svg = show::svg(plot);
        let elements = elements(&svg);
        assert_eq!(elements.iter().filter(|element| element.depth == 0).count(), 1, "{svg}");
        assert_eq!(elements[0].name, "svg");
        assert_eq!(elements[0].attribute("role"), Some("img"));
        assert!(elements[1].name == "title" && elements[1].text.len() == plot_text(&plot.title).len(), "{svg}");
        assert!(elements[2].name == "desc" && elements[2].text.starts_with("x axis: "), "{svg}");
        for element in &elements {
            let known = ["svg", "title", "desc", "path", "text", "tspan"];
            assert!(known.contains(&element.name.as_str()), "{}", element.name);
            let names = element.attributes.iter().map(|(name, _)| name.as_str());
            assert!(names.clone().all(|name| !name.contains("href") && name != "id" && name != "class"), "{svg}");
            let values = element.attributes.iter().map(|(_, value)| value);
            assert!(values.clone().all(|value| !["NaN", "inf", "url("].iter().any(|odd| value.contains(odd))), "{svg}");
        }
    }
}

/// As long as a text is once its unsafe characters are replaced and the XML is read again.
fn plot_text(text: &str) -> String {
    text.chars().map(|c| if escape::is_unsafe(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

#[test]
fn each_value_lies_where_the_axes_of_the_svg_say() {
    for scale in [Scale::Linear, Scale::Log] {
        let plot = growth(scale);
        let elements = elements(&show::svg(&plot));
        let labels = |anchor: &str| -> Vec<(f64, f64, f64)> {
            let of = |element: &&Element| element.attribute("text-anchor") == Some(anchor);
            let labels = elements.iter().filter(of);
            labels.filter_map(|label| Some((number(&label.text)?, label.at("x"), label.at("y")))).collect()
        };
        // A label of the y axis stands 4 pixels below its line.
        let up: Vec<(f64, f64)> = labels("end").iter().map(|(value, _, y)| (*value, y - 4.0)).collect();
        let across: Vec<(f64, f64)> = labels("middle").iter().map(|(value, x, _)| (*value, *x)).collect();
        assert!(up.len() >= 3 && across.len() >= 3, "{up:?} {across:?}");
        let marks =
            elements.iter().find(|element| element.attribute("d").is_some_and(|d| d.contains("a4 4"))).expect("marks");
        let marks: Vec<(f64, f64)> =
            marks.attribute("d").expect("a path").split('M').skip(1).map(first_place).collect();
        assert_eq!(marks.len(), plot.series[0].points.len());
        for ((x, y), (left, top)) in plot.series[0].points.iter().zip(marks) {
            assert!((between(&across, *x, scale) - left).abs() < 0.3, "{x} at {left}: {across:?}");
            assert!((between(&up, *y, scale) - top).abs() < 0.3, "{y} at {top}: {up:?}");
        }
    }
}

#[test]
fn each_value_lies_where_the_axes_of_the_text_say() {
    for scale in [Scale::Linear, Scale::Log] {
        for ascii in [false, true] {
            let mut plot = growth(scale);
            plot.series.truncate(1);
            let drawn = text(&plot, &Style { ascii, ..styled(80) });
            let (mark, side, floor) = if ascii { ('o', '+', '+') } else { ('●', '┤', '┬') };
            let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
            let bottom =
                lines.iter().position(|line| line.iter().filter(|c| **c == floor).count() >= 3).expect("a floor");
            let mut up = Vec::new();
            let mut marks = Vec::new();
            for (row, line) in lines[..bottom].iter().enumerate() {
                let line_text: String = line.iter().collect();
                if let Some((label, _)) = line_text.split_once(side)
                    && let Some(value) = number(label)
                {
                    up.push((value, row as f64));
                }
                let found = line.iter().enumerate().filter(|(_, c)| **c == mark);
                marks.extend(found.map(|(column, _)| (column as f64, row as f64)));
            }
            let ticks = lines[bottom].iter().enumerate().filter(|(_, c)| **c == floor).map(|(column, _)| column as f64);
            let ticks = ticks.skip(usize::from(ascii));
            let labels: String = lines[bottom + 1].iter().collect();
            let across: Vec<(f64, f64)> = labels.split_whitespace().filter_map(number).zip(ticks).collect();
            assert!(up.len() >= 3 && across.len() >= 3, "{drawn}");
            let plotted: Vec<(f64, f64)> = plot.series[0].points.clone();
            for (x, y) in plotted {
                let (column, row) = (between(&across, x, scale), between(&up, y, scale));
                let near = |(left, top): &(f64, f64)| (left - column).abs() <= 1.5 && (top - row).abs() <= 1.5;
                assert!(marks.iter().any(near), "({x}, {y}) should be near column {column}, row {row}:\n{drawn}");
            }
        }
    }
}

/// Where an axis puts a value, from two of its labels.
fn between(ticks: &[(f64, f64)], value: f64, scale: Scale) -> f64 {
    let along = |value: f64| if scale == Scale::Log { value.ln() } else { value };
    let is_zero = |tick: &&(f64, f64)| scale == Scale::Log && tick.0 <= 0.0;
    let mut ticks = ticks.iter().filter(|tick| !is_zero(tick));
    let (first, last) = (ticks.next().expect("a tick"), ticks.next_back().expect("two ticks"));
    first.1 + (along(value) - along(first.0)) / (along(last.0) - along(first.0)) * (last.1 - first.1)
}

/// `20 ms`, `5k`, `0`.
fn number(label: &str) -> Option<f64> {
    let label = label.trim();
    let end = label.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(label.len());
    let factor = match label[end..].trim() {
        "" => 1.0,
        "k" => 1e3,
        "µs" | "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(label[..end].parse::<f64>().ok()? * factor)
}

/// `24.5 300m-4 0…`
fn first_place(path: &str) -> (f64, f64) {
    let end = path.find('m').expect("a shape follows");
    let (x, y) = path[..end].split_once(' ').expect("two numbers");
    (x.parse().expect("a number"), y.parse().expect("a number"))
}

#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    /// The text directly in it.
    text: String,
    depth: usize,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn at(&self, name: &str) -> f64 {
        self.attribute(name).and_then(|value| value.parse().ok()).expect("a number")
    }
}

/// The elements of an XML text, which must be well-formed: each closed in its order, attributes quoted and given once,
/// only known entities.
#[track_caller]
fn elements(xml: &str) -> Vec<Element> {
    let mut found: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = xml;
    while !rest.is_empty() {
        let at = rest.find('<').unwrap_or(rest.len());
        let text = unescaped(&rest[..at]);
        match open.last() {
            Some(last) => found[*last].text.push_str(&text),
            None => assert!(text.trim().is_empty(), "text outside: {text}"),
        }
        rest = &rest[at..];
        if rest.is_empty() {
            break;
        }
        let mut quoted = false;
        let end = rest
            .find(|c| {
                quoted ^= c == '"';
                c == '>' && !quoted
            })
            .expect("a tag ends");
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop().expect("an element is open");
            assert_eq!(found[last].name, name, "closed in the order of opening");
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element =
            Element { name: name.to_string(), attributes: Vec::new(), text: String::new(), depth: open.len() };
        while !attributes.trim().is_empty() {
            let (name, more) = attributes.trim_start().split_once("=\"").expect("an attribute has a value");
            let (value, more) = more.split_once('"').expect("a value ends");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == 'B'), "{name}");
            assert!(element.attribute(name).is_none(), "{name} is given twice");
            assert!(!value.contains('<'), "{value}");
            element.attributes.push((name.to_string(), unescaped(value)));
            attributes = more;
        }
        if !closed {
            open.push(found.len());
        }
        found.push(element);
    }
    assert!(open.is_empty(), "all is closed");
    found
}

#[track_caller]
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (entity, rest) = part.split_once(';').expect("an entity ends");
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            other => panic!("the entity {other}"),
        });
        out.push_str(rest);
    }
    assert!(out.chars().all(|c| c == '\n' || !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')), "{out:?}");
    out
}

#[test]
fn programs_get_the_points() {
    let points = vec![(1.0, 0.5), (2.0, f64::NAN), (-4.0, 2.0)];
    let y = axis("time", Unit::Seconds, Scale::Log);
    let mut plot = plot("t", axis("n", COUNT, Scale::Log), y, vec![series("a, b", Drawn::Points, points)]);
    plot.series.push(series("fit", Drawn::Line, vec![(1.0, 1.0)]));
    let format = |plot: &Plot, format| text(plot, &Style { format, ..styled(80) });
    assert_eq!(format(&plot, Format::Csv), "series,x,y\n\"a, b\",1,0.5\n\"a, b\",2,NaN\n\"a, b\",-4,2.0\nfit,1,1.0\n");
    let json: serde_json::Value = serde_json::from_str(&format(&plot, Format::Json)).expect("json");
    assert_eq!(json[1], serde_json::json!({"series": "a, b", "x": 2, "y": null}));
    assert_eq!(json.as_array().map(Vec::len), Some(4));
    let markdown = format(&plot, Format::Markdown);
    assert!(markdown.starts_with("| series | x | y |\n|---|---:|---:|\n| a, b | 1 | 0.5 |\n"), "{markdown}");
    // Where a table holds the points already, programs get them once.
    plot.in_table = true;
    for (of, is_there) in
        [(Format::Table, true), (Format::Csv, false), (Format::Json, false), (Format::Markdown, false)]
    {
        assert_eq!(!format(&plot, of).is_empty(), is_there, "{of:?}");
    }
    let bars =
        named(&["L1", "L2"], Scale::Log, vec![series("", Drawn::Bars, vec![(0.0, 1e-9), (1.0, 4e-9), (2.0, 1.0)])]);
    assert_eq!(format(&bars, Format::Csv), "series,x,y\n\"\",L1,1e-9\n\"\",L2,4e-9\n\"\",,1.0\n");
}

#[test]
fn a_plot_stands_beside_its_table_where_there_is_room() {
    let columns = [("n", Type::Int), ("median", Type::Float)];
    let columns = columns.map(|(name, ty)| Column { name: name.to_string(), ty });
    let mut plot = growth(Scale::Log);
    plot.in_table = true;
    let (x, y) = plot.series[0].points.iter().map(|(x, y)| (Value::Int(*x as i64), Value::Float(*y))).unzip();
    let table = Table::from_columns(Schema::new(columns.to_vec(), Order::Kept), 5, &[x, y]);
    let meanings = vec![Unit::Plain.counted(), Unit::Seconds.measured()];
    let figures = Figures { table, meanings, rows: MeasuredRows::default(), is_whole: false };
    let drawn = |style: &Style| {
        let blocks = vec![Block::Figures(figures.clone()), Block::Plot(plot.clone())];
        show::report(&Report { blocks, ..Report::default() }, style).out
    };
    let narrow = drawn(&styled(60));
    let (table, below) = narrow.split_at(narrow.find("letters").expect("a title"));
    assert_eq!(below, text(&plot, &styled(60)));
    let wide = drawn(&Style { color_out: true, ..styled(100) });
    let plain = without_colours(&wide);
    let lines: Vec<&str> = plain.lines().collect();
    let column = table.lines().map(|line| line.width()).max().unwrap_or(0) + 2;
    for (line, of_table) in lines.iter().zip(table.lines()) {
        assert!(line.starts_with(of_table) && line.width() < 100, "{plain}");
    }
    let beside: String = lines.iter().map(|line| line.chars().skip(column).collect::<String>() + "\n").collect();
    assert_eq!(beside, text(&plot, &styled(100 - column)));
    assert!(drawn(&Style { format: Format::Csv, ..styled(100) }).starts_with("n,median\n500,0.000122\n"));
}

#[test]
fn what_is_not_drawn_is_counted() {
    let note = |plot: &Plot| text(plot, &styled(100)).lines().last().unwrap_or_default().to_string();
    let points = vec![(1.0, 1.0), (0.0, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0), (2.0, -0.0)];
    let log = |label| axis(label, Unit::Plain, Scale::Log);
    let both = plot("", log("x"), log("y"), vec![series("", Drawn::Points, points.clone())]);
    assert_eq!(note(&both), "4 of 5 points are not drawn: 2 not finite, 2 not above 0 on a log axis");
    let linear = |label| axis(label, Unit::Plain, Scale::Linear);
    let neither = plot("", linear("x"), linear("y"), vec![series("", Drawn::Points, points)]);
    assert_eq!(note(&neither), "2 of 5 points are not drawn: 2 not finite");
    let bars = named(&["a"], Scale::Linear, vec![series("", Drawn::Bars, vec![(0.0, 1.0), (1.0, 1.0)])]);
    assert_eq!(note(&bars), "1 of 2 points is not drawn: 1 without a name on the x axis");
    let nothing = plot("t", linear("x"), linear("y"), vec![]);
    assert_eq!(text(&nothing, &styled(80)), "t\nno points to draw\n");
    assert!(show::svg(&nothing).contains(">no points to draw<"));
    let shared = text(&growth(Scale::Log), &styled(80));
    assert!(!shared.contains("not drawn"), "{shared}");
}

#[test]
fn series_differ_by_their_marks_too() {
    let (_, many) = all().into_iter().find(|(name, _)| *name == "many").expect("it is there");
    for ascii in [false, true] {
        let drawn = text(&many, &Style { ascii, ..styled(120) });
        let body = drawn.lines().filter(|line| line.contains(if ascii { ['|', '+'] } else { ['│', '┤'] }));
        let body: String = body.collect();
        let marks = if ascii { "ox#@%&$ABC" } else { "●▲■◆○△□◇ABC" };
        for mark in marks.chars() {
            assert!(body.contains(mark), "{mark} stands on its line:\n{drawn}");
        }
    }
}

#[test]
fn the_locale_decides_about_ascii() {
    let ascii = |set: &[(&str, &str)]| {
        in_ascii_only(|name| set.iter().find(|(own, _)| *own == name).map(|(_, value)| value.to_string()))
    };
    assert!(!ascii(&[("LANG", "en_US.UTF-8"), ("TERM", "xterm")]));
    assert!(!ascii(&[("LANG", "C.utf8")]));
    assert!(ascii(&[("LANG", "en_US.UTF-8"), ("TERM", "dumb")]));
    assert!(ascii(&[("LANG", "de_DE.ISO-8859-1")]));
    assert!(ascii(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
    assert!(!ascii(&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")]));
    assert!(ascii(&[]));
}
