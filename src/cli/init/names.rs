//! How alike two column names are: by their words, whatever stands between them, with the synonyms that systems use.

use super::share;

/// Words that mean the same in the names of columns; the first stands for all.
const SYNONYMS: [&[&str]; 22] = [
    &["id", "no", "nr", "number", "num", "ref", "reference", "key", "code", "identifier", "uuid", "guid"],
    &["amount", "amt", "value", "val", "sum"],
    &["balance", "receivable", "owed", "outstanding"],
    &["quantity", "qty", "count", "cnt"],
    &["date", "dt", "day", "on"],
    &["timestamp", "ts", "time", "at", "datetime"],
    &["start", "begin", "from", "effective", "valid"],
    &["end", "until", "to", "expiry", "expires", "expiration"],
    &["changed", "modified", "updated", "upd", "mod", "change", "update"],
    &["created", "inserted", "creation"],
    &["customer", "client", "cust", "account"],
    &["name", "nm", "title", "label"],
    &["description", "desc", "descr", "text"],
    &["status", "state", "stat"],
    &["postcode", "zip", "zipcode", "plz", "postal"],
    &["phone", "telephone", "tel", "mobile"],
    &["email", "mail"],
    &["latitude", "lat"],
    &["longitude", "lon", "lng", "long"],
    &["currency", "ccy", "curr"],
    &["category", "type", "kind", "class"],
    &["price", "rate", "cost"],
];

/// Words that mark what a load job wrote beside the rows.
const LOAD: [&str; 17] = [
    "etl",
    "elt",
    "dwh",
    "load",
    "loaded",
    "ingest",
    "ingested",
    "ingestion",
    "imported",
    "extracted",
    "extract",
    "fivetran",
    "airbyte",
    "dlt",
    "batchid",
    "synced",
    "replicated",
];

/// The words of a name, in lower case: `policyNo`, `POLICY_NO` and `policy-no` are `policy`, `no`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let characters: Vec<char> = name.chars().collect();
    for (index, &character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| characters[before]);
        let after = characters.get(index + 1);
        let camel = character.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if (!character.is_alphanumeric() || camel) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn meaning(word: &str) -> &str {
    SYNONYMS.iter().find(|list| list.contains(&word)).map_or(word, |list| list[0])
}

/// From 0, nothing in common, to 1, the same name.
pub(super) fn likeness(one: &str, other: &str) -> f64 {
    if one == other {
        return 1.0;
    }
    let (one, other) = (words(one), words(other));
    if one.concat() == other.concat() {
        return if one.is_empty() { 0.0 } else { 0.97 };
    }
    let of = |words: &[String]| {
        let mut meanings: Vec<String> = words.iter().map(|word| meaning(word).to_owned()).collect();
        meanings.sort_unstable();
        meanings.dedup();
        meanings
    };
    let (one, other) = (of(&one), of(&other));
    if one.is_empty() || other.is_empty() {
        return 0.0;
    }
    let near = |word: &String, list: &[String]| {
        list.contains(word) || list.iter().any(|candidate| abbreviates(word, candidate) || abbreviates(candidate, word))
    };
    let (few, many) = if one.len() <= other.len() { (&one, &other) } else { (&other, &one) };
    let common = few.iter().filter(|word| near(word, many)).count();
    let (few, many) = (few.len(), many.len());
    // A prefix or suffix costs less than a word that is another.
    0.9 * (0.6 * share(common, few) + 0.4 * share(common, many))
}

/// `cust` for `customer`: three letters at least, from the start.
fn abbreviates(short: &str, long: &str) -> bool {
    short.len() >= 3 && short.len() < long.len() && long.starts_with(short)
}

/// Whether a name says that its column identifies something.
pub(super) fn identifies(name: &str) -> bool {
    words(name).iter().any(|word| meaning(word) == "id")
}

/// Whether a name says that a load job wrote its column.
pub(super) fn is_of_load(name: &str) -> bool {
    words(name).iter().any(|word| LOAD.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_spelling() {
        for name in ["policyNo", "policy_no", "POLICY_NO", "PolicyNo", "policy-no", "policy no"] {
            assert_eq!(words(name), ["policy", "no"], "{name}");
        }
        assert_eq!(words("HTTPStatus2Code"), ["http", "status2", "code"]);
        assert_eq!(words("…"), [""; 0]);
    }

    #[test]
    fn names_of_one_thing_are_more_alike_than_others() {
        let alike = [
            ("policy_id", "policyNo"),
            ("status", "policyStatus"),
            ("holder_name", "holder"),
            ("currency", "receivableCurrency"),
            ("changed_at", "modified_ts"),
            ("cust_name", "CustomerName"),
            ("zip", "postcode"),
        ];
        for (one, other) in alike {
            assert!(likeness(one, other) > 0.5, "{one} {other} {}", likeness(one, other));
        }
        for (one, other) in [("premium", "holder"), ("city", "country"), ("a", "b"), ("…", "—")] {
            assert!(likeness(one, other) < 0.3, "{one} {other} {}", likeness(one, other));
        }
    }

    #[test]
    fn what_a_load_job_wrote_is_known_by_its_name() {
        assert!(is_of_load("etl_batch") && is_of_load("_fivetran_synced") && is_of_load("loadedAt"));
        assert!(!is_of_load("download_url") && !is_of_load("payload"));
    }
}
