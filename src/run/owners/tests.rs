//! What is composed, piece by piece; scenarios and the oracle look at the whole.
