use std::{fs, path::Path};

use proptest::prelude::*;

use super::{
    block::{BlockStamp, PAYLOAD_BYTES, encoded},
    composer::MOST_EVENTS,
    moment_codec::{moment_of, payload_of},
    reading::runs_of,
    ring::{PART_BYTES, Ring},
    *,
};
use crate::{monitor::Level, units::GIB};

fn holder(name: &str, pid: u32, held_bytes: u64, pending_bytes: u64) -> HolderMoment {
    HolderMoment { name: name.to_owned(), pid, held_bytes, pending_bytes, ..HolderMoment::default() }
}

fn machine(room_bytes: u64) -> MachineMoment {
    MachineMoment {
        total_bytes: 8 * GIB,
        available_bytes: room_bytes + GIB,
        room_bytes,
        headroom_bytes: room_bytes / 2,
        constraint: "1.00 GiB available".to_owned(),
        used_percent: 93.25,
        level: Level::Warning,
        stalled_percent: Some(12.5),
        fully_stalled_percent: None,
        oom_kill_count: Some(3),
    }
}

fn refusal(time_ms: u64, bytes: u64, available_bytes: u64) -> Happening {
    Happening {
        time_ms,
        kind: HappeningKind::Refusal,
        name: String::new(),
        pid: 812,
        label: "kv cache".to_owned(),
        bytes,
        available_bytes: Some(available_bytes),
        constraint: Some("the line".to_owned()),
    }
}

fn moment(sequence: u64) -> BlackBoxMoment {
    BlackBoxMoment {
        kind: MomentKind::Regular,
        sequence,
        time_ms: 1_000_000 + sequence * 1000,
        since_boot_ms: sequence * 1000,
        machine: Some(machine(GIB)),
        line_bytes: 7 * GIB,
        allocated_bytes: 6 * GIB,
        holders: vec![holder("llama-server", 812, 6 * GIB, 0)],
        other_holder_count: 0,
        labels: vec![LabelMoment { label: "weights".to_owned(), bytes: 6 * GIB, count: 2 }],
        other_label_count: 0,
        happenings: vec![],
        other_happening_count: 0,
    }
}

fn stamp_of(moment: &BlackBoxMoment) -> BlockStamp {
    BlockStamp {
        kind: moment.kind,
        sequence: moment.sequence,
        boot: [7, 8],
        time_ms: moment.time_ms,
        boot_ns: moment.since_boot_ms * 1_000_000,
        pid: 812,
        began_ns: 0,
    }
}

fn block_of(moment: &BlackBoxMoment) -> Vec<u8> {
    encoded(&stamp_of(moment), &payload_of(moment, "llama-server"))
}

fn run_of(moments: &[BlackBoxMoment]) -> BlackBoxRun {
    let bytes: Vec<u8> = moments.iter().flat_map(block_of).collect();
    let (mut runs, damaged) = runs_of(&bytes, &|_| false);
    assert_eq!((runs.len(), damaged), (1, 0));
    runs.remove(0)
}

#[test]
fn a_moment_comes_back_as_it_was_written() {
    let mut whole = moment(3);
    whole.happenings = vec![refusal(1_002_500, 2 * GIB, GIB)];
    whole.holders.push(HolderMoment {
        waiting_bytes: Some(0),
        waiting_label: "weights".to_owned(),
        waiting_ms: 1500,
        waiting_count: 2,
        is_draining: true,
        ..holder("other", 9, 5, 1)
    });
    let payload = payload_of(&whole, "llama-server");
    assert_eq!(moment_of(&stamp_of(&whole), &payload), Some((whole, "llama-server".to_owned())));
}

