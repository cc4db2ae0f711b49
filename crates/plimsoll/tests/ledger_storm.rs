//! Processes that share a ledger, killed and stopped at any moment, while its file is removed again and again: never is more held than the line, and when all are dead
//! nothing is left.
//!
//! `PLIMSOLL_STORM_KILLS=10000 cargo test -p plimsoll --test ledger_storm` for as many deaths; 400 without.

#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod storm;
#[path = "storm/way.rs"]
mod way;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    sync::{Arc, OnceLock, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use plimsoll::{
    MemoryBudget,
    admission::Admission,
    budget::{SharedAnswer, SharedAsk, SharedQueue, SharedTurn, Sharers, SystemOptions, Unsettled},
    ledger::{LedgerOptions, Seat, survey},
    system::SystemRoot,
};
use storm::{Random, Truth, WORKERS, end_somewhere};
use way::Way;

/// A thousandth of what all may hold, about.
const UNIT_BYTES: u64 = 8 << 20;

/// What all may hold: the line of a board of 8 GiB.
fn line_bytes() -> u64 {
    static LINE: OnceLock<u64> = OnceLock::new();
    *LINE.get_or_init(|| number("PLIMSOLL_STORM_LINE").unwrap())
}

/// The word in which a forked child says that it could take something.
const CHILDREN_AT: usize = 500;

fn options(folder: &Path) -> LedgerOptions {
    LedgerOptions {
        directory: Some(folder.to_owned()),
        drain: Duration::from_millis(20),
        ..LedgerOptions::default()
    }
}

fn fail(error: &plimsoll::Error) -> ! {
    eprintln!("process {}: {error}", std::process::id());
    std::process::exit(8);
}

fn budget(folder: &Path, sharing: Option<Arc<dyn Sharers>>) -> MemoryBudget {
    let options =
        SystemOptions { root: SystemRoot::at(folder.join("machine")), sharing, ..SystemOptions::default() };
    MemoryBudget::for_system(&options).unwrap()
}

/// A child that has all that its parent has, lives on a while, and must neither take nor give away anything.
fn fork_a_child(seat: &Arc<Seat>, truth: &Truth, milliseconds: u64) {
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child != 0 {
        return;
    }
    // SAFETY: it ends with its parent, whose place another worker will take.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    seat.release(u64::MAX, Unsettled::default());
    if seat.take(1, u64::MAX).is_ok() || seat.holders().is_ok() {
        truth.words()[CHILDREN_AT].store(1, Ordering::SeqCst);
    }
    thread::sleep(Duration::from_millis(milliseconds));
    // SAFETY: as a child leaves that has nothing of its own.
    unsafe { libc::_exit(0) };
}

/// Takes and releases until it is killed.
fn work(folder: &Path, worker: usize, seed: u64) {
    let mut random = Random(seed);
    end_somewhere(&mut random, true);
    // SAFETY: the children of this one are nobody's to wait for.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let name = format!("worker {worker}");
    let seat = Arc::new(
        Seat::take_in(&options(folder), &name, Box::new(|| None)).unwrap_or_else(|error| fail(&error)),
    );
    let truth = Truth::open(&folder.join("truth"));
    // The child of the worker before ends with it, a moment later.
    let start = Instant::now();
    while truth.lock(libc::F_OFD_SETLK, worker) != Some(true) {
        assert!(start.elapsed() < Duration::from_secs(30), "another worker has this place");
        thread::sleep(Duration::from_millis(1));
    }
    let mut way = match worker % 4 {
        2 => {
            let budget = budget(folder, Some(Arc::clone(&seat) as _));
            Way::Queue(Admission::new(&budget).unwrap_or_else(|error| fail(&error)), Vec::new())
        }
        3 => Way::Budget(budget(folder, Some(Arc::clone(&seat) as _)), Vec::new()),
        _ => Way::Seat(Arc::clone(&seat), Vec::new()),
    };
    let mut sum = 0;
    loop {
        let most = if random.below(8) == 0 { 900 } else { 200 };
        let bytes = 1 + random.below(most * UNIT_BYTES);
        way.make_room(&mut random, |bytes| {
            sum -= bytes;
            truth.set(worker, sum);
        });
        let is_taken = way.take(bytes, &mut random);
        let stretched = way.stretch(&mut random);
        if is_taken || stretched > 0 {
            sum += stretched + if is_taken { bytes } else { 0 };
            truth.set(worker, sum);
            if let Some(all) = truth.held(Some(worker)).filter(|all| *all > line_bytes()) {
                eprintln!("worker {worker} sees {all} bytes held, of a line of {}", line_bytes());
                std::process::exit(9);
            }
        }
        let has_queue = matches!(way, Way::Queue(..));
        if random.below(16) == 0 && !has_queue {
            let waiting = (random.below(2) == 0).then(|| SharedTurn {
                bytes,
                kept_bytes: 0,
                count: 1,
                ..SharedTurn::default()
            });
            seat.wait(0, waiting, "waiting");
            seat.offer(0, 0, random.below(bytes), 0);
            if let Some(asked) = seat.asked(0) {
                seat.answer(asked.id, SharedAnswer::Declined);
            }
            for holder in seat.holders_elsewhere() {
                let ask = SharedAsk { id: 0, bytes, priority: 1, until_ns: u64::MAX };
                if let Some(id) = seat.ask(holder.slot, ask).filter(|_| random.below(2) == 0) {
                    seat.withdraw(holder.slot, id);
                }
            }
        }
        // With a queue it has another thread.
        if random.below(300) == 0 && !has_queue {
            fork_a_child(&seat, &truth, random.below(30));
        }
        while way.count() > random.below(6) as usize {
            let which = random.below(way.count() as u64) as usize;
            way.release(which, |bytes| {
                sum -= bytes;
                truth.set(worker, sum);
            });
        }
    }
}

struct Storm {
    folder: tempfile::TempDir,
    random: Random,
    truth: Truth,
    workers: Vec<Option<(Child, Instant)>>,
    /// Until when it sleeps, if it is stopped for longer.
    asleep: Vec<Option<Instant>>,
    deaths: u64,
    stops: u64,
    long_stops: u64,
    removals: u64,
}

impl Storm {
    fn start(&mut self, worker: usize) {
        let child = Command::new(env::current_exe().unwrap())
            .env("PLIMSOLL_STORM_WORKER", worker.to_string())
            .env("PLIMSOLL_STORM_SEED", self.random.next().to_string())
            .env("PLIMSOLL_STORM_FOLDER", self.folder.path())
            .env("PLIMSOLL_STORM_LINE", line_bytes().to_string())
            .spawn()
            .unwrap();
        self.workers[worker] = Some((child, Instant::now()));
    }

