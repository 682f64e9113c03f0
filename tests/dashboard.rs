//! The page of `%dashboard`, over a socket and in a browser.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use crate::lab::Lab;

/// Where the page is: host, and the token.
fn start(lab: &mut Lab) -> (String, String) {
    let said = lab.cell("%dashboard").out;
    let url = said.lines().next().unwrap_or_default().to_string();
    let (host, token) = url.strip_prefix("http://").and_then(|rest| rest.split_once("/?token=")).expect("an address");
    (host.to_string(), token.to_string())
}

/// The head and the body of the answer to a request as it is.
fn ask(host: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(host).expect("somebody listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_string(), body.to_string())
}

fn get(host: &str, path: &str) -> (String, String) {
    ask(host, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

#[test]
fn the_page_is_for_who_has_the_token() {
    let mut lab = Lab::new("batch");
    let (host, token) = start(&mut lab);
    assert!(host.starts_with("127.0.0.1:") && token.len() == 32, "{host} {token}");
    // The same page at a second time.
    assert_eq!(start(&mut lab), (host.clone(), token.clone()));
    let (head, body) = get(&host, &format!("/?token={token}"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in ["Content-Security-Policy: default-src 'none'; script-src 'sha256-", "Cache-Control: no-store"] {
        assert!(head.contains(line), "{head}");
    }
    // Nothing comes from elsewhere, and all of it can be reached without a mouse and read aloud.
    assert!(
        !body.contains("//cdn") && !body.contains("src=\"http") && !body.contains("@import"),
        "an outside resource"
    );
    for part in [
        "<html lang=\"en\">",
        "role=\"status\" aria-live=\"polite\"",
        "class=\"skip\"",
        "<caption",
        "scope=\"col\"",
        "<main",
        "<h1",
        "role=\"img\" aria-labelledby",
        "<label for=\"run\">",
        "aria-pressed",
    ] {
        assert!(body.contains(part), "{part}");
    }
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), "403"),
        (format!("GET /state HTTP/1.1\r\nHost: {host}\r\n\r\n"), "403"),
        (format!("GET /?token={}0 HTTP/1.1\r\nHost: {host}\r\n\r\n", &token[1..]), "403"),
        (format!("GET /?token= HTTP/1.1\r\nHost: {host}\r\n\r\n"), "403"),
        (format!("GET /?token={token} HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "403"),
        (format!("GET /?token={token} HTTP/1.1\r\n\r\n"), "403"),
        (format!("POST /state?token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n"), "405"),
        (format!("GET /other?token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n"), "404"),
        (format!("GET /?token={token} HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(9000)), "431"),
        ("\r\n\r\n".to_string(), "405"),
    ] {
        let (head, _) = ask(&host, &request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.60}: {head}");
    }
    assert!(lab.cell("%dashboard stop").out.contains("has ended"));
    assert!(TcpStream::connect(&host).is_err(), "somebody still listens");
    assert!(lab.cell("%dashboard stop").out.contains("there is no dashboard"));
    assert!(lab.cell("%dashboard now").err.contains("unexpected `now`"));
}

#[test]
fn a_shell_that_ends_ends_its_page() {
    let mut lab = Lab::new("batch");
    let (host, _) = start(&mut lab);
    drop(lab);
    assert!(TcpStream::connect(&host).is_err(), "somebody still listens");
}

/// The runs that the page is told of.
fn runs(host: &str, token: &str) -> Vec<Value> {
    let (_, body) = get(host, &format!("/state?token={token}"));
    let state: Value = serde_json::from_str(&body).expect("json");
    assert!(state["live"].is_u64(), "{body}");
    state["runs"].as_array().expect("a list").clone()
}

#[test]
fn runs_are_shown_with_their_tasks() {
    let mut lab = Lab::new("batch");
    let (host, token) = start(&mut lab);
    assert!(runs(&host, &token).is_empty());
    lab.cell("1..300k | count by it % 7 | on threads workers 2");
    lab.cell("1..200k | count by it % 7 | on workers workers 2");
    lab.cell("%mapreduce --chaos 0.5 1..100k | map k = if it % 2 == 0 then 1 else it | count by k | count");
    lab.cell("1..4 | peek 2 \"seen: \" | map 1 // (it - 3)");
    lab.cell("1..400k | map it % 100k | distinct | count | on batch memory 8MB");
    let all = runs(&host, &token);
    let named: Vec<&str> = all.iter().map(|run| run["engine"].as_str().unwrap_or_default()).collect();
    assert_eq!(named, ["threads", "workers", "mapreduce", "batch", "batch"]);
    for run in &all[..3] {
        let stages = run["stages"].as_array().expect("a list");
        let done: u64 = stages.iter().filter_map(|stage| stage["done"].as_u64()).sum();
        assert!(done > 1, "{run}");
        let tasks = run["tasks"].as_array().expect("a list");
        let is_whole = |task: &Value| task["end"].as_f64() >= task["start"].as_f64();
        assert!(tasks.len() as u64 >= done && tasks.iter().all(is_whole), "{run}");
        assert_eq!(run["state"], "done");
    }
    let failed = |run: &Value| -> u64 {
        run["stages"].as_array().expect("a list").iter().filter_map(|stage| stage["failed"].as_u64()).sum()
    };
    assert!(failed(&all[2]) > 0, "{}", all[2]);
    assert_eq!(all[2]["keys"][0]["key"], "1");
    assert_eq!(all[2]["keys"][0]["hot"], true);
    assert_eq!(all[3]["state"], "failed");
    let log = all[3]["log"].to_string();
    assert!(log.contains("seen:  1") && log.contains("division by zero"), "{log}");
    assert_eq!(all[4]["budget"], 8_000_000);
}

#[test]
fn a_job_is_seen_while_it_runs() {
    let mut lab = Lab::new("batch");
    lab.cell("let f = spawn 1..9000000000000 | filter it < 0 | count");
    let (host, token) = start(&mut lab);
    let running = loop {
        let runs = runs(&host, &token);
        if let Some(run) = runs.first().filter(|run| run["rows"].as_u64() > Some(0)) {
            break run.clone();
        }
        std::thread::yield_now();
    };
    assert_eq!(running["state"], "running");
    assert!(running["name"].as_str().is_some_and(|name| name.starts_with("f = 1..9000000000000")), "{running}");
    lab.cell("%jobs stop f");
    lab.cell("wait f");
    assert_eq!(runs(&host, &token)[0]["state"], "stopped");
}

/// A browser that has no window, where one is installed.
fn browser() -> Option<String> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell"];
    let is_there = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    names.into_iter().find(is_there).map(str::to_string)
}

#[test]
fn a_browser_draws_the_page() {
    let Some(browser) = browser() else {
        eprintln!("skipped: no browser (chromium, google-chrome) is installed");
        return;
    };
    let mut lab = Lab::new("batch");
    let (host, token) = start(&mut lab);
    lab.cell("1..300k | count by it % 7 | on threads workers 2");
    let url = format!("http://{host}/?token={token}");
    let drawn = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom", &url])
        .output()
        .expect("the browser starts");
    let page = String::from_utf8_lossy(&drawn.stdout);
    assert!(page.contains("done on threads") && page.contains("<rect class=\"t\""), "{page:.3000}");
}