#[test]
fn what_has_no_room_is_counted_and_the_largest_holders_and_every_refusal_stay() {
    let mut full = moment(1);
    full.holders = (0..200).map(|n| holder(&"h".repeat(60), n, u64::from(1000 - n), 0)).collect();
    full.labels =
        (0..300).map(|n| LabelMoment { label: format!("label {n}"), bytes: 1000 - n, count: 1 }).collect();
    full.happenings = (0..MOST_EVENTS as u64)
        .map(|n| Happening {
            kind: HappeningKind::Grant,
            bytes: n,
            available_bytes: None,
            constraint: None,
            ..refusal(1_000_500 + n / 2, 0, 0)
        })
        .collect();
    full.happenings.insert(100, refusal(1_000_550, 7, 5));
    let payload = payload_of(&full, &"w".repeat(500));
    assert!(payload.len() <= PAYLOAD_BYTES, "{}", payload.len());
    let (kept, writer) = moment_of(&stamp_of(&full), &payload).unwrap();
    assert_eq!(writer.len(), 64);
    assert!(kept.holders.len() > 10 && kept.holders == full.holders[..kept.holders.len()]);
    assert_eq!(kept.holders.len() as u64 + kept.other_holder_count, 200);
    assert!(kept.labels.len() > 20 && kept.labels.len() as u64 + kept.other_label_count == 300);
    assert_eq!(kept.happenings.len() as u64 + kept.other_happening_count, MOST_EVENTS as u64 + 1);
    assert!(kept.happenings.iter().any(|each| each.missing_bytes() == Some(2)), "the refusal");
    assert!(kept.happenings.iter().any(|each| each.bytes == MOST_EVENTS as u64 - 1), "the largest grant");
    assert!(kept.happenings.is_sorted_by_key(|each| each.time_ms));
}

#[test]
fn the_verdict_names_the_holder_with_most_to_come_and_what_was_missing() {
    let mut last = moment(2);
    last.holders =
        vec![holder("small", 3, 7 * GIB, 0), holder("llama-server", 812, 6 * GIB, 6 * GIB * 19 / 60)];
    last.machine = Some(machine(2 * GIB / 5));
    let run = run_of(&[moment(1), last]);
    assert_eq!(
        run.words()[0],
        "llama-server (process 812) was granted 6.00 GiB and had taken 4.10 GiB; 1.90 GiB were still to come and the machine \
         could give 409.60 MiB: 1.50 GiB were missing"
    );
    let verdict = run.verdict().unwrap();
    assert_eq!(verdict.missing_bytes, 6 * GIB * 19 / 60 - 2 * GIB / 5);
    assert_eq!(verdict.holder.unwrap().pid, 812);
}

#[test]
fn the_last_refusal_and_who_waits_are_told_with_what_was_missing() {
    let mut first = moment(1);
    first.happenings = vec![refusal(1_001_000, 3 * GIB, GIB)];
    let mut last = moment(2);
    last.holders.push(HolderMoment {
        waiting_bytes: Some(2 * GIB),
        waiting_label: "draft".to_owned(),
        waiting_ms: 2500,
        waiting_count: 1,
        ..holder("other", 9, 0, 0)
    });
    let run = run_of(&[first, last]);
    let words = run.words();
    assert_eq!(
        words[1],
        "3.00 GiB for \"kv cache\" were refused to process 812, 1.0 s before the last block: 1.00 GiB were there, 2.00 GiB were \
         missing (the line)"
    );
    assert_eq!(words[2], "other (process 9) had waited 2.5 s for 2.00 GiB for \"draft\"");
    assert_eq!(run.verdict().unwrap().refused_missing_bytes, Some(2 * GIB));
    assert!(run.was_cut());
}

#[test]
fn a_block_that_is_cut_short_or_changed_anywhere_counts_for_nothing_and_no_other_is_lost() {
    let whole: Vec<u8> = (0..3).flat_map(|n| block_of(&moment(n))).collect();
    let used = 80 + payload_of(&moment(1), "llama-server").len();
    for at in (0..used).step_by(7) {
        let mut bytes = whole.clone();
        bytes[BLOCK_BYTES + at] ^= 0x40;
        let (runs, damaged) = runs_of(&bytes, &|_| false);
        let found: Vec<_> = runs.iter().flat_map(|run| &run.moments).map(|moment| moment.sequence).collect();
        assert_eq!((found, damaged), (vec![0, 2], 1), "byte {at}");
    }
    for end in [0, 1, 79, 80, used - 1] {
        let (runs, damaged) = runs_of(&whole[..2 * BLOCK_BYTES + end], &|_| false);
        assert_eq!((runs[0].moments.len(), damaged), (2, u64::from(end > 0)), "cut after {end}");
    }
}

fn stamped(ring: &mut Ring, kind: MomentKind) {
    let written = moment(0);
    ring.write(BlockStamp { kind, ..stamp_of(&written) }, &payload_of(&written, "test")).unwrap();
}

fn sequences(path: &Path) -> Vec<u64> {
    let reading = read_black_box(path).unwrap();
    reading.runs.iter().flat_map(|run| &run.moments).map(|moment| moment.sequence).collect()
}

