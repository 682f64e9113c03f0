//! Colours by meaning, for dark and for light windows.

use nu_ansi_term::{Color, Style};

use crate::report::Tone;

/// What the window's ground is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Dark,
    Light,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Error,
    Warning,
    /// What may be passed over: the last line of a cell, comments, hints.
    Quiet,
    Heading,
    /// Not (yet) in the language.
    Invalid,
    UnmatchedBracket,
    Text,
    Number,
    Stage,
    Bar,
    Magic,
    Engine,
    Function,
    /// A word of the language.
    Word,
    /// A series of a plot, by its place.
    Series(usize),
    Tone(Tone),
    Plain,
}

impl Theme {
    pub fn style(self, role: Role) -> Style {
        // Each colour for a dark window and for a light one: what is bright on the one is hard to see on the other.
        let pick = |dark: Color, light: Color| match self {
            Theme::Dark => dark,
            Theme::Light => light,
        };
        let red = pick(Color::LightRed, Color::Fixed(160));
        let yellow = pick(Color::Yellow, Color::Fixed(130));
        let blue = pick(Color::LightBlue, Color::Blue);
        let purple = pick(Color::LightPurple, Color::Purple);
        let series = [
            blue,
            yellow,
            pick(Color::LightGreen, Color::Fixed(28)),
            purple,
            red,
            pick(Color::LightCyan, Color::Fixed(30)),
        ];
        match role {
            Role::Error | Role::UnmatchedBracket => red.bold(),
            Role::Warning => yellow.bold(),
            Role::Quiet => Style::new().dimmed(),
            Role::Heading | Role::Bar => Style::new().bold(),
            Role::Invalid => red.normal(),
            Role::Text => pick(Color::Green, Color::Fixed(28)).normal(),
            Role::Number => pick(Color::Cyan, Color::Fixed(30)).normal(),
            Role::Stage => blue.bold(),
            Role::Magic => purple.bold(),
            Role::Engine => purple.normal(),
            Role::Function => yellow.normal(),
            Role::Word => blue.normal(),
            Role::Series(place) => series[place % series.len()].normal(),
            Role::Tone(Tone::Best) => pick(Color::LightGreen, Color::Fixed(28)).normal(),
            Role::Tone(Tone::Good) => pick(Color::Fixed(112), Color::Fixed(64)).normal(),
            Role::Tone(Tone::StillGood) => pick(Color::Fixed(154), Color::Fixed(100)).normal(),
            Role::Tone(Tone::Fair) => pick(Color::Fixed(220), Color::Fixed(136)).normal(),
            Role::Tone(Tone::Bad) => pick(Color::Fixed(208), Color::Fixed(166)).normal(),
            Role::Tone(Tone::Horrible) => red.normal(),
            Role::Plain => Style::new(),
        }
    }
}
