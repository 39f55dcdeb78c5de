//! What a contract says of ownership, and what is said where it cannot be.

use super::*;

const OTHERS: &str = "[source.billing]\nlocation = \"b.csv\"\n[source.crm]\nlocation = \"c.csv\"\n";

fn owned(lines: &str) -> String {
    format!("[contract.orders.attribute.x]\n{lines}\n{OTHERS}")
}

#[test]
fn owners_derivations_and_lookups_are_read() {
    let contract = made(&format!(
        "[contract.orders.attribute.id]\ncolumn = {{ erp = \"order\", billing = [\"ref\", \"no\"] }}\n\
         [contract.orders.attribute.a]\nowner = \"billing\"\nderive = \"x - y\"\n\
         [contract.orders.attribute.b]\nlookup = {{ source = \"crm\", on = \"customer\", column = \"name\" }}\n\
         [contract.orders.attribute.c]\nlookup = {{ source = \"crm\", on = {{ customer = \"id\", land = \"land\" }} }}\nderive = \"upper(name)\"\n\
         [contract.orders.attribute.d]\nowner = \"erp\"\n{OTHERS}"
    ));
    let attribute = |name: &str| contract.attributes.iter().find(|one| one.name == name).expect("declared");
    assert!(contract.unserved.is_empty() && contract.is_composed());
    assert_eq!(attribute("id").column, ["order"]);
    assert_eq!(attribute("id").origin.columns["billing"], ["ref", "no"]);
    assert_eq!(contract.owner(attribute("a")).name, "billing");
    assert_eq!(attribute("a").origin.derive.as_deref(), Some("x - y"));
    let lookup = attribute("b").origin.lookup.as_ref().expect("a lookup");
    assert_eq!(
        (lookup.source.name.as_str(), &lookup.on[..]),
        ("crm", &[("customer".to_owned(), "customer".to_owned())][..])
    );
    assert_eq!(lookup.column, ["name"]);
    let lookup = attribute("c").origin.lookup.as_ref().expect("a lookup");
    assert_eq!((lookup.on.len(), &lookup.column[..]), (2, &["c".to_owned()][..]));
    assert!(!attribute("d").origin.is_composed(), "the authority owns all that nobody else does");
    assert!(!made("").is_composed());
}

#[test]
fn an_owner_that_moves_holds_from_one_instant_to_the_next() {
    let contract = made(&owned(
        "owner = [{ source = \"erp\", until = 2026-01-01T00:00:00Z }, { source = \"billing\", from = \"2026-01-01T00:00:00Z\", until = \"2026-02-01T01:00:00+01:00\" }, { source = \"crm\", from = \"2026-02-01T00:00:00Z\" }]\ncolumn = { erp = \"e\", billing = \"b\" }",
    ));
    let at = |instant: &str| {
        let resolved = contract.at(instant.parse().expect("an instant"));
        let attribute = resolved.attributes[0].clone();
        (resolved.owner(&attribute).name.clone(), attribute.column)
    };
    assert_eq!(at("2025-12-31T23:59:59.999999999Z"), ("erp".to_owned(), vec!["e".to_owned()]));
    assert_eq!(at("2026-01-01T00:00:00Z"), ("billing".to_owned(), vec!["b".to_owned()]));
    assert_eq!(at("2026-02-01T00:00:00Z").0, "crm");
    assert_eq!(contract.handovers().len(), 2);
}

#[test]
fn owners_that_leave_a_gap_overlap_or_come_twice_are_said() {
    let owners = |owners: &str| owned(&format!("owner = [{owners}]"));
    for (owners, said) in [
        (
            owners("{ source = \"erp\", until = \"2026-01-01T00:00:00Z\" }"),
            "an array of 1, expected at least two owners",
        ),
        (
            owners(
                "{ source = \"erp\", until = \"2026-01-01T00:00:00Z\" }, { source = \"crm\", from = \"2026-01-02T00:00:00Z\" }",
            ),
            "nobody owns the attribute from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z",
        ),
        (
            owners(
                "{ source = \"erp\", until = \"2026-01-02T00:00:00Z\" }, { source = \"crm\", from = \"2026-01-01T00:00:00Z\" }",
            ),
            "two sources own the attribute from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z",
        ),
        (
            owners("{ source = \"erp\" }, { source = \"crm\", from = \"2026-01-01T00:00:00Z\" }"),
            "this owner has no `until`",
        ),
        (
            owners("{ source = \"erp\", until = \"2026-01-01T00:00:00Z\" }, { source = \"crm\" }"),
            "this owner has no `from`",
        ),
        (
            owners(
                "{ source = \"erp\", from = \"2025-01-01T00:00:00Z\", until = \"2026-01-01T00:00:00Z\" }, { source = \"crm\", from = \"2026-01-01T00:00:00Z\" }",
            ),
            "the first owner has a `from`",
        ),
        (
            owners(
                "{ source = \"erp\", until = \"2026-01-01T00:00:00Z\" }, { source = \"crm\", from = \"2026-01-01T00:00:00Z\", until = \"2027-01-01T00:00:00Z\" }",
            ),
            "the last owner has an `until`",
        ),
        (
            owners("{ source = \"erp\", until = \"soon\" }, { source = \"crm\", from = \"2026-01-01T00:00:00Z\" }"),
            "until is \"soon\", expected a time",
        ),
        (
            owners(
                "{ source = \"shop\", until = \"2026-01-01T00:00:00Z\" }, { source = \"crm\", from = \"2026-01-01T00:00:00Z\" }",
            ),
            "owner \"shop\" is the projection",
        ),
    ] {
        let message = message(&owners);
        assert!(message.contains(said), "{owners}\n{message}");
    }
}

