//! What the storms have in common: random numbers, and the truth about who holds what.

#![allow(dead_code)] // Each of them uses its part.

use std::{
    fs::File,
    os::fd::AsRawFd,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
};

use memmap2::MmapRaw;
use plimsoll::ledger::Point;

pub const WORKERS: usize = 8;

/// Random numbers that a seed repeats. Source: Steele, Lea and Flood, `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// How a worker ends: at which step, the how manieth time there, and whether it is only stopped.
static END: OnceLock<(Point, u32, i32)> = OnceLock::new();
static REACHED: AtomicU32 = AtomicU32::new(0);

#[cfg_attr(not(debug_assertions), allow(dead_code))]
fn end_there(point: Point) {
    let Some((at, count, signal)) = END.get() else { return };
    if point == *at && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
        // SAFETY: a signal to itself.
        unsafe { libc::kill(libc::getpid(), *signal) };
    }
}

/// Has this process end at a step of the ledger that is drawn by lot, most often: once in four it is stopped there, where that
/// may be. A build without debug assertions has no such steps: there they die at random alone.
pub fn end_somewhere(random: &mut Random, may_stop: bool) {
    if random.below(4) > 0 {
        let point = Point::ALL[random.below(Point::ALL.len() as u64) as usize];
        let signal = if may_stop && random.below(4) == 0 { libc::SIGSTOP } else { libc::SIGKILL };
        let count =
            if matches!(point, Point::Locked | Point::Claimed) { 1 } else { random.below(40) as u32 + 1 };
        END.set((point, count, signal)).unwrap();
    }
    #[cfg(debug_assertions)]
    plimsoll::ledger::on_reach(end_there);
}

/// What each worker really holds, by itself: for each a turn and its bytes. They count while it holds the lock of its place,
/// which the kernel drops before that of its slot: that descriptor was opened before this one.
pub struct Truth {
    file: File,
    map: MmapRaw,
}

impl Truth {
    pub fn open(path: &Path) -> Self {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        file.set_len(4096).unwrap();
        let map = MmapRaw::map_raw(&file).unwrap();
        Self { file, map }
    }

    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the map is live, of 4096 bytes that begin at a page, and every bit pattern is a word.
        unsafe { std::slice::from_raw_parts(self.map.as_mut_ptr().cast(), 512) }
    }

    pub fn set(&self, worker: usize, bytes: u64) {
        self.words()[worker * 2].fetch_add(1, Ordering::SeqCst);
        self.words()[worker * 2 + 1].store(bytes, Ordering::SeqCst);
        self.words()[worker * 2].fetch_add(1, Ordering::SeqCst);
    }

    pub fn lock(&self, command: i32, worker: usize) -> Option<bool> {
        // SAFETY: all zeros are values of these integers; the struct is what the two commands take.
        let mut request: libc::flock = unsafe { std::mem::zeroed() };
        request.l_type = libc::F_WRLCK as _;
        request.l_start = worker.cast_signed() as _;
        request.l_len = 1;
        // SAFETY: the file is open.
        let outcome = unsafe { libc::fcntl(self.file.as_raw_fd(), command, &raw mut request) };
        (outcome == 0).then_some(i32::from(request.l_type) != libc::F_UNLCK)
    }

    /// What all hold that live, if nobody changed anything meanwhile. `own` holds its lock itself.
    pub fn held(&self, own: Option<usize>) -> Option<u64> {
        let read = || -> Vec<u64> {
            self.words()[..WORKERS * 2].iter().map(|word| word.load(Ordering::SeqCst)).collect()
        };
        let before = read();
        let lives = |worker: usize| Some(worker) == own || self.lock(libc::F_OFD_GETLK, worker) == Some(true);
        let sum = (0..WORKERS)
            .filter(|worker| before[worker * 2 + 1] > 0)
            .filter(|worker| lives(*worker))
            .map(|worker| before[worker * 2 + 1])
            .sum();
        fence(Ordering::SeqCst);
        let is_still = before.iter().step_by(2).all(|turn| turn % 2 == 0) && read() == before;
        is_still.then_some(sum)
    }
}
