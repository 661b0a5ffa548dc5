//! Packet protection and the TLS handshake (RFC 9001).
