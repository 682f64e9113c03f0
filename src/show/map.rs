//! Square maps and flame graphs of profiles: in a terminal with half blocks, in plain text with lines, as SVG.

use std::collections::HashMap;
use std::fmt::Write;

use nu_ansi_term::{Color, Style as Paint};

use crate::profiles::{Profile, ROOT, Rect, Tile, Unit, flames, layout};
use crate::report::Map;

use super::{Style, cut, duration_text, escaped, grouped, percent};

/// A weight in the profile's unit.
pub fn weight_text(profile: &Profile, weight: f64) -> String {
    match &profile.unit {
        Unit::Seconds => duration_text(weight),
        Unit::Bytes => super::bytes_text(weight),
        Unit::Samples => format!("{} samples", grouped(weight.round() as u64)),
        Unit::Events(name) => format!("{} {name}", grouped(weight.round() as u64)),
    }
}

/// The name of a node.
pub fn node_name(profile: &Profile, node: usize) -> String {
    match profile.nodes[node].function {
        ROOT => "all".to_string(),
        function => one_line(&profile.functions[function].name),
    }
}

/// What stands on the part of a node that belongs to no other. In a map that of the root is what could not be placed,
/// such as recursion.
fn own_name(map: &Map, node: usize) -> String {
    match map.profile.nodes[node].function {
        ROOT if !map.flame => "the rest".to_string(),
        _ => node_name(&map.profile, node),
    }
}

fn one_line(text: &str) -> String {
    escaped(text).replace(['\n', '\t'], " ")
}

/// A map as characters: a line for each line of the terminal.
pub fn map_text(map: &Map, style: &Style) -> String {
    let width = style.width.clamp(20, 400);
    let mut text = Canvas::new(map, &map.profile.children(), width, HEIGHT, None).drawn(style);
    let _ = writeln!(text, "{}", caption(map));
    text
}

/// Lines of a map that is printed.
const HEIGHT: usize = 24;

/// What of a tile says how long it took.
pub fn map_measure(map: &Map) -> &'static str {
    if map.flame { "width" } else { "area" }
}

fn caption(map: &Map) -> String {
    let profile = &map.profile;
    let node = &profile.nodes[map.root];
    let what = map_measure(map);
    format!(
        "{what} = {} of {}; {} of all",
        weight_text(profile, node.total),
        node_name(profile, map.root),
        percent(profile.share(node.total))
    )
}

/// The tiles of a map on so many pixels.
pub fn tiles(map: &Map, width: f64, height: f64) -> Vec<Tile> {
    tiles_of(map, &map.profile.children(), width, height)
}

fn tiles_of(map: &Map, children: &[Vec<usize>], width: f64, height: f64) -> Vec<Tile> {
    let space = Rect { x: 0.0, y: 0.0, width, height };
    match map.flame {
        true => flames(&map.profile, children, map.root, space, FLAME_LINES),
        false => layout(&map.profile, children, map.root, space, 1.0),
    }
}

/// So many lines of a flame graph are drawn.
const FLAME_LINES: usize = 24;

/// A drawing of characters, each of two pixels, one above the other.
pub struct Canvas<'a> {
    map: &'a Map,
    width: usize,
    height: usize,
    tiles: Vec<Tile>,
    /// The tile of each pixel.
    pixels: Vec<Option<usize>>,
    /// For each node, whether it is selected, or below the one that is.
    selected: Vec<bool>,
    colors: Colors,
}

