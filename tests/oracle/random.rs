//! SplitMix64: a seed is a case, on every machine.

pub(crate) struct Random {
    state: u64,
    /// What spelling depends on besides the value: the same value is spelled the same in all of one side.
    pub(crate) style: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, style: seed }
    }

    /// The choices of how a value is spelled, which do not depend on where it stands.
    pub(crate) fn spelling(&self, value: &impl std::fmt::Debug) -> Self {
        let text = format!("{value:?}");
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        Self::new(text.bytes().fold(0xCBF2_9CE4_8422_2325 ^ self.style.wrapping_mul(0x9E37_79B9_7F4A_7C15), hash))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// True in so many of a hundred.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}
