//! What an extraction has made, written down beside it: what came from where, and of what.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::system::parallel;
use crate::verify::VerifiedPackage;
use crate::verify::digest::Sha256;

const RECORD: &str = "record.json";

#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub(super) key: Sha256,
    pub(crate) packages: Vec<VerifiedPackage>,
    pub(crate) emulators: Vec<EmulatorRecord>,
    pub(crate) confs: Vec<TextRecord>,
    pub(crate) licenses: Vec<TextRecord>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmulatorRecord {
    pub target: String,
    pub path: String,
    pub size: u64,
    pub sha256: Sha256,
    pub build_id: Option<String>,
    /// Which of [`Record::packages`] it comes from.
    pub nevra: String,
}

/// One conf file or license file in the folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TextRecord {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) sha256: Sha256,
}

#[derive(Debug)]
pub struct Stage {
    pub(crate) dir: PathBuf,
    pub(crate) record: Record,
}

impl Record {
    pub(super) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()
    }

    /// Whether a folder was made here, by this or another version of this program.
    pub(super) fn is_in(dir: &Path) -> bool {
        #[derive(Deserialize)]
        struct Any {
            #[serde(rename = "key")]
            _key: Sha256,
        }
        let record = fs::read(dir.join(RECORD)).ok();
        record.is_some_and(|record| serde_json::from_slice::<Any>(&record).is_ok())
    }

    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let context = "writing the record of extracted files";
        fs::write(dir.join(RECORD), serde_json::to_vec_pretty(self).context(context)?).context(context)
    }

    pub(super) fn is_whole(&self, dir: &Path) -> bool {
        let emulators = self.emulators.iter().map(|emulator| (&emulator.path, emulator.size, &emulator.sha256));
        let texts = self.confs.iter().chain(&self.licenses).map(|text| (&text.path, text.size, &text.sha256));
        let files: Vec<_> = emulators.chain(texts).collect();
        let check = |&(path, size, sha256): &(&String, u64, &Sha256)| {
            let file = File::open(dir.join(path))?;
            ensure!(file.metadata()?.len() == size && Sha256::of_reader(file)? == *sha256, "{path} has changed");
            Ok(())
        };
        parallel::each(&files, parallel::processors(), check).is_ok()
    }

    pub(crate) fn signers(&self) -> Vec<&str> {
        let mut signers: Vec<_> = self.packages.iter().filter_map(|verified| verified.signer.as_deref()).collect();
        signers.sort_unstable();
        signers.dedup();
        signers
    }
}

impl TextRecord {
    /// Its content, proven once more.
    pub(crate) fn read(&self, dir: &Path) -> Result<Vec<u8>> {
        let path = dir.join(&self.path);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(Sha256::of(&bytes) == self.sha256, "{} has changed since it was extracted; run again", path.display());
        Ok(bytes)
    }
}

impl Stage {
    pub(crate) fn package_of(&self, emulator: &EmulatorRecord) -> Option<&VerifiedPackage> {
        self.record.packages.iter().find(|verified| verified.nevra == emulator.nevra)
    }
}
