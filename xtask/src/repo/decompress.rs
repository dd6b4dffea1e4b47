//! Decompresses lists of packages: gzip, xz, zstd, or none, told by the first bytes. How much may come out is limited
//! here, and how much memory that may take.

use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context, Result};
use liblzma::stream::{CONCATENATED, Stream};

/// Most memory for xz, in bytes: what its highest level needs is 65 MiB, createrepo_c's 9.
const XZ_MEMORY: u64 = 80 << 20;

/// Longest distance that zstd may look back, as a power of two: 128 MiB, the most that zstd itself takes unasked.
/// createrepo_c's lists have 4 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How much is read of a file at once, in bytes.
const CHUNK: usize = 1 << 16;

/// The content of a list, of which no more than `open_size` bytes may come.
///
/// # Errors
/// If nothing can be read.
pub(super) fn decompress<'a>(compressed: impl Read + 'a, open_size: u64) -> Result<impl Read + 'a> {
    let mut input = BufReader::with_capacity(CHUNK, compressed);
    let start = input.fill_buf().context("reading the list of packages")?;
    let inner: Box<dyn Read + 'a> = match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).context("starting xz")?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(input).context("starting zstd")?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).context("starting zstd")?;
            Box::new(decoder)
        }
        _ => Box::new(input),
    };
    Ok(Bounded { inner, left: open_size })
}

/// Fails, instead of ending, where more comes than was promised.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the list of packages is longer than promised")
        })?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::decompress;

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

    fn read(bytes: &[u8], open_size: usize) -> anyhow::Result<Vec<u8>> {
        let mut open = Vec::new();
        decompress(bytes, open_size as u64)?.read_to_end(&mut open)?;
        Ok(open)
    }

    #[test]
    fn reads_every_compression_and_no_more_than_promised() {
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
            assert!(read(&bytes, text.len()).expect(name) == text, "{name}");
            let error = read(&bytes, text.len() - 1).expect_err(name);
            assert!(format!("{error:#}").contains("longer than promised"), "{name}: {error:#}");
            assert_eq!(read(&bytes[..bytes.len() - 5], text.len()).is_err(), is_cut, "{name}, cut off");
        }
    }

    #[test]
    fn asks_for_no_more_memory_than_real_lists_need() {
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
            let error = read(&bytes, 100).expect_err(expected);
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
