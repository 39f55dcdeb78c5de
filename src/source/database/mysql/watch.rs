//! How rows are taken from a server: at their pace, in batches, and not while it has enough to do without us, which it is asked
//! over a connection of its own, once a second. What it does not tell is no reason to wait.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};
use tokio::sync::Mutex;

use super::{Access, Stop};
use crate::contract::PauseIf;
use crate::source::database::pace::Pace;

/// How long what was seen of the server holds.
const WATCHED: Duration = Duration::from_secs(1);

/// What all connections of a source keep to.
pub(super) struct Flow {
    pub(super) pace: Pace,
    pub(super) batch_rows: usize,
    watch: Option<Watch>,
}

struct Watch {
    pause: PauseIf,
    access: Access,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    connection: Option<Conn>,
    /// When the server was last seen with little to do.
    calm_at: Option<Instant>,
}

impl Flow {
    pub(super) fn new(pace: Pace, batch_rows: usize, pause: Option<PauseIf>, access: &Access) -> Self {
        let watch = pause.map(|pause| Watch { pause, access: access.clone(), seen: Mutex::default() });
        Self { pace, batch_rows, watch }
    }

    /// Waits while the server has more to do than the contract wants to add to.
    pub(super) async fn calm(&self) -> Result<(), Stop> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let mut seen = watch.seen.lock().await;
        while seen.calm_at.is_none_or(|at| at.elapsed() >= WATCHED) {
            let left = self.pace.left().map_err(Stop::Late)?;
            let mut connection = match seen.connection.take() {
                Some(connection) => connection,
                None => watch.access.connect().await?,
            };
            if told(&mut connection, watch.pause).await?.is_some_and(|is_busy| is_busy) {
                tokio::time::sleep(left.map_or(WATCHED, |left| WATCHED.min(left))).await;
            } else {
                seen.calm_at = Some(Instant::now());
            }
            seen.connection = Some(connection);
        }
        Ok(())
    }

    /// What is to be said where the server does not tell this user what reading is to wait for.
    pub(super) async fn untold(&self, connection: &mut Conn) -> Result<Option<String>, Stop> {
        let Some(watch) = &self.watch else { return Ok(None) };
        let is_told = told(connection, watch.pause).await?.is_some();
        Ok((!is_told).then(|| {
            "`pause_if`: the server tells this user nothing of replication, so that reading does not wait: name a replica that \
             replicates, and GRANT REPLICATION CLIENT (MariaDB: SLAVE MONITOR) to the user"
                .to_owned()
        }))
    }
}

/// Whether reading is to wait now; None: the server does not tell.
async fn told(connection: &mut Conn, pause: PauseIf) -> Result<Option<bool>, Stop> {
    match pause {
        PauseIf::Load(most) => {
            let running: Option<(String, u64)> =
                connection.query_first("SHOW GLOBAL STATUS LIKE 'Threads_running'").await?;
            // Of sessions it shows this user its own alone, to whatever program they belong.
            let own = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND NOT IN ('Sleep', 'Daemon') \
                       AND USER = SUBSTRING_INDEX(CURRENT_USER(), '@', 1)";
            let own: Option<u64> = connection.query_first(own).await?;
            Ok(running.map(|(_, running)| running.saturating_sub(own.unwrap_or(1)) > most))
        }
        PauseIf::ReplicaLag(most) => {
            Ok(lag(connection).await?.map(|seconds| i128::from(seconds) * 1_000_000_000 > most.0))
        }
    }
}

/// Seconds that a replica lies behind; None where it is none, stands still, or does not tell this user.
async fn lag(connection: &mut Conn) -> Result<Option<u64>, Stop> {
    for asked in ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
        let rows: Vec<Row> = match connection.query(asked).await {
            Ok(rows) => rows,
            // Another spelling, or no privilege.
            Err(mysql_async::Error::Server(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let behind = rows.iter().flat_map(|row| {
            let columns = row.columns_ref().iter().enumerate();
            let named = columns.filter(|(_, column)| {
                ["Seconds_Behind_Master", "Seconds_Behind_Source"].contains(&column.name_str().as_ref())
            });
            named.filter_map(|(index, _)| number(row.as_ref(index)?)).collect::<Vec<_>>()
        });
        return Ok(behind.max());
    }
    Ok(None)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::UInt(number) => Some(*number),
        Value::Bytes(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}