#[test]
fn what_cannot_be_owned_looked_up_or_mapped_is_said() {
    let key = "[contract.orders.attribute.id]\n";
    for (lines, said) in [
        (format!("{key}owner = \"billing\"\n{OTHERS}"), "a key attribute has no other owner"),
        (format!("{key}derive = \"a + b\"\n{OTHERS}"), "`derive` on a key attribute"),
        (
            owned("owner = \"billing\"\nlookup = { source = \"crm\", on = \"a\" }"),
            "both `owner` and `lookup` are given",
        ),
        (owned("column = \"a\"\nlookup = { source = \"crm\", on = \"a\" }"), "both `column` and `lookup` are given"),
        (
            owned("derive = \"a\"\nlookup = { source = \"crm\", on = \"a\", column = \"b\" }"),
            "both `lookup.column` and `derive`",
        ),
        (owned("lookup = { source = \"crm\" }"), "`on` is missing"),
        (owned("lookup = { source = \"crn\", on = \"a\" }"), "lookup source \"crn\" is no source"),
        (owned("lookup = { source = \"crm\", on = [\"a\"] }"), "lookup.on is an array, expected a column, or a table"),
        (owned("column = { shop = \"a\" }"), "column names \"shop\", which is the projection"),
        (owned("column = {}"), "`column` is empty"),
        ("crosswalk = { location = \"x.csv\", authority_column = \"a\" }".to_owned(), "`projection_column` is missing"),
        (
            "crosswalk = { authority_column = \"a\", projection_column = \"b\" }".to_owned(),
            "expected either `source` or `location`",
        ),
    ] {
        let message = message(&lines);
        assert!(message.contains(said), "{lines}\n{message}");
    }
}

fn crossed(key: &str, columns: &str, more: &str) -> String {
    HEAD.to_owned()
        + &format!(
            "[contract.a]\nversion = \"1.0.0\"\nauthority = \"erp\"\nprojection = \"shop\"\nkey = {key}\n\
             crosswalk = {{ location = \"x.csv\", {columns} }}\n{more}"
        )
}

#[test]
fn a_crosswalk_maps_keys_of_several_attributes_or_of_other_columns() {
    for (key, columns, own, theirs) in [
        ("[\"id\"]", "authority_column = \"a\", projection_column = \"b\"", None, [vec!["a"], vec!["b"]]),
        (
            "[\"id\", \"line\"]",
            "authority_column = [\"a\", \"l\"], projection_column = [\"b\", \"m\"]",
            None,
            [vec!["a", "l"], vec!["b", "m"]],
        ),
        (
            "[\"id\"]",
            "authority_column = { branch = \"a\", number = \"n\" }, projection_column = \"b\"",
            Some(vec!["branch", "number"]),
            [vec!["a", "n"], vec!["b"]],
        ),
    ] {
        let configuration = Desk::default().file("reconcile.toml", &crossed(key, columns, "")).load().expect("valid");
        let crosswalk = configuration.contracts[0].crosswalk.clone().expect("a crosswalk");
        let own: Option<Vec<String>> = own.map(|own| own.into_iter().map(str::to_owned).collect());
        assert_eq!(crosswalk.own, own, "{columns}");
        assert_eq!(
            [&crosswalk.columns.authority[..], &crosswalk.columns.projection[..]],
            theirs.each_ref().map(|one| &one[..]),
            "{columns}"
        );
    }
}

#[test]
fn a_crosswalk_of_other_columns_than_the_keys_is_said() {
    let owner = "[contract.a.attribute.x]\nowner = \"billing\"\n[source.billing]\nlocation = \"b.csv\"\n";
    for (key, columns, more, said) in [
        (
            "[\"id\", \"line\"]",
            "authority_column = \"a\", projection_column = [\"b\", \"m\"]",
            "",
            "authority_column names 1 column, and the key has 2 attributes; expected one for each, in the order of the key",
        ),
        (
            "[\"id\"]",
            "authority_column = \"a\", projection_column = [\"b\", \"m\"]",
            "",
            "projection_column names 2 columns, and the key has 1 attribute",
        ),
        ("[]", "authority_column = \"a\", projection_column = \"b\"", "", "a crosswalk without a key"),
        (
            "[\"id\"]",
            "authority_column = 7, projection_column = \"b\"",
            "",
            "authority_column is 7, expected a column, an array of columns, or a table",
        ),
        (
            "[\"id\"]",
            "authority_column = \"a\", projection_column = { x = \"b\" }",
            "",
            "projection_column is a table, expected a column, or an array of columns",
        ),
        (
            "[\"id\"]",
            "authority_column = { branch = \"a\", number = \"n\" }, projection_column = \"b\"",
            owner,
            "another owner, and a crosswalk whose `authority_column` is a table",
        ),
    ] {
        let problems = Desk::default().file("reconcile.toml", &crossed(key, columns, more)).problems();
        assert_eq!(problems.len(), 1, "{columns}: {problems:#?}");
        assert!(problems[0].contains(said), "{columns}: {problems:#?}");
    }
}
