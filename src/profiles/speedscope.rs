//! The JSON of speedscope: frames, and for each thread samples or events.

use serde::Deserialize;

use super::{Function, Profile, ReadError, Stacks, Unit};

#[derive(Deserialize)]
struct File {
    shared: Shared,
    profiles: Vec<One>,
    exporter: Option<String>,
}

#[derive(Deserialize)]
struct Shared {
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    name: String,
    file: Option<String>,
    line: Option<u32>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum One {
    Sampled {
        #[serde(default)]
        name: String,
        unit: String,
        samples: Vec<Vec<usize>>,
        weights: Vec<f64>,
    },
    Evented {
        #[serde(default)]
        name: String,
        unit: String,
        #[serde(rename = "startValue", default)]
        start: f64,
        #[serde(rename = "endValue")]
        end: Option<f64>,
        events: Vec<Event>,
    },
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    frame: usize,
    at: f64,
}

/// What serde says is wrong, with its place in bytes.
pub fn wrong(bytes: &[u8], error: &serde_json::Error) -> ReadError {
    let line = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len);
    let offset = line.sum::<usize>() + error.column().saturating_sub(1);
    ReadError::at(format!("it is damaged: {error}"), offset)
}

pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| wrong(bytes, &error))?;
    let mut stacks = Stacks::default();
    for frame in file.shared.frames {
        let stem =
            |file: &String| std::path::Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let module = frame.file.as_ref().and_then(stem).unwrap_or_default();
        stacks.function(Function { module, file: frame.file, line: frame.line, ..Function::named(&frame.name) });
    }
    let frames = stacks.known();
    let mut unit: Option<(Unit, f64)> = None;
    let several = file.profiles.len() > 1;
    for (number, one) in file.profiles.into_iter().enumerate() {
        let (name, own) = match &one {
            One::Sampled { name, unit, .. } | One::Evented { name, unit, .. } => (name.clone(), unit.as_str()),
        };
        let own = match own {
            "nanoseconds" => (Unit::Seconds, 1e-9),
            "microseconds" => (Unit::Seconds, 1e-6),
            "milliseconds" => (Unit::Seconds, 1e-3),
            "seconds" => (Unit::Seconds, 1.0),
            "bytes" => (Unit::Bytes, 1.0),
            "none" => (Unit::Samples, 1.0),
            other => return Err(ReadError::new(format!("profile {} has the unknown unit `{other}`", number + 1))),
        };
        let known = unit.get_or_insert_with(|| own.clone());
        if known.0 != own.0 {
            return Err(ReadError::new("its profiles have different units"));
        }
        let scale = own.1;
        // Threads lie side by side.
        let below: Vec<usize> = if several { vec![stacks.function(Function::named(&name))] } else { Vec::new() };
        let unknown = |frame: usize| ReadError::new(format!("profile {} has no frame {frame}", number + 1));
        match one {
            One::Sampled { samples, weights, .. } => {
                if samples.len() != weights.len() {
                    let what =
                        format!("profile {} has {} samples and {} weights", number + 1, samples.len(), weights.len());
                    return Err(ReadError::new(what));
                }
                for (sample, weight) in samples.into_iter().zip(weights) {
                    if let Some(frame) = sample.iter().find(|frame| **frame >= frames) {
                        return Err(unknown(*frame));
                    }
                    if weight < 0.0 {
                        return Err(ReadError::new(format!("profile {} has a weight below zero", number + 1)));
                    }
                    stacks.add(below.iter().copied().chain(sample), weight * scale);
                }
            }
            One::Evented { start, end, events, .. } => {
                let (mut stack, mut last) = (below.clone(), start);
                for event in events {
                    if event.frame >= frames {
                        return Err(unknown(event.frame));
                    }
                    if event.at < last {
                        return Err(ReadError::new(format!(
                            "profile {} has an event before an earlier one",
                            number + 1
                        )));
                    }
                    if event.at > last && stack.len() > below.len() {
                        stacks.add(stack.iter().copied(), (event.at - last) * scale);
                    }
                    last = event.at;
                    match event.kind.as_str() {
                        "O" => stack.push(event.frame),
                        "C" if stack.len() > below.len() && stack.last() == Some(&event.frame) => drop(stack.pop()),
                        "C" => {
                            let what =
                                format!("profile {} closes the frame {} that is not open", number + 1, event.frame);
                            return Err(ReadError::new(what));
                        }
                        other => return Err(ReadError::new(format!("`{other}` is not a kind of event"))),
                    }
                }
                // What is still open goes on to the end.
                if let Some(rest) = end.map(|end| end - last).filter(|rest| *rest > 0.0 && stack.len() > below.len()) {
                    stacks.add(stack, rest * scale);
                }
            }
        }
    }
    let tool = file.exporter.map_or("speedscope".to_string(), |exporter| format!("speedscope of {exporter}"));
    Ok(stacks.profile(&tool, unit.map_or(Unit::Samples, |(unit, _)| unit)))
}
