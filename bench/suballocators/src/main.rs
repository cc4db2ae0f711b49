//! draft
mod peers;
mod trace;

use std::{hint::black_box, time::Instant};

use peers::{BestFit, Offset, Peer, Plimsoll, Rlsf};
use trace::{LARGE, Random, SMALL, Sizes};

struct Live<P: Peer> {
    peer: P,
    live: Vec<P::Handle>,
    failed: u64,
}

impl<P: Peer> Live<P> {
    fn new(count: u32) -> Self {
        let mut random = Random::new(7);
        let total: u64 = (0..count).map(|_| SMALL.draw(&mut random)).sum();
        let mut peer = P::new(total / 3 * 4, count);
        let mut random = Random::new(7);
        let live = (0..count).filter_map(|_| peer.allocate(SMALL.draw(&mut random))).collect();
        Self { peer, live, failed: 0 }
    }

    fn run(&mut self, ops: &[(u32, u64)]) -> f64 {
        let start = Instant::now();
        for (victim, bytes) in ops {
            let slot = ((u64::from(*victim) * self.live.len() as u64) >> 32) as usize;
            let old = self.live.swap_remove(slot);
            self.peer.free(old);
            match self.peer.allocate(*bytes) {
                Some(new) => {
                    self.live.push(new);
                }
                None => self.failed += 1,
            }
        }
        start.elapsed().as_secs_f64() * 1e9 / ops.len() as f64
    }
}

trait Run {
    fn name(&self) -> &'static str;
    fn run(&mut self, ops: &[(u32, u64)]) -> f64;
    fn failed(&self) -> u64;
}
impl<P: Peer> Run for Live<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }
    fn run(&mut self, ops: &[(u32, u64)]) -> f64 {
        Live::run(self, ops)
    }
    fn failed(&self) -> u64 {
        self.failed
    }
}

/// what the memory costs
struct Bare {
    nodes: Vec<[u32; 8]>,
    handles: Vec<u32>,
}
impl Run for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }
    fn run(&mut self, ops: &[(u32, u64)]) -> f64 {
        let start = Instant::now();
        let mut at = 0;
        for (victim, _) in ops {
            let slot = ((u64::from(*victim) * self.handles.len() as u64) >> 32) as usize ^ at;
            let node = &mut self.nodes[self.handles[slot] as usize];
            node[0] = node[0].wrapping_add(1);
            at = (node[1] & 1) as usize;
        }
        black_box(at);
        start.elapsed().as_secs_f64() * 1e9 / ops.len() as f64
    }
    fn failed(&self) -> u64 {
        0
    }
}

fn speed(count: u32, rounds: usize) {
    let mut random = Random::new(3);
    let mut handles: Vec<u32> = (0..count).collect();
    for i in 0..count as usize {
        handles.swap(i, random.below(u64::from(count)) as usize);
    }
    let mut runs: Vec<Box<dyn Run>> = vec![
        Box::new(Live::<Plimsoll>::new(count)),
        Box::new(Live::<Offset>::new(count)),
        Box::new(Live::<BestFit>::new(count)),
        Box::new(Bare { nodes: vec![[0; 8]; count as usize], handles }),
    ];
    if matches!(std::env::args().nth(1).as_deref(), Some("10k" | "1m" | "cg1m")) {
        runs.remove(2);
    } else if count < 100_000 {
        runs.push(Box::new(Live::<Rlsf>::new(count)));
    }
    if let Some(only) = std::env::args().nth(2) {
        let only: usize = only.parse().unwrap();
        runs.swap(0, only);
        runs.truncate(1);
    }
    let mut draw = |n: usize| -> Vec<(u32, u64)> {
        (0..n).map(|_| (random.next() as u32, SMALL.draw(&mut random))).collect()
    };
    let warm = draw(count as usize * 2);
    for run in &mut runs {
        run.run(&warm);
    }
    let mut times = vec![vec![]; runs.len()];
    for round in 0..rounds {
        let ops = draw(20_000);
        let n = runs.len();
        for at in 0..n {
            let at = (at + round) % n;
            times[at].push(runs[at].run(&ops));
            if std::env::var("T").is_ok() { eprint!("{:.0}/{} ", times[at].last().unwrap(), runs[at].failed()); }
        }
    }
    for other in 1..runs.len() {
        let mut ratios: Vec<f64> = times[0].iter().zip(&times[other]).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        println!("ratio to {}: {:.3}", runs[other].name(), ratios[ratios.len() / 2]);
    }
    for (run, times) in runs.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!(
            "{count}\t{}\tmedian {:.1}\tmin {:.1}\tfailed {}",
            run.name(),
            times[times.len() / 2],
            times[0],
            run.failed()
        );
    }
}

fn fill<P: Peer>(slab: u64, seed: u64) -> f64 {
    let mut random = Random::new(seed);
    let mut peer = P::new(slab, 100_000);
    let mut used = 0;
    loop {
        let bytes = LARGE.draw(&mut random);
        if peer.allocate(bytes).is_none() {
            return used as f64 / slab as f64;
        }
        used += bytes;
    }
}

fn churn<P: Peer>(sizes: &Sizes, slab: u64, seed: u64) -> f64 {
    let mut random = Random::new(seed);
    let mut peer = P::new(slab, 100_000);
    let mut live = vec![];
    let mut used = 0;
    loop {
        let bytes = sizes.draw(&mut random);
        match peer.allocate(bytes) {
            None => return used as f64 / slab as f64,
            Some(handle) => live.push((handle, bytes)),
        }
        used += bytes;
        if random.below(100) < 47 {
            let (handle, bytes) = live.swap_remove(random.below(live.len() as u64) as usize);
            peer.free(handle);
            used -= bytes;
        }
    }
}

fn average(f: impl Fn(u64) -> f64) -> f64 {
    (0..1000).map(f).sum::<f64>() / 10.0
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    if what != "speed" && what != "10k" && what != "cg" && what != "1m" && what != "cg1m" {
        const S: u64 = 1 << 30;
        println!(
            "fill\tplimsoll {:.3}\toffset {:.3}\tbest {:.3}",
            average(|s| fill::<Plimsoll>(S, s)),
            average(|s| fill::<Offset>(S, s)),
            average(|s| fill::<BestFit>(S, s))
        );
        for (name, sizes, slab) in [("large 1G", &LARGE, 1 << 30), ("large 4G", &LARGE, 4 << 30), ("small 256M", &SMALL, 1 << 28)] {
            println!(
                "churn {name}\tplimsoll {:.3}\toffset {:.3}\tbest {:.3}",
                average(|s| churn::<Plimsoll>(sizes, slab, s)),
                average(|s| churn::<Offset>(sizes, slab, s)),
                average(|s| churn::<BestFit>(sizes, slab, s))
            );
        }
    }
    if what == "cg" { speed(10_000, 5); return; }
    if what == "cg1m" { speed(1_000_000, 3); return; }
    if what == "1m" { speed(1_000_000, 151); return; }
    if what == "10k" { speed(10_000, 1501); }
    if what != "util" && what != "10k" {
        speed(10_000, 401);
        speed(1_000_000, 101);
    }
}
