//! Who keeps the account that processes share.

use std::{fs, path::Path, sync::Arc, thread, time::Duration};

use plimsoll::{
    MemoryBudget,
    budget::{Sharers, SystemOptions, Unsettled, Unshared},
    ledger::{LedgerOptions, Seat},
    system::SystemRoot,
};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::Outcome;

/// What each asks for; all of them together are far below the line.
const BYTES: u64 = 1 << 20;
const LINE_BYTES: u64 = 1 << 32;

/// The names of all.
pub const NAMES: [&str; 4] =
    ["ledger", "guard of a budget on the ledger", "SQLite", "SQLite, asking again at once"];

/// Grants and releases, as long as the line allows.
pub trait Peer {
    fn grant_and_release(&mut self) -> Outcome<()>;
}

pub fn open(name: &str, folder: &Path, number: u64) -> Outcome<Box<dyn Peer>> {
    let [ledger, guard, sqlite, again] = NAMES;
    match name {
        _ if name == ledger => Ok(Box::new(seat(folder)?)),
        _ if name == guard => Ok(Box::new(budget(folder, seat(folder)?, number)?)),
        _ if name == sqlite => Ok(Box::new(Table::open(folder, number, false)?)),
        _ if name == again => Ok(Box::new(Table::open(folder, number, true)?)),
        _ => Err(format!("expected one of {NAMES:?}, got {name}").into()),
    }
}

fn seat(folder: &Path) -> Outcome<Seat> {
    let options = LedgerOptions { directory: Some(folder.to_owned()), ..LedgerOptions::default() };
    Ok(Seat::take_in(&options, "bench", Box::new(|| None))?)
}

impl Peer for Seat {
    fn grant_and_release(&mut self) -> Outcome<()> {
        self.take(BYTES, LINE_BYTES).map_err(|unshared| match unshared {
            Unshared::Crowded(crowded) => crowded.constraint,
            Unshared::Broken(error) => error.to_string(),
        })?;
        self.settle(BYTES, Unsettled::default());
        self.release(BYTES, Unsettled::default());
        Ok(())
    }
}

/// A budget of a machine of 8 GiB, by its line alone: what measuring the machine costs is another figure.
fn budget(folder: &Path, seat: Seat, number: u64) -> Outcome<MemoryBudget> {
    let tree = folder.join(format!("machine-{number}"));
    fs::create_dir_all(tree.join("proc"))?;
    fs::write(tree.join("proc/meminfo"), "MemTotal: 8388608 kB\nMemAvailable: 8388608 kB\n")?;
    let sharing: Option<Arc<dyn Sharers>> = Some(Arc::new(seat));
    let options =
        SystemOptions { root: SystemRoot::at(&tree), sharing, headroom: None, ..SystemOptions::default() };
    Ok(MemoryBudget::for_system(&options)?)
}

impl Peer for MemoryBudget {
    fn grant_and_release(&mut self) -> Outcome<()> {
        drop(self.allocate(BYTES, "bench")?);
        Ok(())
    }
}

/// A table of who holds what. It grants where the sum and the request are below the line, in one transaction.
struct Table {
    connection: Connection,
    number: u64,
}

impl Table {
    fn open(folder: &Path, number: u64, asks_at_once: bool) -> Outcome<Self> {
        let connection = Connection::open(folder.join("holders.sqlite"))?;
        connection.busy_timeout(Duration::from_secs(20))?;
        // Nothing is on disk, and nothing outlives the board: the fastest that it has.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute(
            "CREATE TABLE IF NOT EXISTS holders (number INTEGER PRIMARY KEY, bytes INTEGER NOT NULL)",
            [],
        )?;
        if asks_at_once {
            // Its own way is to sleep for milliseconds.
            connection.busy_handler(Some(|_| {
                thread::yield_now();
                true
            }))?;
        }
        Ok(Self { connection, number })
    }
}

impl Peer for Table {
    fn grant_and_release(&mut self) -> Outcome<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let held: i64 = transaction
            .prepare_cached("SELECT COALESCE(SUM(bytes), 0) FROM holders")?
            .query_row([], |row| row.get(0))?;
        if held as u64 + BYTES > LINE_BYTES {
            return Err("it is crowded".into());
        }
        transaction
            .prepare_cached("INSERT INTO holders VALUES (?1, ?2)")?
            .execute(params![self.number, BYTES])?;
        transaction.commit()?;
        self.connection
            .prepare_cached("DELETE FROM holders WHERE number = ?1")?
            .execute(params![self.number])?;
        Ok(())
    }
}
