//! What came from the environment is in no report, log or error; and what failed is said on stderr in every format.

use std::fs;

use crate::support::{Outcome, Workspace, tree};

const SECRET: &str = "hunter2";
const CSV: &[u8] = b"id,name\n1,Anna\n2,Bert\n";

fn workspace(filter: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.bytes("hunter2/a.csv", CSV);
    workspace.bytes("hunter2/b.csv", b"id,name\n1,Anna\n2,Bert,too,many\n");
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.one]\nlocation = \"${{WORD}}/a.csv\"\nfilter = \"{filter}\"\ncontext = \"${{WORD}}\"\n\
             [source.two]\nlocation = \"${{WORD}}/b.csv\"\n[source.gone]\nlocation = \"${{WORD}}/gone.csv\"\n\
             [defaults]\nteam = \"team ${{WORD}}\"\nrunbook = \"https://amy:${{WORD}}@wiki/page?token=${{WORD}}\"\n\
             tags = [\"${{WORD}}\"]\n\
             [contract.pair]\nversion = \"1.0.0\"\nauthority = \"one\"\nprojection = \"two\"\nkey = [\"id\"]\n\
             description = \"about ${{WORD}}\"\n\
             [contract.broken]\nversion = \"1.0.0\"\nauthority = \"one\"\nprojection = \"gone\"\nkey = [\"id\"]\n"
        ),
    );
    workspace
}

fn call(workspace: &Workspace, arguments: &[&str]) -> Outcome {
    Outcome::of(&workspace.command(arguments).env("WORD", SECRET).output().unwrap())
}

#[test]
fn a_secret_is_in_no_output_and_in_no_file_of_a_run() {
    for filter in ["id > 0", "name = '${WORD}' AND", "${WORD} = 1", "name LIKE ${WORD}("] {
        let workspace = workspace(filter);
        let calls: [&[&str]; 13] = [
            &["run"],
            &["run", "--format", "json", "--verbose"],
            &["run", "--format", "ndjson"],
            &["run", "--format", "markdown"],
            &["run", "--tag", "other"],
            &["check"],
            &["check", "--sources"],
            &["check", "--sources", "--format", "json"],
            &["contracts"],
            &["contracts", "--format", "json"],
            &["contracts", "--map"],
            &["contracts", "--map=dot"],
            &["contracts", "--map", "--format", "json"],
        ];
        for arguments in calls {
            let outcome = call(&workspace, arguments);
            let shown = outcome.shown();
            assert!(!shown.contains(SECRET), "{filter}: {arguments:?}\n{shown}");
        }
        let reports = workspace.path().join("reports");
        let mut looked_at = 0;
        for name in tree(&reports) {
            let path = reports.join(&name);
            if path.is_file() {
                looked_at += 1;
                let bytes = fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{filter}: {name}");
            }
        }
        // What is no SQL is refused before anything is run.
        let parses = ["id > 0", "${WORD} = 1"].contains(&filter);
        assert_eq!(looked_at > 8, parses, "{filter}: {looked_at} files");
    }
}

#[test]
fn a_message_names_the_variable_instead_of_its_value() {
    let workspace = workspace("id > 0");
    call(&workspace, &["run", "pair"]).expect(2, &["${WORD}/b.csv", "team ${WORD}", "https://wiki/page"]);
}

#[test]
fn what_failed_is_said_on_stderr_in_every_format_for_programs() {
    let workspace = workspace("id > 0");
    for format in ["json", "ndjson", "markdown"] {
        let outcome = call(&workspace, &["run", "broken", "--format", format]);
        let stderr = &outcome.stderr;
        assert!(stderr.contains("error: contract \"broken\": projection: "), "{format}\n{}", outcome.shown());
        assert!(stderr.contains("hint: check the path"), "{format}\n{}", outcome.shown());
    }
    let outcome = call(&workspace, &["run", "broken"]);
    assert!(!outcome.stderr.contains("error: "), "{}", outcome.shown());
}

#[test]
fn too_little_memory_is_named_as_it_was_meant() {
    let workspace = workspace("id > 0");
    call(&workspace, &["run", "pair", "--memory-limit", "10MB"]).expect(2, &["9.5 MiB", "256 MiB", "--memory-limit"]);
}

/// What must be nowhere: values of every personal attribute, on both sides, in every form that they may take.
const PERSONAL: [&str; 18] = [
    "Annabella",
    "Bertholda",
    "Carlotta",
    "Dorothea",
    "Emilia",
    "Friederike",
    "annabella",
    "Quirinus",
    "1971-02-03",
    "1972-03-04",
    "not-a-birthday",
    "Rosenweg",
    "Tulpenweg",
    "555-0101",
    "555-0102",
    "555-0199",
    "Zacharias",
    "Gundula",
];

