use std::fmt;

/// How a cost grows with the size n, at most and up to a factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Constant,
    LogLog,
    Log,
    Root,
    Linear,
    /// n log log n: a sieve.
    NearLinear,
    Linearithmic,
    /// n √n
    RootTimesLinear,
    Quadratic,
    Cubic,
    /// cⁿ for some c above 1.
    Exponential,
    /// n!, and each of so many results may be n long.
    Factorial,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::Constant => "O(1)",
            Class::LogLog => "O(log log n)",
            Class::Log => "O(log n)",
            Class::Root => "O(√n)",
            Class::Linear => "O(n)",
            Class::NearLinear => "O(n log log n)",
            Class::Linearithmic => "O(n log n)",
            Class::RootTimesLinear => "O(n √n)",
            Class::Quadratic => "O(n²)",
            Class::Cubic => "O(n³)",
            Class::Exponential => "O(cⁿ)",
            Class::Factorial => "O(n!)",
        })
    }
}
