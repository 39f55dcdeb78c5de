//! Turns an audit into files and text, one renderer a format.
