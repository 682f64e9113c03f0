//! A map of a profile in a terminal: arrows move, Enter zooms, Backspace leaves, `/` finds, `q` quits.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};

use crate::escape::escaped;
use crate::profiles::{Profile, ROOT};
use crate::report::Map;
use crate::show::{self, Canvas, Style, cut, node_name, percent, weight_text};

use super::progress::OtherScreen;

/// Shows a map until the person leaves it.
///
/// # Errors
/// Those of the terminal.
pub fn play(map: &Map, style: &Style) -> io::Result<()> {
    let _raw = Raw::new()?;
    let _screen = OtherScreen::enter()?;
    Player::new(map).run(style, &mut io::stdout())
}

/// The terminal gives each key at once, as long as this lives.
struct Raw(libc::termios);

impl Raw {
    fn new() -> io::Result<Raw> {
        let fd = io::stdin().as_raw_fd();
        // SAFETY: an all-zero termios is a valid one, which the system fills and reads.
        unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(fd, &raw mut before) != 0 {
                return Err(io::Error::last_os_error());
            }
            let mut raw = before;
            raw.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ISIG);
            raw.c_cc[libc::VMIN] = 1;
            raw.c_cc[libc::VTIME] = 0;
            if libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const raw) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Raw(before))
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the structure is the one that the system gave.
        unsafe { libc::tcsetattr(io::stdin().as_raw_fd(), libc::TCSAFLUSH, &raw const self.0) };
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Up,
    Down,
    Left,
    Right,
    Enter,
    Back,
    Escape,
    Char(char),
    End,
}

struct Player {
    map: Map,
    /// The roots that the person came through.
    before: Vec<usize>,
    selected: usize,
    finding: Option<String>,
    /// What the last search did not find.
    missed: Option<String>,
    children: Vec<Vec<usize>>,
    /// Whether callers were counted, and the tree misses what they took.
    is_estimated: bool,
}

impl Player {
    fn new(map: &Map) -> Player {
        let children = map.profile.children();
        let selected = children[map.root].first().copied().unwrap_or(map.root);
        let is_estimated = map.profile.is_tree_smaller();
        Player { map: map.clone(), before: Vec::new(), selected, finding: None, missed: None, children, is_estimated }
    }

    fn run(&mut self, style: &Style, out: &mut impl Write) -> io::Result<()> {
        // Not through a buffer, in which the rest of a key would lie unseen.
        let mut keys = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        loop {
            let (width, height) = size();
            let lines = height.saturating_sub(9).max(4);
            let canvas = Canvas::new(&self.map, &self.children, width, lines, Some(self.selected));
            let seen = canvas.seen();
            let drawn = canvas.drawn(&Style { width, ..*style });
            let text = drawn + &self.told(width);
            // Raw terminals need the return.
            write!(out, "\x1b[H\x1b[2J{}", text.replace('\n', "\r\n"))?;
            out.flush()?;
            // A terminal of another size is drawn anew.
            while !is_waiting(RESIZE_MS) && size() == (width, height) {}
            if size() != (width, height) {
                continue;
            }
            let key = read_key(&mut keys)?;
            self.missed = None;
            if self.finding.is_some() {
                self.find(key);
                continue;
            }
            match key {
                Key::Char('q') | Key::Char('\u{3}') | Key::Char('\u{4}') | Key::End => return Ok(()),
                Key::Up => self.go(&seen, (0.0, -1.0)),
                Key::Down => self.go(&seen, (0.0, 1.0)),
                Key::Left => self.go(&seen, (-1.0, 0.0)),
                Key::Right => self.go(&seen, (1.0, 0.0)),
                Key::Enter => self.zoom(),
                Key::Back | Key::Escape => {
                    if let Some(root) = self.before.pop() {
                        self.selected = self.map.root;
                        self.map.root = root;
                    }
                }
                Key::Char('/') => self.finding = Some(String::new()),
                Key::Char(_) => {}
            }
        }
    }

    /// Fills the map with the selected node; with its caller where it called nothing.
    fn zoom(&mut self) {
        let root = match self.children[self.selected].is_empty() {
            true => self.map.profile.nodes[self.selected].parent,
            false => self.selected,
        };
        if root != self.map.root {
            self.before.push(self.map.root);
            self.map.root = root;
        }
        if root == self.selected {
            self.selected = self.children[root].first().copied().unwrap_or(root);
        }
    }

