//! What drivers of accelerators say about memory, where root lets them be read.

use super::{
    meminfo::MemInfo,
    root::{Probe, Reason, SystemRoot, Unavailable},
    text::kib,
};

/// Memory of one process in the GPU's and engines' hands. Jetson only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NvmapClient {
    /// The process's id.
    pub pid: u32,
    /// The process's name.
    pub process: String,
    /// What it holds, in bytes.
    pub bytes: u64,
}

/// Who holds memory of the GPU, by the text of `/sys/kernel/debug/nvmap/iovmm/clients`.
///
/// Layout: a header, rows `user NAME PID NK`, a last row `total NK`. A name may hold blanks.
///
/// # Errors
///
/// [`Reason::Malformed`] when a row is none.
pub fn nvmap_clients(bytes: &[u8]) -> Result<Vec<NvmapClient>, Reason> {
    let text = super::text::text(bytes)?;
    let mut lines = text.lines();
    lines.next().ok_or(Reason::Malformed("a header"))?;
    let rows = lines.filter(|line| !line.trim().is_empty() && !line.starts_with("total"));
    rows.map(|row| nvmap_client(row).ok_or(Reason::Malformed("rows \"user NAME PID NK\""))).collect()
}

fn nvmap_client(row: &str) -> Option<NvmapClient> {
    let mut words = row.split_ascii_whitespace();
    let bytes = kib(words.next_back()?.strip_suffix('K')?)?;
    let pid = words.next_back()?.parse().ok()?;
    let process = words.skip(1).collect::<Vec<_>>().join(" ");
    Some(NvmapClient { pid, process, bytes })
}

/// Reads who holds memory of the GPU.
///
/// Where nvmap counts for the whole machine nothing (no `NvMapMemUsed` in `/proc/meminfo`), CUDA takes its memory past it,
/// as on Thor: a row of `0K` says nothing there of what its process holds, and is left out.
///
/// # Errors
///
/// [`Unavailable`] on other boards, for users other than root, and where every row is left out.
pub fn read_nvmap_clients(root: &SystemRoot) -> Probe<Vec<NvmapClient>> {
    const PATH: &str = "/sys/kernel/debug/nvmap/iovmm/clients";
    let unavailable = |reason| Unavailable::new(root.path(PATH), reason);
    let clients = nvmap_clients(&root.read(PATH)?).map_err(unavailable)?;
    if clients.iter().all(|client| client.bytes > 0) || counts_nvmap(root) {
        return Ok(clients);
    }
    let told: Vec<_> = clients.into_iter().filter(|client| client.bytes > 0).collect();
    if told.is_empty() {
        return Err(unavailable(Reason::Malformed(
            "what processes hold: it counts 0 for each, for CUDA takes its memory past nvmap here",
        )));
    }
    Ok(told)
}

fn counts_nvmap(root: &SystemRoot) -> bool {
    let memory = root.read("/proc/meminfo").ok().and_then(|text| MemInfo::parse(&text).ok());
    memory.is_some_and(|memory| memory.nvmap_used_bytes.is_some())
}

/// What the NPU's driver says. RK3588 and its kin with the vendor's kernel only. No file tells the NPU's use of RAM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpuDriver {
    /// The driver's version: `"0.9.8"`.
    pub version: String,
    /// Share of time that each core works, 0 to 100.
    pub load_percent: Vec<u8>,
}

impl NpuDriver {
    /// Reads the driver's version and load.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] on other boards, and for users other than root unless the kernel shows them in `/proc`.
    pub fn read(root: &SystemRoot) -> Probe<Self> {
        let folder =
            if root.exists("/proc/rknpu/version") { "/proc/rknpu" } else { "/sys/kernel/debug/rknpu" };
        let (version, load) = (format!("{folder}/version"), format!("{folder}/load"));
        let text = root.read_text(&version)?;
        let number = text.trim().rsplit_once(": v").map(|(_, number)| number.to_owned());
        let version =
            number.filter(|number| number.split('.').all(|part| part.parse::<u32>().is_ok())).ok_or_else(
                || Unavailable::new(root.path(&version), Reason::Malformed("\"RKNPU driver: vN.N.N\"")),
            )?;
        let load_percent = npu_load(&root.read_text(&load)?).ok_or_else(|| {
            Unavailable::new(root.path(&load), Reason::Malformed("\"NPU load: Core0: N%, ...\""))
        })?;
        Ok(Self { version, load_percent })
    }
}

