//! What a grant and its release cost through the ledger, and the same through a table of SQLite, on the same tmpfs: alone, and
//! among contending processes. Rounds of all alternate. Prints a table, or with `--json` what it measured.
//!
//! The program starts itself as the processes that contend: `worker PEER FOLDER NUMBER MILLISECONDS`.

mod peers;

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use peers::{NAMES, Peer};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What one process measured.
struct Measured {
    count: u64,
    median_ns: f64,
    /// Of a hundred, the 99th.
    late_ns: f64,
}

/// How many grants with their releases, and what one took.
fn measure(peer: &mut dyn Peer, time: Duration) -> Outcome<Measured> {
    (0..100).try_for_each(|_| peer.grant_and_release())?;
    let mut took = Vec::with_capacity(1 << 20);
    let start = Instant::now();
    while start.elapsed() < time {
        let before = Instant::now();
        peer.grant_and_release()?;
        took.push(before.elapsed().as_nanos() as u64);
    }
    took.sort_unstable();
    let at = |hundredth: usize| took.get(took.len() * hundredth / 100).map_or(0.0, |ns| *ns as f64);
    Ok(Measured { count: took.len() as u64, median_ns: at(50), late_ns: at(99) })
}

fn work(arguments: &[String]) -> Outcome<()> {
    let [peer, folder, number, milliseconds] = arguments else {
        return Err("worker PEER FOLDER NUMBER MILLISECONDS".into());
    };
    let mut peer = peers::open(peer, Path::new(folder), number.parse()?)?;
    println!("ready");
    std::io::stdin().lock().read_line(&mut String::new())?;
    let Measured { count, median_ns, late_ns } =
        measure(&mut *peer, Duration::from_millis(milliseconds.parse()?))?;
    println!("{count} {median_ns} {late_ns}");
    Ok(())
}

/// All of them begin at one time.
fn contend(peer: &str, folder: &Path, processes: usize, milliseconds: u64) -> Outcome<Vec<Measured>> {
    let start = |number: usize| -> Outcome<(Child, BufReader<std::process::ChildStdout>)> {
        let mut child = Command::new(env::current_exe()?)
            .args(["worker", peer])
            .arg(folder)
            .args([number.to_string(), milliseconds.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?);
        lines.read_line(&mut String::new())?;
        Ok((child, lines))
    };
    let mut workers = (0..processes).map(start).collect::<Outcome<Vec<_>>>()?;
    for (child, _) in &mut workers {
        child.stdin.take().ok_or("no input")?.write_all(b"go\n")?;
    }
    let end = |(mut child, mut lines): (Child, BufReader<std::process::ChildStdout>)| -> Outcome<Measured> {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        child.wait()?;
        let mut numbers = line.split_whitespace().map(str::parse::<f64>);
        let mut next = || numbers.next().ok_or_else(|| format!("{peer}: a process ended early"));
        Ok(Measured { count: next()?? as u64, median_ns: next()??, late_ns: next()?? })
    };
    workers.into_iter().map(end).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Medians over the rounds.
struct Row {
    name: &'static str,
    processes: usize,
    median_ns: f64,
    late_ns: f64,
    per_second: f64,
}

fn number_after(arguments: &[String], name: &str, default: u64) -> Outcome<u64> {
    let at = arguments.iter().position(|argument| argument == name);
    at.map_or(Ok(default), |at| Ok(arguments.get(at + 1).ok_or("a number is missing")?.parse()?))
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "worker") {
        return work(arguments.get(1..).unwrap_or_default());
    }
    let rounds = number_after(&arguments, "--rounds", 7)?;
    let milliseconds = number_after(&arguments, "--milliseconds", 400)?;
    let contending = number_after(&arguments, "--processes", 8)? as usize;
    let mut rows = Vec::new();
    let cases: Vec<_> =
        [1, contending].into_iter().flat_map(|count| NAMES.map(|name| (name, count))).collect();
    let mut found: Vec<Vec<(f64, f64, f64)>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((name, processes), found) in cases.iter().zip(&mut found) {
            let folder = tempfile::tempdir_in("/dev/shm")?;
            let all = contend(name, folder.path(), *processes, milliseconds)?;
            let count: u64 = all.iter().map(|one| one.count).sum();
            found.push((
                median(all.iter().map(|one| one.median_ns).collect()),
                median(all.iter().map(|one| one.late_ns).collect()),
                count as f64 / (milliseconds as f64 / 1000.0),
            ));
        }
    }
    for ((name, processes), found) in cases.into_iter().zip(found) {
        let of = |part: fn(&(f64, f64, f64)) -> f64| median(found.iter().map(part).collect());
        rows.push(Row {
            name,
            processes,
            median_ns: of(|one| one.0),
            late_ns: of(|one| one.1),
            per_second: of(|one| one.2),
        });
    }
    print(&rows, arguments.iter().any(|argument| argument == "--json"));
    Ok(())
}

fn print(rows: &[Row], as_json: bool) {
    if as_json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "name": row.name,
                    "processes": row.processes,
                    "medianNs": row.median_ns,
                    "late99Ns": row.late_ns,
                    "perSecond": row.per_second.round(),
                })
            })
            .collect();
        println!("{}", serde_json::json!(rows));
        return;
    }
    for Row { name, processes, median_ns, late_ns, per_second } in rows {
        println!(
            "{name}\t{processes} processes\tmedian {median_ns:.0} ns\t99 % {late_ns:.0} ns\t{per_second:.0} a second"
        );
    }
}
