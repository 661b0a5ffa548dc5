//! Connection IDs: those we issue and those we may use (RFC 9000, Section 5.1).
