//! Which kinds of device memory this machine could give, and what stands in the way of the others.
//!
//! Nothing is opened and no library is loaded: files and permissions tell enough for advice.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::{
    container::in_container,
    libcuda::{LIBRARY_NAME, LIBRARY_VARIABLE, cuda_libraries, named_library},
    root::SystemRoot,
    shared_library::library_fault,
};

/// A kind of memory for an accelerator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackEndKind {
    /// Ordinary RAM.
    Host,
    /// Buffers that drivers share, from `/dev/dma_heap`.
    DmaHeap,
    /// Ordinary RAM made into such a buffer, by `/dev/udmabuf`.
    Udmabuf,
    /// NVIDIA's driver, by `libcuda.so.1`.
    Cuda,
    /// Rockchip's NPU driver.
    Rknpu,
}

names!(BackEndKind {
    Host => "host",
    DmaHeap => "dma-heap",
    Udmabuf => "udmabuf",
    Cuda => "cuda",
    Rknpu => "rknpu",
});

/// A kind of device memory on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackEnd {
    /// The kind.
    pub kind: BackEndKind,
    /// Where it was found, or why it cannot be used.
    pub state: Result<Vec<PathBuf>, Obstacle>,
}

/// Why a kind of device memory cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is the matter.
    pub why: String,
    /// The line that mends it, where there is one.
    pub remedy: Option<String>,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "; mend it: {remedy}"))
    }
}

impl Obstacle {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: None }
    }

    fn mended_by(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: Some(remedy.into()) }
    }
}

/// Every kind, usable or not, in the order of [`BackEndKind`].
#[must_use]
pub fn back_ends(root: &SystemRoot) -> Vec<BackEnd> {
    vec![
        BackEnd { kind: BackEndKind::Host, state: Ok(vec![]) },
        BackEnd { kind: BackEndKind::DmaHeap, state: dma_heaps(root) },
        BackEnd { kind: BackEndKind::Udmabuf, state: udmabuf(root) },
        BackEnd { kind: BackEndKind::Cuda, state: cuda(root) },
        BackEnd { kind: BackEndKind::Rknpu, state: rknpu(root) },
    ]
}

/// Why that kind cannot be used, if so.
pub(crate) fn obstacle(root: &SystemRoot, kind: BackEndKind) -> Option<Obstacle> {
    back_ends(root).into_iter().find(|back_end| back_end.kind == kind)?.state.err()
}

fn may_use(root: &SystemRoot, path: &Path) -> bool {
    access(root.followed(path), Access::READ_OK | Access::WRITE_OK).is_ok()
}

/// Where kernels have their dma-heaps: all of them, and Rockchip's small ones.
const DMA_HEAP_FOLDERS: [&str; 2] = ["/dev/dma_heap", "/dev/rk_dma_heap"];

/// What makes the heaps usable to the group that may use cameras and displays.
const DMA_HEAP_RULE: &str = "echo 'SUBSYSTEM==\"dma_heap\", GROUP=\"video\", MODE=\"0660\"' | \
     sudo tee /etc/udev/rules.d/70-dma-heap.rules && sudo udevadm control --reload && sudo udevadm trigger && \
     sudo usermod -aG video \"$USER\"";

/// The paths of all dma-heaps, whether or not they may be used.
pub(crate) fn dma_heap_paths(root: &SystemRoot) -> Vec<PathBuf> {
    let heaps_in = |folder| root.names_in(folder).into_iter().map(move |name| Path::new(folder).join(name));
    DMA_HEAP_FOLDERS.into_iter().flat_map(heaps_in).collect()
}

/// That a heap may not be used, and how that is mended.
pub(crate) fn dma_heap_denied(heap: &Path) -> Obstacle {
    Obstacle::mended_by(format!("{} may not be opened by this user", heap.display()), DMA_HEAP_RULE)
}

fn dma_heaps(root: &SystemRoot) -> Result<Vec<PathBuf>, Obstacle> {
    let heaps = dma_heap_paths(root);
    if heaps.is_empty() {
        let folder = DMA_HEAP_FOLDERS.into_iter().find(|folder| root.exists(folder));
        return Err(match folder {
            Some(folder) => Obstacle::new(format!("{folder} holds no heap")),
            None if in_container(root) => Obstacle::mended_by(
                "the kernel has no dma-heaps (CONFIG_DMABUF_HEAPS), or the container does not show them",
                "docker run --device /dev/dma_heap ...",
            ),
            None => Obstacle::new("the kernel has no dma-heaps (CONFIG_DMABUF_HEAPS)"),
        });
    }
    // A heap gives memory to whoever may read it.
    let may_read = |heap: &&PathBuf| access(root.followed(heap), Access::READ_OK).is_ok();
    let usable: Vec<_> = heaps.iter().filter(may_read).map(|heap| root.path(heap)).collect();
    if usable.is_empty() {
        return Err(Obstacle::mended_by("the dma-heaps may not be opened by this user", DMA_HEAP_RULE));
    }
    Ok(usable)
}

