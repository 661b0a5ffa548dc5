//! The frames of an opened packet (RFC 9000, Section 19), as far as the runner's criteria ask for them.

/// A frame, or what there is to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// ACK, and whether it counts ECN marks.
    Ack { ecn: bool },
    /// CRYPTO.
    Crypto { offset: u64, data: Vec<u8> },
    /// PATH_CHALLENGE.
    PathChallenge([u8; 8]),
    /// PATH_RESPONSE.
    PathResponse([u8; 8]),
    /// CONNECTION_CLOSE: whether it is the application's, and its code.
    Close { application: bool, code: u64 },
    /// Another, by its type.
    Other(u64),
}

/// Reads the frames of a packet; stops where it knows no further.
pub fn frames(mut payload: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !payload.is_empty() {
        // A run of padding is of no interest.
        if payload[0] == 0 {
            payload = &payload[1..];
            continue;
        }
        let Some(frame) = next(&mut payload) else { break };
        frames.push(frame);
    }
    frames
}

fn next(rest: &mut &[u8]) -> Option<Frame> {
    let kind = varint(rest)?;
    let frame = match kind {
        0x02 | 0x03 => {
            let (_largest, _delay, ranges, _first) =
                (varint(rest)?, varint(rest)?, varint(rest)?, varint(rest)?);
            skip_varints(rest, 2 * ranges + if kind == 0x03 { 3 } else { 0 })?;
            Frame::Ack { ecn: kind == 0x03 }
        }
        0x06 => {
            let (offset, len) = (varint(rest)?, varint(rest)?);
            Frame::Crypto { offset, data: take(rest, len)?.to_vec() }
        }
        0x1a => Frame::PathChallenge(take(rest, 8)?.try_into().ok()?),
        0x1b => Frame::PathResponse(take(rest, 8)?.try_into().ok()?),
        0x1c | 0x1d => {
            let code = varint(rest)?;
            skip_varints(rest, 0x1d - kind)?;
            let len = varint(rest)?;
            take(rest, len)?;
            Frame::Close { application: kind == 0x1d, code }
        }
        _ => {
            skip(kind, rest)?;
            Frame::Other(kind)
        }
    };
    Some(frame)
}

/// Passes over a frame of this type.
fn skip(kind: u64, rest: &mut &[u8]) -> Option<()> {
    match kind {
        0x01 | 0x1e | 0x1f => Some(()),
        0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => skip_varints(rest, 1),
        0x05 | 0x11 | 0x15 => skip_varints(rest, 2),
        0x04 => skip_varints(rest, 3),
        0xaf => skip_varints(rest, 4),
        0x07 | 0x31 => {
            let len = varint(rest)?;
            take(rest, len).map(drop)
        }
        0x08..=0x0f => {
            skip_varints(rest, if kind & 0x04 != 0 { 2 } else { 1 })?;
            let len = if kind & 0x02 != 0 { varint(rest)? } else { rest.len() as u64 };
            take(rest, len).map(drop)
        }
        0x18 => {
            skip_varints(rest, 2)?;
            let len = take(rest, 1)?[0];
            take(rest, u64::from(len) + 16).map(drop)
        }
        0x30 => take(rest, rest.len() as u64).map(drop),
        // What follows a frame that is not known cannot be known either.
        _ => take(rest, rest.len() as u64).map(drop),
    }
}

fn skip_varints(rest: &mut &[u8], count: u64) -> Option<()> {
    (0..count).try_for_each(|_| varint(rest).map(drop))
}

/// Takes a variable-length integer (RFC 9000, Section 16).
pub fn varint(rest: &mut &[u8]) -> Option<u64> {
    let len = 1 << (rest.first()? >> 6);
    let bytes = take(rest, len)?;
    Some(bytes.iter().skip(1).fold(u64::from(bytes[0] & 0x3f), |value, byte| value << 8 | u64::from(*byte)))
}

/// Takes so many bytes.
pub fn take<'a>(rest: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    *rest = left;
    Some(taken)
}
