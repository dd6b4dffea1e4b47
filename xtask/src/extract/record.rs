//! What an extraction has made, written down beside it: what came from where, and of what.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::digest::Sha256;
use crate::verify::Proof;

/// Name of the record inside the folder.
const RECORD: &str = "record.json";

/// What the folder holds, and what it was made from.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Digest of all that decided its content.
    pub(super) key: Sha256,
    /// The packages, sorted by name.
    pub packages: Vec<Proof>,
    /// The emulators, sorted by target.
    pub emulators: Vec<EmulatorRecord>,
    /// Paths of the conf files below the folder, sorted.
    pub confs: Vec<String>,
    /// Paths of the licence texts below the folder, sorted.
    pub licences: Vec<String>,
}

/// One emulator in the folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmulatorRecord {
    /// QEMU's name of its target.
    pub target: String,
    /// Path below the folder.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// Digest of its content.
    pub sha256: Sha256,
    /// GNU build id, in hexadecimal digits.
    pub build_id: Option<String>,
    /// Which of [`Record::packages`] it comes from.
    pub nevra: String,
}

/// A folder of extracted files.
#[derive(Debug)]
pub struct Stage {
    /// The folder.
    pub dir: PathBuf,
    /// What is in it.
    pub record: Record,
}

impl Record {
    /// That of a folder which was made here.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()
    }

    /// Whether a folder was made here, by this or another version of this program.
    pub(super) fn is_in(dir: &Path) -> bool {
        /// What records of all versions have.
        #[derive(Deserialize)]
        struct Any {
            #[serde(rename = "key")]
            _key: Sha256,
        }
        let record = fs::read(dir.join(RECORD)).ok();
        record.is_some_and(|record| serde_json::from_slice::<Any>(&record).is_ok())
    }

    /// Writes it into its folder.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let context = "writing the record of extracted files";
        fs::write(dir.join(RECORD), serde_json::to_vec_pretty(self).context(context)?).context(context)
    }

    /// Whether all that is recorded is there. What the emulators hold is checked when they are used.
    pub(super) fn is_whole(&self, dir: &Path) -> bool {
        let size = |path: &String| fs::metadata(dir.join(path)).map(|metadata| metadata.len()).ok();
        self.emulators.iter().all(|emulator| size(&emulator.path) == Some(emulator.size))
            && self.confs.iter().chain(&self.licences).all(|path| size(path).is_some())
    }

    /// Fingerprints of the keys whose signatures were good.
    pub fn signers(&self) -> Vec<&str> {
        let mut signers: Vec<_> = self.packages.iter().filter_map(|proof| proof.signer.as_deref()).collect();
        signers.sort_unstable();
        signers.dedup();
        signers
    }
}

impl Stage {
    /// The package that an emulator comes from.
    pub fn proof_of(&self, emulator: &EmulatorRecord) -> Option<&Proof> {
        self.record.packages.iter().find(|proof| proof.nevra == emulator.nevra)
    }
}
