//! Lines that a script makes README's matrix of: `matrix: PEER ROLE CASE RESULT [FIGURE]`, ROLE being ours.

/// Says that a case passed; the last thing a test does.
pub fn report(peer: &str, role: &str, case: &str, figure: &str) {
    println!("matrix: {peer} {role} {case} ok {figure}");
}

/// Says that the peer cannot do it, and why we think so.
pub fn unsupported(peer: &str, role: &str, case: &str, why: &str) {
    println!("matrix: {peer} {role} {case} unsupported {why}");
}
