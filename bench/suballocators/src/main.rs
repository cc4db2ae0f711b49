//! The sub-allocator of plimsoll's pools beside its peers.
//!
//! Prints lines of fields apart by tabs. Of the speeds: what was measured, allocator, nanoseconds of a pair, and how
//! many times those of plimsoll that is, the median of the ratios round by round. Of the shares: what was measured,
//! allocator, percent, the mean of the traces, and by how much that is above best fit's, with the standard error of
//! that difference.
//!
//!     cargo run --release [speed | fill]

mod fill;
mod peers;
mod speed;
mod trace;

use fill::{churn, whole};
use peers::{BestFit, Gpu, Offset, Peer, Plimsoll, Rlsf};
use speed::{Contender, Live, Touch, Victim};
use trace::{LARGE, SMALL, Sizes};

const MIB: u64 = 1 << 20;
const TRACES: u64 = 1000;

fn main() {
    let only = std::env::args().nth(1);
    let is_wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if is_wanted("fill") {
        fills();
    }
    if is_wanted("speed") {
        speeds();
    }
}

fn fills() {
    println!("any size of an empty slab\tplimsoll\t{:.1}", whole::<Plimsoll>(TRACES));
    println!("any size of an empty slab\toffset-allocator\t{:.1}", whole::<Offset>(TRACES));
    let filled: [(&str, fn(&mut Table)); 2] = [
        ("fill", |table| table.add_all(fill::fill::<Plimsoll>, fill::fill::<Offset>, fill::fill::<BestFit>)),
        ("churn", |table| table.add_all(churn::<Plimsoll>, churn::<Offset>, churn::<BestFit>)),
    ];
    for (name, run) in filled {
        for (models, sizes, mib) in [
            ("7B", &LARGE, 512),
            ("7B", &LARGE, 1024),
            ("7B", &LARGE, 4096),
            ("0.5B", &SMALL, 64),
            ("0.5B", &SMALL, 256),
        ] {
            run(&mut Table {
                title: format!("{name}, {models}, slab of {mib} MiB"),
                sizes,
                slab_bytes: mib * MIB,
            });
        }
    }
}

type Trace = fn(&Sizes, u64, u64) -> f64;

struct Table<'a> {
    title: String,
    sizes: &'a Sizes,
    slab_bytes: u64,
}

impl Table<'_> {
    fn add_all(&mut self, plimsoll: Trace, offset: Trace, best_fit: Trace) {
        let run = |trace: Trace| -> Vec<f64> {
            (0..TRACES).map(|seed| trace(self.sizes, self.slab_bytes, seed)).collect()
        };
        let best = run(best_fit);
        for (name, percents) in
            [(Plimsoll::NAME, run(plimsoll)), (Offset::NAME, run(offset)), (BestFit::NAME, best.clone())]
        {
            let differences: Vec<f64> = percents.iter().zip(&best).map(|(its, best)| its - best).collect();
            let (mean_percent, above) = (mean(&percents), mean(&differences));
            let variance = mean(&differences.iter().map(|d| (d - above).powi(2)).collect::<Vec<_>>());
            let error = (variance / TRACES as f64).sqrt();
            println!("{}\t{name}\t{mean_percent:.2}\t{above:+.3}\t{error:.3}", self.title);
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn speeds() {
    for (count, warm_up, rounds) in [(10_000, 20_000, 501), (1_000_000, 2_000_000, 101)] {
        for (name, victim) in [("any", Victim::Any), ("young", Victim::Young)] {
            let mut contenders: Vec<Box<dyn Contender>> = vec![
                Box::new(Live::<Plimsoll>::new(count, victim)),
                Box::new(Live::<Offset>::new(count, victim)),
                Box::new(Touch::new(count, victim)),
            ];
            speed::compare(&format!("pair, {count} live, {name}"), &mut contenders, warm_up, rounds);
        }
        let mut slow: Vec<Box<dyn Contender>> = vec![
            Box::new(Live::<Plimsoll>::new(count, Victim::Any)),
            Box::new(Live::<BestFit>::new(count, Victim::Any)),
        ];
        if count < 100_000 {
            slow.push(Box::new(Live::<Rlsf>::new(count, Victim::Any)));
            slow.push(Box::new(Live::<Gpu>::new(count, Victim::Any)));
        }
        speed::compare(&format!("pair, {count} live, any, slower peers"), &mut slow, warm_up, rounds / 5);
    }
}
