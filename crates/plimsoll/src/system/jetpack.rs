//! The release of a Jetson's system software: `/etc/nv_tegra_release`.

use super::{
    root::SystemRoot,
    text::{field, number},
};

/// Linux for Tegra, and the JetPack that ships it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TegraRelease {
    /// The release of Linux for Tegra: `"36.4.7"`.
    pub l4t: String,
    /// The JetPack it belongs to, `"6.2.1"`, or its generation where several share a release; `None` for a release
    /// that is not in the table.
    pub jetpack: Option<&'static str>,
}

impl TegraRelease {
    /// Reads the release; `None` where there is none. On a kernel for Tegra the package database stands in for a
    /// missing file, which containers do not always get.
    #[must_use]
    pub fn read(root: &SystemRoot, kernel_release: Option<&str>) -> Option<Self> {
        let file = root.read_text("/etc/nv_tegra_release").ok();
        let is_tegra = kernel_release.is_some_and(|release| release.ends_with("-tegra"));
        file.and_then(|text| Self::parse(&text))
            .or_else(|| is_tegra.then(|| Self::from_packages(root)).flatten())
    }

    /// Whether nvmap may refuse a piece that it has room for: since the mend of CVE-2025-33177 in 36.4.7 it does, by a rule
    /// that is not published. Reports: llama.cpp#23732 and its discussion 16706.
    #[must_use]
    pub fn refuses_large_pieces(&self) -> bool {
        const SINCE: [u64; 3] = [36, 4, 7];
        let parts = self.l4t.split('.').map(|part| number(part).unwrap_or(0));
        parts.take(SINCE.len()).ge(SINCE)
    }

    /// Parses the first line: `# R36 (release), REVISION: 4.7, GCID: ...`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (release, rest) = text.strip_prefix("# R")?.split_once(' ')?;
        let revision = rest.split_once("REVISION: ")?.1.split([',', '\n']).next()?;
        Self::of(release, revision.trim())
    }

    /// From the version of the package `nvidia-l4t-core`, such as `36.4.7-20250918154033`.
    fn from_packages(root: &SystemRoot) -> Option<Self> {
        // A desktop system's list of packages has a few MiB.
        let packages = root.read_up_to("/var/lib/dpkg/status", 32 << 20).ok()?;
        let text = String::from_utf8_lossy(&packages);
        let package = text
            .split("\n\n")
            .find(|package| field(package, "Package", ':').map(str::trim) == Some("nvidia-l4t-core"))?;
        let version = field(package, "Version", ':')?.trim().split('-').next()?;
        let (release, revision) = version.split_once('.')?;
        Self::of(release, revision)
    }

    fn of(release: &str, revision: &str) -> Option<Self> {
        let release = number(release)?;
        let parts = revision.split('.').map(number).collect::<Option<Vec<_>>>()?;
        let l4t = parts.iter().fold(release.to_string(), |l4t, part| format!("{l4t}.{part}"));
        Some(Self { l4t, jetpack: jetpack(release, &parts) })
    }
}

/// The JetPack of a release, by NVIDIA's table of L4T and JetPack versions.
fn jetpack(release: u64, revision: &[u64]) -> Option<&'static str> {
    Some(match (release, revision) {
        (32, _) => "4",
        (35, [1, ..]) => "5.0",
        (35, _) => "5.1",
        (36, [3, ..]) => "6.0",
        (36, [4] | [4, 0]) => "6.1",
        (36, [4, 3]) => "6.2",
        (36, [4, 4..=7]) => "6.2.1",
        (36, [5, ..]) => "6.2.2",
        (36, _) => "6",
        (38, _) => "7",
        (39, [2, ..]) => "7.2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_first_line_gives_the_release_and_the_table_its_jetpack() {
        let line = |release: &str, revision: &str| {
            TegraRelease::parse(&format!(
                "# R{release} (release), REVISION: {revision}, GCID: 42132812, BOARD: generic\n"
            ))
        };
        for (release, revision, l4t, jetpack) in [
            ("36", "4.7", "36.4.7", Some("6.2.1")),
            ("36", "4.0", "36.4.0", Some("6.1")),
            ("36", "4.3", "36.4.3", Some("6.2")),
            ("36", "3.0", "36.3.0", Some("6.0")),
            ("35", "6.1", "35.6.1", Some("5.1")),
            ("38", "2.0", "38.2.0", Some("7")),
            ("99", "1.0", "99.1.0", None),
        ] {
            let found = line(release, revision).unwrap();
            assert_eq!((found.l4t.as_str(), found.jetpack), (l4t, jetpack));
        }
    }

    #[test]
    fn large_pieces_are_refused_since_36_4_7() {
        let refuses = |l4t: &str| TegraRelease { l4t: l4t.to_owned(), jetpack: None }.refuses_large_pieces();
        for (l4t, expected) in [
            ("35.6.1", false),
            ("36.4", false),
            ("36.4.4", false),
            ("36.4.7", true),
            ("36.4.10", true),
            ("36.5.0", true),
            ("38.2.0", true),
        ] {
            assert_eq!(refuses(l4t), expected, "{l4t}");
        }
    }

    #[test]
    fn nonsense_is_no_release() {
        for text in [
            "",
            "# R36",
            "# R36 (release)",
            "# Rx (release), REVISION: 4.7,",
            "# R36 (release), REVISION: 4.x,",
            "R36 (release), REVISION: 4.7",
        ] {
            assert_eq!(TegraRelease::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_package_stands_in_for_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        let read = |kernel| TegraRelease::read(&root, Some(kernel)).map(|release| release.l4t);
        assert_eq!(read("5.15.148-tegra"), None);
        fs::create_dir_all(folder.path().join("var/lib/dpkg")).unwrap();
        let packages = "Package: nvidia-l4t-core-extra\nVersion: 1.2-3\n\nPackage: nvidia-l4t-core\nVersion: 36.4.3-20250107174145\n";
        fs::write(folder.path().join("var/lib/dpkg/status"), packages).unwrap();
        assert_eq!(read("5.15.148-tegra").as_deref(), Some("36.4.3"));
        assert_eq!(read("6.1.0-amd64"), None, "packages of another machine's image");
    }
}
