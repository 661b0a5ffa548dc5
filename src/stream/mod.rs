//! Streams and flow control (RFC 9000, Sections 2 to 4).
