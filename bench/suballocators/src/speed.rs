//! What releasing one buffer and taking another costs.

use std::time::Instant;

use crate::{
    peers::Peer,
    trace::{Random, SMALL},
};

/// Pairs of a round. The peers take turns, round by round, so that a disturbance meets all of them.
const PAIRS: usize = 20_000;

/// Which buffer is released.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// Any of the live ones: everything looked at is as likely out of the caches as the live ones are many.
    Any,
    /// One of the latest: most of what lives stays, as weights do.
    Young,
}

/// How many of the live ones are young.
const YOUNG: usize = 5_000;

pub struct Pair {
    random: u32,
    bytes: u64,
}

/// Something that takes turns.
pub trait Contender {
    fn name(&self) -> &'static str;

    /// Nanoseconds of a pair.
    fn run(&mut self, pairs: &[Pair]) -> f64;
}

pub struct Live<P: Peer> {
    peer: P,
    live: Vec<P::Handle>,
    /// Where the victims begin.
    old: usize,
}

impl<P: Peer> Live<P> {
    /// Fills three quarters of a slab.
    pub fn new(count: usize, victim: Victim) -> Self {
        let sizes = || {
            let mut random = Random::new(7);
            std::iter::repeat_with(move || SMALL.draw(&mut random)).take(count)
        };
        let mut peer = P::new(sizes().sum::<u64>() / 3 * 4, count as u32);
        let live: Vec<_> = sizes().map(|bytes| peer.allocate(bytes).expect("there is room")).collect();
        let old = if victim == Victim::Young { count.saturating_sub(YOUNG) } else { 0 };
        Self { peer, live, old }
    }
}

impl<P: Peer> Contender for Live<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn run(&mut self, pairs: &[Pair]) -> f64 {
        timed(pairs, |pair| {
            let victims = (self.live.len() - self.old) as u64;
            let victim = self.old + ((u64::from(pair.random) * victims) >> 32) as usize;
            let handle = self.live.swap_remove(victim);
            self.peer.free(handle);
            // A peer that finds no place has fewer live ones from then on.
            self.live.extend(self.peer.allocate(pair.bytes));
        })
    }
}

/// The least that any of them does: finds a handle, then what it stands for, and changes a word there; the next pair
/// waits for it, as the next search of an allocator waits for what was freed.
pub struct Touch {
    handles: Vec<u32>,
    nodes: Vec<[u32; 8]>,
    old: usize,
}

impl Touch {
    pub fn new(count: usize, victim: Victim) -> Self {
        let mut random = Random::new(3);
        let mut handles: Vec<u32> = (0..count as u32).collect();
        (0..count).for_each(|at| handles.swap(at, random.below(count)));
        let old = if victim == Victim::Young { count.saturating_sub(YOUNG) } else { 0 };
        Self { handles, nodes: vec![[0; 8]; count], old }
    }
}

impl Contender for Touch {
    fn name(&self) -> &'static str {
        "a touch"
    }

    fn run(&mut self, pairs: &[Pair]) -> f64 {
        let mut word = 0;
        timed(pairs, |pair| {
            let victims = (self.handles.len() - self.old) as u64;
            let victim = self.old + ((u64::from(pair.random) * victims) >> 32) as usize;
            let node = &mut self.nodes[self.handles[victim ^ (word as usize & 1)] as usize];
            word = node[0];
            node[1] = node[1].wrapping_add(1);
        })
    }
}

fn timed(pairs: &[Pair], mut run: impl FnMut(&Pair)) -> f64 {
    let start = Instant::now();
    pairs.iter().for_each(&mut run);
    start.elapsed().as_secs_f64() * 1e9 / pairs.len() as f64
}

/// Prints a line for each contender: nanoseconds, and how many times those of the first.
pub fn compare(title: &str, contenders: &mut [Box<dyn Contender>], warm_up: usize, rounds: usize) {
    let mut random = Random::new(11);
    let mut draw = |count: usize| -> Vec<Pair> {
        std::iter::repeat_with(|| Pair { random: random.next() as u32, bytes: SMALL.draw(&mut random) })
            .take(count)
            .collect()
    };
    let warm_up = draw(warm_up);
    contenders.iter_mut().for_each(|contender| {
        contender.run(&warm_up);
    });
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        let pairs = draw(PAIRS);
        for turn in 0..contenders.len() {
            let at = (turn + round) % contenders.len();
            times[at].push(contenders[at].run(&pairs));
        }
    }
    for (contender, times_of) in contenders.iter().zip(&times) {
        let ratios = times_of.iter().zip(&times[0]).map(|(its, first)| its / first).collect();
        let (ns, ratio) = (median(times_of.clone()), median(ratios));
        println!("{title}\t{}\t{ns:.1}\t{ratio:.2}", contender.name());
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
