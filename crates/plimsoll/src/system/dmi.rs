//! What the firmware of a machine without a device tree calls it: `/sys/class/dmi/id`.

use super::root::SystemRoot;

/// The product's name in the tables of SMBIOS. Source: the DMTF's SMBIOS specification, section 7.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dmi {
    pub product: String,
}

impl Dmi {
    /// Reads the name; `None` where there is none, or none that is fit to be shown.
    pub fn read(root: &SystemRoot) -> Option<Self> {
        const LONGEST: usize = 256;
        let text = root.read_text("/sys/class/dmi/id/product_name").ok()?;
        let product = text.trim();
        let fit = !product.is_empty()
            && product.len() <= LONGEST
            && product.bytes().all(|c| (b' '..=b'~').contains(&c));
        fit.then(|| Self { product: product.to_owned() })
    }

    /// Whether the name has these words of small letters in it, one after the other and each of them whole: "gb10" is not
    /// in "GB100". Some makers write `_` for a blank.
    pub fn mentions(&self, words: &str) -> bool {
        let name = self.product.to_ascii_lowercase();
        let name: Vec<_> =
            name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        format!(" {} ", name.join(" ")).contains(&format!(" {words} "))
    }
}
