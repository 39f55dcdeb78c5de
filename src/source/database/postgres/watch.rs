//! Whether the server has enough to do without us: how far replicas lie behind, how many connections are at work.

use tokio_postgres::Client;

use crate::contract::PauseIf;
use crate::database::postgres::Failure;

/// The instant that a session speaks for. A replica that has all that its primary is known to have does so for the last word
/// that came from there, any other one for the last transaction that it followed: nothing tells that a replica which was cut off
/// lacks something. Details of the receiver are shown to those alone who may read all statistics.
pub(super) const FOLLOWED: &str = "CASE WHEN pg_is_in_recovery() THEN (SELECT greatest(pg_last_xact_replay_timestamp(), \
     (SELECT max(last_msg_send_time) FROM pg_catalog.pg_stat_wal_receiver \
     WHERE status = 'streaming' AND latest_end_lsn <= pg_last_wal_replay_lsn()))) ELSE statement_timestamp() END";
/// The same of a replica that has followed no transaction since it was started, in microseconds.
pub(super) const BEGUN_FROM: &str =
    "SELECT (extract(epoch FROM checkpoint_time) * 1000000)::int8 FROM pg_control_checkpoint()";

/// Whether reading is to wait now. What the server does not tell is no reason to.
pub(super) async fn is_busy(client: &Client, pause: PauseIf) -> Result<bool, Failure> {
    let of = |error: tokio_postgres::Error| Failure::of(&error);
    // Within one transaction the server would repeat what it said first.
    client.query_one("SELECT pg_stat_clear_snapshot()", &[]).await.map_err(of)?;
    let asked = match pause {
        PauseIf::Load(_) => {
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() \
             AND backend_type = 'client backend' AND application_name <> 'reconcile'"
        }
        PauseIf::ReplicaLag(_) => {
            "SELECT (extract(epoch FROM CASE WHEN NOT pg_is_in_recovery() \
             THEN (SELECT max(replay_lag) FROM pg_stat_replication) \
             WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver \
             WHERE coalesce(status, 'streaming') = 'streaming') THEN interval '0' \
             ELSE clock_timestamp() - pg_last_xact_replay_timestamp() END) * 1000000)::int8"
        }
    };
    let told: Option<i64> = client.query_one(asked, &[]).await.map_err(of)?.get(0);
    Ok(told.is_some_and(|told| match pause {
        PauseIf::Load(most) => u64::try_from(told).is_ok_and(|told| told > most),
        PauseIf::ReplicaLag(most) => i128::from(told) * 1000 > most.0,
    }))
}

/// What is to be said where the server does not tell this user about others.
pub(super) async fn untold(client: &Client) -> Option<String> {
    let asked = "SELECT pg_has_role('pg_read_all_stats', 'USAGE') OR pg_is_in_recovery()";
    let told = client.query_one(asked, &[]).await.ok()?;
    (!told.get::<_, bool>(0)).then(|| {
        "`pause_if`: the server tells this user nothing of other sessions, so that reading may not wait: \
         GRANT pg_read_all_stats to the user"
            .to_owned()
    })
}