#[test]
fn a_part_keeps_as_many_blocks_as_it_has_and_the_file_does_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.blackbox");
    let mut ring = Ring::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), PART_BYTES as u64);
    let count = PART_BLOCK_COUNT as u64;
    for _ in 0..count + 5 {
        stamped(&mut ring, MomentKind::Regular);
    }
    assert_eq!(sequences(&path), (5..count + 5).collect::<Vec<_>>());
    assert_eq!(fs::metadata(&path).unwrap().len(), PART_BYTES as u64);
}

#[test]
fn a_run_that_was_cut_stays_and_one_that_ended_cleanly_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.blackbox");
    let write = |kinds: &[MomentKind]| {
        let mut ring = Ring::open(&path).unwrap();
        for kind in kinds {
            stamped(&mut ring, *kind);
        }
    };
    write(&[MomentKind::Start, MomentKind::Regular]);
    for _ in 0..3 {
        write(&[MomentKind::Start, MomentKind::End]);
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 2 * PART_BYTES as u64);
    assert_eq!(sequences(&path)[..2], [0, 1], "what was cut is still there");
    for _ in 0..2 * PART_COUNT {
        write(&[MomentKind::Start]);
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), (PART_COUNT * PART_BYTES) as u64);
}

#[test]
fn each_writer_at_the_same_time_has_a_part_of_its_own_and_one_too_many_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.blackbox");
    let mut rings: Vec<Ring> = (0..PART_COUNT).map(|_| Ring::open(&path).unwrap()).collect();
    for ring in &mut rings {
        stamped(ring, MomentKind::Start);
    }
    assert_eq!(Ring::open(&path).unwrap_err().code(), "ERR_BUSY");
    drop(rings.pop());
    assert!(Ring::open(&path).is_ok());
}

#[test]
fn a_file_that_is_something_else_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "remember the milk").unwrap();
    assert_eq!(Ring::open(&path).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    assert_eq!(fs::read_to_string(&path).unwrap(), "remember the milk");
    assert_eq!(Ring::open(folder.path()).unwrap_err().code(), "ERR_IO");
    assert_eq!(read_black_box(Path::new("/dev/zero")).unwrap_err().code(), "ERR_IO");
    let reading = read_black_box(&path).unwrap();
    assert_eq!((reading.runs.len(), reading.damaged_count), (0, 1));
}

#[test]
fn a_cut_in_the_first_block_of_all_is_no_reason_to_refuse_the_file_and_two_such_blocks_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.blackbox");
    stamped(&mut Ring::open(&path).unwrap(), MomentKind::Start);
    let whole = fs::read(&path).unwrap();
    for (cut, byte) in [(0..64, 0), (64..BLOCK_BYTES, 0), (90..110, 7)] {
        let mut bytes = whole.clone();
        bytes[cut.clone()].fill(byte);
        fs::write(&path, &bytes).unwrap();
        stamped(&mut Ring::open(&path).unwrap(), MomentKind::Start);
        assert_eq!(sequences(&path), [0], "{cut:?}");
        bytes[2 * BLOCK_BYTES] = 1;
        bytes[0] = 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(Ring::open(&path).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

fn hostile_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        // Counts and lengths that are too large.
        prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0x7f), Just(0), any::<u8>()], 0..PAYLOAD_BYTES),
        Just(payload_of(&moment(1), "x")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whole blocks by their checksums, with anything in them: read without a panic, and what is told of them is bounded.
    #[test]
    fn whatever_a_stranger_writes_is_read_to_its_end(
        payloads in prop::collection::vec(
            (hostile_payload(), any::<u64>(), any::<u64>(), any::<u64>(), 0..3_u64), 0..12),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes: Vec<u8> = payloads.iter().flat_map(|(payload, sequence, time_ms, boot_ns, began_ns)| {
            let stamp = BlockStamp {
                sequence: *sequence, time_ms: *time_ms, boot_ns: *boot_ns, began_ns: *began_ns, ..stamp_of(&moment(1))
            };
            encoded(&stamp, payload)
        }).collect();
        if !bytes.is_empty() {
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let (runs, damaged) = runs_of(&bytes, &|_| true);
        let moments: usize = runs.iter().map(|run| run.moments.len()).sum();
        prop_assert!(moments as u64 + damaged <= bytes.len().div_ceil(BLOCK_BYTES) as u64);
        for run in &runs {
            let words = run.words();
            prop_assert!(words.iter().map(String::len).sum::<usize>() < 64 * BLOCK_BYTES);
        }
    }
}
