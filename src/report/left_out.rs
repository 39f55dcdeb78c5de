//! Which columns were not compared because the contract says so: what `agreed` says nothing about. It names them, never a value.

use super::escape::{counted, shorten, visible};
use crate::audit::{ContractAudit, InputFacts};
use crate::sides::Side;

/// How wide a name may be.
const NAME: usize = 40;

/// `authority: w, x; projection: y, and 3 more columns`, at most so many of a side; None where every column was compared.
pub(super) fn told(contract: &ContractAudit, most: usize) -> Option<String> {
    let of_side = |input: &InputFacts| {
        let mut names: Vec<String> =
            input.left_out.iter().take(most).map(|name| shorten(&visible(name), NAME)).collect();
        let more = input.left_out.len().saturating_sub(most);
        if more > 0 {
            names.push(format!("and {} more", counted(more as u64, "column")));
        }
        names.join(", ")
    };
    let [authority, projection] = Side::BOTH.map(|side| contract.inputs.get(side));
    if authority.left_out == projection.left_out {
        return (!authority.left_out.is_empty()).then(|| format!("{} (both sides)", of_side(authority)));
    }
    let sides = contract.inputs.iter().filter(|(_, input)| !input.left_out.is_empty());
    let sides: Vec<String> = sides.map(|(side, input)| format!("{side}: {}", of_side(input))).collect();
    (!sides.is_empty()).then(|| sides.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_columns_that_were_left_out_are_named_by_side() {
        let mut contract = sample::audit().contracts.swap_remove(0);
        assert_eq!(told(&contract, 9), None);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        contract.inputs.authority.left_out = names(&["etl_at", "w\u{1b}"]);
        assert_eq!(told(&contract, 9).as_deref(), Some("authority: etl_at, w\\u{1b}"));
        contract.inputs.projection.left_out = names(&["a", "b", "c"]);
        let cut = "authority: etl_at, w\\u{1b}; projection: a, b, and 1 column more";
        assert_eq!(told(&contract, 2).as_deref(), Some(cut));
        contract.inputs.projection.left_out.clone_from(&contract.inputs.authority.left_out);
        assert_eq!(told(&contract, 9).as_deref(), Some("etl_at, w\\u{1b} (both sides)"));
    }
}
