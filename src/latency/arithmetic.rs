//! Arithmetic: the latency of an operation whose operand is the result of the one before, and the throughput of
//! operations that do not need each other, one at a time and several in a register. Written as instructions: a compiler
//! would compute the result, or choose others.

use super::{Group, Probe, Published};

/// P. Norvig, "Teach Yourself Programming in Ten Years": a typical instruction.
const NORVIG: Option<Published> = Some(Published { seconds: 1e-9, year: 2001, source: "Norvig" });

pub static ARITHMETIC: Group = Group {
    name: "arithmetic",
    about: "integer and float operations: latency, throughput, and in wide registers; a mispredicted branch",
    probes: &[
        Probe {
            name: "int add",
            about: "adds integers: latency",
            published: NORVIG,
            in_chart: true,
            run: Some(here::int_add),
        },
        Probe {
            name: "int add, throughput",
            about: "adds integers: one of many independent operations",
            published: None,
            in_chart: false,
            run: Some(here::int_add_throughput),
        },
        Probe {
            name: "int add, 128 bit",
            about: "adds integers: one of the values in a register of 128 bit",
            published: None,
            in_chart: false,
            run: Some(here::int_add_128),
        },
        Probe {
            name: "int add, 256 bit",
            about: "adds integers: one of the values in a register of 256 bit",
            published: None,
            in_chart: false,
            run: Some(here::int_add_256),
        },
        Probe {
            name: "int add, 512 bit",
            about: "adds integers: one of the values in a register of 512 bit",
            published: None,
            in_chart: false,
            run: Some(here::int_add_512),
        },
        Probe {
            name: "int multiply",
            about: "multiplies integers: latency",
            published: None,
            in_chart: true,
            run: Some(here::int_multiply),
        },
        Probe {
            name: "int multiply, throughput",
            about: "multiplies integers: one of many independent operations",
            published: None,
            in_chart: false,
            run: Some(here::int_multiply_throughput),
        },
        Probe {
            name: "int multiply, 128 bit",
            about: "multiplies integers: one of the values in a register of 128 bit",
            published: None,
            in_chart: false,
            run: Some(here::int_multiply_128),
        },
        Probe {
            name: "int multiply, 256 bit",
            about: "multiplies integers: one of the values in a register of 256 bit",
            published: None,
            in_chart: false,
            run: Some(here::int_multiply_256),
        },
        Probe {
            name: "int multiply, 512 bit",
            about: "multiplies integers: one of the values in a register of 512 bit",
            published: None,
            in_chart: false,
            run: Some(here::int_multiply_512),
        },
        Probe {
            name: "int divide",
            about: "divides integers: latency",
            published: None,
            in_chart: true,
            run: Some(here::int_divide),
        },
        Probe {
            name: "int divide, throughput",
            about: "divides integers: one of many independent operations",
            published: None,
            in_chart: false,
            run: Some(here::int_divide_throughput),
        },
        Probe {
            name: "float add",
            about: "adds floats: latency",
            published: None,
            in_chart: true,
            run: Some(here::float_add),
        },
        Probe {
            name: "float add, throughput",
            about: "adds floats: one of many independent operations",
            published: None,
            in_chart: false,
            run: Some(here::float_add_throughput),
        },
        Probe {
            name: "float add, 128 bit",
            about: "adds floats: one of the values in a register of 128 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_add_128),
        },
        Probe {
            name: "float add, 256 bit",
            about: "adds floats: one of the values in a register of 256 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_add_256),
        },
        Probe {
            name: "float add, 512 bit",
            about: "adds floats: one of the values in a register of 512 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_add_512),
        },
        Probe {
            name: "float multiply",
            about: "multiplies floats: latency",
            published: None,
            in_chart: true,
            run: Some(here::float_multiply),
        },
        Probe {
            name: "float multiply, throughput",
            about: "multiplies floats: one of many independent operations",
            published: None,
            in_chart: false,
            run: Some(here::float_multiply_throughput),
        },
        Probe {
            name: "float multiply, 128 bit",
            about: "multiplies floats: one of the values in a register of 128 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_multiply_128),
        },
        Probe {
            name: "float multiply, 256 bit",
            about: "multiplies floats: one of the values in a register of 256 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_multiply_256),
        },
        Probe {
            name: "float multiply, 512 bit",
            about: "multiplies floats: one of the values in a register of 512 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_multiply_512),
        },
        Probe {
            name: "float divide",
            about: "divides floats: latency",
            published: None,
            in_chart: true,
            run: Some(here::float_divide),
        },
        Probe {
            name: "float divide, throughput",
            about: "divides floats: one of many independent operations",
            published: None,
            in_chart: false,
            run: Some(here::float_divide_throughput),
        },
        Probe {
            name: "float divide, 128 bit",
            about: "divides floats: one of the values in a register of 128 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_divide_128),
        },
        Probe {
            name: "float divide, 256 bit",
            about: "divides floats: one of the values in a register of 256 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_divide_256),
        },
        Probe {
            name: "float divide, 512 bit",
            about: "divides floats: one of the values in a register of 512 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_divide_512),
        },
        Probe {
            name: "float square root",
            about: "takes the square root of floats: latency",
            published: None,
            in_chart: true,
            run: Some(here::float_square_root),
        },
        Probe {
            name: "float square root, throughput",
            about: "takes the square root of floats: one of many independent operations",
            published: None,
            in_chart: false,
            run: Some(here::float_square_root_throughput),
        },
        Probe {
            name: "float square root, 128 bit",
            about: "takes the square root of floats: one of the values in a register of 128 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_square_root_128),
        },
        Probe {
            name: "float square root, 256 bit",
            about: "takes the square root of floats: one of the values in a register of 256 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_square_root_256),
        },
        Probe {
            name: "float square root, 512 bit",
            about: "takes the square root of floats: one of the values in a register of 512 bit",
            published: None,
            in_chart: false,
            run: Some(here::float_square_root_512),
        },
        Probe {
            name: "branch miss",
            about: "a jump that was predicted wrongly",
            published: super::dean(5e-9),
            in_chart: true,
            run: Some(here::branch_miss),
        },
    ],
};