/// The shares in `NPU load:  Core0:  0%, Core1:  0%, Core2:  0%,`; chips with one core write `NPU load:  0%`.
fn npu_load(text: &str) -> Option<Vec<u8>> {
    let cores =
        text.trim().strip_prefix("NPU load:")?.split(',').map(str::trim).filter(|core| !core.is_empty());
    let percent = |core: &str| {
        core.rsplit(':').next()?.trim().strip_suffix('%')?.parse().ok().filter(|share| *share <= 100)
    };
    cores.map(percent).collect()
}

#[cfg(fuzzing)]
pub(super) fn parse_all(bytes: &[u8]) {
    let _ = npu_load(&String::from_utf8_lossy(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn holders_of_gpu_memory_are_read_row_by_row() {
        let text = "CLIENT                        PROCESS      PID        SIZE\n\
                    user                     ollama serve     4242    2097152K\n\
                    user                            gnome      999        128K\n\
                    total                                             2097280K\n";
        let clients = nvmap_clients(text.as_bytes()).unwrap();
        assert_eq!(clients[0], NvmapClient { pid: 4242, process: "ollama serve".to_owned(), bytes: 2 << 30 });
        assert_eq!(clients[1].bytes, 128 << 10);
        assert!(nvmap_clients(b"").is_err());
        for row in ["user x 1", "user x y 1K", "user x 1 -1K", "1K"] {
            assert!(nvmap_clients(format!("HEADER\n{row}\n").as_bytes()).is_err(), "{row:?}");
        }
    }

    #[test]
    fn rows_of_0k_tell_nothing_where_nvmap_counts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let thor = "MemTotal: 1000 kB\nMemAvailable: 500 kB\n";
        let rows = |ollama: u64, xorg: u64| {
            let rows =
                format!("CLIENT PROCESS PID SIZE\nuser ollama 42 {ollama}K\nuser Xorg 9 {xorg}K\ntotal 0K\n");
            write("sys/kernel/debug/nvmap/iovmm/clients", &rows);
            read_nvmap_clients(&root)
        };
        write("proc/meminfo", thor);
        let refusal = rows(0, 0).unwrap_err();
        assert!(refusal.to_string().contains("past nvmap"), "{refusal}");
        assert!(!refusal.is_absent(), "the file is there");
        assert_eq!(rows(0, 4).unwrap().iter().map(|it| it.pid).collect::<Vec<_>>(), [9]);
        // Where the machine's sum is told, nothing held is nothing held.
        write("proc/meminfo", &format!("{thor}NvMapMemUsed: 0 kB\n"));
        assert_eq!(rows(0, 0).unwrap().len(), 2);
    }

    #[test]
    fn the_npu_driver_tells_version_and_load() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        assert!(NpuDriver::read(&root).unwrap_err().is_absent());
        let debug = folder.path().join("sys/kernel/debug/rknpu");
        fs::create_dir_all(&debug).unwrap();
        fs::write(debug.join("version"), "RKNPU driver: v0.9.8\n").unwrap();
        fs::write(debug.join("load"), "NPU load:  Core0: 12%, Core1:  0%, Core2: 100%,\n").unwrap();
        let driver = NpuDriver::read(&root).unwrap();
        assert_eq!((driver.version.as_str(), driver.load_percent), ("0.9.8", vec![12, 0, 100]));
        fs::write(debug.join("load"), "NPU load:  Core0: 101%").unwrap();
        assert!(NpuDriver::read(&root).is_err());
        fs::write(debug.join("version"), "RKNPU driver: \x1b[2J\n").unwrap();
        assert!(NpuDriver::read(&root).is_err());
    }
}
