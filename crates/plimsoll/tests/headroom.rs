//! What budgets of a machine grant, against what the machine really has: to a load beside two servers that map their models,
//! and to pools, which pay for a slab once. In a guest that may be hurt.
//!
//! `npm run test:vm` runs it there, with a disk in `PLIMSOLL_GUEST_DISK`: files in a guest's first file system are not page
//! cache that the kernel gives up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod withheld;

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use memmap2::{Advice, Mmap, MmapMut};
use plimsoll::{
    Error, MemoryBudget,
    budget::SystemOptions,
    device::{DeviceContext, DmaHeapBackend, HostBackend, SharedBackend},
    pool::{BufferOptions, MemoryPool, PoolOptions},
    system::{Machine, MemInfo, oom_kill_count},
    units::MIB,
};
use withheld::withheld_bytes;

const TEST: &str = "a_load_that_would_make_servers_thrash_is_refused";
const PART: &str = "PLIMSOLL_PART";
const MODEL_BYTES: u64 = 256 * MIB;
const PAGE_BYTES: usize = 4096;

/// How long the servers are watched where nothing is to happen: some rounds, also emulated.
const WATCHED: Duration = Duration::from_secs(5);

/// How long they are watched at most until something happens. A busy machine lets them read slowly.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server that reads its model again and again.
struct Server(Child);

impl Server {
    /// It has read all of its model once.
    fn start(path: &Path) -> Self {
        File::create(path).unwrap().set_len(MODEL_BYTES).unwrap();
        let mut child = again("server").env("PLIMSOLL_MODEL", path).stdout(Stdio::piped()).spawn().unwrap();
        assert!(says(&mut child, "read"), "the server has ended");
        Self(child)
    }

