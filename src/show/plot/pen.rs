//! The characters of a plot: Unicode, or ASCII where a terminal has no more.

use super::super::cut;
use super::safe;

pub struct Pen {
    ascii: bool,
    /// The frame: a side, a side with a tick, the corner, the floor, the floor with a tick.
    pub side: char,
    pub side_tick: char,
    pub corner: char,
    pub floor: char,
    pub floor_tick: char,
    /// Where points of several series fall into one character.
    pub several: char,
    /// A bar that is too short for its fill.
    pub short: char,
    marks: [char; 8],
    fills: [char; 4],
}

impl Pen {
    pub const fn new(ascii: bool) -> Pen {
        if ascii {
            Pen {
                ascii,
                side: '|',
                side_tick: '+',
                corner: '+',
                floor: '-',
                floor_tick: '+',
                several: '*',
                short: '_',
                marks: ['o', 'x', '+', '#', '@', '%', '&', '$'],
                fills: ['#', '=', '-', '+'],
            }
        } else {
            Pen {
                ascii,
                side: '│',
                side_tick: '┤',
                corner: '└',
                floor: '─',
                floor_tick: '┬',
                several: '✱',
                short: '▁',
                marks: ['●', '▲', '■', '◆', '○', '△', '□', '◇'],
                fills: ['█', '▒', '░', '▓'],
            }
        }
    }

    /// What stands for a point of a series.
    pub fn mark(&self, series: usize) -> char {
        with_letters(&self.marks, series)
    }

    /// What the bars of a series are made of.
    pub fn fill(&self, series: usize) -> char {
        with_letters(&self.fills, series)
    }

    /// Whether there are characters for a part of this fill.
    pub fn has_parts(&self, fill: char) -> bool {
        fill == '█'
    }

    /// A part of a full character, from the left: in eighths, or nothing.
    pub fn part(&self, eighths: usize) -> Option<char> {
        const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
        PARTS.get(eighths.checked_sub(1)?).copied()
    }

    /// The dots of a line in one character.
    pub fn dots(&self, bits: u8) -> char {
        const UPPER: u8 = 0x01 | 0x08 | 0x02 | 0x10;
        match (self.ascii, bits & UPPER != 0, bits & !UPPER != 0) {
            (_, false, false) => ' ',
            (true, true, true) => ':',
            (true, true, false) => '\'',
            (true, false, true) => '.',
            (false, ..) => char::from_u32(0x2800 + u32::from(bits)).expect("braille has 256 characters"),
        }
    }

    /// Text that this terminal can show and that moves no cursor.
    pub fn text(&self, text: &str) -> String {
        let mut out = String::new();
        for c in safe(text).chars() {
            if self.ascii && !c.is_ascii() { out.push_str(in_ascii(c)) } else { out.push(c) }
        }
        out
    }

    /// The same in at most `width` columns.
    pub fn cut(&self, text: &str, width: usize) -> String {
        let cut = cut(&self.text(text), width);
        if self.ascii { cut.replace('…', "~") } else { cut }
    }
}

fn with_letters(marks: &[char], series: usize) -> char {
    const LETTERS: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let place = series % (marks.len() + LETTERS.len());
    marks.get(place).copied().unwrap_or_else(|| LETTERS[place - marks.len()] as char)
}

fn in_ascii(c: char) -> &'static str {
    const SUPERSCRIPTS: [(char, &str); 11] = [
        ('⁰', "^0"),
        ('¹', "^1"),
        ('²', "^2"),
        ('³', "^3"),
        ('⁴', "^4"),
        ('⁵', "^5"),
        ('⁶', "^6"),
        ('⁷', "^7"),
        ('⁸', "^8"),
        ('⁹', "^9"),
        ('ⁿ', "^n"),
    ];
    match c {
        'µ' | 'μ' => "u",
        '×' => "x",
        '·' => ".",
        '–' | '—' | '−' => "-",
        '±' => "+-",
        '√' => "sqrt ",
        '≈' => "~",
        '≤' => "<=",
        '≥' => ">=",
        '…' => "~",
        c => SUPERSCRIPTS.iter().find(|(from, _)| *from == c).map_or("?", |(_, to)| to),
    }
}
