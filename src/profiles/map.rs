//! The square map: the tree of calls as rectangles within rectangles, whose areas are times. What a function takes
//! itself is a rectangle beside those of what it called. Squarified treemaps, by Bruls, Huizing and van Wijk (2000).

use super::Profile;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    pub fn area(&self) -> f64 {
        self.width * self.height
    }
}

/// A node, or what it took itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tile {
    pub node: usize,
    pub rect: Rect,
    pub depth: usize,
    /// Whether it is the node's own time; such tiles do not overlap and fill all.
    pub is_own: bool,
}

/// So many tiles are made at most: the largest.
pub const MAX_TILES: usize = 50_000;

/// The tiles of the tree below a node, outer ones before those within them. Nodes below the area `least` stay whole.
pub fn layout(profile: &Profile, children: &[Vec<usize>], root: usize, space: Rect, least: f64) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let total = profile.nodes[root].total;
    if !(total > 0.0 && total.is_finite() && space.area() > 0.0) {
        return tiles;
    }
    let mut work = vec![(root, space, 0)];
    while let Some((node, rect, depth)) = work.pop() {
        tiles.push(Tile { node, rect, depth, is_own: false });
        let below: Vec<usize> =
            children[node].iter().copied().filter(|child| profile.nodes[*child].total > 0.0).collect();
        let sum: f64 = below.iter().map(|child| profile.nodes[*child].total).sum();
        if below.is_empty() || rect.area() < least || tiles.len() >= MAX_TILES {
            tiles.push(Tile { node, rect, depth: depth + 1, is_own: true });
            continue;
        }
        let own = (profile.nodes[node].total - sum).max(0.0);
        // Sorted, with its own time in its place.
        let mut items: Vec<(Option<usize>, f64)> =
            below.iter().map(|child| (Some(*child), profile.nodes[*child].total)).collect();
        if own > 0.0 {
            let at = items.partition_point(|(_, weight)| *weight >= own);
            items.insert(at, (None, own));
        }
        let scale = rect.area() / (sum + own);
        let areas: Vec<f64> = items.iter().map(|(_, weight)| weight * scale).collect();
        for ((child, _), rect) in items.into_iter().zip(squarified(&areas, rect)) {
            match child {
                Some(child) => work.push((child, rect, depth + 1)),
                None => tiles.push(Tile { node, rect, depth: depth + 1, is_own: true }),
            }
        }
    }
    tiles
}

/// A rectangle for each area, in their order; they fill the space.
fn squarified(areas: &[f64], space: Rect) -> Vec<Rect> {
    let mut rects = Vec::with_capacity(areas.len());
    let mut left = space;
    let mut start = 0;
    while start < areas.len() {
        let side = left.width.min(left.height);
        let mut end = start + 1;
        let (mut sum, largest) = (areas[start], areas[start]);
        let mut worst = worst_ratio(sum, largest, areas[start], side);
        while end < areas.len() {
            let next = worst_ratio(sum + areas[end], largest, areas[end], side);
            if next > worst {
                break;
            }
            (sum, worst) = (sum + areas[end], next);
            end += 1;
        }
        let is_last = end == areas.len();
        left = row(&areas[start..end], sum, left, is_last, &mut rects);
        start = end;
    }
    rects
}

/// The worst ratio of sides in a row of so much area along a side, whose largest and least areas these are.
fn worst_ratio(sum: f64, largest: f64, least: f64, side: f64) -> f64 {
    let square = side * side;
    (square * largest / (sum * sum)).max(sum * sum / (square * least.max(f64::MIN_POSITIVE)))
}

/// Places a row along the shorter side; what is left of the space.
fn row(areas: &[f64], sum: f64, space: Rect, is_last: bool, rects: &mut Vec<Rect>) -> Rect {
    let is_column = space.width >= space.height;
    let side = if is_column { space.height } else { space.width };
    let all = if is_column { space.width } else { space.height };
    // The last row takes what is left, so that nothing is lost by rounding.
    let thick = if is_last { all } else { (sum / side.max(f64::MIN_POSITIVE)).min(all) };
    let mut done = 0.0;
    for (at, area) in areas.iter().enumerate() {
        let length = match at + 1 == areas.len() {
            true => side - done,
            false => (side * area / sum).min(side - done),
        };
        rects.push(match is_column {
            true => Rect { x: space.x, y: space.y + done, width: thick, height: length },
            false => Rect { x: space.x + done, y: space.y, width: length, height: thick },
        });
        done += length;
    }
    match is_column {
        true => Rect { x: space.x + thick, width: space.width - thick, ..space },
        false => Rect { y: space.y + thick, height: space.height - thick, ..space },
    }
}

/// The flame graph of the tree below a node: callers above, callees below, at most so many lines; widths are times.
pub fn flames(profile: &Profile, children: &[Vec<usize>], root: usize, space: Rect, lines: usize) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let total = profile.nodes[root].total;
    if !(total > 0.0 && total.is_finite() && space.area() > 0.0) {
        return tiles;
    }
    let line = space.height / lines as f64;
    let mut work = vec![(root, space.x, 0)];
    while let Some((node, x, depth)) = work.pop() {
        let width = space.width * profile.nodes[node].total / total;
        if depth >= lines || width < space.width / 4000.0 || tiles.len() >= MAX_TILES {
            continue;
        }
        let rect = Rect { x, y: space.y + line * depth as f64, width, height: line };
        // Lines do not overlap, so that each node has one tile of its own.
        tiles.push(Tile { node, rect, depth, is_own: true });
        let mut at = x;
        for child in &children[node] {
            work.push((*child, at, depth + 1));
            at += space.width * profile.nodes[*child].total / total;
        }
    }
    tiles
}