impl<'a> Canvas<'a> {
    pub fn new(
        map: &'a Map,
        children: &[Vec<usize>],
        width: usize,
        height: usize,
        selected: Option<usize>,
    ) -> Canvas<'a> {
        let tiles: Vec<Tile> = tiles_of(map, children, width as f64, 2.0 * height as f64);
        let mut pixels = vec![None; width * 2 * height];
        // A pixel belongs to the tile in which its middle lies.
        let range = |start: f64, length: f64, most: usize| {
            let first = (start - 0.5).ceil().max(0.0) as usize;
            let end = ((start + length - 0.5).ceil().max(0.0) as usize).min(most);
            first..end.max(first)
        };
        for (at, tile) in tiles.iter().enumerate().filter(|(_, tile)| tile.is_own) {
            for y in range(tile.rect.y, tile.rect.height, 2 * height) {
                for x in range(tile.rect.x, tile.rect.width, width) {
                    pixels[y * width + x] = Some(at);
                }
            }
        }
        let mut is_selected = vec![false; map.profile.nodes.len()];
        let mut below: Vec<usize> = selected.into_iter().collect();
        while let Some(node) = below.pop() {
            is_selected[node] = true;
            below.extend(&children[node]);
        }
        Canvas { map, width, height, tiles, pixels, selected: is_selected, colors: Colors::default() }
    }

    /// The node at a character.
    pub fn node_at(&self, x: usize, y: usize) -> Option<usize> {
        let tile = self.pixels.get(2 * y * self.width + x).copied().flatten()?;
        Some(self.tiles[tile].node)
    }

    /// The nodes that have a tile which can be seen, with the middle of it, in characters.
    pub fn seen(&self) -> Vec<(usize, (f64, f64))> {
        let large = |tile: &&Tile| tile.is_own && tile.rect.width >= 1.0 && tile.rect.height >= 1.0;
        let middle = |tile: &Tile| {
            let Rect { x, y, width, height } = tile.rect;
            (tile.node, (x + width / 2.0, (y + height / 2.0) / 2.0))
        };
        self.tiles.iter().filter(large).map(middle).collect()
    }

    pub fn drawn(mut self, style: &Style) -> String {
        let labels = self.labels();
        match style.color_out {
            true => self.in_colour(&labels),
            false => self.in_lines(&labels, style.ascii),
        }
    }

    fn is_selected(&self, tile: usize) -> bool {
        self.selected[self.tiles[tile].node]
    }

    /// Names at their places, as far as they fit: for each line, where they begin.
    fn labels(&self) -> Vec<HashMap<usize, char>> {
        let mut lines: Vec<HashMap<usize, char>> = vec![HashMap::new(); self.height];
        for tile in self.tiles.iter().filter(|tile| tile.is_own) {
            let Rect { x, y, width, height } = tile.rect;
            let (left, right) = ((x + 1.0).ceil() as usize, (x + width).floor() as usize);
            // A line that lies in the tile with both of its pixels.
            let line = if self.map.flame { (y / 2.0).ceil() } else { (y / 2.0 + 0.5).ceil() } as usize;
            let fits = (line as f64 + 1.0) * 2.0 <= y + height + 0.01;
            let room = right.saturating_sub(left);
            if !fits || line >= self.height || room < 3 {
                continue;
            }
            let name = cut(&own_name(self.map, tile.node), room);
            for (place, c) in name.chars().enumerate() {
                if left + place < self.width {
                    lines[line].insert(left + place, c);
                }
            }
        }
        lines
    }

    fn in_colour(&mut self, labels: &[HashMap<usize, char>]) -> String {
        let mut text = String::new();
        for (line, labels) in labels.iter().enumerate() {
            let mut run = String::new();
            let mut last: Option<Paint> = None;
            for x in 0..self.width {
                let (top, bottom) = (self.pixel(x, 2 * line), self.pixel(x, 2 * line + 1));
                let (paint, c) = match labels.get(&x) {
                    Some(c) => {
                        let dark = Color::Rgb(15, 15, 15);
                        (Paint::new().fg(dark).on(bottom), *c)
                    }
                    None => (Paint::new().fg(top).on(bottom), '▀'),
                };
                if last != Some(paint) {
                    if let Some(last) = last {
                        let _ = write!(text, "{}", last.paint(std::mem::take(&mut run)));
                    }
                    last = Some(paint);
                }
                run.push(c);
            }
            if let Some(last) = last {
                let _ = write!(text, "{}", last.paint(run));
            }
            text.push('\n');
        }
        text
    }

    fn pixel(&mut self, x: usize, y: usize) -> Color {
        let Some(tile) = self.pixels[y * self.width + x] else { return Color::Rgb(40, 40, 40) };
        let other = |x: Option<usize>, y: Option<usize>| {
            x.zip(y).is_none_or(|(x, y)| self.pixels[y * self.width + x] != Some(tile))
        };
        let is_edge = other(x.checked_sub(1), Some(y)) || other(Some(x), y.checked_sub(1));
        let [r, g, b] = self.colors.of(&self.map.profile, self.tiles[tile].node);
        let factor = match (self.is_selected(tile), is_edge) {
            (true, _) => return if is_edge { Color::Rgb(200, 200, 200) } else { Color::Rgb(255, 255, 255) },
            (false, true) => 0.7,
            (false, false) => 1.0,
        };
        let part = |part: u8| (f64::from(part) * factor) as u8;
        Color::Rgb(part(r), part(g), part(b))
    }

    /// Lines where two tiles meet.
    fn in_lines(&self, labels: &[HashMap<usize, char>], ascii: bool) -> String {
        let mut text = String::new();
        let at = |x: usize, y: usize| self.pixels[y * self.width + x];
        for (line, labels) in labels.iter().enumerate() {
            let mut drawn = String::new();
            for x in 0..self.width {
                let tile = at(x, 2 * line);
                let left = x == 0 || at(x - 1, 2 * line) != tile;
                let above = line == 0 || at(x, 2 * line - 2) != tile;
                let fill = match tile {
                    None => ' ',
                    Some(tile) if self.is_selected(tile) => '*',
                    Some(_) => ' ',
                };
                drawn.push(match (labels.get(&x), left, above, ascii) {
                    (Some(c), ..) => *c,
                    (None, true, true, false) => '┌',
                    (None, true, false, false) => '│',
                    (None, false, true, false) => '─',
                    (None, true, true, true) => '+',
                    (None, true, false, true) => '|',
                    (None, false, true, true) => '-',
                    (None, false, false, _) => fill,
                });
            }
            text.push_str(drawn.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Colours by module, told apart by the order in which they come.
#[derive(Default)]
struct Colors {
    modules: HashMap<String, usize>,
}

/// Light enough for dark text.
const COLORS: [[u8; 3]; 10] = [
    [127, 176, 232],
    [240, 168, 104],
    [130, 200, 150],
    [206, 160, 224],
    [238, 140, 150],
    [190, 200, 110],
    [120, 204, 204],
    [222, 190, 140],
    [170, 170, 235],
    [200, 200, 200],
];

impl Colors {
    fn of(&mut self, profile: &Profile, node: usize) -> [u8; 3] {
        let function = profile.nodes[node].function;
        if function == ROOT {
            return [150, 150, 150];
        }
        let next = self.modules.len();
        let module = *self.modules.entry(profile.functions[function].module.clone()).or_insert(next);
        let depth = depth(profile, node);
        // Nested calls of one module differ a little.
        let factor = 1.0 - 0.06 * (depth % 4) as f64;
        COLORS[module % COLORS.len()].map(|part| (f64::from(part) * factor) as u8)
    }
}

fn depth(profile: &Profile, mut node: usize) -> usize {
    let mut depth = 0;
    while node != 0 && depth < 100 {
        (node, depth) = (profile.nodes[node].parent, depth + 1);
    }
    depth
}

const WIDE: f64 = 960.0;
const HIGH: f64 = 540.0;
const LINE: f64 = 18.0;
/// About as wide as a character is.
const LETTER: f64 = 6.6;

/// A map as one SVG element that needs nothing else.
pub fn map_svg(map: &Map) -> String {
    let profile = &map.profile;
    let tiles = tiles(map, WIDE, if map.flame { LINE * FLAME_LINES as f64 } else { HIGH });
    let bottom = tiles.iter().map(|tile| tile.rect.y + tile.rect.height).fold(LINE, f64::max);
    let mut colors = Colors::default();
    let mut body = String::new();
    for tile in tiles.iter().filter(|tile| tile.is_own) {
        let Rect { x, y, width, height } = tile.rect;
        if width < 0.3 || height < 0.3 {
            continue;
        }
        let node = &profile.nodes[tile.node];
        let [r, g, b] = colors.of(profile, tile.node);
        let name = own_name(map, tile.node);
        let place = match node.function {
            ROOT => String::new(),
            function => profile.functions[function].place(),
        };
        let path = path(profile, tile.node);
        let _ = write!(
            body,
            "<g data-node=\"{}\" data-up=\"{}\"><rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" \
             height=\"{height:.2}\" fill=\"#{r:02x}{g:02x}{b:02x}\" stroke=\"#fff\" stroke-width=\"0.6\"/><title>{}\n\
             {}: own {}, with what it called {} ({} of all)\n{}</title>",
            tile.node,
            node.parent,
            xml(&path),
            xml(&place),
            weight_text(profile, node.own),
            weight_text(profile, node.total),
            percent(profile.share(node.total)),
            xml(&name),
        );
        let room = ((width - 6.0) / LETTER) as usize;
        if room >= 3 && height >= 13.0 {
            let label = xml(&cut(&name, room));
            let _ = write!(body, "<text x=\"{:.2}\" y=\"{:.2}\" fill=\"#111\">{label}</text>", x + 3.0, y + 12.0);
        }
        body.push_str("</g>\n");
    }
    let told = xml(&caption(map));
    let (title, tall) = (xml(&map.title), bottom + LINE + 6.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDE} {tall:.0}\" width=\"{WIDE}\" \
         height=\"{tall:.0}\" role=\"img\" aria-label=\"{title}: {told}\" font-family=\"sans-serif\" font-size=\"11\" \
         style=\"max-width:100%;height:auto\">\n<title>{title}</title>\n<desc>{told}</desc>\n{body}<text x=\"2\" \
         y=\"{:.0}\" font-size=\"12\" fill=\"currentColor\">{told}</text>\n</svg>\n",
        bottom + LINE - 3.0
    )
}

/// The names from the outermost function to a node.
pub fn path(profile: &Profile, mut node: usize) -> String {
    let mut names = Vec::new();
    while node != 0 && names.len() < 40 {
        names.push(node_name(profile, node));
        node = profile.nodes[node].parent;
    }
    names.reverse();
    if names.is_empty() { "all".to_string() } else { names.join(" › ") }
}

pub(super) fn xml(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A map in a page: a click zooms, Escape leaves, and a field finds names. It needs nothing from elsewhere.
pub fn map_html(map: &Map, id: &str) -> String {
    const SCRIPT: &str = include_str!("map.js");
    format!(
        "<figure class=\"map\" id=\"{id}\" tabindex=\"0\"><p><label>Find <input type=\"search\"></label> <button \
         type=\"button\">Zoom out</button> <span role=\"status\">click or Enter zooms, Escape or Backspace leaves, / \
         finds, Tab goes on</span></p>\n{}<script>\n({SCRIPT})({id:?});\n</script></figure>\n",
        map_svg(map)
    )
}