const PEOPLE: &str = "id,holder,born,phone,home,note\n\
    1,Annabella,1971-02-03,555-0101,\"{\"\"street\"\":\"\"Rosenweg\"\"}\",a\n\
    2,Bertholda,1972-03-04,555-0102,\"{\"\"street\"\":\"\"Tulpenweg\"\"}\",a\n\
    3,Carlotta,not-a-birthday,555-0101,{},a\n\
    4,Dorothea,1971-02-03,555-0101,{},a\n\
    7,Emilia,1971-02-03,,{},a\n7,Emilia,1971-02-03,,{},a\n";
const COPIES: &str = "id,holder,born,phone,home,note\n\
    1,annabella,1972-03-04,555-0199,\"{\"\"street\"\":\"\"Tulpenweg\"\"}\",b\n\
    2,Quirinus,not-a-birthday,,not json Rosenweg,b\n\
    3,Carlotta,not-a-birthday,555-0102,{},b\n\
    5,Friederike,1971-02-03,555-0101,{},b\n";

/// A contract about people: masked in every way, with a key that is one of them or not.
fn people(workspace: &Workspace, way: &str, key: &str) {
    let text = format!(
        "version = 1\n[source.one]\nlocation = \"a.csv\"\n[source.two]\nlocation = \"b.csv\"\n\
         [contract.people]\nversion = \"1.0.0\"\nauthority = \"one\"\nprojection = \"two\"\nkey = {key}\n\
         [contract.people.repair]\nmissing = \"auto\"\nmismatch = \"auto\"\n\
         [contract.people.attribute.holder]\npii = \"{way}\"\ntrim = \"both\"\n\
         [contract.people.attribute.born]\npii = \"{way}\"\ntype = \"date\"\n\
         [contract.people.attribute.phone]\npii = \"{way}\"\n\
         [contract.people.attribute.home]\npii = \"{way}\"\ntype = \"json\"\n"
    );
    workspace.file("reconcile.toml", &text);
}

/// Every file below a folder, with the texts of Parquet files, which are compressed.
pub(crate) fn everything(folder: &std::path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in tree(folder) {
        let path = folder.join(&name);
        if !path.is_file() {
            continue;
        }
        let mut text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        if name.ends_with(".parquet") {
            let lines = crate::support::divergences(path.parent().unwrap());
            text.push_str(&format!("{lines:?}"));
        }
        found.push((name, text));
    }
    found
}

#[track_caller]
pub(crate) fn nothing_personal(what: &str, text: &str) {
    for value in PERSONAL {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [value, &hex, &hex.to_uppercase()] {
            assert!(!text.contains(form), "{what} holds `{form}`\n{text}");
        }
    }
}

#[test]
fn personal_values_are_in_no_output_and_in_no_file_whatever_the_key_and_whatever_fails() {
    for way in ["mask", "hash", "drop"] {
        for key in [r#"["id"]"#, r#"["holder"]"#, r#"["born", "phone"]"#, "[]"] {
            let workspace = Workspace::new();
            workspace.bytes("a.csv", PEOPLE.as_bytes());
            workspace.bytes("b.csv", COPIES.as_bytes());
            people(&workspace, way, key);
            let calls: [&[&str]; 14] = [
                &["run"],
                &["run", "--verbose", "--format", "json"],
                &["run", "--format", "ndjson", "--where", "holder like 'Annab%' or born = 'Zacharias'"],
                &["run", "--format", "markdown", "--where", "holder = 'Gundula' and cast(phone as int) > 5550101"],
                &["run", "--where", "holdr = 'Gundula'"],
                &["run", "--where", "holder = \"Gundula\""],
                &["run", "--where", "holder = $$Gundula$$ or note = 'Zacharias'"],
                &["report", "latest"],
                &["report", "latest", "--format", "markdown"],
                &["report", "latest", "--format", "ndjson"],
                &["plan", "--format", "json"],
                &["plan"],
                &["review", "export", "--all"],
                &["audit", "verify"],
            ];
            for arguments in calls {
                let outcome = workspace.reconcile(arguments);
                nothing_personal(&format!("{way} {key} {arguments:?}"), &outcome.shown());
            }
            // Rows that cannot be read, a source that breaks, a predicate that fails on a value.
            workspace.bytes("b.csv", &[COPIES.as_bytes(), b"6,Zacharias,\"555-0199\"x,Rosenweg,{},b\n"].concat());
            workspace.reconcile(["run"]).expect(2, &["could not be read"]);
            let contract = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
            let failing = "location = \"a.csv\"\nfilter = \"holder = 'Gundula' or date(born) > date '1970-01-01'\"";
            workspace.file("reconcile.toml", &contract.replace("location = \"a.csv\"", failing));
            let outcome = workspace.reconcile(["run", "--format", "json"]);
            outcome.expect(2, &["filter: *** for 1 out of 6 values"]);
            nothing_personal(&format!("{way} {key} filter"), &outcome.shown());
            let mut looked_at = 0;
            for (name, text) in everything(&workspace.path().join("reports")) {
                nothing_personal(&format!("{way} {key} {name}"), &text);
                looked_at += 1;
            }
            assert!(looked_at > 40, "{looked_at} files");
            assert!(!workspace.path().join("reports/.cache").exists(), "personal data make no cache");
        }
    }
}

