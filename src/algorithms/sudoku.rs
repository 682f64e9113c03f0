use crate::data::{Order, Table, Type, Value};

use super::Class::{Exponential, Linear};
use super::{Facts, Random, Shape, Typed, column, variant};

/// Digits row after row; 0 where there is none yet.
type Grid = [u8; 81];

/// The most blanks of the puzzles here: with more, few grids would have one solution only.
const MOST: usize = 51;

const WORST: &str = "theory bounds the worst puzzle only; with one solution, the digits that are left decide";

pub static SUDOKU: Typed<Grid, Option<Grid>> = Typed {
    facts: Facts {
        name: "sudoku",
        about: "fills n blanks so that each row, column and box of 3 × 3 has all digits",
        counts: "blanks",
        sizes: &[10, 20, 30, 40, 45, 51],
        stages: None,
        text: include_str!("sudoku.rs"),
    },
    shapes: &[
        Shape { name: "scattered", about: "blanks anywhere; there is one solution", make: scattered },
        Shape {
            name: "from_the_top",
            about: "the upper rows are blank: a search in order meets few digits",
            make: from_the_top,
        },
        Shape {
            name: "classic",
            about: "one well-known puzzle of 51 blanks, with the last ones filled in",
            make: classic,
        },
    ],
    variants: &[
        variant("backtracking", "tries all digits, blank after blank", Exponential, Linear, MOST, backtracking)
            .at_most(WORST),
        variant("fewest_first", "goes on where the fewest fit", Exponential, Linear, MOST, fewest_first).at_most(WORST),
        variant("propagation", "strikes out what cannot be, and follows it up", Exponential, Linear, MOST, propagation)
            .at_most(WORST),
    ],
    input: lines,
    output: |_, solution| match solution {
        Some(grid) => lines(&grid),
        None => column("row", Type::Text, Order::Kept, Vec::new()),
    },
};

fn lines(grid: &Grid) -> Table {
    let sign = |digit: &u8| if *digit == 0 { '.' } else { char::from(b'0' + digit) };
    let rows = grid.chunks(9).map(|row| Value::text(&row.iter().map(sign).collect::<String>()));
    column("row", Type::Text, Order::Kept, rows.collect())
}

fn scattered(n: usize, rng: &mut Random) -> Box<Grid> {
    let grid = full(rng);
    let mut order: Vec<usize> = (0..81).collect();
    rng.shuffle(&mut order);
    Box::new(with_blanks(grid, n, &order))
}

fn from_the_top(n: usize, rng: &mut Random) -> Box<Grid> {
    let grid = full(rng);
    let order: Vec<usize> = (0..81).collect();
    Box::new(with_blanks(grid, n, &order))
}

fn classic(n: usize, _: &mut Random) -> Box<Grid> {
    let puzzle = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
    let mut grid = [0; 81];
    for (place, sign) in grid.iter_mut().zip(puzzle.bytes()) {
        *place = if sign == b'.' { 0 } else { sign - b'0' };
    }
    let solution = fewest_first(&grid).expect("the puzzle has a solution");
    let blanks: Vec<usize> = (0..81).filter(|at| grid[*at] == 0).collect();
    for at in blanks.into_iter().skip(n) {
        grid[at] = solution[at];
    }
    Box::new(grid)
}

/// A full grid: rows that are shifted against each other, then shuffled in all ways that keep the rules.
fn full(rng: &mut Random) -> Grid {
    let mut digits: Vec<u8> = (1..=9).collect();
    rng.shuffle(&mut digits);
    let (rows, columns) = (shuffled_lines(rng), shuffled_lines(rng));
    let mut grid = [0; 81];
    for (at, place) in grid.iter_mut().enumerate() {
        let (row, column) = (rows[at / 9], columns[at % 9]);
        *place = digits[(3 * (row % 3) + row / 3 + column) % 9];
    }
    grid
}

/// 0 to 8, where threes stay together.
fn shuffled_lines(rng: &mut Random) -> Vec<usize> {
    let mut threes = [[0, 1, 2], [3, 4, 5], [6, 7, 8]];
    rng.shuffle(&mut threes);
    threes.iter_mut().for_each(|three| rng.shuffle(three));
    threes.concat()
}

/// Takes digits away in this order until n are, but none without which there would be two solutions.
fn with_blanks(mut grid: Grid, n: usize, order: &[usize]) -> Grid {
    let mut blanks = 0;
    for at in order {
        if blanks == n {
            break;
        }
        let digit = std::mem::take(&mut grid[*at]);
        // Another solution would have another digit here.
        let another = (1..=9).filter(|other| *other != digit && is_possible(&grid, *at, *other)).any(|other| {
            let mut changed = grid;
            changed[*at] = other;
            fewest_first(&changed).is_some()
        });
        if another {
            grid[*at] = digit;
        } else {
            blanks += 1;
        }
    }
    grid
}

fn backtracking(grid: &Grid) -> Option<Grid> {
    let mut grid = *grid;
    fill_in_order(&mut grid, 0).then_some(grid)
}

