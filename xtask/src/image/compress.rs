//! How layers are compressed: the choice as it is typed, and the encoders. The same bytes always give the same bytes,
//! whatever the number of processors.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use flate2::write::GzEncoder;

/// Size of the window, in megabytes, that unpacks as cheaply as zstd's own choice and holds a whole emulator: what one has
/// in common with the one before it is found.
pub(super) const WINDOW: u32 = 16;

/// The largest window that is written: what podman and containerd unpack.
const LARGEST_WINDOW: u32 = 128;

/// zstd's levels from here on are slow enough to be shared among processors. Below, the pieces that are shared find less of
/// each other than one thread finds in all of it (54 MB instead of 33 at level 1).
const SHARED_FROM: i32 = 16;

/// What compresses a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// What every engine reads.
    Gzip {
        /// 1 to 9.
        level: u32,
    },
    /// What is a quarter as large, since it sees from one emulator to the next.
    Zstd {
        /// 1 to 22.
        level: i32,
        /// In megabytes, a power of two.
        window: u32,
    },
}

impl Compression {
    /// For builds that are tried at once.
    pub(super) const FAST: Self = Self::Zstd { level: 1, window: WINDOW };
    /// For `docker load` of any version.
    pub(super) const FAST_GZIP: Self = Self::Gzip { level: 1 };
    /// For builds that are published: what all engines take but docker before 23.
    pub(super) const RELEASE: Self = Self::Zstd { level: 19, window: WINDOW };
    /// For builds that are published as archives for `docker load` of any version.
    pub(super) const RELEASE_GZIP: Self = Self::Gzip { level: 9 };

    /// All that were chosen, in an index's order, with this window in megabytes.
    ///
    /// # Errors
    /// If one of the two is named twice, or there is a window and no zstd, or the window is none that engines unpack.
    pub(super) fn for_index(mut chosen: Vec<Self>, window: Option<u32>) -> Result<Vec<Self>> {
        // Engines that know no annotation take the first manifest of their machine; those that know no zstd need gzip there.
        chosen.sort_by_key(|compression| compression.is_zstd());
        let is_twice = |two: &[Self]| two[0].is_zstd() == two[1].is_zstd();
        ensure!(!chosen.windows(2).any(is_twice), "--compression: name zstd and gzip once each");
        if let Some(megabytes) = window {
            ensure!(
                megabytes.is_power_of_two() && megabytes <= LARGEST_WINDOW,
                "--window {megabytes}: name a power of two up to {LARGEST_WINDOW}, in MB"
            );
            ensure!(chosen.iter().any(|one| one.is_zstd()), "--window means nothing for gzip; leave it out");
        }
        for compression in &mut chosen {
            if let (Self::Zstd { window, .. }, Some(megabytes)) = (compression, window) {
                *window = megabytes;
            }
        }
        Ok(chosen)
    }

    /// Whether it is zstd.
    pub(super) fn is_zstd(self) -> bool {
        matches!(self, Self::Zstd { .. })
    }

    /// Media type of a layer.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Gzip { .. } => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd { .. } => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// Begins to compress into `sink`.
    pub(super) fn encoder<W: Write>(self, sink: W) -> io::Result<Encoder<W>> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        self.encoder_with(sink, u32::try_from(workers).unwrap_or(1))
    }

    fn encoder_with<W: Write>(self, sink: W, workers: u32) -> io::Result<Encoder<W>> {
        let (level, window) = match self {
            // No time and no name in the header.
            Self::Gzip { level } => return Ok(Encoder::Gzip(GzEncoder::new(sink, flate2::Compression::new(level)))),
            Self::Zstd { level, window } => (level, window),
        };
        let mut encoder = zstd::Encoder::new(sink, level)?;
        encoder.window_log((window << 20).ilog2())?;
        encoder.long_distance_matching(true)?;
        if level >= SHARED_FROM {
            // Any number gives what one gives; only none gives something else.
            encoder.multithread(workers.max(1))?;
        }
        Ok(Encoder::Zstd(encoder))
    }
}

