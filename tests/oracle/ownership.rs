//! Lookups and crosswalks against plain maps: random tables whose keys are mapped well, twice or not at all, and whose values
//! lie in another source once, twice or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::random::Random;
use crate::support::{Workspace, divergences};

const CONTRACT: &str = r#"
version = 1
[source.shop]
location = "shop.csv"
[source.crm]
location = "crm.csv"
[source.warehouse]
location = "warehouse.csv"

[contract.orders]
version = "1.0.0"
authority = "shop"
projection = "warehouse"
key = [#KEY]
#CROSSWALK
[contract.orders.attribute.id]
type = "int64"
[contract.orders.attribute.name]
lookup = { source = "crm", on = { customer = "id" }, column = "name" }
"#;

const CROSSWALK: &str = r#"
[contract.orders.crosswalk]
location = "numbers.csv"
"#;

/// How a side tells an id: by one column, or by two of which neither does alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Single,
    /// Both sides by two columns, which are the key.
    Composite,
    /// The authority by two columns of its own, the projection by one, which is the key.
    ByTheirOwn,
}

impl Style {
    /// The key's columns at the projection, what the contract says of the crosswalk's, and those of the authority's id.
    fn columns(self) -> (&'static str, &'static str, &'static str, &'static str) {
        let (one, two) = ("authority_column = \"shop_id\"", "authority_column = [\"shop_part\", \"shop_id\"]");
        let own = "authority_column = { part = \"shop_part\", no = \"shop_id\" }";
        match self {
            Self::Single => ("id", one, "id", "shop_id"),
            Self::Composite => ("part,id", two, "part,id", "shop_part,shop_id"),
            Self::ByTheirOwn => ("id", own, "part,no", "shop_part,shop_id"),
        }
    }

    /// An id as the cells of a line of the authority's side; `padded` with a zero where that means the same.
    fn authority(self, id: u8, padded: bool) -> String {
        let zero = if padded && self != Self::ByTheirOwn { "0" } else { "" };
        if self == Self::Single { format!("{zero}{id}") } else { format!("{},{zero}{}", id / 4, id % 4) }
    }

    /// The same on the projection's side.
    fn projection(self, id: u8, padded: bool) -> String {
        let zero = if padded { "0" } else { "" };
        if self == Self::Composite { format!("{},{zero}{}", id / 4, id % 4) } else { format!("{zero}{id}") }
    }
}

type Cell = Option<u8>;

/// The four tables; ids of the two sides are unlike where a crosswalk maps them.
struct Tables {
    /// id, customer, status
    shop: BTreeMap<u8, (Cell, Cell)>,
    /// id, name
    crm: Vec<(u8, Cell)>,
    /// id, status, name
    warehouse: BTreeMap<u8, (Cell, Cell)>,
    /// shop id, warehouse id; None: keys are equal.
    numbers: Option<Vec<(u8, u8)>>,
    style: Style,
}

fn cell(random: &mut Random) -> Cell {
    (!random.percent(12)).then(|| u8::try_from(random.below(4)).unwrap())
}

fn make(random: &mut Random) -> Tables {
    let mapped = random.percent(60);
    let far = |id: u8| if mapped { id + 100 } else { id };
    let shop: BTreeMap<u8, _> = (0..14)
        .filter(|_| !random.percent(10))
        .collect::<Vec<u8>>()
        .into_iter()
        .map(|id| {
            let customer = (!random.percent(10)).then(|| u8::try_from(random.below(6)).unwrap());
            (id, (customer, cell(random)))
        })
        .collect();
    let mut crm = Vec::new();
    for id in 0..5 {
        if !random.percent(15) {
            crm.push((id, cell(random)));
        }
        if random.percent(15) {
            crm.push((id, cell(random)));
        }
    }
    let mut warehouse = BTreeMap::new();
    for id in 0..16_u8 {
        if random.percent(12) {
            continue;
        }
        let of_shop = shop.get(&id);
        let name = of_shop
            .and_then(|(customer, _)| crm.iter().find(|(of, _)| Some(*of) == *customer))
            .and_then(|(_, name)| *name);
        let status = of_shop.and_then(|(_, status)| *status);
        let changed = |value: Cell, random: &mut Random| if random.percent(15) { cell(random) } else { value };
        warehouse.insert(far(id), (changed(status, random), changed(name, random)));
    }
    let numbers = mapped.then(|| {
        let mut lines = Vec::new();
        for id in 0..16 {
            if !random.percent(10) {
                lines.push((id, far(id)));
            }
            if random.percent(8) {
                lines.push((id, far(u8::try_from(random.below(16)).unwrap())));
            }
        }
        random.shuffle(&mut lines);
        lines
    });
    random.shuffle(&mut crm);
    let styles = [Style::Single, Style::Composite, Style::ByTheirOwn];
    let style = if mapped { random.pick(&styles) } else { Style::Single };
    Tables { shop, crm, warehouse, numbers, style }
}

