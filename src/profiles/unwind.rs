//! Who called a function, by what compilers write for exceptions (`.eh_frame`): it is there without frame pointers too.

use std::collections::HashMap;
use std::path::Path;

use addr2line::gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, FrameDescriptionEntry, LittleEndian, ParsedEhFrameHdr, Register,
    RegisterRule, UnwindContext, UnwindSection,
};

use super::symbols::{Elf, Slice, slice};

/// What is known of the registers of a function, by the numbers that DWARF gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct Registers {
    pub each: [Option<u64>; REGISTERS],
    /// The instruction: that which runs, or behind a call.
    pub instruction: u64,
}

/// All that may hold what a caller needs.
pub const REGISTERS: usize = 33;

#[cfg(target_arch = "aarch64")]
pub const STACK: usize = 31;
#[cfg(not(target_arch = "aarch64"))]
pub const STACK: usize = 7;

/// What comes after a function.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one is made for each frame of each sample, and lives for a moment")]
pub enum Caller {
    Known(Registers),
    /// It has none: a program or a thread begins there.
    None,
    /// Nobody knows.
    Unknown,
}

/// How callers are found in one file.
pub struct CallFrames {
    /// The search table, and what it points to, with their addresses.
    table: (Vec<u8>, u64),
    frames: (Vec<u8>, u64),
    /// Parts that are loaded: place in the file, length, address.
    segments: Vec<(u64, u64, u64)>,
    /// What was found before, by address.
    known: HashMap<u64, Option<Rules>>,
}

/// How the registers of a caller come from those of a function at one address.
#[derive(Debug, Clone)]
struct Rules {
    /// The frame's address: a register and what is added.
    frame: (usize, i64),
    /// Where registers were saved, from the frame's address on.
    saved: Vec<(usize, i64)>,
    /// The register that holds where to return; none where nobody is returned to.
    returns: Option<usize>,
}

/// The longest sections that are read.
const MOST: u64 = 64 << 20;

impl CallFrames {
    /// Those of a file; none where it has no search table.
    pub fn of_file(path: &Path) -> Option<CallFrames> {
        let file = Elf::open(path)?;
        let section = |name: &str| {
            let section = file.section(name)?;
            Some((file.bytes(section, MOST)?, section.address))
        };
        Some(CallFrames {
            table: section(".eh_frame_hdr")?,
            frames: section(".eh_frame")?,
            segments: file.segments()?,
            known: HashMap::new(),
        })
    }

    /// The caller of a function that is at this place in the file. `read` gives eight bytes of its memory.
    pub fn caller(&mut self, offset: u64, registers: &Registers, read: &dyn Fn(u64) -> Option<u64>) -> Caller {
        let inside = |(start, length, _): &&(u64, u64, u64)| offset >= *start && offset - start < *length;
        let Some((start, _, address)) = self.segments.iter().find(inside) else { return Caller::Unknown };
        let address = address.wrapping_add(offset - start);
        if !self.known.contains_key(&address) {
            let rules = self.rules(address);
            self.known.insert(address, rules);
        }
        match self.known.get(&address) {
            Some(Some(rules)) => rules.caller(registers, read),
            _ => Caller::Unknown,
        }
    }

    /// The place in the file where the function begins to which a place belongs.
    pub fn begins(&self, offset: u64) -> Option<u64> {
        let inside = |(start, length, _): &&(u64, u64, u64)| offset >= *start && offset - start < *length;
        let (start, _, address) = self.segments.iter().find(inside)?;
        let entry = self.entry(address.wrapping_add(offset - start))?;
        entry.initial_address().checked_sub(*address).map(|inside| start + inside)
    }

    fn bases(&self) -> BaseAddresses {
        BaseAddresses::default().set_eh_frame_hdr(self.table.1).set_eh_frame(self.frames.1)
    }

    fn entry(&self, address: u64) -> Option<FrameDescriptionEntry<Slice<'_>>> {
        let bases = self.bases();
        let header: ParsedEhFrameHdr<Slice> =
            EhFrameHdr::new(&self.table.0, LittleEndian).parse(&bases, size_of::<usize>() as u8).ok()?;
        let frames: EhFrame<Slice> = EhFrame::from(slice(&self.frames.0));
        header.table()?.fde_for_address(&frames, &bases, address, EhFrame::cie_from_offset).ok()
    }

    fn rules(&self, address: u64) -> Option<Rules> {
        let (bases, frames) = (self.bases(), EhFrame::from(slice(&self.frames.0)));
        let mut context = UnwindContext::new();
        let entry = self.entry(address)?;
        let returns = usize::from(entry.cie().return_address_register().0);
        let row = entry.unwind_info_for_address(&frames, &bases, &mut context, address).ok()?;
        // What is computed by a program of its own is rare: signal frames and stubs of the linker.
        let CfaRule::RegisterAndOffset { register: Register(register), offset } = row.cfa() else { return None };
        let mut saved = Vec::new();
        let mut has_caller = true;
        for (Register(number), rule) in row.registers() {
            let number = usize::from(*number);
            match rule {
                RegisterRule::Offset(offset) if number < REGISTERS => saved.push((number, *offset)),
                RegisterRule::Undefined if number == returns => has_caller = false,
                RegisterRule::SameValue | RegisterRule::Undefined | RegisterRule::Offset(_) => {}
                _ if number == returns => return None,
                _ => {}
            }
        }
        let returns = (has_caller && returns < REGISTERS).then_some(returns);
        Some(Rules { frame: (usize::from(*register), *offset), saved, returns })
    }
}

impl Rules {
    fn caller(&self, registers: &Registers, read: &dyn Fn(u64) -> Option<u64>) -> Caller {
        let Some(returns) = self.returns else { return Caller::None };
        let (base, offset) = self.frame;
        let base = registers.each.get(base).copied().flatten();
        let Some(frame) = base.and_then(|base| base.checked_add_signed(offset)) else { return Caller::Unknown };
        let mut each = registers.each;
        for (number, offset) in &self.saved {
            each[*number] = frame.checked_add_signed(*offset).and_then(read);
        }
        each[STACK] = Some(frame);
        match each[returns] {
            Some(0) => Caller::None,
            // The stack grows: a caller's frame lies above.
            Some(instruction) if registers.each[STACK].is_some_and(|stack| frame >= stack) => {
                Caller::Known(Registers { each, instruction })
            }
            _ => Caller::Unknown,
        }
    }
}
