//! Records at the places of a job, and the ways between these: as lines, and as one SVG element.

use std::fmt::Write as _;

use crate::report::{Flow, FlowNode};

use super::map::xml;
use super::{Style, cut, escaped};

/// The places, a line each, below the steps that they belong to.
pub fn flow_text(flow: &Flow, style: &Style) -> String {
    let mut text = String::new();
    let mut column = None;
    for node in &flow.nodes {
        if column != Some(node.column) {
            let _ = writeln!(text, "{}", escaped(&node.step));
            column = Some(node.column);
        }
        let line = format!("  {:24} {}", node.place, records(node).join(" · "));
        let line = escaped(&line);
        let _ = writeln!(text, "{}", if style.wrap { cut(&line, style.width) } else { line.to_string() });
    }
    text
}

fn records(node: &FlowNode) -> Vec<String> {
    let mut records = node.records.clone();
    match (records.is_empty(), node.more) {
        (true, _) => records.push("nothing".to_string()),
        (false, 0) => {}
        (false, more) => records.push(format!("… {more} more")),
    }
    records
}

const LINE: f64 = 15.0;
const LETTER: f64 = 6.6;
const GAP: f64 = 46.0;
const MARGIN: f64 = 8.0;
/// So many characters of a record, or of a step with its columns, are drawn.
const MOST: usize = 40;

/// A flow as one SVG element that needs nothing else: steps from left to right, their places one below the other.
pub fn flow_svg(flow: &Flow) -> String {
    let columns = flow.nodes.iter().map(|node| node.column + 1).max().unwrap_or(0);
    let lines = |node: &FlowNode| records(node).iter().map(|record| cut(record, MOST)).collect::<Vec<String>>();
    let of = |column: usize| flow.nodes.iter().enumerate().filter(move |(_, node)| node.column == column);
    let mut places = vec![(0.0, 0.0, 0.0, 0.0); flow.nodes.len()];
    let (mut x, mut bottom, mut body) = (MARGIN, 0.0_f64, String::new());
    for column in 0..columns {
        let longest = |node: &FlowNode| {
            let texts = [&node.place, &node.step].map(|text| text.chars().count().min(MOST));
            lines(node).iter().map(|line| line.chars().count()).chain(texts).max().unwrap_or(0)
        };
        let width = of(column).map(|(_, node)| longest(node)).max().unwrap_or(0) as f64 * LETTER + 12.0;
        let mut y = MARGIN + 2.0 * LINE;
        if let Some((_, first)) = of(column).next() {
            let step = xml(&cut(&first.step, MOST));
            let _ = writeln!(
                body,
                "<text x=\"{x:.1}\" y=\"{:.1}\" font-weight=\"bold\" fill=\"currentColor\">{step}</text>",
                MARGIN + LINE
            );
        }
        for (at, node) in of(column) {
            let lines = lines(node);
            let height = (lines.len() as f64 + 1.0) * LINE + 6.0;
            places[at] = (x, y, width, height);
            let _ = write!(
                body,
                "<g><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\" fill=\"none\" \
                 stroke=\"currentColor\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" fill=\"currentColor\" opacity=\"0.7\">{}</text>",
                x + 6.0,
                y + LINE - 1.0,
                xml(&node.place)
            );
            for (row, line) in lines.iter().enumerate() {
                let _ = write!(
                    body,
                    "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"currentColor\">{}</text>",
                    x + 6.0,
                    y + (row as f64 + 2.0) * LINE - 1.0,
                    xml(line)
                );
            }
            body.push_str("</g>\n");
            y += height + LINE;
        }
        bottom = bottom.max(y);
        x += width + GAP;
    }
    let mut ways = String::new();
    for (from, to) in &flow.links {
        let ((x, y, width, height), (to_x, to_y, _, to_height)) = (places[*from], places[*to]);
        let (start, end) = ((x + width, y + height / 2.0), (to_x, to_y + to_height / 2.0));
        let middle = (start.0 + end.0) / 2.0;
        let _ = writeln!(
            ways,
            "<path d=\"M{:.1} {:.1} C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}\" fill=\"none\" \
             stroke=\"currentColor\" opacity=\"0.45\"/>",
            start.0, start.1, start.1, end.1, end.0, end.1
        );
    }
    let (wide, title) = ((x - GAP + MARGIN).max(MARGIN), xml(&flow.title));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide:.0} {bottom:.0}\" width=\"{wide:.0}\" \
         height=\"{bottom:.0}\" role=\"img\" aria-label=\"{title}\" font-family=\"sans-serif\" font-size=\"11\" \
         style=\"max-width:100%;height:auto\">\n<title>{title}</title>\n{ways}{body}</svg>\n"
    )
}