fn write(tables: &Tables, workspace: &Workspace, random: &mut Random) {
    let text = |cell: Cell| cell.map_or_else(String::new, |cell| cell.to_string());
    let style = tables.style;
    let (key, authority_column, shop_id, numbers_id) = style.columns();
    let mut shop = format!("{shop_id},customer,status\n");
    for (key, (customer, status)) in &tables.shop {
        let id = style.authority(*key, random.percent(30));
        writeln!(shop, "{id},{},{}", text(*customer), text(*status)).unwrap();
    }
    let mut crm = "id,name\n".to_owned();
    for (key, name) in &tables.crm {
        writeln!(crm, "{key},{}", text(*name)).unwrap();
    }
    let mut warehouse = format!("{key},status,name\n");
    for (key, (status, name)) in &tables.warehouse {
        let id = style.projection(*key, random.percent(30));
        writeln!(warehouse, "{id},{},{}", text(*status), text(*name)).unwrap();
    }
    workspace.file("shop.csv", &shop);
    workspace.file("crm.csv", &crm);
    workspace.file("warehouse.csv", &warehouse);
    let quoted =
        |columns: &str| columns.split(',').map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
    let crosswalk = if let Some(lines) = &tables.numbers {
        let theirs = key.replace("part", "warehouse_part").replace("id", "warehouse_id");
        let mut numbers = format!("{numbers_id},{theirs}\n");
        for (one, other) in lines {
            let one = style.authority(*one, random.percent(30));
            writeln!(numbers, "{one},{}", style.projection(*other, random.percent(30))).unwrap();
        }
        workspace.file("numbers.csv", &numbers);
        format!("{CROSSWALK}{authority_column}\nprojection_column = [{}]\n", quoted(&theirs))
    } else {
        String::new()
    };
    let contract = CONTRACT.replace("#KEY", &quoted(key)).replace("#CROSSWALK", &crosswalk);
    workspace.file("reconcile.toml", &contract);
}

/// Kind, attribute and reason of each line, with how often.
type Found = BTreeMap<(String, String, String), usize>;

/// What a plain walk over maps says.
fn expected(tables: &Tables) -> Found {
    let mut found = Found::new();
    let mut add = |kind: &str, attribute: &str, reason: &str| {
        *found.entry((kind.to_owned(), attribute.to_owned(), reason.to_owned())).or_default() += 1;
    };
    let equal = || tables.shop.keys().chain(tables.warehouse.keys()).map(|id| (*id, *id)).collect::<BTreeSet<_>>();
    let lines: BTreeSet<(u8, u8)> = tables.numbers.as_ref().map_or_else(equal, |lines| lines.iter().copied().collect());
    let of = |key: u8, forth: bool| -> Vec<(u8, u8)> {
        lines.iter().copied().filter(|(one, other)| if forth { *one == key } else { *other == key }).collect()
    };
    // The one key across, or why there is none.
    let across = |key: u8, forth: bool| match of(key, forth)[..] {
        [] => Err("unmapped_key"),
        [(one, other)] => {
            let back = if forth { of(other, false) } else { of(one, true) };
            if back.len() == 1 { Ok(if forth { other } else { one }) } else { Err("ambiguous_key") }
        }
        _ => Err("ambiguous_key"),
    };
    for (id, (customer, status)) in &tables.shop {
        let other = match across(*id, true) {
            Err(reason) => {
                add("missing", "", reason);
                continue;
            }
            Ok(other) => other,
        };
        let Some((copied, copied_name)) = tables.warehouse.get(&other) else {
            add("missing", "", "default");
            continue;
        };
        if status != copied {
            add("mismatch", "status", "default");
        }
        let names: Vec<Cell> =
            tables.crm.iter().filter(|(of, _)| Some(*of) == *customer).map(|(_, name)| *name).collect();
        match (customer, &names[..]) {
            (None, _) if copied_name.is_none() => {}
            (Some(_), [name]) if name == copied_name => {}
            (None, _) | (Some(_), [_]) => add("mismatch", "name", "default"),
            (Some(_), []) => add("mismatch", "name", "lookup_lacks_key"),
            (Some(_), _) => add("mismatch", "name", "lookup_key_twice"),
        }
    }
    for id in tables.warehouse.keys() {
        match across(*id, false) {
            Err(reason) => add("orphan", "", reason),
            Ok(one) if !tables.shop.contains_key(&one) => add("orphan", "", "default"),
            Ok(_) => {}
        }
    }
    found
}

#[test]
fn lookups_and_crosswalks_are_what_a_plain_walk_over_maps_says() {
    let mut reasons = BTreeMap::<String, usize>::new();
    for seed in 0..70 {
        let mut random = Random::new(seed);
        let tables = make(&mut random);
        let workspace = Workspace::new();
        write(&tables, &workspace, &mut random);
        let threads = random.pick(&["1", "2", "5"]);
        let outcome = workspace.reconcile(["run", "--threads", threads]);
        let expected = expected(&tables);
        outcome.expect(i32::from(!expected.is_empty()), &[]);
        let mut found = Found::new();
        for line in divergences(&workspace.run()) {
            let text = |name: &str| line.get(name).cloned().unwrap_or_default();
            *found.entry((text("kind"), text("attribute"), text("reason"))).or_default() += 1;
        }
        assert_eq!(found, expected, "seed {seed}\n{}", outcome.shown());
        for ((_, _, reason), lines) in found {
            *reasons.entry(reason).or_default() += lines;
        }
    }
    let shown = ["default", "unmapped_key", "ambiguous_key", "lookup_lacks_key", "lookup_key_twice"];
    assert!(shown.iter().all(|reason| reasons.get(*reason).is_some_and(|lines| *lines > 20)), "{reasons:?}");
}
