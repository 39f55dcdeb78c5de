//! Refuses a processor that lacks instructions of x86-64-v3 where this build may use them anywhere. Without that the operating system would end the
//! process at the first of them, and nobody would know why. Nothing here may need them itself: no formatting, and what is said was
//! made when it was compiled.

/// What to say where this processor cannot run this build.
#[must_use]
pub fn refusal() -> Option<&'static str> {
    #[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
    if lacks(|leaf, part| {
        let said = std::arch::x86_64::__cpuid_count(leaf, part);
        [said.eax, said.ebx, said.ecx, said.edx]
    }) {
        return Some(
            "error: this build of reconcile needs a processor with AVX2, BMI1, BMI2, FMA, F16C, LZCNT and MOVBE (x86-64-v3), and this one lacks some of them\n\
             hint: build it for this machine: RUSTFLAGS=\"-C target-cpu=native\" cargo build --release\n",
        );
    }
    None
}

/// Whether a processor lacks any instructions of x86-64-v3; `ask` gives what it says in EAX, EBX, ECX and EDX. Leaves and bits are those
/// of Intel's manual, volume 2, CPUID, and AMD's, volume 3, appendix E.
#[cfg(any(test, all(target_arch = "x86_64", target_feature = "avx2")))]
fn lacks(ask: impl Fn(u32, u32) -> [u32; 4]) -> bool {
    const FEATURES: u32 = 1;
    const MORE: u32 = 7;
    const FIRST_OF_AMD: u32 = 0x8000_0000;
    const OF_AMD: u32 = 0x8000_0001;
    const ECX: usize = 2;
    // SSE3, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C.
    const IN_FEATURES: u32 =
        1 | 1 << 9 | 1 << 12 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 22 | 1 << 23 | 1 << 27 | 1 << 28 | 1 << 29;
    // BMI1, AVX2, BMI2.
    const IN_MORE: u32 = 1 << 3 | 1 << 5 | 1 << 8;
    // LAHF, LZCNT.
    const IN_OF_AMD: u32 = 1 | 1 << 5;
    let has = |leaf: u32, register: usize, bits: u32| {
        let first = if leaf >= FIRST_OF_AMD { FIRST_OF_AMD } else { 0 };
        ask(first, 0)[0] >= leaf && ask(leaf, 0)[register] & bits == bits
    };
    !(has(FEATURES, ECX, IN_FEATURES) && has(MORE, 1, IN_MORE) && has(OF_AMD, ECX, IN_OF_AMD))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor that has everything but one bit of one register of one leaf.
    fn without(leaf: u32, register: usize, bit: u32) -> impl Fn(u32, u32) -> [u32; 4] {
        move |asked, _| {
            let mut said = [u32::MAX; 4];
            if asked == leaf {
                said[register] &= !(1 << bit);
            }
            said
        }
    }

    #[test]
    fn each_missing_instruction_is_noticed() {
        assert!(!lacks(|_, _| [u32::MAX; 4]));
        assert!(lacks(without(7, 1, 5)), "AVX2");
        assert!(lacks(without(7, 1, 8)), "BMI2");
        assert!(lacks(without(1, 2, 12)), "FMA");
        assert!(lacks(without(1, 2, 27)), "the system saves no wide registers");
        assert!(lacks(without(0x8000_0001, 2, 5)), "LZCNT");
        assert!(!lacks(without(7, 1, 16)), "AVX-512 is not asked for");
    }

    #[test]
    fn a_processor_that_does_not_know_a_leaf_lacks_it() {
        assert!(lacks(|leaf, _| if leaf == 0 { [4, 0, 0, 0] } else { [u32::MAX; 4] }));
        assert!(lacks(|leaf, _| if leaf == 0x8000_0000 { [0; 4] } else { [u32::MAX; 4] }));
    }

    #[test]
    fn the_processor_that_runs_the_tests_is_not_refused() {
        assert_eq!(refusal(), None);
    }
}
