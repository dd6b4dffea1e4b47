//! Decompresses gzip, xz, zstd, or none, told by the first bytes, within limits of length and memory.

use std::io::{self, BufRead, Read};

use anyhow::{Context, Result, bail};
use liblzma::stream::{CONCATENATED, Stream};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) xz_memory: u64,
    /// Longest distance that zstd may look back, as a power of two.
    pub(crate) zstd_window: u32,
    /// Whether streams may follow each other; else what comes after the first is not read.
    pub(crate) several: bool,
    pub(crate) excess: &'static str,
}

/// The content, of which no more than `most` bytes may come.
pub(crate) fn decompress<'a>(mut input: impl BufRead + 'a, most: u64, limits: Limits) -> Result<impl Read + 'a> {
    let inner: Box<dyn Read + 'a> = match input.fill_buf().context("reading its first bytes")? {
        [0x1f, 0x8b, ..] if limits.several => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::GzDecoder::new(input)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let several = if limits.several { CONCATENATED } else { 0 };
            let stream = Stream::new_stream_decoder(limits.xz_memory, several).context("starting xz")?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(input).context("starting zstd")?;
            decoder.window_log_max(limits.zstd_window).context("starting zstd")?;
            Box::new(decoder)
        }
        // Those that createrepo_c and rpmbuild can make besides.
        [b'B', b'Z', b'h', ..] => bail!(other("bzip2")),
        [0, b'Z', b'C', b'K', b'1', ..] => bail!(other("zchunk")),
        // Its header is properties, a power of two, and the length: zeros or ones of which nothing else begins with.
        [0x5d, 0, 0, ..] => bail!(other("lzma")),
        _ => Box::new(input),
    };
    Ok(Bounded { inner, left: most, excess: limits.excess })
}

fn other(name: &str) -> String {
    format!("it is compressed with {name}, which is not read here; have it made with zstd, xz or gzip")
}

/// Fails, instead of ending, where more comes than may.
struct Bounded<R> {
    inner: R,
    left: u64,
    excess: &'static str,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let left = self.left.checked_sub(length as u64);
        self.left = left.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, self.excess))?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::{Limits, decompress};
    use crate::extract::entries;
    use crate::repo::primary;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("gzip");
        encoder.finish().expect("gzip")
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(text).expect("xz");
        encoder.finish().expect("xz")
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).expect("zstd")
    }

    fn read(bytes: &[u8], most: usize, limits: Limits) -> anyhow::Result<Vec<u8>> {
        let mut open = Vec::new();
        decompress(bytes, most as u64, limits)?.read_to_end(&mut open)?;
        Ok(open)
    }

    #[test]
    fn reads_every_compression_and_no_more_than_may_come() {
        let limits = primary::LIMITS;
        let text = "a list of packages ".repeat(20_000).into_bytes();
        let (one, other) = text.split_at(text.len() / 3);
        for (name, bytes, is_cut) in [
            ("none", text.clone(), false),
            ("gzip", gzip(&text), true),
            ("xz", xz(&text), true),
            ("zstd", zstd(&text), true),
            ("gzip in two", [gzip(one), gzip(other)].concat(), true),
            ("xz in two", [xz(one), xz(other)].concat(), true),
            ("zstd in two", [zstd(one), zstd(other)].concat(), true),
        ] {
            assert!(read(&bytes, text.len(), limits).expect(name) == text, "{name}");
            let error = read(&bytes, text.len() - 1, limits).expect_err(name);
            assert!(format!("{error:#}").contains(limits.excess), "{name}: {error:#}");
            assert_eq!(read(&bytes[..bytes.len() - 5], text.len(), limits).is_err(), is_cut, "{name}, cut off");
        }
    }

    #[test]
    fn other_compressions_are_refused_by_name() {
        for (name, start) in [("bzip2", &b"BZh91AY&SY"[..]), ("zchunk", b"\0ZCK1\x85"), ("lzma", b"\x5d\0\0\x80\0\xff")]
        {
            let error = read(start, 100, primary::LIMITS).expect_err(name).to_string();
            assert!(error.starts_with(&format!("it is compressed with {name}, ")), "{error}");
        }
    }

    #[test]
    fn asks_for_no_more_memory_than_real_files_need() {
        // Headers that promise a dictionary or window of gigabytes, as any short file can.
        let mut filters = liblzma::stream::Filters::new();
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).expect("options");
        filters.lzma2(options.dict_size(1 << 30).mode(liblzma::stream::Mode::Fast));
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32);
        let mut xz = liblzma::write::XzEncoder::new_stream(Vec::new(), stream.expect("an encoder"));
        xz.write_all(b"short").expect("xz");
        let mut zstd = zstd::Encoder::new(Vec::new(), 1).expect("zstd");
        zstd.window_log(28).expect("zstd");
        zstd.write_all(b"short").expect("zstd");
        zstd.flush().expect("zstd");
        for (bytes, expected) in
            [(xz.finish().expect("xz"), "memory"), (zstd.finish().expect("zstd"), "too much memory")]
        {
            for limits in [primary::LIMITS, entries::LIMITS] {
                let error = read(&bytes, 100, limits).expect_err(expected);
                assert!(format!("{error:#}").contains(expected), "{limits:?}: {error:#}");
            }
        }
    }
}