    /// How often it has had to wait for the disk.
    fn major_faults(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // The tenth figure behind the name, which may hold anything.
        stat.rsplit(')').next().unwrap().split_whitespace().nth(9).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn major_faults(servers: &[Server]) -> u64 {
    servers.iter().map(Server::major_faults).sum()
}

/// The major faults from now on.
fn watched(servers: &[Server]) -> u64 {
    let before = major_faults(servers);
    thread::sleep(WATCHED);
    major_faults(servers) - before
}

/// The major faults until there are so many of them, and how long that takes.
fn watched_until(servers: &[Server], many: u64) -> (u64, Duration) {
    let (before, start) = (major_faults(servers), Instant::now());
    loop {
        thread::sleep(Duration::from_millis(100));
        let faults = major_faults(servers) - before;
        if faults > many || start.elapsed() > PATIENCE {
            return (faults, start.elapsed());
        }
    }
}

/// Waits until a program says a word on a line of its own; false when it ends before.
fn says(child: &mut Child, word: &str) -> bool {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map_while(Result::ok);
    lines.map(|line| line.trim().to_owned()).any(|line| line == word)
}

fn again(part: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([TEST, "--exact", "--ignored", "--nocapture"]).env(PART, part);
    command
}

fn memory() -> MemInfo {
    Machine::read().unwrap().memory
}

fn serve() -> ! {
    let file = File::open(env::var_os("PLIMSOLL_MODEL").unwrap()).unwrap();
    // SAFETY: nobody changes the file.
    #[allow(unsafe_code)]
    let model = unsafe { Mmap::map(&file) }.unwrap();
    model.advise(Advice::Random).unwrap();
    let round = || model.iter().step_by(PAGE_BYTES).map(|byte| u64::from(*byte)).sum::<u64>();
    assert_eq!(round(), 0);
    println!("\nread");
    std::io::stdout().flush().unwrap();
    loop {
        assert_eq!(round(), 0);
        thread::sleep(Duration::from_millis(20));
    }
}

/// Memory that is really taken.
fn taken(bytes: u64) -> MmapMut {
    let mut memory = MmapMut::map_anon(bytes as usize).unwrap();
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
    memory
}

/// The program that asks nobody.
fn take_without_asking() -> ! {
    fs::write("/proc/self/oom_score_adj", "1000").unwrap();
    let _memory = taken(env::var("PLIMSOLL_BYTES").unwrap().parse().unwrap());
    println!("\ntaken");
    std::io::stdout().flush().unwrap();
    loop {
        thread::park();
    }
}

fn inmib(bytes: u64) -> u64 {
    bytes / MIB
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn a_load_that_would_make_servers_thrash_is_refused() {
    assert!(env::var_os("PLIMSOLL_GUEST").is_some(), "only for a guest: npm run test:vm");
    match env::var(PART).as_deref() {
        Ok("server") => serve(),
        Ok(_) => take_without_asking(),
        Err(_) => {}
    }
    let disk = PathBuf::from(env::var_os("PLIMSOLL_GUEST_DISK").expect("a disk"));
    let kills = || oom_kill_count(&fs::read("/proc/vmstat").unwrap()).unwrap();
    let (kills_before, free) = (kills(), memory());
    let servers = ["first", "second"].map(|name| Server::start(&disk.join(name)));
    let pages = 2 * MODEL_BYTES / PAGE_BYTES as u64;
    let read = major_faults(&servers);
    let undisturbed = watched(&servers);

    let mapped = memory();
    let fell = free.available_bytes.saturating_sub(mapped.available_bytes);
    // Shared memory that several processes have mapped counts for each of them.
    assert!(mapped.mapped_file_bytes() >= 2 * MODEL_BYTES / 100 * 95, "{mapped:?}");
    assert!(fell < MODEL_BYTES / 4, "MemAvailable fell by {} MiB", inmib(fell));

    // By MemAvailable it fits, and leaves what headroom leaves untouched.
    let wanted = mapped.available_bytes - 300 * MIB;
    let budget = MemoryBudget::for_system(&SystemOptions::default()).unwrap();
    assert!(wanted <= budget.line_available_bytes(), "the line is not what refuses it");
    assert!(!budget.can_allocate(wanted));
    let refusal = budget.allocate(wanted, "third model").unwrap_err();
    let Error::InsufficientMemory { available_bytes, ref binding_constraint, .. } = refusal else {
        panic!("{refusal}")
    };
    assert!(binding_constraint.contains("of files that are mapped"), "{refusal}");

    // What is available moves by some pages from one look to the next.
    let smaller = available_bytes - 4 * MIB;
    let grant = budget.allocate(smaller, "smaller model").unwrap();
    let memory_of_ours = taken(smaller);
    grant.commit(smaller);
    let obeyed = watched(&servers);
    drop((memory_of_ours, grant));

    let mut other =
        again("load").env("PLIMSOLL_BYTES", wanted.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let is_taken = says(&mut other, "taken");
    let (unheard, elapsed) = watched_until(&servers, pages / 4);
    other.kill().unwrap();
    other.wait().unwrap();

    println!(
        "two servers map {} MiB each: MemAvailable fell by {} MiB to {}, headroom is {}. A third load of {} MiB fits by \
         MemAvailable, and is refused. Major faults of the servers, whose models have {pages} pages: {read} as they read \
         them; in {} s each, {undisturbed} by themselves and {obeyed} beside a load of {} MiB that was granted; and {unheard} \
         in {:.1} s beside the one of {} MiB that asked nobody",
        inmib(MODEL_BYTES),
        inmib(fell),
        inmib(mapped.available_bytes),
        inmib(available_bytes),
        inmib(wanted),
        WATCHED.as_secs(),
        inmib(smaller),
        elapsed.as_secs_f64(),
        inmib(wanted),
    );
    assert!(is_taken, "the one that asked nobody got what MemAvailable promised");
    assert_eq!(kills(), kills_before);
    assert!(read > pages / 2, "{read}");
    assert!(obeyed <= pages / 100, "{obeyed} faults beside a load that was granted");
    assert!(unheard > pages / 4, "{unheard} faults beside one that was not");
}

#[test]
#[ignore = "in a guest: npm run test:vm"]
fn pools_are_granted_what_is_there_and_pay_for_each_slab_once() {
    const SLAB_BYTES: u64 = 32 * MIB;
    /// What else comes and goes while a pool grows, the kernel's own memory for its pages among it.
    const APART_BYTES: u64 = 24 * MIB;
    assert!(env::var_os("PLIMSOLL_GUEST").is_some(), "only for a guest: npm run test:vm");
    let kills = || oom_kill_count(&fs::read("/proc/vmstat").unwrap()).unwrap();
    let before = kills();
    let context = DeviceContext::default;
    let host: SharedBackend = Arc::new(HostBackend::new(context()));
    let heap: SharedBackend = Arc::new(DmaHeapBackend::open(context(), None).unwrap());
    for backend in [host, heap] {
        let budget = MemoryBudget::for_system(&SystemOptions::default()).unwrap();
        let (name, available) = (backend.name().to_owned(), budget.available_bytes());
        let withheld_before = withheld_bytes();
        let mut withheld_later = 0;
        let options = PoolOptions {
            budget: Some(budget.clone()),
            slab_bytes: SLAB_BYTES,
            max_cached_bytes: Some(0),
            ..PoolOptions::default()
        };
        let pool = MemoryPool::create(backend, options).unwrap();
        let mut buffers = Vec::new();
        let refusal = loop {
            let outcome = pool.allocate_growing(SLAB_BYTES, &BufferOptions::default(), &mut |_| false);
            withheld_later = withheld_bytes().max(withheld_later);
            match outcome {
                Ok(buffer) => buffers.push(buffer),
                Err(refusal) => break refusal,
            }
        };
        assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY", "{refusal}");
        let taken = buffers.len() as u64 * SLAB_BYTES;
        println!(
            "{name}: {} MiB could be given, {} MiB were; the kernel withheld {} MiB at first and {} MiB at most; then: {refusal}",
            inmib(available),
            inmib(taken),
            inmib(withheld_before),
            inmib(withheld_later),
        );
        // Paid for twice, it would be half.
        let withdrawn = withheld_later.saturating_sub(withheld_before);
        assert!(taken + SLAB_BYTES + APART_BYTES + withdrawn >= available, "paid for twice");
        assert!(taken <= available + APART_BYTES + withheld_before, "granted what is not there");
        assert_eq!(budget.pending_bytes(), 0);
    }
    assert_eq!(kills(), before);
}
