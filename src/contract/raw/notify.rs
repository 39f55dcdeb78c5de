//! The keys of `[run.notify]`. What they mean is `check::tell`'s business.

use super::{Section, Shape, key};
use crate::contract::NoticeOf;

/// What a notice can be of, and the shapes that it can have.
const EVENTS: &[&str] = &NoticeOf::NAMES;
const SHAPES: &[&str] = &["json", "slack"];

pub(in crate::contract) static NOTIFY: Section = Section {
    name: "run.notify",
    keys: &[
        key("url", Shape::Text, "The webhook that is told, over `https` or `http`.").required(),
        key("shape", Shape::OneOf(SHAPES), "What it is sent: JSON of our own, or a message for Slack.")
            .default("\"json\""),
        key("on", Shape::Several(EVENTS), "What it is told of; `recovered`: a contract agrees that did not before.")
            .default("[\"drifted\", \"unverified\", \"recovered\"]"),
        key("authorization", Shape::Text, "The `Authorization` header, as `\"Bearer ${TOKEN}\"`.").default("none"),
        key("timeout", Shape::Span, "How long one attempt may take, at most a minute.").default("\"5s\""),
        key("attempts", Shape::Count(10), "How often it is tried, with a longer pause before each.").default("4"),
    ],
};
