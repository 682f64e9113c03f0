//! A grid of characters that lines, points and bars are drawn into. It knows no axes: places are shares of its sides.

use super::super::{Role, Style};
use super::pen::Pen;

/// Dots in a character, across and down.
const ACROSS: usize = 2;
const DOWN: usize = 4;

pub struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
    /// Whether a character stands for points of several series.
    pub shares: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// The bits of a braille character.
    dots: u8,
    /// Stands before the dots.
    mark: Option<char>,
    is_point: bool,
    series: usize,
}

/// A place in the canvas: shares of its width from the left and of its height from below.
pub type Place = (f64, f64);

impl Canvas {
    pub fn new(columns: usize, rows: usize) -> Canvas {
        Canvas { columns, rows, cells: vec![Cell::default(); columns * rows], shares: false }
    }

    /// Joins places; a gap is none. With `marked`, the mark of the series stands at some places of the line.
    pub fn line(&mut self, series: usize, places: impl Iterator<Item = Option<Place>>, marked: Option<Marked>) {
        let mut dots = vec![0u8; self.cells.len()];
        let mut last = None;
        for place in places {
            let here = place.map(|place| self.dot_at(place));
            if let Some(here) = here {
                self.join(&mut dots, last.unwrap_or(here), here);
            }
            last = here;
        }
        self.lay(series, &dots);
        if let Some(marked) = marked {
            self.mark_line(series, &dots, &marked);
        }
    }

    /// Points as dots, where there are more of them than marks could be told apart.
    pub fn dots(&mut self, series: usize, places: impl Iterator<Item = Place>) {
        let mut dots = vec![0u8; self.cells.len()];
        for place in places {
            let here = self.dot_at(place);
            self.join(&mut dots, here, here);
        }
        self.lay(series, &dots);
    }

    pub fn point(&mut self, series: usize, mark: char, several: char, (x, y): Place) {
        let at = row(y, self.rows) * self.columns + column(x, self.columns);
        let cell = &mut self.cells[at];
        let shared = cell.is_point && cell.series != series;
        self.shares |= shared;
        *cell = Cell { mark: Some(if shared { several } else { mark }), is_point: true, series, ..*cell };
    }

    /// Fills columns of characters between two heights.
    pub fn bar(&mut self, series: usize, columns: std::ops::Range<usize>, (from, to): (f64, f64), pen: &Pen) {
        const EIGHTHS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
        let fill = pen.fill(series);
        let up = |share: f64| share * self.rows as f64;
        let (low, high) = (up(from.min(to)), up(from.max(to)));
        for row in 0..self.rows {
            let bottom = (self.rows - row - 1) as f64;
            let covered = (high.min(bottom + 1.0) - low.max(bottom)).max(0.0);
            // Parts of a character are filled from below only.
            let is_top = high < bottom + 1.0 && low <= bottom;
            let mark = match (covered * 8.0).round() as usize {
                8 => fill,
                eighths @ 1.. if is_top && pen.has_parts(fill) => EIGHTHS[eighths - 1],
                4.. => fill,
                // A bar that is too short to be drawn is seen all the same.
                _ if high - low < 0.5 && row == row_of(low, self.rows) => pen.short,
                _ => continue,
            };
            for column in columns.start..columns.end.min(self.columns) {
                let cell = &mut self.cells[row * self.columns + column];
                *cell = Cell { mark: Some(mark), is_point: false, series, ..*cell };
            }
        }
    }

    /// The rows from the top, each series in the colour of its role.
    pub fn lines(&self, pen: &Pen, style: &Style, role: impl Fn(usize) -> Role) -> Vec<String> {
        let is_blank = |cell: &Cell| cell.mark.is_none() && cell.dots == 0;
        let line = |cells: &[Cell]| {
            let end = cells.iter().rposition(|cell| !is_blank(cell)).map_or(0, |last| last + 1);
            let runs =
                cells[..end].chunk_by(|a, b| is_blank(a) == is_blank(b) && (is_blank(a) || a.series == b.series));
            let painted = runs.map(|run| {
                let text: String = run.iter().map(|cell| cell.mark.unwrap_or_else(|| pen.dots(cell.dots))).collect();
                if is_blank(&run[0]) { text } else { style.paint_out(&text, role(run[0].series)) }
            });
            painted.collect()
        };
        self.cells.chunks(self.columns).map(line).collect()
    }

    fn dot_at(&self, (x, y): Place) -> (i64, i64) {
        (dot(x, self.columns * ACROSS) as i64, dot(1.0 - y, self.rows * DOWN) as i64)
    }

    /// Sets the dots between two of them (Bresenham).
    fn join(&self, dots: &mut [u8], (mut x, mut y): (i64, i64), to: (i64, i64)) {
        const BITS: [[u8; ACROSS]; DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let (width, height) = ((to.0 - x).abs(), -(to.1 - y).abs());
        let (right, down) = ((to.0 - x).signum(), (to.1 - y).signum());
        let mut error = width + height;
        loop {
            let (column, row) = (x as usize, y as usize);
            dots[row / DOWN * self.columns + column / ACROSS] |= BITS[row % DOWN][column % ACROSS];
            if (x, y) == to {
                return;
            }
            let twice = 2 * error;
            if twice >= height {
                error += height;
                x += right;
            }
            if twice <= width {
                error += width;
                y += down;
            }
        }
    }

    fn lay(&mut self, series: usize, dots: &[u8]) {
        for (cell, dots) in self.cells.iter_mut().zip(dots) {
            if *dots != 0 {
                cell.dots |= dots;
                if cell.mark.is_none() {
                    cell.series = series;
                }
            }
        }
    }

    /// Puts marks where the line has dots and nothing stands yet; at least one if there is room at all.
    fn mark_line(&mut self, series: usize, dots: &[u8], marked: &Marked) {
        let wanted = (0..Marked::REPEATS).map(|i| {
            let share = (marked.place as f64 + 0.5) / marked.of as f64;
            ((i as f64 + share) / Marked::REPEATS as f64 * self.columns as f64) as usize
        });
        let mut found: Vec<usize> = wanted.filter_map(|column| self.free(dots, column)).collect();
        if found.is_empty() {
            found.extend((0..self.columns).find_map(|column| self.free(dots, column)));
        }
        for at in found {
            self.cells[at] = Cell { mark: Some(marked.mark), series, ..self.cells[at] };
        }
    }

    /// The topmost cell of a column that has dots of the line and no mark.
    fn free(&self, dots: &[u8], column: usize) -> Option<usize> {
        let mut cells = (0..self.rows).map(|row| row * self.columns + column);
        cells.find(|at| dots[*at] != 0 && self.cells[*at].mark.is_none())
    }
}

/// Which of some columns is at a place from the left.
pub fn column(x: f64, columns: usize) -> usize {
    dot(x, columns * ACROSS) / ACROSS
}

/// Which of some rows is at a place from below; row 0 is the top one.
pub fn row(y: f64, rows: usize) -> usize {
    dot(1.0 - y, rows * DOWN) / DOWN
}

/// The row that is so many rows above the floor.
fn row_of(height: f64, rows: usize) -> usize {
    rows - 1 - (height as usize).min(rows - 1)
}

/// The mark on a line, which is one `of` several: their marks stand at different columns.
pub struct Marked {
    pub mark: char,
    pub place: usize,
    pub of: usize,
}

impl Marked {
    /// How often a mark stands on its line.
    const REPEATS: usize = 3;
}

/// Which of `count` dots in a row is at a place.
fn dot(place: f64, count: usize) -> usize {
    ((place * (count - 1) as f64).round() as usize).min(count - 1)
}
