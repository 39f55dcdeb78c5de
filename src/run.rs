//! The batch as one page: open, normalise, digest, compare, classify, plan, record.
