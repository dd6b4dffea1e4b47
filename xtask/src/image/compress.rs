//! How layers are compressed. The number of processors does not change the bytes.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use flate2::write::GzEncoder;

use crate::system::parallel;

/// Log2 of zstd's window: 16 MiB hold a whole emulator, so that the next is compressed against it.
const WINDOW_LOG: u32 = 24;

/// zstd's levels from here on use all processors. Below, that costs more than it gains: 54 MB instead of 33 at level
/// 1.
const SHARED_FROM: i32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// What every engine reads.
    Gzip {
        /// 1 to 9.
        level: u32,
    },
    /// What is a quarter as large, since it sees from one emulator to the next.
    Zstd {
        /// 1 to 22.
        level: i32,
    },
}

impl Compression {
    /// For builds that are tried at once.
    pub(crate) const FAST: Self = Self::Zstd { level: 1 };
    pub(crate) const FAST_GZIP: Self = Self::Gzip { level: 1 };
    /// For builds that are published: what all engines take but docker before 23.
    pub(crate) const RELEASE: Self = Self::Zstd { level: 19 };
    /// For builds that are published as archives for `docker load` of any version.
    pub(crate) const RELEASE_GZIP: Self = Self::Gzip { level: 9 };

    /// Those that were named, in an index's order.
    pub(crate) fn for_index(mut named: Vec<Self>) -> Result<Vec<Self>> {
        // Engines that know no annotation take the first manifest of their machine; those that know no zstd need gzip there.
        named.sort_by_key(|compression| compression.is_zstd());
        let is_twice = |two: &[Self]| two[0].is_zstd() == two[1].is_zstd();
        ensure!(!named.windows(2).any(is_twice), "--compression: name zstd and gzip once each");
        Ok(named)
    }

    pub(super) fn is_zstd(self) -> bool {
        matches!(self, Self::Zstd { .. })
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Gzip { .. } => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd { .. } => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// Compresses what `write` writes into `sink`, which is given back.
    pub(super) fn encode<W: Write, T>(
        self,
        sink: W,
        write: impl FnOnce(&mut dyn Write) -> Result<T>,
    ) -> Result<(W, T)> {
        self.encode_with(sink, parallel::processors(), write)
    }

    fn encode_with<W: Write, T>(
        self,
        sink: W,
        workers: usize,
        write: impl FnOnce(&mut dyn Write) -> Result<T>,
    ) -> Result<(W, T)> {
        let level = match self {
            Self::Gzip { level } => {
                // No time and no name in the header.
                let mut encoder = GzEncoder::new(sink, flate2::Compression::new(level));
                let written = write(&mut encoder)?;
                return Ok((encoder.finish().context("compressing a layer")?, written));
            }
            Self::Zstd { level } => level,
        };
        let mut encoder = zstd::Encoder::new(sink, level)?;
        encoder.window_log(WINDOW_LOG)?;
        encoder.long_distance_matching(true)?;
        if level >= SHARED_FROM {
            // Any number gives what one gives; only none gives something else.
            encoder.multithread(u32::try_from(workers).unwrap_or(1).max(1))?;
        }
        let written = write(&mut encoder)?;
        Ok((encoder.finish().context("compressing a layer")?, written))
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
            "zstd" => (Self::Zstd { level: level.unwrap_or(1) }, 1..=22),
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
            Self::Zstd { level } => write!(f, "zstd:{level}"),
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
            ("zstd:19", Ok(Compression::Zstd { level: 19 })),
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
        let once = "--compression: name zstd and gzip once each";
        for (named, expected) in [
            (vec![zstd], Ok(vec![zstd])),
            (vec![zstd, gzip], Ok(vec![gzip, zstd])),
            (vec![zstd, Compression::RELEASE], Err(once)),
            (vec![gzip, gzip], Err(once)),
        ] {
            let found = Compression::for_index(named).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn the_number_of_processors_changes_nothing() {
        // More than one piece for each worker, with repetitions from far away.
        let mut random = fastrand::Rng::with_seed(1);
        let block: Vec<u8> = std::iter::repeat_with(|| random.u8(..16)).take(1 << 18).collect();
        let mut written = Vec::new();
        for workers in [1, 2, 5] {
            let compression = Compression::Zstd { level: SHARED_FROM };
            let write = |sink: &mut dyn Write| {
                Ok((0..36).try_for_each(|_| sink.write_all(&block).and_then(|()| sink.write_all(b"a little more")))?)
            };
            written.push(compression.encode_with(Vec::new(), workers, write).expect("compressed").0);
        }
        assert!(written[0].len() < 2 << 20, "{} bytes", written[0].len());
        assert!(written[0] == written[1] && written[0] == written[2]);
    }
}
