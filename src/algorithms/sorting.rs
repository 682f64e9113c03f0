use super::Class::{Linear, Linearithmic, Quadratic};
use super::{Class, Facts, Random, Shape, Typed, ints, variant};

/// Where the first number is a bad pivot.
const BAD_PIVOTS: &[(&str, Class)] = &[("sorted", Quadratic), ("reversed", Quadratic), ("few_distinct", Quadratic)];

/// Where the library's sorts see that there is less to do.
const EASY: &[(&str, Class)] = &[("sorted", Linear), ("reversed", Linear), ("few_distinct", Linear)];

/// All variants leave the input as it is: they sort a copy, which is timed with them.
pub static SORTING: Typed<[i64], Vec<i64>> = Typed {
    facts: Facts {
        name: "sorting",
        about: "the numbers in order",
        counts: "numbers",
        sizes: &[256, 512, 1_024, 2_048, 4_096],
        stages: Some("sort by it"),
        text: include_str!("sorting.rs"),
    },
    shapes: &[
        Shape { name: "random", about: "any numbers in any order", make: random },
        Shape { name: "sorted", about: "in order already", make: sorted },
        Shape { name: "reversed", about: "the largest first", make: reversed },
        Shape { name: "nearly_sorted", about: "in order, but for one in a hundred", make: nearly_sorted },
        Shape { name: "few_distinct", about: "ten different numbers", make: few_distinct },
    ],
    variants: &[
        variant("bubble", "swaps neighbours until nothing moves", Quadratic, Linear, 30_000, bubble)
            .except(&[("sorted", Linear)]),
        variant("insertion", "moves each number down to its place", Quadratic, Linear, 50_000, insertion)
            .except(&[("sorted", Linear)]),
        variant("merge", "sorts halves and merges them", Linearithmic, Linear, 5_000_000, merge),
        variant("quick", "parts by the first number: bad where there is order", Linearithmic, Linear, 50_000, quick)
            .except(BAD_PIVOTS),
        variant("heap", "takes the largest from a heap", Linearithmic, Linear, 5_000_000, heap),
        variant("radix", "deals by one byte after the other", Linear, Linear, 5_000_000, radix),
        variant("stable", "the library's: equal numbers keep their order", Linearithmic, Linear, 5_000_000, stable)
            .except(EASY),
        variant("unstable", "the library's, in place", Linearithmic, Linear, 5_000_000, unstable).except(EASY),
    ],
    input: |numbers| ints(numbers.iter().copied()),
    output: |_, sorted| ints(sorted),
};

fn random(n: usize, rng: &mut Random) -> Box<[i64]> {
    // So wide that hardly two are equal: equal ones would break a run that falls.
    (0..n).map(|_| rng.int(-1_000_000_000_000_000_000, 1_000_000_000_000_000_000)).collect()
}

fn sorted(n: usize, rng: &mut Random) -> Box<[i64]> {
    let mut numbers = random(n, rng);
    numbers.sort_unstable();
    numbers
}

fn reversed(n: usize, rng: &mut Random) -> Box<[i64]> {
    let mut numbers = sorted(n, rng);
    numbers.reverse();
    numbers
}

fn nearly_sorted(n: usize, rng: &mut Random) -> Box<[i64]> {
    let mut numbers = sorted(n, rng);
    for _ in 0..n.div_ceil(100) {
        numbers.swap(rng.below(n), rng.below(n));
    }
    numbers
}

fn few_distinct(n: usize, rng: &mut Random) -> Box<[i64]> {
    (0..n).map(|_| rng.int(0, 10)).collect()
}

fn bubble(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    let mut unsorted = numbers.len();
    // What lies behind the last swap is in its place.
    while unsorted > 1 {
        let mut last_swap = 0;
        for i in 1..unsorted {
            if numbers[i - 1] > numbers[i] {
                numbers.swap(i - 1, i);
                last_swap = i;
            }
        }
        unsorted = last_swap;
    }
    numbers
}

fn insertion(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    for i in 1..numbers.len() {
        let number = numbers[i];
        let mut place = i;
        while place > 0 && numbers[place - 1] > number {
            numbers[place] = numbers[place - 1];
            place -= 1;
        }
        numbers[place] = number;
    }
    numbers
}

fn merge(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    let mut room = numbers.clone();
    sort_halves(&mut numbers, &mut room);
    numbers
}

fn sort_halves(numbers: &mut [i64], room: &mut [i64]) {
    let middle = numbers.len() / 2;
    if middle == 0 {
        return;
    }
    sort_halves(&mut numbers[..middle], &mut room[..middle]);
    sort_halves(&mut numbers[middle..], &mut room[middle..]);
    let (mut left, mut right) = (0, middle);
    for place in room.iter_mut() {
        let from_left = right == numbers.len() || (left < middle && numbers[left] <= numbers[right]);
        let taken = if from_left { &mut left } else { &mut right };
        *place = numbers[*taken];
        *taken += 1;
    }
    numbers.copy_from_slice(room);
}

fn quick(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    sort_parts(&mut numbers);
    numbers
}

fn sort_parts(numbers: &mut [i64]) {
    let mut rest = numbers;
    while rest.len() > 1 {
        let pivot = rest[0];
        let mut smaller = 0;
        for i in 1..rest.len() {
            if rest[i] < pivot {
                smaller += 1;
                rest.swap(smaller, i);
            }
        }
        rest.swap(0, smaller);
        let (left, right) = rest.split_at_mut(smaller);
        let right = &mut right[1..];
        // Only the shorter part is a call of its own: the stack stays low, however bad the pivots are.
        let (shorter, longer) = if left.len() < right.len() { (left, right) } else { (right, left) };
        sort_parts(shorter);
        rest = longer;
    }
}

fn heap(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    for root in (0..numbers.len() / 2).rev() {
        sift_down(&mut numbers, root);
    }
    for end in (1..numbers.len()).rev() {
        numbers.swap(0, end);
        sift_down(&mut numbers[..end], 0);
    }
    numbers
}

/// Moves the number at `root` down until no child is larger.
fn sift_down(heap: &mut [i64], mut root: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && heap[child] < heap[child + 1] {
            child += 1;
        }
        if heap[root] >= heap[child] {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}

fn radix(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    let mut dealt = vec![0; numbers.len()];
    for digit in 0..8 {
        // With the sign turned over, negative numbers come before the others.
        let byte = |number: i64| ((number ^ i64::MIN) >> (8 * digit)) as u8 as usize;
        let mut places = [0; 256];
        for number in &numbers {
            places[byte(*number)] += 1;
        }
        if places.contains(&numbers.len()) {
            continue;
        }
        let mut start = 0;
        for place in &mut places {
            (*place, start) = (start, start + *place);
        }
        for number in &numbers {
            let place = &mut places[byte(*number)];
            dealt[*place] = *number;
            *place += 1;
        }
        std::mem::swap(&mut numbers, &mut dealt);
    }
    numbers
}

fn stable(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    numbers.sort();
    numbers
}

fn unstable(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers
}
