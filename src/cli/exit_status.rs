//! How a command ended, as the number that a job sees and the sentence that says what it means.
//!
//! The sentences are written here and nowhere else: help, manual pages and documentation take them from this type.

use std::process::ExitCode;

use crate::audit::{Audit, Verdict};

/// How a command ended. The greatest is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// Nothing diverged; for other commands: done.
    Agreed,
    /// Something diverged; for `audit verify`: something was changed.
    Drifted,
    /// Something could not be compared, read or done.
    Unverified,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl ExitStatus {
    /// Every status, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Agreed, Self::Drifted, Self::Unverified, Self::Interrupted, Self::Terminated];

    /// The number that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Agreed => 0,
            Self::Drifted => 1,
            Self::Unverified => 2,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What the number means for `run` and `diff`.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Agreed => "every contract was compared to the end, and nothing diverged beyond what it allows",
            Self::Drifted => "every contract was compared to the end, and at least one diverged beyond what it allows",
            Self::Unverified => {
                "something could not be compared: bad usage, bad contract, a source that failed or is older than \
                 allowed, rows that could not be read, a table not read to its end"
            }
            Self::Interrupted => "interrupted; what was finished is published, with the verdict `unverified`",
            Self::Terminated => "terminated; what was finished is published, with the verdict `unverified`",
        }
    }

    /// What a verdict means for the process.
    #[must_use]
    pub fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Agreed => Self::Agreed,
            Verdict::Drifted => Self::Drifted,
            Verdict::Unverified => Self::Unverified,
        }
    }

    /// What a run means for the process: the signal that stopped it, or else the worst of its verdicts.
    #[must_use]
    pub fn of_audit(audit: &Audit) -> Self {
        audit.interrupted.map_or_else(|| Self::of_verdict(audit.verdict()), Self::of_signal)
    }

    /// The status of a process that a signal stopped.
    #[must_use]
    pub fn of_signal(signal: i32) -> Self {
        if signal == signal_hook::consts::SIGTERM { Self::Terminated } else { Self::Interrupted }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_number_and_sentence() {
        let codes: Vec<u8> = ExitStatus::ALL.iter().map(|status| status.code()).collect();
        assert_eq!(codes, [0, 1, 2, 130, 143]);
        for (index, status) in ExitStatus::ALL.iter().enumerate() {
            for other in &ExitStatus::ALL[index + 1..] {
                assert_ne!(status.sentence(), other.sentence());
                assert!(status < other, "{status:?} is not before {other:?}");
            }
        }
    }

    #[test]
    fn the_worst_verdict_is_the_worst_status() {
        let worst = [Verdict::Agreed, Verdict::Unverified, Verdict::Drifted].into_iter().max();
        assert_eq!(worst.map(ExitStatus::of_verdict), Some(ExitStatus::Unverified));
        assert_eq!(ExitStatus::of_verdict(Verdict::Agreed).code(), 0);
        assert_eq!(ExitStatus::of_verdict(Verdict::Drifted).code(), 1);
    }

    #[test]
    fn a_signal_is_the_number_that_shells_expect() {
        assert_eq!(ExitStatus::of_signal(2).code(), 130);
        assert_eq!(ExitStatus::of_signal(15).code(), 143);
    }

    #[test]
    fn a_stopped_run_is_never_agreed() {
        let audit = Audit {
            run_id: "20261121T072500000Z-0000".to_owned(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            elapsed_ms: 0,
            command: "run".to_owned(),
            settings: std::collections::BTreeMap::new(),
            contracts: Vec::new(),
            warnings: Vec::new(),
            interrupted: None,
            resumed: None,
        };
        assert_eq!(ExitStatus::of_audit(&audit), ExitStatus::Unverified, "a run without contracts proves nothing");
        let stopped = Audit { interrupted: Some(15), ..audit };
        assert_eq!(ExitStatus::of_audit(&stopped), ExitStatus::Terminated);
    }
}