#[cfg(not(target_arch = "x86_64"))]
mod here {
    use super::super::{Means, Outcome, because};

    macro_rules! missing {
        ($($name:ident)*) => {
            $(pub fn $name(_: &Means) -> Outcome {
                because("it is implemented for x86-64 only")
            })*
        };
    }

    missing!(
        int_add int_add_throughput int_add_128 int_add_256 int_add_512 int_multiply int_multiply_throughput
        int_multiply_128 int_multiply_256 int_multiply_512 int_divide int_divide_throughput float_add
        float_add_throughput float_add_128 float_add_256 float_add_512 float_multiply
        float_multiply_throughput float_multiply_128 float_multiply_256 float_multiply_512 float_divide
        float_divide_throughput float_divide_128 float_divide_256 float_divide_512 float_square_root
        float_square_root_throughput float_square_root_128 float_square_root_256 float_square_root_512
        branch_miss
    );
}

#[cfg(target_arch = "x86_64")]
mod here {
    use std::arch::asm;

    use super::super::{Means, Outcome, because};

    /// Operations of one pass through the code.
    const PASS: u64 = 80;
    const PASSES: u64 = 1000;

    /// Seconds of one operation, of `code` that does so many passes.
    fn timed(means: &Means, lanes: u64, code: fn(u64)) -> Outcome {
        code(PASSES);
        means.least(|| Ok(means.once(|| code(PASSES)).0 / (PASS * PASSES * lanes) as f64))
    }

    macro_rules! ints {
        ($($name:ident $count:literal $text:expr;)*) => {
            $(pub fn $name(means: &Means) -> Outcome {
                fn code(passes: u64) {
                    // SAFETY: only the registers that are named are changed; no divisor is 0, and no quotient too
                    // large.
                    unsafe {
                        asm!("2:", concat!(".rept ", $count), $text, ".endr", "dec {passes}", "jnz 2b",
                            passes = inout(reg) passes => _, inout("rax") 0x7fff_ffff_ffff_fff1u64 => _,
                            out("rdx") _, inout("rsi") 3u64 => _, inout("rdi") 5u64 => _, inout("r8") 7u64 => _,
                            inout("r9") 9u64 => _, inout("r10") 11u64 => _, inout("r11") 13u64 => _,
                            inout("r12") 15u64 => _, in("r13") 3u64, in("r14") 0x4000_0000_0000_0001u64,
                            options(nomem, nostack));
                    }
                }
                timed(means, 1, code)
            })*
        };
    }

    macro_rules! eight_ints {
        ($op:tt) => {
            concat!(
                $op,
                " rax, r13\n",
                $op,
                " rdx, r13\n",
                $op,
                " rsi, r13\n",
                $op,
                " rdi, r13\n",
                $op,
                " r8, r13\n",
                $op,
                " r9, r13\n",
                $op,
                " r10, r13\n",
                $op,
                " r11, r13"
            )
        };
    }

