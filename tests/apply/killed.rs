//! An apply that is killed at any step is ended by the next one: nothing happens twice, and receipts bring every byte back. So
//! does a rollback, and the apply that goes on with another one.

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;

use reconcile::apply::work::Told;
use reconcile::apply::{Quietly, Steps};
use serde_json::{Value, json};

use super::places::{Place, plan_at};
use super::{Stage, outcomes};
use crate::servers::{mariadb, postgres};

/// What a process of this test is told of how it is to be stopped.
const STOP: &str = "RECONCILE_TEST_STOP";

/// How many actions of the family's plan are applied.
const ACTIONS: usize = 9;

/// Ends the process at a step, as a kill would; and keeps the names of steps.
struct StopAt {
    at: usize,
    taken: RefCell<Vec<String>>,
}

impl StopAt {
    fn new(at: usize) -> Self {
        Self { at, taken: RefCell::default() }
    }
}

impl Steps for StopAt {
    fn taken(&self, step: &str) {
        self.taken.borrow_mut().push(step.to_owned());
        if self.taken.borrow().len() == self.at {
            std::process::abort();
        }
    }
}

/// What another test starts to have it stopped; by itself it applies to the end.
#[test]
fn an_apply_that_may_be_stopped_at_any_step() {
    let own = tempfile::tempdir().unwrap();
    let Some(asked) = std::env::var_os(STOP) else {
        let place = Place::Sqlite(own.path());
        place.reset();
        let stage = Stage::at(own.path(), &place.location(), &plan_at("sqlite:", ACTIONS));
        whole(&stage.apply("A1", &Quietly), "not stopped");
        return;
    };
    let asked: Value = serde_json::from_str(asked.to_str().unwrap()).unwrap();
    let text = |name: &str| asked[name].as_str().unwrap();
    let stage = Stage::at(Path::new(text("folder")), text("location"), &plan_at(text("location"), ACTIONS));
    let stop = StopAt::new(usize::try_from(asked["at"].as_u64().unwrap()).unwrap());
    let told = match asked["undo"].as_str() {
        Some(of) => stage.undo(of, text("id"), &stop),
        None => stage.apply(text("id"), &stop),
    };
    panic!("it was to be stopped before {told:?}");
}

/// Applies, or undoes, in a process that is killed at a step.
#[track_caller]
fn killed(place: &Place<'_>, folder: &Path, id: &str, undo: Option<&str>, at: usize) {
    let request = json!({ "folder": folder, "location": place.location(), "id": id, "undo": undo, "at": at });
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "apply::killed::an_apply_that_may_be_stopped_at_any_step", "--nocapture"])
        .env(STOP, request.to_string())
        .output()
        .unwrap();
    assert!(child.status.code().is_none(), "step {at}: {}", String::from_utf8_lossy(&child.stdout));
}

#[track_caller]
fn whole(told: &Told, about: &str) {
    assert!(told.halted.is_none(), "{about}: {:?}", told.halted);
    let outcomes = outcomes(told);
    assert!(
        outcomes.len() == ACTIONS && outcomes.iter().all(|said| ["done", "already"].contains(said)),
        "{about}: {outcomes:?}"
    );
}

/// Nothing of what was stopped is open, and the ledger holds every receipt.
fn settled(folder: &Path, about: &str) {
    let found = reconcile::history::verify(&folder.join("reports")).unwrap();
    assert!(found.changed.is_empty(), "{about}: {:?}", found.changed);
    assert!(!found.notes.iter().any(|note| note.contains("did not end")), "{about}: {:?}", found.notes);
}

/// Undoes the receipts that are there, the newest first.
fn undo_all(stage: &Stage, ids: &[&str]) {
    for of in ids {
        if stage.folder.join(format!("reports/applied/{of}.ndjson")).is_file() {
            stage.undo(of, &format!("U{of}"), &Quietly);
        }
    }
}

/// The steps of an apply, those of its rollback, and the state between.
struct Walk {
    before: String,
    after: String,
    applied: Vec<String>,
    undone: Vec<String>,
}

