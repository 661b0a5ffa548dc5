//! Paths: which exist, which is home, which are candidates.
