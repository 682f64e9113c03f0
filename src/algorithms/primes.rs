use super::Class::{Linear, NearLinear, Quadratic, RootTimesLinear};
use super::{Facts, Shape, Typed, ints, variant};

pub static PRIMES: Typed<usize, Vec<usize>> = Typed {
    facts: Facts {
        name: "primes",
        about: "all primes below n",
        counts: "numbers",
        sizes: &[100, 300, 1_000, 3_000, 10_000, 30_000],
        stages: None,
        text: include_str!("primes.rs"),
    },
    shapes: &[Shape { name: "number", about: "n itself", make: |n, _| Box::new(n) }],
    variants: &[
        variant("every_divisor", "tries all smaller numbers", Quadratic, Linear, 100_000, |n| every_divisor(*n)),
        variant("to_the_root", "tries the numbers up to the root", RootTimesLinear, Linear, 1_000_000, |n| {
            to_the_root(*n)
        }),
        variant("sieve", "strikes out multiples (Eratosthenes)", NearLinear, Linear, 10_000_000, |n| sieve(*n)),
        variant("odd_sieve", "keeps only odd numbers", NearLinear, Linear, 10_000_000, |n| odd_sieve(*n)),
        variant("euler", "strikes out each number once, by its least prime", Linear, Linear, 10_000_000, |n| euler(*n)),
    ],
    input: |n| ints([*n as i64]),
    output: |_, primes| ints(primes.into_iter().map(|prime| prime as i64)),
};

fn every_divisor(n: usize) -> Vec<usize> {
    (2..n).filter(|number| (2..*number).all(|divisor| number % divisor != 0)).collect()
}

fn to_the_root(n: usize) -> Vec<usize> {
    (2..n).filter(|number| (2..=number.isqrt()).all(|divisor| number % divisor != 0)).collect()
}

fn sieve(n: usize) -> Vec<usize> {
    let mut prime = vec![true; n];
    for number in 2..n {
        if number * number >= n {
            break;
        }
        if prime[number] {
            for multiple in (number * number..n).step_by(number) {
                prime[multiple] = false;
            }
        }
    }
    (2..n).filter(|number| prime[*number]).collect()
}

fn odd_sieve(n: usize) -> Vec<usize> {
    // Place i stands for 2i + 1.
    let mut prime = vec![true; n / 2];
    let mut i = 1;
    while (2 * i + 1) * (2 * i + 1) < n {
        if prime[i] {
            let number = 2 * i + 1;
            for multiple in (number * number / 2..n / 2).step_by(number) {
                prime[multiple] = false;
            }
        }
        i += 1;
    }
    let odd = (1..n / 2).filter(|i| prime[*i]).map(|i| 2 * i + 1);
    (2..n.min(3)).chain(odd).collect()
}

fn euler(n: usize) -> Vec<usize> {
    let mut composite = vec![false; n];
    let mut primes = Vec::new();
    for number in 2..n {
        if !composite[number] {
            primes.push(number);
        }
        for prime in &primes {
            if prime * number >= n {
                break;
            }
            composite[prime * number] = true;
            if number % prime == 0 {
                break;
            }
        }
    }
    primes
}
