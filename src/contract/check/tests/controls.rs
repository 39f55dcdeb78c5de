//! What rules, totals, invariants and the value at risk may not be.

use super::message;

#[test]
fn a_rule_total_or_invariant_that_cannot_be_is_one_problem() {
    let rule = |when: &str| format!("[[contract.orders.rule]]\nname = \"r\"\nwhen = \"{when}\"\nseverity = \"low\"\n");
    let cases: &[(&str, &str)] = &[
        (&rule("kind ="), "`when` cannot be used: unable to parse"),
        (&rule("kinds = 'missing'"), "`when` names no column `kinds` of divergences (columns are: contract, kind,"),
        (&rule("cause is null"), "`when` names `cause`, which is found only after severities are set"),
        (&rule("count(*) > 1"), "which looks at other rows; a predicate is about one row"),
        (&rule("key = 1"), "`when`: `key = 1`"),
        (&rule("authority_value"), "no predicate"),
        (
            "rule = [{ name = \"a\", when = \"true\", severity = \"low\" }, { name = \"a\", when = \"true\", severity = \"low\" }]",
            "the name is taken by an earlier one",
        ),
        (
            "invariant = [{ name = \"i\", side = \"left\", when = \"true\", severity = \"low\" }]",
            "side \"left\" is not one of authority, projection, both",
        ),
        (
            "invariant = [{ name = \"i\", side = \"both\", when = \"sum(x) > 1\", severity = \"low\" }]",
            "looks at other rows",
        ),
        ("total = [{ name = \"t\", by = [\"a\", \"a\"] }]", "`by` names \"a\" twice"),
        (
            "compare = \"declared\"\ntotal = [{ name = \"t\", by = [\"idd\"] }]",
            "`by` names \"idd\", which the contract does not compare",
        ),
        (
            "attribute.a.type = \"text\"\ntotal = [{ name = \"t\", sum = [\"a\"] }]",
            "`sum` names \"a\", whose type is no number",
        ),
        (
            "attribute.a.pii = \"mask\"\ntotal = [{ name = \"t\", by = [\"a\"] }]",
            "whose values are personal (pii) and would be written",
        ),
        ("attribute.a.pii = \"mask\"\nvalue_at_risk = \"a\"", "whose values are personal (pii) and would be written"),
        ("value_at_risk = 3", "value_at_risk is 3, expected a string"),
    ];
    for (lines, expected) in cases {
        let said = message(lines);
        assert!(said.contains(expected), "{lines}: {said}");
    }
}