fn undisturbed(place: &Place<'_>) -> Walk {
    let folder = tempfile::tempdir().unwrap();
    place.reset();
    let before = place.dump();
    let stage = Stage::at(folder.path(), &place.location(), &plan_at(&place.location(), ACTIONS));
    let (applied, undone) = (StopAt::new(usize::MAX), StopAt::new(usize::MAX));
    whole(&stage.apply("A1", &applied), "undisturbed");
    let after = place.dump();
    assert_ne!(before, after);
    assert_eq!(place.most_writes(), "1");
    stage.undo("A1", "A2", &undone);
    assert_eq!(place.dump(), before);
    Walk { before, after, applied: applied.taken.into_inner(), undone: undone.taken.into_inner() }
}

fn every_step(place: &Place<'_>) {
    let walk = undisturbed(place);
    assert!(walk.applied.len() > ACTIONS + 5 && walk.undone.len() > ACTIONS + 5, "{:?}", walk.applied);
    for (step, name) in walk.applied.iter().enumerate() {
        let (folder, about) = (tempfile::tempdir().unwrap(), format!("step {step} ({name})"));
        place.reset();
        let stage = Stage::at(folder.path(), &place.location(), &plan_at(&place.location(), ACTIONS));
        killed(place, folder.path(), "A1", None, step + 1);
        whole(&stage.apply("A2", &Quietly), &about);
        assert_eq!(place.dump(), walk.after, "{about}");
        assert_eq!(place.most_writes(), "1", "{about}");
        settled(folder.path(), &about);
        undo_all(&stage, &["A2", "A1"]);
        assert_eq!(place.dump(), walk.before, "{about}");
    }
    for (step, name) in walk.undone.iter().enumerate() {
        let (folder, about) = (tempfile::tempdir().unwrap(), format!("rollback, step {step} ({name})"));
        place.reset();
        let stage = Stage::at(folder.path(), &place.location(), &plan_at(&place.location(), ACTIONS));
        whole(&stage.apply("A1", &Quietly), &about);
        killed(place, folder.path(), "A2", Some("A1"), step + 1);
        whole(&stage.undo("A1", "A3", &Quietly), &about);
        assert_eq!(place.dump(), walk.before, "{about}");
        settled(folder.path(), &about);
    }
}

#[test]
fn sqlite_killed_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    every_step(&Place::Sqlite(folder.path()));
}

#[test]
fn postgres_killed_at_every_step() {
    every_step(&Place::Postgres(&postgres::database()));
}

#[test]
fn mariadb_killed_at_every_step() {
    every_step(&Place::Mariadb(&mariadb::database()));
}

#[test]
fn killed_again_while_it_ends_what_was_killed() {
    let own = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(own.path());
    let walk = undisturbed(&place);
    for first in ["batch journalled", "committed"] {
        let at = walk.applied.iter().position(|name| name == first).unwrap() + 1;
        let begun = || {
            let folder = tempfile::tempdir().unwrap();
            place.reset();
            let stage = Stage::at(folder.path(), &place.location(), &plan_at(&place.location(), ACTIONS));
            killed(&place, folder.path(), "A1", None, at);
            (folder, stage)
        };
        let second = StopAt::new(usize::MAX);
        whole(&begun().1.apply("A2", &second), first);
        let second = second.taken.into_inner();
        assert!(second.len() > ACTIONS && second[0] == "unfinished receipt ended", "{second:?}");
        for step in 1..=second.len() {
            let ((folder, stage), about) = (begun(), format!("{first}, then {step}"));
            killed(&place, folder.path(), "A2", None, step);
            whole(&stage.apply("A3", &Quietly), &about);
            assert_eq!((place.dump(), place.most_writes()), (walk.after.clone(), "1".to_owned()), "{about}");
            settled(folder.path(), &about);
            undo_all(&stage, &["A3", "A2", "A1"]);
            assert_eq!(place.dump(), walk.before, "{about}");
        }
    }
}
