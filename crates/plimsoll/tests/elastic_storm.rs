//! Elastic grants of three processes, whose floors are 60 % of the line and whose stretches would be 140 % of it, killed and
//! stopped at named steps and at random while a fourth, which is killed and stopped too, asks for room again and again: never is
//! more held than the line, and who asks gets the room.
//!
//! `PLIMSOLL_STORM_KILLS=1000 cargo test -p plimsoll --test elastic_storm` for as many deaths; 40 without. It prints how long
//! the room took.

#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod storm;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    sync::{Arc, Mutex, atomic::Ordering, mpsc},
    thread,
    time::{Duration, Instant},
};

use plimsoll::{
    MemoryBudget,
    admission::{AcquireOptions, Admission, GrantRequest, MakeRoom},
    budget::{MachineOptions, Sharers, SystemOptions},
    ledger::{LedgerOptions, Seat, survey},
    system::SystemRoot,
    units::MIB,
};
use storm::{Random, Truth, end_somewhere};

/// What all may hold.
const LINE_BYTES: u64 = 1000 * MIB;
/// The elastic ones, and the one who asks.
const ELASTIC: usize = 3;
const FLOOR_BYTES: u64 = LINE_BYTES * 6 / 10 / ELASTIC as u64;
const STRETCH_BYTES: u64 = LINE_BYTES * 14 / 10 / ELASTIC as u64;
/// Where the one who asks counts, and where its times begin, in microseconds.
const COUNT_AT: usize = 100;
const TIMES_AT: usize = 101;
const MOST_TIMES: usize = 390;

fn options(folder: &Path) -> LedgerOptions {
    LedgerOptions {
        directory: Some(folder.to_owned()),
        drain: Duration::from_millis(20),
        ..LedgerOptions::default()
    }
}

fn process(folder: &Path, name: &str) -> Admission {
    let seat = Seat::take_in(&options(folder), name, Box::new(|| None)).unwrap();
    let sharing: Arc<dyn Sharers> = Arc::new(seat);
    let budget = MemoryBudget::for_system(&SystemOptions {
        root: SystemRoot::at(folder),
        line: MachineOptions { safety_margin_percent: 50.0, ..MachineOptions::default() },
        sharing: Some(sharing),
        headroom: None,
        ..SystemOptions::default()
    });
    let budget = budget.unwrap();
    assert_eq!(budget.line().board_bytes(), LINE_BYTES);
    Admission::new(&budget).unwrap()
}

fn check(truth: &Truth, worker: usize) {
    if let Some(all) = truth.held(Some(worker)).filter(|all| *all > LINE_BYTES) {
        eprintln!("worker {worker} sees {all} bytes held, of a line of {LINE_BYTES}");
        std::process::exit(9);
    }
}

/// Holds its floor, stretches whenever it may, and shrinks when it is asked.
fn stretch(folder: &Path, worker: usize, mut random: Random) {
    end_somewhere(&mut random, true);
    let process = process(folder, &format!("elastic {worker}"));
    let truth = Truth::open(&folder.join("truth"));
    assert_eq!(truth.lock(libc::F_OFD_SETLK, worker), Some(true));
    let (sender, asked) = mpsc::channel::<MakeRoom>();
    let sender = Mutex::new(sender);
    let options = AcquireOptions {
        on_revoke: Some(Arc::new(move |room: &MakeRoom| {
            let _ = sender.lock().unwrap().send(room.clone());
        })),
        idle: Duration::ZERO,
        ..AcquireOptions::default()
    };
    let floor = vec![GrantRequest::new(FLOOR_BYTES, "floor")];
    let grant = process.submit(floor, options).unwrap().wait().unwrap();
    loop {
        truth.set(worker, grant.bytes());
        check(&truth, worker);
        if let Ok(room) = asked.recv_timeout(Duration::from_millis(random.below(10))) {
            let goes = room.bytes.min(grant.bytes() - FLOOR_BYTES);
            truth.set(worker, grant.bytes() - goes);
            grant.shrink(goes);
            continue;
        }
        let most = STRETCH_BYTES.saturating_sub(grant.bytes() - FLOOR_BYTES);
        let bytes = random.below(100 * MIB).min(most);
        let _ = grant.stretch(bytes); // Where there is no room, or somebody waits, it stays as it is.
    }
}

