//! Servers that die, cut connections, make others wait or time out while they are repaired, and disks that are full. What was
//! done is known, nothing is done twice, and a row that is in the way keeps no other from being repaired.

use std::cell::{Cell, RefCell};
use std::process::{Child, Command, Stdio};

use reconcile::apply::work::Told;
use reconcile::apply::{Quietly, Steps};

use super::places::{Place, plan_at};
use super::{Stage, outcomes, update};
use crate::servers::{mariadb, postgres};
use crate::support::{Outcome, Workspace};

/// Does something when a step is taken for the nth time, and counts transactions.
struct When<'a> {
    step: &'static str,
    left: Cell<u32>,
    act: &'a dyn Fn(),
    transactions: Cell<u32>,
}

impl<'a> When<'a> {
    fn new(step: &'static str, nth: u32, act: &'a dyn Fn()) -> Self {
        Self { step, left: Cell::new(nth), act, transactions: Cell::new(0) }
    }
}

impl Steps for When<'_> {
    fn taken(&self, step: &str) {
        if step == "transaction begun" {
            self.transactions.set(self.transactions.get() + 1);
        }
        if step == self.step && self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            if self.left.get() == 0 {
                (self.act)();
            }
        }
    }
}

/// A row in a batch, a batch whose journal is on the disk, a batch that is durable and not yet said to be so; in the first
/// transaction and in the second.
const MOMENTS: [(&str, u32); 5] =
    [("row written", 3), ("batch journalled", 1), ("committed", 1), ("row written", 104), ("batch journalled", 2)];

/// More than a transaction.
const ACTIONS: usize = 150;

#[track_caller]
fn all_done(told: &Told, about: &str) {
    assert!(told.halted.is_none(), "{about}: {:?}", told.halted);
    let outcomes = outcomes(told);
    assert!(outcomes.iter().all(|said| ["done", "already"].contains(said)), "{about}: {outcomes:?}");
}

/// Applies while `act` breaks the target at every moment in turn and `mend` repairs it, and goes on.
fn breaks(place: &Place<'_>, act: &dyn Fn(), mend: &dyn Fn()) {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_at(&place.location(), ACTIONS);
    place.reset();
    let before = place.dump();
    all_done(&Stage::at(folder.path(), &place.location(), &plan).apply("A1", &Quietly), "undisturbed");
    let after = place.dump();
    for (step, nth) in MOMENTS {
        let (folder, about) = (tempfile::tempdir().unwrap(), format!("{step} {nth}"));
        place.reset();
        let stage = Stage::at(folder.path(), &place.location(), &plan);
        let told = stage.apply("A1", &When::new(step, nth, act));
        assert!(told.halted.is_some(), "{about}: {:?}", outcomes(&told));
        mend();
        all_done(&stage.apply("A2", &Quietly), &about);
        assert_eq!((place.dump(), place.most_writes()), (after.clone(), "1".to_owned()), "{about}");
        for of in ["A2", "A1"] {
            stage.undo(of, &format!("U{of}"), &Quietly);
        }
        assert_eq!(place.dump(), before, "{about}");
        let found = reconcile::history::verify(&folder.path().join("reports")).unwrap();
        assert!(found.changed.is_empty(), "{about}: {:?}", found.changed);
    }
}

#[test]
fn postgres_killed_while_it_is_written_to() {
    let server = RefCell::new(postgres::Server::start());
    let database = server.borrow().database();
    breaks(&Place::Postgres(&database), &|| server.borrow().kill(), &|| server.borrow_mut().restart());
}

#[test]
fn mariadb_killed_while_it_is_written_to() {
    let server = RefCell::new(mariadb::Server::start());
    let database = server.borrow().database();
    // What it says is durable is to survive it.
    let durable = || _ = database.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    durable();
    let mend = || {
        server.borrow_mut().restart();
        durable();
    };
    breaks(&Place::Mariadb(&database), &|| server.borrow().kill(), &mend);
}

#[test]
fn a_connection_that_is_cut_ends_the_apply_and_the_next_one_goes_on() {
    let database = postgres::database();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND \
               pid <> pg_backend_pid()";
    breaks(&Place::Postgres(&database), &|| assert_eq!(database.sql(cut), "1"), &|| {});
    let database = mariadb::database();
    let others = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()";
    let cut = || _ = database.sql(&format!("KILL CONNECTION {}", database.sql(others)));
    breaks(&Place::Mariadb(&database), &cut, &|| {});
}

