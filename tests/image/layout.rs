//! A layout as its readers see it: every blob under its digest, and the documents that lead to them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use xtask::verify::digest::Sha256;

/// A layout in a folder.
pub(crate) struct Layout(pub(crate) PathBuf);

impl Layout {
    /// What `index.json` leads to: the index, then what refers to it.
    pub(crate) fn entries(&self) -> Vec<Value> {
        let text = fs::read(self.0.join("index.json")).expect("index.json");
        let outer: Value = serde_json::from_slice(&text).expect("JSON");
        outer["manifests"].as_array().expect("manifests").clone()
    }

    /// The one index that has a name.
    pub(crate) fn index(&self) -> Value {
        let entries = self.entries();
        let named: Vec<_> = entries.iter().filter(|entry| entry["annotations"].is_object()).collect();
        assert_eq!(named, [&entries[0]], "engines ask which is meant");
        self.json(named[0])
    }

    /// What the name in `index.json` says.
    pub(crate) fn annotation(&self, key: &str) -> String {
        self.entries()[0]["annotations"][key].as_str().expect("an annotation").into()
    }

    /// The blob that a descriptor leads to, once its digest and size are found right.
    pub(crate) fn blob(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:")).expect("a digest");
        let path = self.0.join("blobs/sha256").join(digest);
        let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(file.metadata().expect("a size").len(), descriptor["size"], "{descriptor}");
        assert_eq!(Sha256::of_reader(file).expect("a digest").to_string(), digest);
        path
    }

    /// The same, read as JSON.
    pub(crate) fn json(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(&fs::read(self.blob(descriptor)).expect("a blob")).expect("JSON")
    }

    /// A layer before compression.
    pub(crate) fn layer(&self, descriptor: &Value) -> Vec<u8> {
        let file = File::open(self.blob(descriptor)).expect("a layer");
        let mut unpacked = Vec::new();
        match descriptor["mediaType"].as_str().expect("a media type").rsplit('+').next() {
            Some("zstd") => zstd::Decoder::new(file).expect("zstd").read_to_end(&mut unpacked),
            _ => flate2::read::GzDecoder::new(file).read_to_end(&mut unpacked),
        }
        .expect("a layer that can be unpacked");
        unpacked
    }
}

/// Number of files below a folder.
pub(crate) fn count(folder: &Path) -> usize {
    fs::read_dir(folder).expect("a folder").count()
}
