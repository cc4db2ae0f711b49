//! Any bytes as the file of a ledger, into which two take a seat and more bytes are written while they act: nothing panics or
//! hangs, what is refused is an error of the ledger, and once all who hold something have acted, no more is granted than the
//! line leaves beside what they hold.

#![no_main]

use std::{
    cell::RefCell,
    fs::{self, File},
    os::unix::fs::{FileExt, PermissionsExt},
    path::PathBuf,
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use plimsoll::{
    Error,
    budget::{SharedAsk, SharedQueue, SharedTurn, Sharers, Unsettled, Unshared},
    ledger::{LedgerOptions, Seat, survey},
};

const LINE_BYTES: u64 = 1000;

/// The length of a whole file.
const FILE_BYTES: u64 = 12288 + 256 * 2048;

/// Where something is worth writing: the header, the first states, totals and slots.
const PLACES: [(u64, u64); 4] = [(0, 56), (4096, 32), (8192, 32), (12288, 3 * 2048)];

thread_local! {
    static FOLDER: PathBuf = {
        let folder = PathBuf::from(format!("/dev/shm/plimsoll-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("RAM");
        folder
    };
    /// A whole file, of which the bytes change some.
    static WHOLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A seat, what it was granted, and whether nobody wrote over it since it last acted.
struct Holder {
    seat: Seat,
    held: Vec<u64>,
    has_acted: bool,
}

impl Holder {
    fn bytes(&self) -> u64 {
        self.held.iter().sum()
    }
}

fn take_seat(options: &LedgerOptions) -> Option<Holder> {
    match Seat::take_in(options, "fuzz", Box::new(|| Some(1 << 30))) {
        Ok(seat) => Some(Holder { seat, held: Vec::new(), has_acted: true }),
        Err(Error::Ledger { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

fn place_of(number: u16, kind: u8) -> u64 {
    let (from, length) = PLACES[usize::from(kind) % PLACES.len()];
    from + u64::from(number) % length
}

fuzz_target!(|bytes: &[u8]| {
    let Some((head, steps)) = bytes.split_at_checked(2) else { return };
    let folder = FOLDER.with(Clone::clone);
    let path = folder.join("board.ledger");
    let options = LedgerOptions {
        directory: Some(folder),
        drain: Duration::from_millis(u64::from(head[1]) % 3),
        ..LedgerOptions::default()
    };
    let _ = fs::remove_file(&path);
    // The bytes alone, or a whole file with steps that spoil it before anybody has it.
    let (start, steps) = steps.split_at(steps.len().min(usize::from(head[0]) % 64 * 4));
    if head[1] & 4 == 0 {
        fs::write(&path, start).expect("RAM");
    } else {
        let mut file = WHOLE.with_borrow_mut(|whole| {
            if whole.is_empty() {
                drop(take_seat(&options));
                *whole = fs::read(&path).expect("RAM");
                let _ = fs::remove_file(&path);
            }
            whole.clone()
        });
        for spoilt in start.chunks_exact(4) {
            let at = place_of(u16::from_le_bytes([spoilt[1], spoilt[2]]), spoilt[0]) as usize;
            file[at] = spoilt[3];
        }
        fs::write(&path, file).expect("RAM");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its own");
    let _ = survey(&options, &|| None);
    let mut holders: Vec<Holder> = (0..2).filter_map(|_| take_seat(&options)).collect();
    for step in steps.chunks_exact(4) {
        if holders.is_empty() {
            return;
        }
        let number = u16::from_le_bytes([step[1], step[2]]);
        let which = usize::from(step[3]) % holders.len();
        let others: u64 =
            holders.iter().enumerate().filter(|(at, _)| *at != which).map(|(_, holder)| holder.bytes()).sum();
        // Who has not acted since a slot was written over that may be its own does not count for certain.
        let is_whole = holders.iter().all(|holder| holder.has_acted);
        let Holder { seat, held, has_acted } = &mut holders[which];
        let asked = u64::from(number) % 700;
        match step[0] % 12 {
            0..=3 => {
                let own: u64 = held.iter().sum();
                match seat.take(asked, LINE_BYTES) {
                    Ok(()) => {
                        assert!(
                            !is_whole || own + others + asked <= LINE_BYTES,
                            "{own} + {others} + {asked}"
                        );
                        seat.settle(asked, Unsettled::default());
                        held.push(asked);
                    }
                    Err(Unshared::Crowded(crowded)) => assert!(crowded.available_bytes < asked.max(1)),
                    Err(Unshared::Broken(error)) => assert_eq!(error.code(), "ERR_LEDGER"),
                }
                *has_acted = true;
            }
            4 | 5 => {
                if let Some(bytes) = held.pop() {
                    seat.release(
                        bytes,
                        Unsettled { silent_bytes: u64::from(number), ..Unsettled::default() },
                    );
                    *has_acted = true;
                }
            }
            6 => {
                let turn = SharedTurn { bytes: asked, count: u32::from(number) % 2, ..SharedTurn::default() };
                seat.wait(0, Some(turn), "label");
                let ask = SharedAsk { id: 0, bytes: asked, priority: 0, until_ns: u64::MAX };
                let _ = (
                    seat.turn_elsewhere(),
                    seat.kept_bytes(),
                    seat.holders_elsewhere(),
                    seat.ask(1, ask),
                    seat.asked(0),
                );
                seat.offer(0, i32::from(number), asked, asked);
                *has_acted = true;
            }
            7 => {
                let _ = (
                    seat.holders(),
                    seat.pending_bytes(),
                    seat.granted_bytes(),
                    seat.available_bytes(LINE_BYTES),
                );
                let _ = survey(&options, &|| None);
            }
            8 => {
                holders.remove(which);
            }
            9 if holders.len() < 5 => holders.extend(take_seat(&options)),
            10 | 11 => {
                let Ok(file) = File::options().write(true).open(&path) else { continue };
                if step[0] & 0xf0 == 0xf0 {
                    file.set_len(u64::from(number) * 16 % FILE_BYTES).expect("RAM");
                } else {
                    file.write_all_at(
                        &[step[3]; 8][..1 + usize::from(step[3]) % 8],
                        place_of(number, step[0] >> 4),
                    )
                    .expect("RAM");
                }
                holders.iter_mut().for_each(|holder| holder.has_acted = false);
            }
            _ => {}
        }
    }
    // Whatever was written: when all have acted, all is well again.
    if fs::metadata(&path).is_ok() {
        for _ in 0..2 {
            holders.iter().for_each(|holder| holder.seat.update(Unsettled::default()));
        }
        let held: u64 = holders.iter().map(Holder::bytes).sum();
        if let Some(first) = holders.first() {
            assert!(first.seat.available_bytes(LINE_BYTES) <= LINE_BYTES.saturating_sub(held), "{held}");
        }
    }
});