/// Asks for room that only the stretches can make, again and again.
fn ask(folder: &Path, mut random: Random) {
    end_somewhere(&mut random, true);
    let process = process(folder, "asks");
    let truth = Truth::open(&folder.join("truth"));
    assert_eq!(truth.lock(libc::F_OFD_SETLK, ELASTIC), Some(true));
    loop {
        let bytes = (200 + random.below(190)) * MIB;
        let options = AcquireOptions {
            priority: 1,
            timeout: Some(Duration::from_secs(20)),
            ..AcquireOptions::default()
        };
        let start = Instant::now();
        let ticket = process.submit(vec![GrantRequest::new(bytes, "room")], options).unwrap();
        let grant = match ticket.wait() {
            Ok(grant) => grant,
            Err(error) => {
                eprintln!("nobody made room: {error}");
                std::process::exit(8);
            }
        };
        let took = start.elapsed().as_micros() as u64;
        truth.set(ELASTIC, bytes);
        check(&truth, ELASTIC);
        let count = truth.words()[COUNT_AT].load(Ordering::SeqCst) as usize;
        truth.words()[TIMES_AT + count % MOST_TIMES].store(took, Ordering::SeqCst);
        truth.words()[COUNT_AT].store(count as u64 + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(random.below(20)));
        truth.set(ELASTIC, 0);
        drop(grant);
        // They stretch again.
        thread::sleep(Duration::from_millis(50 + random.below(100)));
    }
}

struct Storm {
    folder: tempfile::TempDir,
    random: Random,
    workers: Vec<Option<Child>>,
    /// Until when it is stopped, if it is.
    asleep: [Option<Instant>; ELASTIC + 1],
    stops: u64,
}

impl Storm {
    fn start(&mut self, worker: usize) {
        let child = Command::new(env::current_exe().unwrap())
            .env("PLIMSOLL_STORM_WORKER", worker.to_string())
            .env("PLIMSOLL_STORM_SEED", self.random.next().to_string())
            .env("PLIMSOLL_STORM_FOLDER", self.folder.path())
            .spawn()
            .unwrap();
        self.workers[worker] = Some(child);
    }

    /// Ends those that have ended themselves at a step, and starts others in their places. How many.
    fn replace(&mut self, truth: &Truth) -> u64 {
        let has_ended = |child: &mut Child| child.try_wait().unwrap().is_some();
        let ended: Vec<usize> =
            (0..=ELASTIC).filter(|worker| self.workers[*worker].as_mut().is_some_and(has_ended)).collect();
        for worker in &ended {
            self.kill(*worker, truth);
            self.start(*worker);
        }
        ended.len() as u64
    }

    fn signal(&self, worker: usize, signal: i32) {
        if let Some(child) = &self.workers[worker] {
            // SAFETY: a signal to a child that has not been waited for.
            unsafe { libc::kill(child.id().cast_signed(), signal) };
        }
    }

    /// Has one stop for a while, now and then, and lets go on who has been stopped long enough, or has stopped by itself.
    fn stop_and_continue(&mut self) {
        if self.random.below(60) == 0 {
            let worker = self.random.below(ELASTIC as u64 + 1) as usize;
            let longest = if self.random.below(8) == 0 { 200 } else { 20 };
            self.stops += 1;
            self.signal(worker, libc::SIGSTOP);
            self.asleep[worker] = Some(Instant::now() + Duration::from_millis(self.random.below(longest)));
        }
        for worker in 0..=ELASTIC {
            match self.asleep[worker] {
                Some(until) if Instant::now() < until => {}
                None if self.random.below(16) > 0 => {}
                _ => {
                    self.asleep[worker] = None;
                    self.signal(worker, libc::SIGCONT);
                }
            }
        }
    }