fn udmabuf(root: &SystemRoot) -> Result<Vec<PathBuf>, Obstacle> {
    const NODE: &str = "/dev/udmabuf";
    if !root.exists(NODE) {
        return Err(Obstacle::mended_by(
            "the kernel has no udmabuf, or it is not loaded",
            "sudo modprobe udmabuf",
        ));
    }
    if !may_use(root, Path::new(NODE)) {
        return Err(Obstacle::mended_by(
            format!("{NODE} may not be opened by this user"),
            "echo 'KERNEL==\"udmabuf\", GROUP=\"video\", MODE=\"0660\"' | sudo tee /etc/udev/rules.d/70-udmabuf.rules \
             && sudo udevadm control --reload && sudo udevadm trigger && sudo usermod -aG video \"$USER\"",
        ));
    }
    Ok(vec![root.path(NODE)])
}

/// The nodes of NVIDIA's drivers: Linux for Tegra's, everybody else's, and what WSL has in place of them.
const CUDA_NODES: [&str; 3] = ["/dev/nvmap", "/dev/nvidiactl", "/dev/dxg"];

/// What gives a container the GPU and its driver.
const NVIDIA_RUNTIME: &str = "docker run --runtime nvidia ...";

fn cuda(root: &SystemRoot) -> Result<Vec<PathBuf>, Obstacle> {
    // As opening does: what is named is taken, and nothing else.
    let library = match named_library().filter(|_| root.is_this_machine()).map(PathBuf::from) {
        // A name without a folder is for the loader to find.
        Some(named) if named.components().count() == 1 || named.exists() => Some(named),
        Some(named) => {
            return Err(Obstacle::mended_by(
                format!("{LIBRARY_VARIABLE} names {}, which is not there", named.display()),
                format!("unset {LIBRARY_VARIABLE}"),
            ));
        }
        None => {
            let found = cuda_libraries(root);
            // A copy is read by another machine than the one it was made of.
            let fault = |path: &PathBuf| root.is_this_machine().then(|| library_fault(path)).flatten();
            let sound = found.iter().find(|path| fault(path).is_none()).cloned();
            // One is there, though none can be loaded: that is what is the matter, whatever else is there.
            if let (None, Some(fault)) = (&sound, found.first().and_then(fault)) {
                return Err(Obstacle::new(fault));
            }
            sound
        }
    };
    let node = CUDA_NODES.into_iter().find(|node| root.exists(node));
    match (library, node) {
        (None, None) => Err(Obstacle::new("there is no NVIDIA driver")),
        (None, Some(_)) if in_container(root) => Err(Obstacle::mended_by(
            format!("there is a GPU but no {LIBRARY_NAME}: the container does not show the driver"),
            NVIDIA_RUNTIME,
        )),
        (None, Some(node)) => Err(Obstacle::mended_by(
            format!(
                "there is a GPU ({node}) but no {LIBRARY_NAME} where drivers are installed; name where it is"
            ),
            format!("export {LIBRARY_VARIABLE}=/path/to/{LIBRARY_NAME}"),
        )),
        (Some(_), None) if in_container(root) => Err(Obstacle::mended_by(
            format!("there is {LIBRARY_NAME} but no GPU: the container does not show its device nodes"),
            NVIDIA_RUNTIME,
        )),
        (Some(_), None) => Err(Obstacle::mended_by(
            format!("there is {LIBRARY_NAME} but no GPU: its device nodes are not there"),
            "sudo modprobe nvidia",
        )),
        (Some(_), Some(node)) if !may_use(root, Path::new(node)) => Err(Obstacle::mended_by(
            format!("{node} may not be opened by this user"),
            "sudo usermod -aG video,render \"$USER\"",
        )),
        (Some(library), Some(_)) if library.is_absolute() => Ok(vec![root.path(library)]),
        (Some(library), Some(_)) => Ok(vec![library]),
    }
}

fn rknpu(root: &SystemRoot) -> Result<Vec<PathBuf>, Obstacle> {
    let Some(node) = rknpu_node(root) else {
        return Err(if root.exists("/dev/accel/accel0") {
            Obstacle::new("the NPU is served by the mainline driver, which RKNN and RKLLM do not work with")
        } else {
            Obstacle::new("there is no Rockchip NPU driver")
        });
    };
    if !root.exists(&node) {
        return Err(if in_container(root) {
            Obstacle::mended_by(
                format!("the container does not show {}", node.display()),
                "docker run --device /dev/dri ...",
            )
        } else {
            Obstacle::mended_by(
                format!("the driver is there, but {} is not", node.display()),
                "sudo udevadm trigger --subsystem-match=drm",
            )
        });
    }
    if !may_use(root, &node) {
        return Err(Obstacle::mended_by(
            format!("{} may not be opened by this user", node.display()),
            "sudo usermod -aG render,video \"$USER\"",
        ));
    }
    Ok(vec![root.path(node)])
}