fn fill_in_order(grid: &mut Grid, start: usize) -> bool {
    let Some(at) = (start..81).find(|at| grid[*at] == 0) else { return true };
    for digit in 1..=9 {
        if is_possible(grid, at, digit) {
            grid[at] = digit;
            if fill_in_order(grid, at + 1) {
                return true;
            }
        }
    }
    grid[at] = 0;
    false
}

/// Whether the digit stands neither in the row nor in the column nor in the box.
fn is_possible(grid: &Grid, at: usize, digit: u8) -> bool {
    let (row, column) = (at / 9, at % 9);
    let corner = row / 3 * 27 + column / 3 * 3;
    (0..9).all(|i| {
        grid[row * 9 + i] != digit && grid[i * 9 + column] != digit && grid[corner + i / 3 * 9 + i % 3] != digit
    })
}

fn fewest_first(grid: &Grid) -> Option<Grid> {
    let mut taken = Taken::default();
    for (at, digit) in grid.iter().enumerate().filter(|(_, digit)| **digit != 0) {
        taken.turn(at, *digit);
    }
    let mut grid = *grid;
    fill_fewest(&mut grid, &mut taken).then_some(grid)
}

fn fill_fewest(grid: &mut Grid, taken: &mut Taken) -> bool {
    let blanks = (0..81).filter(|at| grid[*at] == 0);
    let Some(at) = blanks.min_by_key(|at| taken.possible(*at).count_ones()) else { return true };
    let possible = taken.possible(at);
    for digit in (1..=9).filter(|digit| possible & 1 << digit != 0) {
        grid[at] = digit;
        taken.turn(at, digit);
        if fill_fewest(grid, taken) {
            return true;
        }
        taken.turn(at, digit);
    }
    grid[at] = 0;
    false
}

/// The digits that stand in each row, column and box, a bit each.
#[derive(Default)]
struct Taken {
    rows: [u16; 9],
    columns: [u16; 9],
    boxes: [u16; 9],
}

impl Taken {
    /// Puts a digit there, or takes it away.
    fn turn(&mut self, at: usize, digit: u8) {
        let (row, column) = (at / 9, at % 9);
        self.rows[row] ^= 1 << digit;
        self.columns[column] ^= 1 << digit;
        self.boxes[row / 3 * 3 + column / 3] ^= 1 << digit;
    }

    fn possible(&self, at: usize) -> u16 {
        let (row, column) = (at / 9, at % 9);
        !(self.rows[row] | self.columns[column] | self.boxes[row / 3 * 3 + column / 3]) & 0b11_1111_1110
    }
}

fn propagation(grid: &Grid) -> Option<Grid> {
    let mut possible = Possible([0b11_1111_1110; 81]);
    for (at, digit) in grid.iter().enumerate().filter(|(_, digit)| **digit != 0) {
        if !possible.set(at, 1 << digit) {
            return None;
        }
    }
    let solved = possible.search()?;
    Some(solved.0.map(|digits| digits.trailing_zeros() as u8))
}

/// The digits that are still possible at each place, a bit each.
#[derive(Clone, Copy)]
struct Possible([u16; 81]);

impl Possible {
    /// Only this digit is left at the place. False where that breaks a rule.
    fn set(&mut self, at: usize, digit: u16) -> bool {
        let others = self.0[at] & !digit;
        self.0[at] & digit != 0 && (1..=9).all(|other| others & 1 << other == 0 || self.strike(at, 1 << other))
    }

    /// The digit is not possible at the place, and what follows from that.
    fn strike(&mut self, at: usize, digit: u16) -> bool {
        if self.0[at] & digit == 0 {
            return true;
        }
        self.0[at] &= !digit;
        let left = self.0[at];
        if left == 0 {
            return false;
        }
        if left.is_power_of_two() && !peers(at).all(|peer| peer == at || self.strike(peer, left)) {
            return false;
        }
        // Where a row, a column or a box has one place left for the digit, it stands there.
        lines_of(at).into_iter().all(|line| {
            let mut places = line.into_iter().filter(|place| self.0[*place] & digit != 0);
            match (places.next(), places.next()) {
                (None, _) => false,
                (Some(only), None) => self.0[only] == digit || self.set(only, digit),
                (Some(_), Some(_)) => true,
            }
        })
    }

    /// Tries the digits of the place that has the fewest left.
    fn search(self) -> Option<Possible> {
        let open = (0..81).filter(|at| !self.0[*at].is_power_of_two());
        let Some(at) = open.min_by_key(|at| self.0[*at].count_ones()) else { return Some(self) };
        (1..=9).filter(|digit| self.0[at] & 1 << digit != 0).find_map(|digit| {
            let mut tried = self;
            if tried.set(at, 1 << digit) { tried.search() } else { None }
        })
    }
}

/// All places that share a line with this one, itself too.
fn peers(at: usize) -> impl Iterator<Item = usize> {
    lines_of(at).into_iter().flatten()
}

/// The places of its row, its column and its box.
fn lines_of(at: usize) -> [[usize; 9]; 3] {
    let (row, column) = (at / 9, at % 9);
    let corner = row / 3 * 27 + column / 3 * 3;
    [
        std::array::from_fn(|i| row * 9 + i),
        std::array::from_fn(|i| i * 9 + column),
        std::array::from_fn(|i| corner + i / 3 * 9 + i % 3),
    ]
}
