//! One connection of the server that misbehaves: requests in, answers out, with ranges, validators and faults.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use xtask::verify::digest::Sha256;

use super::{Fault, LoggedRequest, State, locked};

/// Read timeout, after which a connection looks whether the server is ending.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Longest head of a request that is read.
const LONGEST_HEAD: usize = 16 << 10;

/// What a client asks.
struct Request {
    /// Whether it takes this server for a proxy, and asks for a way to another one.
    connect: bool,
    path: String,
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
}

/// What it gets.
struct Answer {
    /// 0 for none.
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// Answers requests until the client closes the connection, a fault does, or the server ends.
pub(super) fn requests(stream: &mut (impl Read + Write), state: &State, ending: &AtomicBool) -> io::Result<()> {
    while let Some(request) = request(stream, ending)? {
        let fault = state.fault(&request.path);
        if !matches!(fault, Some(Fault::ResetAt(_))) {
            byte(stream, ending)?;
        }
        let answer = answer(&request, fault.as_ref(), state);
        // Before it is sent: a test that reads the log has seen the client end.
        locked(&state.log).push(LoggedRequest {
            path: request.path,
            range: request.range,
            if_none_match: request.if_none_match,
            status: answer.status,
            at: Instant::now(),
        });
        if !send(stream, ending, &answer, fault.as_ref())? {
            break;
        }
    }
    Ok(())
}

/// The next byte; none once the client has closed the connection or the server is ending.
fn byte(stream: &mut impl Read, ending: &AtomicBool) -> io::Result<Option<u8>> {
    let mut byte = [0];
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if ending.load(Ordering::SeqCst) {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// The next request, up to its last byte, which is left unread: a socket that is closed with unread bytes is reset.
fn request(stream: &mut impl Read, ending: &AtomicBool) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r") {
        let Some(byte) = byte(stream, ending)? else { return Ok(None) };
        head.push(byte);
        if head.len() > LONGEST_HEAD {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    Ok(Some(Request {
        connect: method == "CONNECT",
        path: path.to_owned(),
        range: header("range"),
        if_range: header("if-range"),
        if_none_match: header("if-none-match"),
    }))
}

fn answer(request: &Request, fault: Option<&Fault>, state: &State) -> Answer {
    let plain = |status, headers| Answer { status, headers, body: Vec::new() };
    let content = match fault {
        Some(Fault::Silent) => return plain(0, Vec::new()),
        Some(Fault::Endless) => return plain(200, Vec::new()),
        Some(Fault::Status(status, retry_after)) => {
            let retry_after = retry_after.map(|seconds| format!("Retry-After: {seconds}"));
            return plain(*status, retry_after.into_iter().collect());
        }
        Some(Fault::Redirect(target)) => {
            return plain(302, vec![format!("Location: {}", target.replace("{path}", &request.path))]);
        }
        Some(Fault::Instead(content)) => Some(content.clone()),
        // The way leads here, whoever is asked for.
        _ if request.connect => return plain(200, Vec::new()),
        _ => state.content(&request.path),
    };
    let Some(mut content) = content else { return plain(404, Vec::new()) };
    let etag = format!("\"{}\"", &Sha256::of(&content).to_string()[..16]);
    let mut headers = vec![format!("ETag: {etag}"), "Accept-Ranges: bytes".into()];
    if request.if_none_match.as_ref() == Some(&etag) {
        return plain(304, headers);
    }
    if let Some(Fault::FlipAt(at) | Fault::FlipAndCutAt(at, _)) = fault {
        content[*at] ^= 0x40;
    }
    // "bytes=N-" alone; a server may answer other forms with the whole.
    let range = request.range.as_ref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let holds = request.if_range.as_ref().is_none_or(|known| *known == etag) && !matches!(fault, Some(Fault::NoRanges));
    let (status, mut body) = match range.filter(|_| holds) {
        Some(begin) if begin >= content.len() => {
            return plain(416, vec![format!("Content-Range: bytes */{}", content.len())]);
        }
        Some(begin) => {
            let (size, length) = (content.len(), content.len() - begin);
            // As long as what was asked for, from elsewhere.
            let begin = if matches!(fault, Some(Fault::WrongRange)) { begin / 2 } else { begin };
            headers.push(format!("Content-Range: bytes {begin}-{}/{size}", begin + length - 1));
            (206, content[begin..begin + length].to_vec())
        }
        None => (200, content),
    };
    if matches!(fault, Some(Fault::Gzip)) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        body = gzip.write_all(&body).and_then(|()| gzip.finish()).expect("compressing in memory");
        headers.push("Content-Encoding: gzip".into());
    }
    Answer { status, headers, body }
}

/// Sends an answer; gives whether the connection goes on.
fn send(
    stream: &mut (impl Read + Write),
    ending: &AtomicBool,
    answer: &Answer,
    fault: Option<&Fault>,
) -> io::Result<bool> {
    match fault {
        Some(Fault::Silent) => {
            while byte(stream, ending)?.is_some() {}
            return Ok(false);
        }
        Some(Fault::Late(pause)) => sleep(*pause),
        _ => {}
    }
    let length = match fault {
        Some(Fault::Length(difference)) => answer.body.len().saturating_add_signed(*difference as isize),
        _ => answer.body.len(),
    };
    let length = match (fault, answer.status) {
        (Some(Fault::Endless), _) => "Connection: close".to_owned(),
        (_, 304) => "Connection: keep-alive".to_owned(),
        _ => format!("Content-Length: {length}"),
    };
    let headers: String = answer.headers.iter().chain([&length]).map(|header| format!("{header}\r\n")).collect();
    stream.write_all(format!("HTTP/1.1 {} \r\n{headers}\r\n", answer.status).as_bytes())?;
    let up_to = |end: usize| &answer.body[..end.min(answer.body.len())];
    match fault {
        Some(Fault::Endless) => {
            let zeros = [0; 1 << 16];
            while !ending.load(Ordering::SeqCst) {
                stream.write_all(&zeros)?;
            }
        }
        Some(Fault::Slow(rate)) => {
            for piece in answer.body.chunks((rate / 10).max(1)) {
                if ending.load(Ordering::SeqCst) {
                    return Ok(false);
                }
                stream.write_all(piece)?;
                sleep(Duration::from_millis(100));
            }
            return Ok(true);
        }
        Some(Fault::CutAt(end) | Fault::FlipAndCutAt(_, end)) => stream.write_all(up_to(*end))?,
        Some(Fault::ResetAt(end)) => {
            stream.write_all(up_to(*end))?;
            // Until it has arrived: a reset may overtake.
            sleep(Duration::from_millis(100));
        }
        Some(Fault::Length(_)) => stream.write_all(&answer.body)?,
        _ => {
            stream.write_all(&answer.body)?;
            return Ok(true);
        }
    }
    Ok(false)
}
