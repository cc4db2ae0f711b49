//! The sub-allocator of pools beside its peers, on the same requests, in one process.
//!
//!     cargo run --release --manifest-path bench/suballocators/Cargo.toml
//!
//! Prints a line for each figure: what, ours, then each peer with its own, apart by tabs. Times are nanoseconds of one
//! release and one taking together, medians of batches taken in turn; shares are percent of a slab, means of many traces.
//! `gpu-allocator` is not here: without a Vulkan device its allocator cannot be reached.

mod peers;
mod trace;

use std::{array, hint::black_box, time::Instant};

use peers::{BestFit, Offset, Peer, Plimsoll, Rlsf};
use trace::{LARGE, Random, SMALL, Sizes};

const PER_BATCH: usize = 20_000;
const TRACES: u64 = 1000;
const GIB: u64 = 1 << 30;

fn main() {
    share("fill until the first refusal, 1 GiB", fill::<Plimsoll>, fill::<Offset>, fill::<BestFit>);
    for (name, sizes, bytes) in [
        ("churn until the first refusal, 1 GiB", &LARGE, GIB),
        ("churn until the first refusal, 4 GiB", &LARGE, 4 * GIB),
        ("churn of small sizes, 256 MiB", &SMALL, GIB / 4),
    ] {
        share(
            name,
            |seed| churn::<Plimsoll>(sizes, bytes, seed),
            |seed| churn::<Offset>(sizes, bytes, seed),
            |seed| churn::<BestFit>(sizes, bytes, seed),
        );
    }
    println!(
        "odd sizes an empty slab gives whole, of 1000\tplimsoll {}\toffset-allocator {}",
        odd::<Plimsoll>(),
        odd::<Offset>()
    );
    speed(10_000, 401);
    speed(1_000_000, 101);
}

fn share(name: &str, ours: impl Fn(u64) -> f64, offset: impl Fn(u64) -> f64, best: impl Fn(u64) -> f64) {
    let mean = |of: &dyn Fn(u64) -> f64| (0..TRACES).map(of).sum::<f64>() / TRACES as f64 * 100.0;
    println!(
        "{name}\tplimsoll {:.2}\toffset-allocator {:.2}\tBTree best fit {:.2}",
        mean(&ours),
        mean(&offset),
        mean(&best)
    );
}

fn fill<P: Peer>(seed: u64) -> f64 {
    let mut random = Random::new(seed);
    let mut peer = P::new(GIB, 100_000);
    let mut used = 0;
    loop {
        let bytes = LARGE.draw(&mut random);
        if peer.allocate(bytes).is_none() {
            return used as f64 / GIB as f64;
        }
        used += bytes;
    }
}

fn churn<P: Peer>(sizes: &Sizes, slab_bytes: u64, seed: u64) -> f64 {
    let mut random = Random::new(seed);
    let mut peer = P::new(slab_bytes, 100_000);
    let (mut live, mut used) = (Vec::new(), 0);
    loop {
        let bytes = sizes.draw(&mut random);
        let Some(handle) = peer.allocate(bytes) else { return used as f64 / slab_bytes as f64 };
        live.push((handle, bytes));
        used += bytes;
        if random.below(100) < 47 {
            let (handle, bytes) = live.swap_remove(random.below(live.len() as u64) as usize);
            peer.free(handle);
            used -= bytes;
        }
    }
}

/// Slabs of odd sizes that can be had whole.
fn odd<P: Peer>() -> usize {
    let mut random = Random::new(5);
    let sizes = (0..1000).map(|_| (1 + random.below(1 << 22)) * 256);
    sizes.filter(|bytes| P::new(*bytes, 1).allocate(*bytes).is_some()).count()
}

/// A peer with so many buffers live.
struct Live<P: Peer> {
    peer: P,
    live: Vec<P::Handle>,
}

/// What is run in turn: the seconds of a batch.
trait Run {
    fn name(&self) -> &'static str;
    fn run(&mut self, steps: &[(u32, u64)]) -> f64;
}

impl<P: Peer> Live<P> {
    fn new(count: u32) -> Self {
        let total: u64 = draws(count).sum();
        let mut peer = P::new(total / 3 * 4, count);
        let live = draws(count).filter_map(|bytes| peer.allocate(bytes)).collect();
        Self { peer, live }
    }
}

fn draws(count: u32) -> impl Iterator<Item = u64> {
    let mut random = Random::new(7);
    (0..count).map(move |_| SMALL.draw(&mut random))
}

/// Which of `len` a random number means.
const fn index(random: u32, len: usize) -> usize {
    ((random as u64 * len as u64) >> 32) as usize
}

impl<P: Peer> Run for Live<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn run(&mut self, steps: &[(u32, u64)]) -> f64 {
        let start = Instant::now();
        for (victim, bytes) in steps {
            let old = self.live.swap_remove(index(*victim, self.live.len()));
            self.peer.free(old);
            self.live.extend(self.peer.allocate(*bytes));
        }
        start.elapsed().as_secs_f64()
    }
}

/// What one random touch of a table of as many nodes costs, each having to wait for the one before: the memory's own share.
struct Touches {
    nodes: Vec<[u32; 8]>,
    order: Vec<u32>,
}

impl Touches {
    fn new(count: u32) -> Self {
        let mut random = Random::new(3);
        let mut order: Vec<_> = (0..count).collect();
        for at in 0..order.len() {
            order.swap(at, random.below(u64::from(count)) as usize);
        }
        Self { nodes: vec![array::from_fn(|_| 0); count as usize], order }
    }
}

impl Run for Touches {
    fn name(&self) -> &'static str {
        "one touch of as many nodes"
    }

    fn run(&mut self, steps: &[(u32, u64)]) -> f64 {
        let start = Instant::now();
        let mut wait = 0;
        for (victim, _) in steps {
            let node = &mut self.nodes[self.order[index(*victim, self.order.len()) ^ wait] as usize];
            node[0] = node[0].wrapping_add(1);
            wait = (node[1] & 1) as usize;
        }
        black_box(wait);
        start.elapsed().as_secs_f64()
    }
}

fn speed(count: u32, rounds: usize) {
    let mut runs: [Box<dyn Run>; 5] = [
        Box::new(Live::<Plimsoll>::new(count)),
        Box::new(Live::<Offset>::new(count)),
        Box::new(Live::<Rlsf>::new(count)),
        Box::new(Live::<BestFit>::new(count)),
        Box::new(Touches::new(count)),
    ];
    let mut random = Random::new(11);
    let mut steps = |count: usize| -> Vec<(u32, u64)> {
        (0..count).map(|_| (random.next() as u32, SMALL.draw(&mut random))).collect()
    };
    let warm_up = steps(2 * count as usize);
    for run in &mut runs {
        run.run(&warm_up);
    }
    let mut times: [Vec<f64>; 5] = array::from_fn(|_| Vec::new());
    for round in 0..rounds {
        let batch = steps(PER_BATCH);
        for turn in 0..runs.len() {
            let turn = (turn + round) % runs.len();
            times[turn].push(runs[turn].run(&batch) * 1e9 / PER_BATCH as f64);
        }
    }
    print!("release and take, {count} live");
    for (run, times) in runs.iter().zip(&times) {
        print!("\t{} {:.1}", run.name(), median(times.clone()));
    }
    println!();
    for (run, theirs) in runs.iter().zip(&times).skip(1) {
        let ratio = median(theirs.iter().zip(&times[0]).map(|(theirs, ours)| theirs / ours).collect());
        println!("  {:.2}x {}", ratio, run.name());
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
