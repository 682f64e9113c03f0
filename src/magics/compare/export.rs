//! Every sample of a comparison in a file.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, Word};
use crate::measure::Samples;
use crate::report::Note;
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show::duration_text;

use super::rounds::{Entry, Round};

/// Where the samples go, and how.
pub struct Export {
    word: Word,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Csv,
    Json,
    Markdown,
}

/// The value of `--export`.
pub fn asked(session: &Session, magic: &lang::Magic) -> Fallible<Option<Export>> {
    let Some(word) = magic.option("--export").flatten() else { return Ok(None) };
    let extension = Path::new(&word.text).extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let form = match extension.as_deref() {
        Some("csv") => Form::Csv,
        Some("json") => Form::Json,
        Some("md") => Form::Markdown,
        _ => {
            let message = format!("`--export` must end with .csv, .json or .md, got \"{}\"", word.text);
            return Err(Diagnostic::at(Kind::File, word.span, message).hint("--export samples.csv"));
        }
    };
    // Told before the work is done.
    files::target(&files::expanded(&word.text), &word.text, session.confined)
        .map_err(|error| error.or_at(word.span))?;
    Ok(Some(Export { word: word.clone(), form }))
}

/// A variant at a point, with its samples in seconds.
struct Sampled<'a> {
    point: Option<i64>,
    entry: &'a Entry<'a>,
    times: Vec<f64>,
}

impl Export {
    pub fn write(
        &self,
        name: &str,
        points: &Option<Vec<i64>>,
        rounds: &[Round],
        context: &RunContext,
    ) -> Fallible<Note> {
        let all: Vec<Sampled> = rounds
            .iter()
            .enumerate()
            .flat_map(|(place, round)| {
                let point = points.as_ref().map(|points| points[place]);
                round.entries.iter().filter_map(move |entry| {
                    let samples = entry.ran()?.samples.as_ref()?;
                    let times = samples.each().iter().map(|time| time / 1e9).collect();
                    Some(Sampled { point, entry, times })
                })
            })
            .collect();
        let text = match self.form {
            Form::Csv => csv(name, &all),
            Form::Json => json_text(name, &all),
            Form::Markdown => markdown(name, &all),
        };
        let written = files::write_bytes(&self.word.text, text.as_bytes(), context.confined);
        written.map_err(|error| error.or_at(self.word.span))?;
        let count: usize = all.iter().map(|sampled| sampled.times.len()).sum();
        let note = Note::from("").measured_count(count as u64, "samples");
        Ok(note.text(format!(" written to \"{}\"", self.word.text)))
    }
}

/// A row for each sample.
fn csv(name: &str, all: &[Sampled]) -> String {
    let swept = all.iter().any(|sampled| sampled.point.is_some());
    let mut text = if swept { format!("{},", field(name)) } else { String::new() };
    text.push_str("variant,sample,seconds,wall,user,system,peak,status\n");
    for sampled in all {
        for (place, time) in sampled.times.iter().enumerate() {
            if let Some(point) = sampled.point {
                text.push_str(&format!("{point},"));
            }
            let ran = sampled.entry.ran().and_then(|ran| ran.command.as_ref()?.runs.get(place));
            let rest = ran.map_or(",,,,".to_string(), |ran| {
                let [wall, user, system] = [ran.wall, ran.user, ran.system].map(|time| time.as_secs_f64());
                let status = ran.status.code().map_or(String::new(), |code| code.to_string());
                format!("{wall},{user},{system},{},{status}", ran.peak)
            });
            text.push_str(&format!("{},{},{time},{rest}\n", field(&sampled.entry.variant.name), place + 1));
        }
    }
    text
}

fn field(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}

/// As hyperfine writes it, so that its tools read it.
fn json_text(name: &str, all: &[Sampled]) -> String {
    let result = |sampled: &Sampled| {
        let command = sampled.entry.ran().and_then(|ran| ran.command.as_ref());
        // There they are times of the wall, whatever the clock of a verdict is here.
        let walls = command.map(|command| command.runs.iter().map(|ran| ran.wall.as_secs_f64()).collect());
        let times: Vec<f64> = walls.unwrap_or_else(|| sampled.times.clone());
        let samples = Samples::new(1, times.clone());
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let squares = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
        let mut result = json!({
            "command": command.map_or(&sampled.entry.variant.name, |command| &command.text),
            "name": sampled.entry.variant.name,
            "mean": mean,
            "stddev": if count > 1.0 { json!((squares / (count - 1.0)).sqrt()) } else { Json::Null },
            "median": samples.median(),
            "min": samples.quantile(0.0),
            "max": samples.quantile(1.0),
            "times": times,
        });
        if let Some(command) = command {
            result["user"] = json!(command.median(|ran| ran.user.as_secs_f64()));
            result["system"] = json!(command.median(|ran| ran.system.as_secs_f64()));
            result["memory_usage_byte"] = command.runs.iter().map(|ran| ran.peak).collect();
            result["exit_codes"] = command.runs.iter().map(|ran| json!(ran.status.code())).collect();
        }
        if let Some(point) = sampled.point {
            result["parameters"] = json!({ name: point.to_string() });
        }
        result
    };
    let results: Vec<Json> = all.iter().map(result).collect();
    format!("{:#}\n", json!({ "results": results }))
}

fn markdown(name: &str, all: &[Sampled]) -> String {
    let mut text = format!("| variant | {name} | sample | time |\n|---|---:|---:|---:|\n");
    if all.iter().all(|sampled| sampled.point.is_none()) {
        text = "| variant | sample | time |\n|---|---:|---:|\n".to_string();
    }
    for sampled in all {
        let variant = sampled.entry.variant.name.replace('|', "\\|");
        let point = sampled.point.map_or(String::new(), |point| format!(" {point} |"));
        for (place, time) in sampled.times.iter().enumerate() {
            text.push_str(&format!("| {variant} |{point} {} | {} |\n", place + 1, duration_text(*time)));
        }
    }
    text
}
