//! Transport parameters (RFC 9000, Section 18).