    fn kill(&mut self, worker: usize, truth: &Truth) {
        let Some(mut child) = self.workers[worker].take() else { return };
        let _ = child.kill(); // It may have done that itself.
        let status = child.wait().unwrap();
        assert!(status.code().is_none(), "worker {worker} found a fault: {status}");
        truth.set(worker, 0);
        // A turn that its death left odd.
        truth.words()[worker * 2]
            .fetch_add(truth.words()[worker * 2].load(Ordering::SeqCst) % 2, Ordering::SeqCst);
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        for child in self.workers.iter_mut().flatten() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn storm(kills: u64, seed: u64) {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::create_dir(folder.path().join("proc")).unwrap();
    let kib = 2 * LINE_BYTES / 1024;
    let text = format!("MemTotal: {kib} kB\nMemAvailable: {kib} kB\n");
    fs::write(folder.path().join("proc/meminfo"), text).unwrap();
    let truth = Truth::open(&folder.path().join("truth"));
    let workers = (0..=ELASTIC).map(|_| None).collect();
    let asleep = [None; ELASTIC + 1];
    let mut storm = Storm { folder, random: Random(seed), workers, asleep, stops: 0 };
    (0..=ELASTIC).for_each(|worker| storm.start(worker));
    let mut deaths = 0;
    let mut next = Instant::now();
    while deaths < kills {
        thread::sleep(Duration::from_millis(1));
        deaths += storm.replace(&truth);
        storm.stop_and_continue();
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + Duration::from_millis(100 + storm.random.below(200));
        // Who asks is killed once in sixteen times: it has to be there to see how long the room takes.
        let worker = storm.random.below(16) as usize;
        let worker = if worker == 0 { ELASTIC } else { worker % ELASTIC };
        storm.kill(worker, &truth);
        storm.start(worker);
        deaths += 1;
    }
    let count = truth.words()[COUNT_AT].load(Ordering::SeqCst);
    let path: PathBuf = storm.folder.path().to_owned();
    (0..=ELASTIC).for_each(|worker| storm.kill(worker, &truth));
    let kept = (count as usize).min(MOST_TIMES);
    let times = truth.words()[TIMES_AT..TIMES_AT + kept].iter().map(|word| word.load(Ordering::SeqCst));
    let mut times: Vec<u64> = times.collect();
    times.sort_unstable();
    assert!(count >= kills / 4, "room was made only {count} times");
    let deadline = Instant::now() + Duration::from_secs(30);
    while survey(&options(&path), &|| None).unwrap().is_some_and(|(_, holders)| !holders.is_empty()) {
        assert!(Instant::now() < deadline, "something is left of the dead");
        thread::sleep(Duration::from_millis(10));
    }
    println!(
        "{kills} of three elastic processes killed and {} stopped; room made {count} times, in {} ms (median), {} ms (99 of 100) and {} ms at most; at \
         no time was more than the line held, and nothing is left (seed {seed})",
        storm.stops,
        times[kept / 2] / 1000,
        times[kept * 99 / 100] / 1000,
        times[kept - 1] / 1000
    );
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

fn main() -> ExitCode {
    let seed = number("PLIMSOLL_STORM_SEED").unwrap_or_else(|| std::process::id().into());
    if let Some(worker) = number("PLIMSOLL_STORM_WORKER") {
        let folder = PathBuf::from(env::var_os("PLIMSOLL_STORM_FOLDER").unwrap());
        let random = Random(seed);
        if worker as usize == ELASTIC {
            ask(&folder, random);
        } else {
            stretch(&folder, worker as usize, random);
        }
    }
    // As cargo and its like ask a test what it has.
    if env::args().any(|argument| argument == "--list") {
        println!("storm: test");
        return ExitCode::SUCCESS;
    }
    storm(number("PLIMSOLL_STORM_KILLS").unwrap_or(40), seed);
    // As the test harness says it, for those who count what has run.
    println!("test storm ... ok");
    ExitCode::SUCCESS
}
