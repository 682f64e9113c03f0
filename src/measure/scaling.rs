//! How much faster threads make a piece of work: the laws, what a measured speed-up says about them, and what more
//! threads would do. It knows no threads.

use super::Samples;

/// Two threads that work at the same time make work that needs nothing in common so many times as fast at least.
/// Where they do not, other programs want the cores, and a speed-up says little about the work.
pub const UNDISTURBED: f64 = 1.9;

/// The speed-up of work of which a share cannot be split (Amdahl, 1967).
pub fn amdahl(serial: f64, threads: f64) -> f64 {
    1.0 / (serial + (1.0 - serial) / threads)
}

/// The share that cannot be split, as a measured speed-up of several threads tells it (Karp and Flatt, 1990).
pub fn karp_flatt(speed_up: f64, threads: f64) -> Option<f64> {
    let can_tell = threads > 1.0 && speed_up > 0.0 && speed_up.is_finite();
    can_tell.then(|| (1.0 / speed_up - 1.0 / threads) / (1.0 - 1.0 / threads))
}

/// The median of ratios, each of two runs that followed each other: what slows both down cancels out.
pub fn paired(alone: &[f64], together: &[f64]) -> Option<f64> {
    let ratios = alone.iter().zip(together).filter(|(_, together)| **together > 0.0);
    let ratios: Vec<f64> = ratios.map(|(alone, together)| alone / together).collect();
    (!ratios.is_empty()).then(|| Samples::new(1, ratios).median())
}

/// The universal scalability law (Gunther, 1993): threads wait for each other, and keep each other's data up to date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usl {
    pub contention: f64,
    pub coherency: f64,
}

impl Usl {
    pub fn speed_up(&self, threads: f64) -> f64 {
        let others = threads - 1.0;
        threads / (1.0 + self.contention * others + self.coherency * threads * others)
    }
}

/// The laws that fit what was measured: from the one that promises most to the one that promises least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fan {
    pub best: Usl,
    pub worst: Usl,
}

/// The fan of pairs of threads and speed-up. One number of threads says how much is lost, but not why: to contention
/// alone, which is Amdahl's law, or to coherency alone. Two and more tell it.
pub fn fan(points: &[(f64, f64)]) -> Option<Fan> {
    // threads / speed-up - 1 is a sum of both losses, linear in the two parameters.
    let points = points.iter().filter(|(threads, speed_up)| *threads > 1.0 && *speed_up > 0.0);
    let losses: Vec<(f64, f64, f64)> = points
        .map(|(threads, speed_up)| (threads - 1.0, threads * (threads - 1.0), threads / speed_up - 1.0))
        .collect();
    let first = losses.first()?;
    // Least squares of one parameter alone; nothing is gained by threads, so none is below 0.
    let alone = |part: fn(&(f64, f64, f64)) -> f64| {
        let (mut over, mut under) = (0.0, 0.0);
        for loss in &losses {
            over += part(loss) * loss.2;
            under += part(loss) * part(loss);
        }
        (over / under).max(0.0)
    };
    let best = Usl { contention: alone(|loss| loss.0), coherency: 0.0 };
    let worst = Usl { contention: 0.0, coherency: alone(|loss| loss.1) };
    if losses.iter().all(|loss| loss.0 == first.0) {
        return Some(Fan { best, worst });
    }
    let sum = |part: fn(&(f64, f64, f64)) -> f64| losses.iter().map(part).sum::<f64>();
    let (aa, ab, bb) = (sum(|l| l.0 * l.0), sum(|l| l.0 * l.1), sum(|l| l.1 * l.1));
    let (ay, by) = (sum(|l| l.0 * l.2), sum(|l| l.1 * l.2));
    let determinant = aa * bb - ab * ab;
    let both = Usl { contention: (ay * bb - by * ab) / determinant, coherency: (by * aa - ay * ab) / determinant };
    let fit = match both {
        both if both.contention >= 0.0 && both.coherency >= 0.0 => both,
        // A parameter below 0 is none: the other one explains it alone.
        both if both.contention < 0.0 => worst,
        _ => best,
    };
    Some(Fan { best: fit, worst: fit })
}
