use std::collections::HashMap;

use crate::data::{Order, Type, Value};

use super::Class::{Linear, Linearithmic, Quadratic};
use super::{Facts, Random, Shape, Typed, table, variant};

pub struct Match {
    home: String,
    guest: String,
    home_wins: bool,
}

/// A win is worth so many points.
const POINTS: i64 = 3;

/// The result: the team and its points; none where nobody played.
pub static TOURNAMENT: Typed<[Match], Option<(String, i64)>> = Typed {
    facts: Facts {
        name: "tournament",
        about: "the team with the most points, three for a win; of equal ones the first by name",
        counts: "matches",
        sizes: &[100, 200, 400, 800, 1_600, 3_200],
        stages: Some(
            "map team = if home_wins then home else guest | count by team | map team, points = 3 * count \
             | sort by points desc, team | take 1",
        ),
        text: include_str!("tournament.rs"),
    },
    shapes: &[
        Shape {
            name: "even",
            about: "a team for eight matches, each as good",
            make: |n, rng| matches(n, n / 8 + 2, rng),
        },
        Shape { name: "few_teams", about: "four teams", make: |n, rng| matches(n, 4, rng) },
        Shape { name: "favourite", about: "one team is in every match, and wins", make: favourite },
    ],
    variants: &[
        variant("recount", "goes through all matches again for each winner", Quadratic, Linear, 20_000, recount),
        variant("sorted", "sorts the winners: a team's wins are neighbours", Linearithmic, Linear, 1_000_000, sorted)
            .except(&[("few_teams", Linear), ("favourite", Linear)]),
        variant("hashed", "counts in a hash map, then looks for the most", Linear, Linear, 1_000_000, hashed),
        variant("leader", "counts in a hash map and keeps who leads", Linear, Linear, 1_000_000, leader),
    ],
    input: |matches| {
        let text = |of: fn(&Match) -> &str| matches.iter().map(|game| Value::text(of(game))).collect();
        let columns = vec![
            ("home", Type::Text, text(|game| &game.home)),
            ("guest", Type::Text, text(|game| &game.guest)),
            ("home_wins", Type::Bool, matches.iter().map(|game| Value::Bool(game.home_wins)).collect()),
        ];
        table(Order::Kept, columns)
    },
    output: |_, best| {
        let (team, points) = best.map(|(team, points)| (Value::text(&team), Value::Int(points))).unzip();
        let columns =
            vec![("team", Type::Text, team.into_iter().collect()), ("points", Type::Int, points.into_iter().collect())];
        table(Order::Kept, columns)
    },
};

fn matches(n: usize, teams: usize, rng: &mut Random) -> Box<[Match]> {
    let names: Vec<String> = (0..teams).map(|i| name(i, rng)).collect();
    let mut game = || {
        let home = rng.below(teams);
        let guest = (home + 1 + rng.below(teams - 1)) % teams;
        Match { home: names[home].clone(), guest: names[guest].clone(), home_wins: rng.one_in(2) }
    };
    (0..n).map(|_| game()).collect()
}

fn favourite(n: usize, rng: &mut Random) -> Box<[Match]> {
    let mut matches = matches(n, n / 8 + 2, rng);
    for game in &mut matches {
        game.home = "Favourites".to_string();
        game.home_wins = true;
    }
    matches
}

/// Letters by chance; the number keeps two teams apart.
fn name(number: usize, rng: &mut Random) -> String {
    let letters: String = (0..4).map(|_| rng.letter()).collect();
    format!("{letters} {number}")
}

fn recount(matches: &[Match]) -> Option<(String, i64)> {
    let mut best: Option<(&str, i64)> = None;
    for game in matches {
        let team = winner(game);
        let wins = matches.iter().filter(|other| winner(other) == team).count();
        best = better(best, (team, wins as i64 * POINTS));
    }
    owned(best)
}

fn sorted(matches: &[Match]) -> Option<(String, i64)> {
    let mut winners: Vec<&str> = matches.iter().map(winner).collect();
    winners.sort_unstable();
    let mut best = None;
    for wins in winners.chunk_by(|a, b| a == b) {
        best = better(best, (wins[0], wins.len() as i64 * POINTS));
    }
    owned(best)
}

fn hashed(matches: &[Match]) -> Option<(String, i64)> {
    let mut points: HashMap<&str, i64> = HashMap::new();
    for game in matches {
        *points.entry(winner(game)).or_default() += POINTS;
    }
    owned(points.into_iter().fold(None, better))
}

fn leader(matches: &[Match]) -> Option<(String, i64)> {
    let mut points: HashMap<&str, i64> = HashMap::new();
    let mut best = None;
    for game in matches {
        let team = winner(game);
        let reached = points.entry(team).or_default();
        *reached += POINTS;
        best = better(best, (team, *reached));
    }
    owned(best)
}

fn winner(game: &Match) -> &str {
    if game.home_wins { &game.home } else { &game.guest }
}

/// The one with more points; of equal ones the first by name.
fn better<'a>(best: Option<(&'a str, i64)>, (team, points): (&'a str, i64)) -> Option<(&'a str, i64)> {
    match best {
        Some((first, most)) if most > points || (most == points && first <= team) => best,
        _ => Some((team, points)),
    }
}

fn owned(best: Option<(&str, i64)>) -> Option<(String, i64)> {
    best.map(|(team, points)| (team.to_string(), points))
}
