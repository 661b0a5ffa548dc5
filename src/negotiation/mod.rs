//! Which migration strategies the two sides agree on (reference, Section 2).