    ints! {
        int_add 80 "add rax, r13";
        int_add_throughput 10 eight_ints!("add");
        int_multiply 80 "imul rax, r13";
        int_multiply_throughput 10 eight_ints!("imul");
        // The quotient is made large again: small ones take less time.
        int_divide 80 "xor edx, edx\ndiv r13\nor rax, r14";
        int_divide_throughput 80 "mov rax, r14\nxor edx, edx\ndiv r13";
    }

    /// Instructions on the registers of this size: each gets the same number first.
    macro_rules! wide {
        ($(
            $name:ident $feature:tt $lanes:literal $count:literal $spread:expr, $copy:tt $register:tt, $text:expr;
        )*) => {
            $(pub fn $name(means: &Means) -> Outcome {
                fn code(passes: u64) {
                    // SAFETY: whether the processor has these registers was asked before; they are all named as
                    // changed.
                    unsafe {
                        asm!("movq xmm15, {one}", $spread, set!($copy, $register), "2:",
                            concat!(".rept ", $count), $text, ".endr", "dec {passes}", "jnz 2b", end!($register),
                            one = in(reg) 1.000_000_000_1f64.to_bits(), passes = inout(reg) passes => _,
                            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                            out("xmm6") _, out("xmm7") _, out("xmm15") _, options(nomem, nostack));
                    }
                }
                if !std::arch::is_x86_feature_detected!($feature) {
                    return because(concat!("this processor has no ", $feature));
                }
                timed(means, $lanes, code)
            })*
        };
    }

    macro_rules! set {
        ($copy:tt, $r:tt) => {
            concat!(
                $copy, " ", $r, "0, ", $r, "15\n", $copy, " ", $r, "1, ", $r, "15\n", $copy, " ", $r, "2, ", $r,
                "15\n", $copy, " ", $r, "3, ", $r, "15\n", $copy, " ", $r, "4, ", $r, "15\n", $copy, " ", $r, "5, ",
                $r, "15\n", $copy, " ", $r, "6, ", $r, "15\n", $copy, " ", $r, "7, ", $r, "15"
            )
        };
    }

    /// Old instructions are slow beside upper halves that are not empty.
    macro_rules! end {
        ("xmm") => {
            ""
        };
        ($register:literal) => {
            "vzeroupper"
        };
    }

    /// An old instruction on eight registers: its first operand is also its result.
    macro_rules! two {
        ($op:tt) => {
            concat!(
                $op,
                " xmm0, xmm15\n",
                $op,
                " xmm1, xmm15\n",
                $op,
                " xmm2, xmm15\n",
                $op,
                " xmm3, xmm15\n",
                $op,
                " xmm4, xmm15\n",
                $op,
                " xmm5, xmm15\n",
                $op,
                " xmm6, xmm15\n",
                $op,
                " xmm7, xmm15"
            )
        };
    }

    macro_rules! three {
        ($op:tt $r:tt) => {
            concat!(
                $op, " ", $r, "0, ", $r, "0, ", $r, "15\n", $op, " ", $r, "1, ", $r, "1, ", $r, "15\n", $op, " ", $r,
                "2, ", $r, "2, ", $r, "15\n", $op, " ", $r, "3, ", $r, "3, ", $r, "15\n", $op, " ", $r, "4, ", $r,
                "4, ", $r, "15\n", $op, " ", $r, "5, ", $r, "5, ", $r, "15\n", $op, " ", $r, "6, ", $r, "6, ", $r,
                "15\n", $op, " ", $r, "7, ", $r, "7, ", $r, "15"
            )
        };
    }

    /// One operand, which is not the result.
    macro_rules! root {
        ($op:tt $r:tt) => {
            concat!(
                $op, " ", $r, "0, ", $r, "15\n", $op, " ", $r, "1, ", $r, "15\n", $op, " ", $r, "2, ", $r, "15\n", $op,
                " ", $r, "3, ", $r, "15\n", $op, " ", $r, "4, ", $r, "15\n", $op, " ", $r, "5, ", $r, "15\n", $op, " ",
                $r, "6, ", $r, "15\n", $op, " ", $r, "7, ", $r, "15"
            )
        };
    }