/// The node of the NPU's driver. Its number varies, so the driver's own words are searched, render nodes only; some
/// kernels have a node of its own instead.
fn rknpu_node(root: &SystemRoot) -> Option<PathBuf> {
    const CLASS: &str = "/sys/class/drm";
    let is_npu = |name: &&String| {
        let uevent = root.read_text(format!("{CLASS}/{name}/device/uevent")).unwrap_or_default();
        uevent.lines().any(|line| line.starts_with("OF_COMPATIBLE_") && line.ends_with("rknpu"))
    };
    let names = root.names_in(CLASS);
    let render = names.iter().filter(|name| name.starts_with("renderD")).find(is_npu);
    render.map(|name| Path::new("/dev/dri").join(name)).or_else(|| {
        let own = "/dev/rknpu";
        root.exists(own).then(|| PathBuf::from(own))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn state(root: &SystemRoot, kind: BackEndKind) -> Result<Vec<PathBuf>, Obstacle> {
        back_ends(root).into_iter().find(|back_end| back_end.kind == kind).unwrap().state
    }

    #[test]
    fn a_link_out_of_a_copy_shows_nothing_of_the_machine_that_reads() {
        let (elsewhere, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(elsewhere.path().join("dma_heap")).unwrap();
        fs::write(elsewhere.path().join("dma_heap/system"), "").unwrap();
        symlink(elsewhere.path(), copy.path().join("dev")).unwrap();
        let root = SystemRoot::at(copy.path());
        assert!(state(&root, BackEndKind::DmaHeap).is_err());
        symlink("loop", copy.path().join("loop")).unwrap();
        assert!(!root.exists("/loop/x") && root.names_in("/loop").is_empty());
        // The same place inside the copy is what the link means there.
        let inside = copy.path().join(elsewhere.path().strip_prefix("/").unwrap()).join("dma_heap");
        fs::create_dir_all(&inside).unwrap();
        fs::write(inside.join("system"), "").unwrap();
        assert!(state(&root, BackEndKind::DmaHeap).is_ok());
    }

    #[test]
    fn an_npu_whose_node_a_container_hides_is_mended_by_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("sys/class/drm/renderD129/device");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("uevent"), "OF_COMPATIBLE_0=rockchip,rk3588-rknpu\n").unwrap();
        let obstacle = || state(&SystemRoot::at(folder.path()), BackEndKind::Rknpu).unwrap_err();
        assert!(obstacle().remedy.unwrap().contains("udevadm"), "{}", obstacle().why);
        fs::write(folder.path().join(".dockerenv"), "").unwrap();
        assert!(obstacle().remedy.unwrap().contains("--device /dev/dri"), "{}", obstacle().why);
    }

    #[test]
    fn advice_about_containers_is_for_containers() {
        for (file, kind) in [
            ("dev/nvmap", BackEndKind::Cuda),
            ("usr/lib/wsl/lib/libcuda.so.1", BackEndKind::Cuda),
            ("proc/nothing", BackEndKind::DmaHeap),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
            let advice = || {
                let Obstacle { why, remedy } = state(&SystemRoot::at(folder.path()), kind).unwrap_err();
                format!("{why} {}", remedy.unwrap_or_default())
            };
            assert!(!advice().contains("docker") && !advice().contains("container"), "{}", advice());
            fs::write(folder.path().join(".dockerenv"), "").unwrap();
            assert!(advice().contains("docker run"), "{}", advice());
        }
    }

    #[test]
    fn a_gpu_whose_library_lies_elsewhere_is_mended_by_naming_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("dev")).unwrap();
        fs::write(folder.path().join("dev/nvidiactl"), "").unwrap();
        let root = SystemRoot::at(folder.path());
        let obstacle = state(&root, BackEndKind::Cuda).unwrap_err();
        assert_eq!(obstacle.remedy.as_deref(), Some("export PLIMSOLL_CUDA_LIBRARY=/path/to/libcuda.so.1"));
        let driver = folder.path().join("run/opengl-driver/lib");
        fs::create_dir_all(&driver).unwrap();
        fs::write(driver.join("libcuda.so.1"), "").unwrap();
        assert_eq!(state(&root, BackEndKind::Cuda).unwrap(), [driver.join("libcuda.so.1")]);
    }
}