    fn signal(&self, worker: usize, signal: i32) {
        if let Some((child, _)) = &self.workers[worker] {
            // SAFETY: a signal to a child that has not been waited for.
            unsafe { libc::kill(child.id().cast_signed(), signal) };
        }
    }

    /// Ends those that are dead, and starts others in their places.
    fn turn(&mut self) {
        for worker in 0..WORKERS {
            let ended = self.workers[worker].as_mut().and_then(|(child, _)| child.try_wait().unwrap());
            if let Some(status) = ended {
                assert!(status.code().is_none(), "worker {worker} found a fault: {status}");
                self.deaths += 1;
                self.truth.set(worker, 0);
                // A turn that its death left odd.
                if self.truth.words()[worker * 2].load(Ordering::SeqCst) % 2 == 1 {
                    self.truth.words()[worker * 2].fetch_add(1, Ordering::SeqCst);
                }
                self.start(worker);
            }
        }
        let worker = self.random.below(WORKERS as u64) as usize;
        match self.random.below(6) {
            0 | 1 => self.signal(worker, libc::SIGKILL),
            2 => {
                self.stops += 1;
                self.signal(worker, libc::SIGSTOP);
            }
            _ => {}
        }
        if self.random.below(30) == 0 {
            self.removals += u64::from(fs::remove_file(self.folder.path().join("board.ledger")).is_ok());
        }
        // Those that stopped by themselves, too. Some sleep for long, wherever they are.
        for worker in 0..WORKERS {
            match self.asleep[worker] {
                Some(until) if Instant::now() < until => {}
                Some(_) => {
                    self.asleep[worker] = None;
                    self.signal(worker, libc::SIGCONT);
                }
                None if self.random.below(8) > 0 => {}
                None if self.random.below(40) == 0 => {
                    self.long_stops += 1;
                    self.signal(worker, libc::SIGSTOP);
                    self.asleep[worker] = Some(Instant::now() + Duration::from_millis(300));
                }
                None => self.signal(worker, libc::SIGCONT),
            }
        }
        assert_eq!(
            self.truth.words()[CHILDREN_AT].load(Ordering::SeqCst),
            0,
            "a forked child has taken its parent's share"
        );
        if let Some(all) = self.truth.held(None) {
            assert!(all <= line_bytes(), "{all} bytes are held, of a line of {}", line_bytes());
        }
        thread::sleep(Duration::from_millis(self.random.below(3)));
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        for (child, _) in self.workers.iter_mut().flatten() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn storm(kills: u64, seed: u64) {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let truth = Truth::open(&folder.path().join("truth"));
    let workers = (0..WORKERS).map(|_| None).collect();
    fs::create_dir_all(folder.path().join("machine/proc")).unwrap();
    let machine = folder.path().join("machine/proc/meminfo");
    fs::write(machine, "MemTotal: 8388608 kB\nMemAvailable: 8388608 kB\n").unwrap();
    let line = budget(folder.path(), None).line().board_bytes();
    // SAFETY: no other thread is there yet.
    unsafe { env::set_var("PLIMSOLL_STORM_LINE", line.to_string()) };
    let asleep = vec![None; WORKERS];
    let mut storm = Storm {
        folder,
        random: Random(seed),
        truth,
        workers,
        asleep,
        deaths: 0,
        stops: 0,
        long_stops: 0,
        removals: 0,
    };
    (0..WORKERS).for_each(|worker| storm.start(worker));
    let start = Instant::now();
    while storm.deaths < kills {
        storm.turn();
    }
    let path: PathBuf = storm.folder.path().to_owned();
    for (child, _) in storm.workers.iter_mut().flatten() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    storm.workers.clear();
    let options = options(&path);
    let last = Seat::take_in(&options, "last", Box::new(|| None)).unwrap();
    // A forked child holds its parent's slot until it has died itself, a moment later.
    let end = Instant::now() + Duration::from_secs(30);
    let holders = loop {
        let (_, holders) = survey(&options, &|| None).unwrap().unwrap();
        if holders.len() == 1 || Instant::now() > end {
            break holders;
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(holders.len(), 1, "{holders:?}");
    last.take(line_bytes(), line_bytes()).expect("nothing is left of the dead");
    println!(
        "{} processes killed and {} stopped, {} for long, and the ledger removed {} times, in {:.1} s: at no time more than the line was held, and nothing is left (seed {seed})",
        storm.deaths,
        storm.stops,
        storm.long_stops,
        storm.removals,
        start.elapsed().as_secs_f64()
    );
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

fn main() -> ExitCode {
    if let Some(worker) = number("PLIMSOLL_STORM_WORKER") {
        let folder = PathBuf::from(env::var_os("PLIMSOLL_STORM_FOLDER").unwrap());
        work(&folder, worker as usize, number("PLIMSOLL_STORM_SEED").unwrap());
    }
    // As cargo and its like ask a test what it has.
    if env::args().any(|argument| argument == "--list") {
        println!("storm: test");
        return ExitCode::SUCCESS;
    }
    let kills = number("PLIMSOLL_STORM_KILLS").unwrap_or(400);
    let seed = number("PLIMSOLL_STORM_SEED").unwrap_or_else(|| std::process::id().into());
    storm(kills, seed);
    // As the test harness says it, for those who count what has run.
    println!("test storm ... ok");
    ExitCode::SUCCESS
}