    /// Selects the nearest node in a direction.
    fn go(&mut self, seen: &[(usize, (f64, f64))], (dx, dy): (f64, f64)) {
        let Some((_, (x, y))) = seen.iter().find(|(node, _)| *node == self.selected) else {
            self.selected = seen.first().map_or(self.selected, |(node, _)| *node);
            return;
        };
        let distance = |(node, (ox, oy)): &(usize, (f64, f64))| {
            // Characters are twice as high as wide.
            let (across, down) = (ox - x, 2.0 * (oy - y));
            let ahead = across * dx + down * dy;
            let aside = (across * dy).abs() + (down * dx).abs();
            (*node != self.selected && ahead > 0.5).then_some((ahead + 2.0 * aside, *node))
        };
        let nearest = seen.iter().filter_map(distance).min_by(|a, b| a.0.total_cmp(&b.0));
        self.selected = nearest.map_or(self.selected, |(_, node)| node);
    }

    fn find(&mut self, key: Key) {
        let Some(text) = &mut self.finding else { return };
        match key {
            Key::Enter => {
                let text = std::mem::take(text);
                let wanted = text.to_lowercase();
                self.finding = None;
                let profile = &self.map.profile;
                let has = |node: &usize| node_name(profile, *node).to_lowercase().contains(&wanted);
                // The next one with the name, then the largest.
                let below: Vec<usize> = (1..profile.nodes.len()).filter(has).collect();
                let next = below.iter().find(|node| **node > self.selected).or(below.first());
                if next.is_none() {
                    self.missed = Some(text);
                } else if let Some(node) = next.filter(|_| !wanted.is_empty()) {
                    self.selected = *node;
                    if !self.is_below_root(*node) {
                        self.before.push(self.map.root);
                        self.map.root = 0;
                    }
                }
            }
            Key::Escape | Key::End | Key::Char('\u{3}') => self.finding = None,
            Key::Back => {
                text.pop();
            }
            Key::Char(c) if !c.is_control() => text.push(c),
            _ => {}
        }
    }

    fn is_below_root(&self, mut node: usize) -> bool {
        loop {
            if node == self.map.root {
                return true;
            }
            if node == 0 {
                return false;
            }
            node = self.map.profile.nodes[node].parent;
        }
    }

    /// What is to be known about the selected node.
    fn told(&self, width: usize) -> String {
        let profile = &self.map.profile;
        let node = &profile.nodes[self.selected];
        let mut lines = vec![
            format!(
                "{} · own {} · with what it called {} ({} of all){}{}",
                node_name(profile, self.selected),
                weight_text(profile, node.own),
                weight_text(profile, node.total),
                percent(profile.share(node.total)),
                calls(profile, node.function),
                self.elsewhere(),
            ),
            last_part(&show::node_path(profile, self.selected), width),
            format!("called by {}", self.callers(node.function)),
            format!("calls {}", self.callees()),
            source_line(profile, node.function),
        ];
        lines.push(match (&self.finding, &self.missed) {
            (Some(text), _) => format!("/{text}"),
            (None, Some(text)) => format!("no function has `{text}` in its name · / finds"),
            (None, None) => "arrows move · Enter zooms · Backspace leaves · / finds · q quits".to_string(),
        });
        lines.iter().map(|line| cut(&escaped(line), width)).collect::<Vec<_>>().join("\n")
    }

    fn callers(&self, function: usize) -> String {
        let profile = &self.map.profile;
        let mut edges: Vec<_> = profile.edges.iter().filter(|edge| edge.callee == function).collect();
        edges.sort_by(|a, b| b.cumulative.total_cmp(&a.cumulative));
        let named = edges
            .iter()
            .take(4)
            .map(|edge| format!("{} {}", profile.functions[edge.caller].name, weight_text(profile, edge.cumulative)));
        let named: Vec<String> = named.collect();
        if named.is_empty() { "nothing that is known".to_string() } else { named.join(", ") }
    }

    fn callees(&self) -> String {
        let profile = &self.map.profile;
        let below = self.children[self.selected].iter();
        let shown = below.map(|node| (node_name(profile, *node), profile.nodes[*node].total));
        let function = profile.nodes[self.selected].function;
        let mut edges: Vec<_> = profile.edges.iter().filter(|edge| edge.caller == function).collect();
        edges.sort_by(|a, b| b.cumulative.total_cmp(&a.cumulative));
        // Where calls go in a circle, the tree ends before they do.
        let counted = edges.iter().map(|edge| (profile.functions[edge.callee].name.clone(), edge.cumulative));
        let all: Vec<_> = if self.is_estimated { counted.collect() } else { shown.collect() };
        let named = all.iter().take(4).map(|(name, weight)| format!("{name} {}", weight_text(profile, *weight)));
        let named: Vec<String> = named.collect();
        if named.is_empty() { "nothing that is known".to_string() } else { named.join(", ") }
    }

