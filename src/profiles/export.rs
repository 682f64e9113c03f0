//! Profiles for other tools: folded stacks, speedscope, pprof.

use std::io::Write;

use serde_json::json;

use super::{Function, Node, Profile, Unit};

/// A line for each stack that has time of its own, in whole units: microseconds, or samples.
pub fn folded(profile: &Profile) -> String {
    let scale = if profile.unit == Unit::Seconds { 1e6 } else { 1.0 };
    let mut names: Vec<Option<String>> = vec![None; profile.functions.len()];
    let mut text = String::new();
    for node in profile.nodes.iter().skip(1) {
        let weight = (node.own * scale).round();
        if weight < 1.0 {
            continue;
        }
        for (place, function) in stack_of(profile, node).iter().enumerate() {
            if place > 0 {
                text.push(';');
            }
            let name = names[*function].get_or_insert_with(|| frame(&profile.functions[*function]));
            text.push_str(name);
        }
        text.push_str(&format!(" {weight}\n"));
    }
    text
}

/// The functions of a node's stack, the outermost first.
fn stack_of(profile: &Profile, node: &Node) -> Vec<usize> {
    let mut stack = vec![node.function];
    let mut at = node;
    while at.parent != 0 {
        at = &profile.nodes[at.parent];
        stack.push(at.function);
    }
    stack.reverse();
    stack
}

/// `name (file:line)`; what parts stacks is replaced.
fn frame(function: &Function) -> String {
    let place = if function.file.is_some() { format!(" ({})", function.place()) } else { String::new() };
    format!("{}{place}", function.name).replace(';', ":").replace(['\n', '\r'], " ")
}

pub fn speedscope(profile: &Profile, name: &str) -> String {
    let (unit, scale) = match profile.unit {
        Unit::Seconds => ("microseconds", 1e6),
        Unit::Bytes => ("bytes", 1.0),
        Unit::Samples | Unit::Events(_) => ("none", 1.0),
    };
    let frame = |function: &Function| {
        let mut frame = json!({ "name": function.name });
        if let Some(file) = &function.file {
            frame["file"] = json!(file);
        }
        if let Some(line) = function.line {
            frame["line"] = json!(line);
        }
        frame
    };
    let frames: Vec<_> = profile.functions.iter().map(frame).collect();
    let (mut samples, mut weights) = (Vec::new(), Vec::new());
    for node in profile.nodes.iter().skip(1).filter(|node| node.own > 0.0) {
        samples.push(stack_of(profile, node));
        weights.push(node.own * scale);
    }
    let end: f64 = weights.iter().sum();
    let text = json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": { "frames": frames },
        "profiles": [{
            "type": "sampled", "name": name, "unit": unit, "startValue": 0, "endValue": end,
            "samples": samples, "weights": weights,
        }],
        "exporter": concat!("timelab ", env!("CARGO_PKG_VERSION")),
        "name": name,
    });
    format!("{text}\n")
}

/// Compressed, as the tools of pprof write it.
pub fn pprof(profile: &Profile) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = out.write_all(&super::pprof::write(profile));
    written.and_then(|()| out.finish()).expect("memory can be written")
}