    wide! {
        int_add_128 "sse2" 2 10 "punpcklqdq xmm15, xmm15", "movapd" "xmm", two!("paddq");
        int_multiply_128 "sse2" 2 10 "punpcklqdq xmm15, xmm15", "movapd" "xmm", two!("pmuludq");
        float_add_128 "sse2" 2 10 "punpcklqdq xmm15, xmm15", "movapd" "xmm", two!("addpd");
        float_multiply_128 "sse2" 2 10 "punpcklqdq xmm15, xmm15", "movapd" "xmm", two!("mulpd");
        float_divide_128 "sse2" 2 10 "punpcklqdq xmm15, xmm15", "movapd" "xmm", two!("divpd");
        float_square_root_128 "sse2" 2 10 "punpcklqdq xmm15, xmm15", "movapd" "xmm", root!("sqrtpd" "xmm");
        int_add_256 "avx2" 4 10 "vbroadcastsd ymm15, xmm15", "vmovapd" "ymm", three!("vpaddq" "ymm");
        int_multiply_256 "avx2" 4 10 "vbroadcastsd ymm15, xmm15", "vmovapd" "ymm", three!("vpmuludq" "ymm");
        float_add_256 "avx2" 4 10 "vbroadcastsd ymm15, xmm15", "vmovapd" "ymm", three!("vaddpd" "ymm");
        float_multiply_256 "avx2" 4 10 "vbroadcastsd ymm15, xmm15", "vmovapd" "ymm", three!("vmulpd" "ymm");
        float_divide_256 "avx2" 4 10 "vbroadcastsd ymm15, xmm15", "vmovapd" "ymm", three!("vdivpd" "ymm");
        float_square_root_256 "avx2" 4 10 "vbroadcastsd ymm15, xmm15", "vmovapd" "ymm", root!("vsqrtpd" "ymm");
        int_add_512 "avx512f" 8 10 "vbroadcastsd zmm15, xmm15", "vmovapd" "zmm", three!("vpaddq" "zmm");
        int_multiply_512 "avx512f" 8 10 "vbroadcastsd zmm15, xmm15", "vmovapd" "zmm", three!("vpmuludq" "zmm");
        float_add_512 "avx512f" 8 10 "vbroadcastsd zmm15, xmm15", "vmovapd" "zmm", three!("vaddpd" "zmm");
        float_multiply_512 "avx512f" 8 10 "vbroadcastsd zmm15, xmm15", "vmovapd" "zmm", three!("vmulpd" "zmm");
        float_divide_512 "avx512f" 8 10 "vbroadcastsd zmm15, xmm15", "vmovapd" "zmm", three!("vdivpd" "zmm");
        float_square_root_512 "avx512f" 8 10 "vbroadcastsd zmm15, xmm15", "vmovapd" "zmm", root!("vsqrtpd" "zmm");
        float_add "sse2" 1 80 "", "movapd" "xmm", "addsd xmm0, xmm15";
        float_add_throughput "sse2" 1 10 "", "movapd" "xmm", two!("addsd");
        float_multiply "sse2" 1 80 "", "movapd" "xmm", "mulsd xmm0, xmm15";
        float_multiply_throughput "sse2" 1 10 "", "movapd" "xmm", two!("mulsd");
        float_divide "sse2" 1 80 "", "movapd" "xmm", "divsd xmm0, xmm15";
        float_divide_throughput "sse2" 1 10 "", "movapd" "xmm", two!("divsd");
        float_square_root_throughput "sse2" 1 10 "", "movapd" "xmm", root!("sqrtsd" "xmm");
        // The multiplication keeps the number away from 1, whose root takes less time.
        root_and_multiply "sse2" 1 80 "", "movapd" "xmm", "sqrtsd xmm0, xmm0\nmulsd xmm0, xmm15";
    }

    pub fn float_square_root(means: &Means) -> Outcome {
        Ok((root_and_multiply(means)? - float_multiply(means)?).max(0.0))
    }

    /// Jumps over bytes that are even, in random order and in none: half of the random ones go the other way.
    pub fn branch_miss(means: &Means) -> Outcome {
        const BYTES: usize = 1 << 20;
        fn jumps(bytes: &[u8]) {
            // SAFETY: it reads each byte once.
            unsafe {
                asm!("2:", "test byte ptr [{at}], 1", "jz 3f", "add {sum}, 1", "3:", "inc {at}", "dec {left}", "jnz 2b",
                    at = inout(reg) bytes.as_ptr() => _, left = inout(reg) bytes.len() => _, sum = inout(reg) 0u64 => _,
                    options(nostack, readonly));
            }
        }
        let mut random = fastrand::Rng::with_seed(7);
        let mixed: Vec<u8> = (0..BYTES).map(|_| random.u8(..)).collect();
        let even = vec![0u8; BYTES];
        let time = |bytes: &[u8]| means.least(|| Ok(means.once(|| jumps(bytes)).0 / BYTES as f64));
        Ok(((time(&mixed)? - time(&even)?) * 2.0).max(0.0))
    }
}