impl FromStr for Compression {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse().with_context(|| format!("{level:?} is no level"))?)),
            None => (text, None),
        };
        let (compression, levels) = match name {
            "zstd" => (Self::Zstd { level: level.unwrap_or(1), window: WINDOW }, 1..=22),
            "gzip" => (Self::Gzip { level: level.unwrap_or(1).unsigned_abs() }, 1..=9),
            _ => bail!("name zstd or gzip, with a level if you like: zstd:19"),
        };
        ensure!(level.is_none_or(|level| levels.contains(&level)), "{name} has levels 1 to {}", levels.end());
        Ok(compression)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::Zstd { level, window } => write!(f, "zstd:{level}, window {window} MB"),
        }
    }
}

/// Compresses what is written to it.
pub(super) enum Encoder<W: Write> {
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Writes what is left, and gives back what it was written to.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_or_explained() {
        for (text, expected) in [
            ("zstd", Ok(Compression::FAST)),
            ("zstd:19", Ok(Compression::Zstd { level: 19, window: 16 })),
            ("gzip", Ok(Compression::FAST_GZIP)),
            ("gzip:9", Ok(Compression::Gzip { level: 9 })),
            ("gzip:10", Err("gzip has levels 1 to 9")),
            ("zstd:0", Err("zstd has levels 1 to 22")),
            ("zstd:-1", Err("zstd has levels 1 to 22")),
            ("zstd:fast", Err("\"fast\" is no level")),
            ("xz", Err("name zstd or gzip, with a level if you like: zstd:19")),
        ] {
            let read: Result<Compression> = text.parse();
            assert_eq!(read.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn an_index_has_each_compression_once_and_gzip_first() {
        let (zstd, gzip) = (Compression::FAST, Compression::FAST_GZIP);
        let zstd_of = |window| Compression::Zstd { level: 1, window };
        let once = "--compression: name zstd and gzip once each";
        let no_power = "name a power of two up to 128, in MB";
        for (chosen, window, expected) in [
            (vec![zstd], None, Ok(vec![zstd])),
            (vec![zstd, gzip], None, Ok(vec![gzip, zstd])),
            (vec![zstd, gzip], Some(1), Ok(vec![gzip, zstd_of(1)])),
            (vec![zstd], Some(128), Ok(vec![zstd_of(128)])),
            (vec![zstd, Compression::RELEASE], None, Err(once)),
            (vec![gzip, gzip], None, Err(once)),
            (vec![zstd], Some(256), Err(no_power)),
            (vec![zstd], Some(24), Err(no_power)),
            (vec![zstd], Some(0), Err(no_power)),
            (vec![gzip], Some(16), Err("--window means nothing for gzip; leave it out")),
        ] {
            let text = format!("{chosen:?}, {window:?}");
            match (Compression::for_index(chosen, window), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(error), Err(expected)) => assert!(error.to_string().ends_with(expected), "{text}: {error}"),
                (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn the_number_of_processors_changes_nothing() {
        // More than one piece for each worker, with repetitions from far away.
        let mut random = fastrand::Rng::with_seed(1);
        let block: Vec<u8> = std::iter::repeat_with(|| random.u8(..16)).take(1 << 18).collect();
        let mut written = Vec::new();
        for workers in [1, 2, 5] {
            let compression = Compression::Zstd { level: SHARED_FROM, window: 1 };
            let mut encoder = compression.encoder_with(Vec::new(), workers).expect("an encoder");
            for _ in 0..36 {
                encoder.write_all(&block).expect("compressed");
                encoder.write_all(b"a little more").expect("compressed");
            }
            written.push(encoder.finish().expect("compressed"));
        }
        assert!(written[0].len() < 2 << 20, "{} bytes", written[0].len());
        assert!(written[0] == written[1] && written[0] == written[2]);
    }
}