    /// What the function took in all, where callers were counted only, so that its place in the tree need not be so.
    fn elsewhere(&self) -> String {
        let profile = &self.map.profile;
        let function = profile.nodes[self.selected].function;
        if !self.is_estimated || function == ROOT {
            return String::new();
        }
        let cumulative = weight_text(profile, profile.functions[function].cumulative);
        format!(" here · {cumulative} by all callers · callers were counted, not stacks: circles of calls are cut here")
    }
}

/// The end of a text that is too long: what stands last is what was called last.
fn last_part(text: &str, width: usize) -> String {
    let count = text.chars().count();
    match count > width {
        true => format!("…{}", text.chars().skip(count - width + 1).collect::<String>()),
        false => text.to_string(),
    }
}

fn calls(profile: &Profile, function: usize) -> String {
    let known = (function != ROOT).then(|| profile.functions[function].calls).flatten();
    known.map_or(String::new(), |(all, primitive)| match all == primitive {
        true => format!(" · {} calls", show::grouped(all)),
        false => format!(" · {}/{} calls", show::grouped(all), show::grouped(primitive)),
    })
}

/// The place of a function, and the line of its source where the file is there.
fn source_line(profile: &Profile, function: usize) -> String {
    const LARGEST: u64 = 4 << 20;
    if function == ROOT {
        return String::new();
    }
    let function = &profile.functions[function];
    let place = function.place();
    let (Some(file), Some(line)) = (&function.file, function.line) else { return place };
    let is_small = std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() <= LARGEST);
    let text = if is_small { std::fs::read_to_string(file).unwrap_or_default() } else { String::new() };
    match text.lines().nth((line as usize).saturating_sub(1)) {
        Some(source) => format!("{place}: {}", source.trim()),
        None => place,
    }
}

fn size() -> (usize, usize) {
    // SAFETY: an all-zero winsize is a valid one, which the system fills.
    let (asked, size) = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(io::stdout().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size), size)
    };
    match asked == 0 && size.ws_col > 0 && size.ws_row > 0 {
        true => (usize::from(size.ws_col), usize::from(size.ws_row)),
        false => (show::terminal_width(), 24),
    }
}

fn read_key(keys: &mut impl Read) -> io::Result<Key> {
    let mut byte = [0];
    let next = |keys: &mut dyn Read, byte: &mut [u8; 1]| -> io::Result<Option<u8>> {
        loop {
            match keys.read(byte) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(byte[0])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    let Some(first) = next(keys, &mut byte)? else { return Ok(Key::End) };
    Ok(match first {
        b'\r' | b'\n' => Key::Enter,
        0x7f | 0x08 => Key::Back,
        0x1b => {
            if !is_waiting(ESCAPE_MS) {
                return Ok(Key::Escape);
            }
            match next(keys, &mut byte)? {
                Some(b'[' | b'O') => match next(keys, &mut byte)? {
                    Some(b'A') => Key::Up,
                    Some(b'B') => Key::Down,
                    Some(b'C') => Key::Right,
                    Some(b'D') => Key::Left,
                    _ => Key::Escape,
                },
                _ => Key::Escape,
            }
        }
        first if first < 0x80 => Key::Char(first as char),
        first => {
            let length = if first >= 0xf0 {
                4
            } else if first >= 0xe0 {
                3
            } else {
                2
            };
            let mut bytes = vec![first];
            while bytes.len() < length {
                let Some(byte) = next(keys, &mut byte)? else { break };
                bytes.push(byte);
            }
            Key::Char(String::from_utf8_lossy(&bytes).chars().next().unwrap_or('?'))
        }
    })
}

/// So long is waited for the rest of a key, as an Escape alone is one too, and before the size is looked at again.
const ESCAPE_MS: libc::c_int = 30;
const RESIZE_MS: libc::c_int = 200;

/// Whether there is something to read within so many milliseconds, be it the end.
fn is_waiting(most: libc::c_int) -> bool {
    let mut polled = libc::pollfd { fd: io::stdin().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: there is one.
    unsafe { libc::poll(&raw mut polled, 1, most) > 0 }
}