/// A plan that changes parents 1, 2 and 9, in this order.
fn notes(place: &Place<'_>) -> Vec<String> {
    let note = |id: i64| {
        let old = if id == 1 { "x" } else { "z" };
        update("parent", id, &format!(r#"{{"note":"{old}"}}"#), r#"{"note":"mended"}"#)
    };
    place.reset();
    place.ask("UPDATE parent SET note = 'z' WHERE id = 2");
    [1, 2, 9].into_iter().map(note).collect()
}

/// A session of somebody else, ended when it is dropped.
struct Other(Child);

impl Other {
    fn new(mut client: Command) -> Self {
        Self(client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a question is answered so.
fn until(place: &Place<'_>, question: &str, answer: &str) {
    // InnoDB tells of its transactions what it told last, as long as it is asked more often than every 100 ms.
    let pause = std::time::Duration::from_millis(250);
    assert!((0..600).any(|_| {
        let yes = place.ask(question) == answer;
        if !yes {
            std::thread::sleep(pause);
        }
        yes
    }));
}

/// Another session holds row 2 and waits for row 1, which the apply has; the apply is the one that is chosen to give way.
fn deadlock(place: &Place<'_>, client: &dyn Fn(&str) -> Command, waiting: &str) {
    let plan = notes(place);
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::at(folder.path(), &place.location(), &plan);
    let other = RefCell::new(None);
    let many: String = (0..50).map(|number| format!("INSERT INTO writes VALUES ('other {number}');")).collect();
    let sql = format!(
        "BEGIN; {many} UPDATE parent SET code = 'b2' WHERE id = 2; UPDATE parent SET code = 'a2' WHERE id = 1; COMMIT;"
    );
    let meet = || {
        *other.borrow_mut() = Some(Other::new(client(&sql)));
        until(place, waiting, "1");
    };
    let steps = When::new("row written", 1, &meet);
    let told = stage.apply("A1", &steps);
    assert_eq!(outcomes(&told), ["done", "done", "done"]);
    assert!(steps.transactions.get() > 1, "the transaction was tried again");
    assert!(other.borrow_mut().as_mut().unwrap().0.wait().unwrap().success(), "and the other one went through");
    assert_eq!(place.ask("SELECT count(*) FROM parent WHERE note = 'mended'"), "3");
    assert_eq!(place.ask("SELECT count(*) FROM parent WHERE code IN ('a2', 'b2')"), "2");
}

#[test]
fn a_deadlock_is_given_way_to_and_the_transaction_is_tried_again() {
    let database = postgres::database();
    let place = Place::Postgres(&database);
    let client = |sql: &str| database.psql(&format!("SET deadlock_timeout = '60s'; {sql}"));
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    deadlock(&place, &client, waiting);
    let database = mariadb::database();
    let waiting = "SELECT count(*) FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p ON \
                   p.ID = t.trx_mysql_thread_id WHERE p.DB = DATABASE() AND t.trx_state = 'LOCK WAIT'";
    deadlock(&Place::Mariadb(&database), &|sql| database.client(sql), waiting);
}

/// Another session holds a row until the server ends it.
fn held(place: &Place<'_>, client: &dyn Fn(&str) -> Command, sleep: &str, (asleep, end): (&str, &str), said: &str) {
    let plan = notes(place);
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::at(folder.path(), &place.location(), &plan);
    let other = Other::new(client(&format!("BEGIN; UPDATE parent SET code = 'held' WHERE id = 2; {sleep};")));
    let asleep = format!("SELECT count(*) FROM {asleep}");
    until(place, &asleep, "1");
    let told = stage.apply("A1", &Quietly);
    assert!(told.halted.is_none(), "{:?}", told.halted);
    let outcomes_now = outcomes(&told);
    assert_eq!([outcomes_now[0], outcomes_now[2]], ["done", "done"]);
    assert!(outcomes_now[1].contains(said), "{outcomes_now:?}");
    let answer = place.ask(end);
    if answer.starts_with("KILL") {
        place.ask(&answer);
    }
    drop(other);
    until(place, &asleep, "0");
    assert_eq!(outcomes(&stage.apply("A2", &Quietly)), ["already", "done", "already"]);
}

#[test]
fn a_row_that_somebody_holds_is_left_and_said_and_the_others_are_repaired() {
    let database = postgres::database();
    database.sql(&format!("ALTER DATABASE {} SET lock_timeout = '300ms'", database.name()));
    let place = Place::Postgres(&database);
    let asleep = "pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let end = format!("SELECT pg_terminate_backend(pid) FROM {asleep}");
    held(&place, &|sql| database.psql(sql), "SELECT pg_sleep(600)", (asleep, &end), "lock timeout");
    let database = mariadb::database();
    let asleep = "information_schema.PROCESSLIST WHERE DB = DATABASE() AND STATE = 'User sleep'";
    let end = format!("SELECT CONCAT('KILL ', ID) FROM {asleep}");
    let place = Place::Mariadb(&database);
    held(&place, &|sql| database.client(sql), "SELECT SLEEP(600)", (asleep, &end), "Lock wait timeout");
}

#[test]
fn statements_that_take_too_long_cost_their_rows_and_many_of_them_end_the_apply() {
    let database = postgres::database();
    let place = Place::Postgres(&database);
    let plan = notes(&place);
    database.sql(&format!(
        "ALTER DATABASE {} SET statement_timeout = '300ms';
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$;
         CREATE TRIGGER slow BEFORE UPDATE ON parent FOR EACH ROW WHEN (NEW.id = 2 OR NEW.id > 100) EXECUTE FUNCTION slow();
         INSERT INTO parent SELECT i, i::text, 'x' FROM generate_series(101, 110) i",
        database.name()
    ));
    let folder = tempfile::tempdir().unwrap();
    let told = Stage::at(folder.path(), &place.location(), &plan).apply("A1", &Quietly);
    let said = "the target refused it: canceling statement due to statement timeout";
    assert_eq!(outcomes(&told), ["done", said, "done"]);
    assert!(told.halted.is_none());
    let many: Vec<String> =
        (101..111).map(|id| update("parent", id, r#"{"note":"x"}"#, r#"{"note":"mended"}"#)).collect();
    let folder = tempfile::tempdir().unwrap();
    let told = Stage::at(folder.path(), &place.location(), &many).apply("A1", &Quietly);
    assert!(told.halted.as_deref().is_some_and(|why| why.contains("statement timeout")), "{:?}", told.halted);
    assert_eq!(
        place.ask("SELECT count(*) FROM parent WHERE note = 'mended'"),
        "2",
        "and what was on its way is taken back"
    );
}

/// A limit on the size of files stands for the full disk: writing fails at the same calls.
#[test]
fn a_full_disk_ends_the_apply_before_the_rows_are_durable_and_nothing_is_done_twice() {
    let (workspace, database) = (Workspace::new(), postgres::database());
    let rows: String = (0..400).map(|id| format!("{id},right {id}\n")).collect();
    workspace.file("a.csv", &format!("id,name\n{rows}"));
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY, name text); CREATE TABLE writes (what text);
         CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO writes VALUES (NEW.id); RETURN NULL; END $$;
         INSERT INTO t SELECT i, 'wrong' FROM generate_series(0, 399) i;
         CREATE TRIGGER told AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION told()",
    );
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.t]\nlocation = \"{}\"\ntable = \"t\"\n[contract.t]\nversion = \"1.0.0\"\n\
             authority = \"a\"\nprojection = \"t\"\nkey = [\"id\"]\n[contract.t.repair]\nmismatch = \"auto\"\n",
            database.url()
        ),
    );
    workspace.reconcile(["run"]).expect(1, &[]);
    let right = "SELECT count(*) FROM t WHERE name = 'right ' || id";
    let mut full = 0;
    for blocks in [0, 1, 2, 4, 20, 60, 120, 121, 122] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" apply latest --execute --no-progress");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_reconcile")]).current_dir(workspace.path());
        let outcome = Outcome::of(&command.output().unwrap());
        if outcome.status != Some(0) {
            let said = format!("{}{}", outcome.stdout, outcome.stderr).to_lowercase();
            assert!(outcome.status == Some(2) && said.contains("file too large"), "{}", outcome.shown());
            full += 1;
        }
        assert_eq!(
            database.sql("SELECT coalesce(max(n), 0) <= 1 FROM (SELECT count(*) AS n FROM writes GROUP BY what) c"),
            "t"
        );
        assert_eq!(database.sql(right), database.sql("SELECT count(*) FROM writes"), "{}", outcome.shown());
    }
    assert!(full >= 5, "{full}");
    workspace.reconcile(["apply", "latest", "--execute"]).expect(0, &["400 actions"]);
    assert_eq!(database.sql(right), "400");
    assert_eq!(database.sql("SELECT count(*) FROM writes"), "400", "nothing was done twice");
    workspace.reconcile(["audit", "verify"]).expect(0, &["unchanged"]);
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
}
