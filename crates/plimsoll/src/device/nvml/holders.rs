//! Who holds memory of the GPUs: by nvmap where that tells, else by NVIDIA's management library.

use std::{collections::BTreeMap, path::Path};

use super::{
    process::ProcessOf,
    table::{Answer, NvmlTable},
};
use crate::{
    error::{Error, Result},
    system::{NvmapClient, SystemRoot, read_nvmap_clients},
};

/// What a process holds on a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuProcess {
    /// The process's id.
    pub pid: u32,
    /// Its name, where the driver tells it: nvmap does.
    pub name: Option<String>,
    /// The GPU's number, by the library's order; none where nvmap tells, whose boards have one.
    pub gpu: Option<u32>,
    /// What it holds, in bytes; `None` where the driver does not tell.
    pub bytes: Option<u64>,
}

/// Who holds memory of the GPUs of the machine under that root: by nvmap where it tells, as root on Jetson but for Thor,
/// else by [`nvml_processes`], which knows the running machine alone. It may wait for a driver.
///
/// # Errors
///
/// [`Error::DeviceUnavailable`] when neither tells, with what is the matter with each.
pub fn gpu_processes(root: &SystemRoot) -> Result<Vec<GpuProcess>> {
    let nvmap = match read_nvmap_clients(root) {
        Ok(clients) => {
            let told = |client: NvmapClient| GpuProcess {
                pid: client.pid,
                name: Some(client.process),
                gpu: None,
                bytes: Some(client.bytes),
            };
            return Ok(clients.into_iter().map(told).collect());
        }
        Err(unavailable) => unavailable,
    };
    if !root.is_this_machine() {
        let reason = nvmap.to_string();
        return Err(Error::DeviceUnavailable { device: "nvmap".to_owned(), reason });
    }
    processes(None).map_err(|reason| Error::DeviceUnavailable {
        device: "nvml".to_owned(),
        reason: format!("{reason}; and {nvmap}"),
    })
}

/// Who holds memory of NVIDIA's GPUs, by GPU and process id. The library of that path is asked, else that of the
/// environment variable `PLIMSOLL_NVML_LIBRARY`, else the first that loads. It may wait for the driver.
///
/// # Errors
///
/// [`Error::DeviceUnavailable`] when there is no such library, when it does not start, or when it tells nothing of any GPU.
pub fn nvml_processes(library: Option<&Path>) -> Result<Vec<GpuProcess>> {
    processes(library).map_err(|reason| Error::DeviceUnavailable { device: "nvml".to_owned(), reason })
}

fn processes(library: Option<&Path>) -> Answer<Vec<GpuProcess>> {
    let table = NvmlTable::open(library)?;
    let count = table.device_count()?;
    let mut held = BTreeMap::new();
    let mut refusals = Vec::new();
    let mut told = false;
    for gpu in 0..count {
        match of_gpu(&table, gpu) {
            Ok(rows) => {
                told = true;
                // A process that computes and draws is in both lists, with all that it holds in each.
                for (pid, bytes) in rows {
                    let known = held.entry((gpu, pid)).or_insert(bytes);
                    *known = (*known).max(bytes);
                }
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    match refusals.into_iter().next() {
        Some(refusal) if !told => Err(refusal),
        _ => Ok(held
            .into_iter()
            .map(|((gpu, pid), bytes)| GpuProcess { pid, name: None, gpu: Some(gpu), bytes })
            .collect()),
    }
}

/// Either list is enough: boards without a display have none of what draws.
fn of_gpu(table: &NvmlTable, gpu: u32) -> Answer<Vec<(u32, Option<u64>)>> {
    let device = table.device(gpu)?;
    let [compute, graphics] = [ProcessOf::Compute, ProcessOf::Graphics].map(|of| table.rows(device, of));
    let rows = match (compute, graphics) {
        (Ok(compute), Ok(graphics)) => [compute, graphics].concat(),
        (Ok(rows), Err(_)) | (Err(_), Ok(rows)) => rows,
        (Err(refusal), Err(_)) => return Err(refusal),
    };
    Ok(rows.iter().map(|row| (row.pid, row.bytes())).collect())
}