#[test]
fn what_is_not_personal_is_written_and_what_was_judged_is_the_values_themselves() {
    let workspace = Workspace::new();
    workspace.bytes("a.csv", PEOPLE.as_bytes());
    workspace.bytes("b.csv", COPIES.as_bytes());
    let mut seen = Vec::new();
    for way in ["mask", "hash", "drop", "none"] {
        people(&workspace, way, r#"["id"]"#);
        if way == "none" {
            let contract = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
            workspace.file("reconcile.toml", &contract.replace("pii = \"none\"\n", ""));
        }
        workspace.reconcile(["run"]).expect(1, &[]);
        let run = workspace.runs().pop().unwrap();
        let summary = crate::support::read_json(&run.join("summary.json"));
        let people = crate::support::contract(&summary, "people");
        seen.push((people["divergences"].clone(), people["severities"].clone(), people["attributes"].clone()));
        let lines = crate::support::divergences(&run);
        let of = |attribute: &str, key: &str| {
            let found = lines
                .iter()
                .find(|line| line.get("attribute").is_some_and(|name| name == attribute) && line["key"].contains(key));
            found.unwrap_or_else(|| panic!("{way}: no {attribute} of {key}")).clone()
        };
        assert_eq!(of("note", "\"1\"")["authority_value"], "a", "{way}");
        let holder = of("holder", "\"1\"");
        match way {
            "mask" => assert_eq!((&*holder["authority_value"], &*holder["projection_value"]), ("***", "***")),
            "hash" => {
                assert!(holder["authority_value"].starts_with("pii:"), "{holder:?}");
                assert_ne!(holder["authority_value"], holder["projection_value"]);
                let phone = (of("phone", "\"1\""), of("phone", "\"3\""));
                assert_eq!(phone.0["authority_value"], phone.1["authority_value"], "equal values, equal digests");
                assert_ne!(phone.0["projection_value"], phone.1["projection_value"]);
                assert!(!of("phone", "\"2\"").contains_key("projection_value"), "NULL stays NULL");
            }
            "drop" => assert!(!holder.contains_key("authority_value") && !holder.contains_key("projection_value")),
            _ => assert_eq!(holder["authority_value"], "Annabella"),
        }
        let plan = fs::read_to_string(run.join("plan.ndjson")).unwrap();
        let insert = plan.lines().find(|line| line.contains("\"op\":\"insert\"")).unwrap();
        let insert: serde_json::Value = serde_json::from_str(insert).unwrap();
        assert_eq!((&insert["safety"], &insert["key"]["id"]), (&"safe".into(), &"4".into()));
        assert_eq!(insert["after"]["note"], "a");
        assert_eq!(insert["after"]["holder"]["pii"].is_string(), way != "none", "{insert}");
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
}

#[test]
fn a_personal_key_makes_every_action_manual_and_keys_the_fingerprints() {
    let workspace = Workspace::new();
    workspace.bytes("a.csv", PEOPLE.as_bytes());
    workspace.bytes("b.csv", COPIES.as_bytes());
    people(&workspace, "hash", r#"["holder"]"#);
    let exported = || {
        let outcome = workspace.reconcile(["review", "export", "--all"]);
        let mut reader = csv::Reader::from_reader(outcome.stdout.as_bytes());
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        let mut found: Vec<(String, String)> =
            records.iter().map(|row| (row[1].to_owned(), row[2].to_owned())).collect();
        found.sort();
        found
    };
    workspace.reconcile(["run"]).expect(1, &[]);
    let first = exported();
    workspace.reconcile(["run"]).expect(1, &[]);
    assert_eq!(exported(), first, "fingerprints and digests are those of the run before");
    let plan = fs::read_to_string(workspace.runs().pop().unwrap().join("plan.ndjson")).unwrap();
    let actions: Vec<serde_json::Value> = plan.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(actions.len() > 3 && actions.iter().all(|action| action["safety"] == "manual"), "{plan}");
    let ids: std::collections::BTreeSet<String> = actions.iter().map(|one| one["action_id"].to_string()).collect();
    assert_eq!(ids.len(), actions.len());
    // Under another key all of it is another.
    let contract = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let keyed = contract.replacen("version = 1\n", "version = 1\n[run]\npii_key = \"${PII_KEY}\"\n", 1);
    workspace.file("reconcile.toml", &keyed);
    let run = |key: &str| Outcome::of(&workspace.command(["run"]).env("PII_KEY", key).output().unwrap());
    run("correct horse battery").expect(1, &[]);
    let other = Outcome::of(
        &workspace.command(["review", "export", "--all"]).env("PII_KEY", "correct horse battery").output().unwrap(),
    );
    assert!(first.iter().all(|(fingerprint, _)| !other.stdout.contains(fingerprint)), "{}", other.shown());
    let short = run("hunter2");
    short.expect(2, &["`run.pii_key` is too short, expected at least 16 characters"]);
    assert!(!short.shown().contains("hunter2"), "{}", short.shown());
    for (name, text) in everything(&workspace.path().join("reports")) {
        assert!(!text.contains("correct horse"), "{name}");
    }
}

#[test]
fn a_masked_divergence_can_be_decided_and_the_decision_holds() {
    let workspace = Workspace::new();
    workspace.bytes("a.csv", b"id,holder\nAnnabella,x\nBertholda,y\n");
    workspace.bytes("b.csv", b"id,holder\nAnnabella,z\nBertholda,z\n");
    workspace.file(
        "reconcile.toml",
        &format!(
            "{}attribute.id.pii = \"mask\"\nattribute.holder.pii = \"drop\"\n",
            crate::support::pair_contract("a.csv", "b.csv")
        ),
    );
    workspace.reconcile(["run"]).expect(1, &[]);
    let sheet = workspace.reconcile(["review", "export"]).stdout;
    assert_eq!(sheet.lines().count(), 3);
    let mut reader = csv::Reader::from_reader(sheet.as_bytes());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(reader.headers().unwrap()).unwrap();
    for record in reader.records().take(1) {
        let mut cells: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        cells[11] = "accept-projection".to_owned();
        cells[14] = "known".to_owned();
        writer.write_record(cells).unwrap();
    }
    workspace.bytes("review.csv", &writer.into_inner().unwrap());
    workspace.reconcile(["review", "import", "review.csv", "--who", "amy"]).expect(0, &["1 decision"]);
    workspace.reconcile(["run"]).expect(1, &["1 divergence accept-projection by amy", "1 key diverges"]);
    for (name, text) in everything(&workspace.path().join("reports")) {
        nothing_personal(&name, &text);
    }
}

#[test]
fn a_cache_from_before_the_data_were_personal_is_removed() {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Annabella\n"), ("b.csv", b"id,name\n1,Bertholda\n"));
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    for name in ["a.csv", "b.csv"] {
        fs::File::options().write(true).open(workspace.path().join(name)).unwrap().set_modified(old).unwrap();
    }
    workspace.reconcile(["run"]).expect(1, &[]);
    let cached = || everything(&workspace.path().join("reports/.cache"));
    assert!(!cached().is_empty(), "there was a cache");
    let contract = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &format!("{contract}attribute.name.pii = \"mask\"\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    assert!(cached().is_empty(), "{:?}", cached());
}

/// Attributes that say nothing of `pii` and read what others declare as personal: the same column, derived from it, found in
/// another source or at another owner.
#[test]
fn what_is_made_of_a_personal_column_is_personal_wherever_it_comes_from() {
    let workspace = Workspace::new();
    let names = ["Annabella", "Bertholda", "Carlotta"];
    let phones = ["555-0101", "555-0102", "555-0199"];
    let mut tables = ["id,holder,friend\n".to_owned(), String::new(), "id,phone\n".to_owned()];
    tables[1].push_str("id,holder,echo,shout,found,loud,phone,line,call\n");
    for row in 0..30 {
        tables[0].push_str(&format!("{row},{},{}\n", names[row % 3], row % 4));
        let (name, phone) = (format!("Quirinus{}", row % 3), format!("x{}", row % 5));
        tables[1].push_str(&format!("{row},{name},UNKNOWN,{name},{name},UNKNOWN,{phone},UNKNOWN,{phone}\n"));
        tables[2].push_str(&format!("{row},{}\n", phones[row % 3]));
    }
    workspace.bytes("a.csv", tables[0].as_bytes());
    workspace.bytes("b.csv", tables[1].as_bytes());
    workspace.bytes("phones.csv", tables[2].as_bytes());
    workspace.bytes("friends.csv", b"id,name\n0,Dorothea\n1,Emilia\n2,Friederike\n");
    for way in ["mask", "hash", "drop"] {
        let contract = format!(
            "version = 1\n[source.one]\nlocation = \"a.csv\"\n[source.two]\nlocation = \"b.csv\"\n\
             [source.phones]\nlocation = \"phones.csv\"\n[source.friends]\nlocation = \"friends.csv\"\n\
             [contract.people]\nversion = \"1.0.0\"\nauthority = \"one\"\nprojection = \"two\"\nkey = [\"id\"]\n\
             [contract.people.attribute.holder]\npii = \"{way}\"\n\
             [contract.people.attribute.echo]\ncolumn = \"holder\"\n\
             [contract.people.attribute.shout]\nderive = \"upper(holder) || '!'\"\n\
             [contract.people.attribute.found]\nlookup = {{ source = \"friends\", on = {{ friend = \"id\" }}, column = \"name\" }}\n\
             pii = \"{way}\"\n\
             [contract.people.attribute.loud]\nlookup = {{ source = \"friends\", on = {{ friend = \"id\" }} }}\nderive = \"lower(name)\"\n\
             [contract.people.attribute.phone]\nowner = \"phones\"\npii = \"{way}\"\n\
             [contract.people.attribute.line]\nowner = \"phones\"\ncolumn = \"phone\"\n\
             [contract.people.attribute.call]\nowner = \"phones\"\nderive = \"'+' || phone\"\n"
        );
        workspace.file("reconcile.toml", &contract);
        let calls: [&[&str]; 7] = [
            &["run"],
            &["run", "--verbose", "--format", "json"],
            &["run", "--format", "ndjson"],
            &["report", "latest", "--format", "markdown"],
            &["plan", "--format", "json"],
            &["review", "export", "--all"],
            &["explain", "latest", "1"],
        ];
        let beyond = ["ANNABELLA", "BERTHOLDA", "CARLOTTA", "emilia", "friederike", "dorothea"];
        for arguments in calls {
            let shown = workspace.reconcile(arguments).shown();
            nothing_personal(&format!("{way} {arguments:?}"), &shown);
            assert!(beyond.iter().all(|value| !shown.contains(value)), "{way} {arguments:?}\n{shown}");
        }
        let summary = crate::support::read_json(&workspace.runs().pop().unwrap().join("summary.json"));
        let people = crate::support::contract(&summary, "people");
        assert_eq!(people["attributes"]["shout"]["mismatches"], 30, "it was compared");
        assert!(people["causes"].as_array().is_some_and(|causes| causes.len() > 4), "{people:#}");
        for (name, text) in everything(&workspace.path().join("reports")) {
            nothing_personal(&format!("{way} {name}"), &text);
            assert!(beyond.iter().all(|value| !text.contains(value)), "{way} {name}");
        }
        let total = format!("{contract}[[contract.people.total]]\nname = \"t\"\nby = [\"shout\"]\n");
        workspace.file("reconcile.toml", &total);
        workspace.reconcile(["check"]).expect(2, &["names \"shout\", whose values are personal (pii)"]);
    }
}

#[test]
fn a_column_that_a_personal_attribute_reads_is_personal_under_its_own_name() {
    let workspace = Workspace::new();
    workspace.bytes("a.csv", b"id,holder\n1,Annabella\n2,Bertholda\n");
    workspace.bytes("b.csv", b"id,holder,client\n1,Carlotta,Dorothea\n2,Emilia,Friederike\n");
    let contract = format!(
        "{}attribute.client.derive = \"upper(holder)\"\nattribute.client.pii = \"mask\"\n",
        crate::support::pair_contract("a.csv", "b.csv")
    );
    workspace.file("reconcile.toml", &contract);
    for arguments in [&["run"][..], &["explain", "latest", "1"], &["run", "--format", "ndjson"]] {
        let outcome = workspace.reconcile(arguments);
        nothing_personal(&format!("{arguments:?}"), &outcome.shown());
    }
    workspace.file("reconcile.toml", &format!("{contract}[[contract.pair.total]]\nname = \"t\"\nby = [\"holder\"]\n"));
    workspace.reconcile(["run"]).expect(2, &["total `t`: the values of `holder` are personal (pii)"]);
    for (name, text) in everything(&workspace.path().join("reports")) {
        nothing_personal(&name, &text);
    }
}
